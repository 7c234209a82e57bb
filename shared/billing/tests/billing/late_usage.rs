//! Usage that comes late, is corrected, or comes while it is being counted: billed once, and never lost.

use billing::{BillingError, NewUsageEvent, UsageSubject};
use domain::InvoiceStatus;
use futures::future::join;
use store::{ChunkState, Customer, Event, Invoice, LateMark, UnitOfWork, UsageReport};

use crate::{
    killed::killed_after,
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, World, actor, event, report_id},
};

const MAY: &str = "2026-05-10T00:00:00Z";

fn of(subscription: &str) -> UsageSubject {
    UsageSubject::Subscription(subscription.to_owned())
}

fn customers(customer: &str) -> UsageSubject {
    UsageSubject::Customer(customer.to_owned())
}

/// A call of `sub_one`'s.
fn call(id: &str, timestamp: &str) -> NewUsageEvent {
    event(id, of("sub_one"), timestamp)
}

impl World {
    /// Bills everything due at an instant.
    pub(crate) async fn bill_at(&self, at: &str, repeat: Repeat) {
        self.move_clock(at.parse().unwrap()).await;
        let run = format!("run_{}", at.replace([':', '-', 'T', 'Z', '.'], ""));
        self.run(&run).await;
        self.drive(&run, repeat).await;
    }

    /// "kind price quantity amount" of the lines of usage of a subscription's last invoice.
    async fn last_usage(&self, subscription: &str) -> Vec<String> {
        let mut invoices = self.all::<Invoice>().await;
        invoices.retain(|invoice| invoice.subscription.as_deref() == Some(subscription));
        let lines = invoices.pop().unwrap().content.lines.into_iter();
        let usage = lines.filter(|line| line.price.as_deref() != Some("base"));
        let kind = |line: &domain::LineItem| serde_json::to_value(line.kind).unwrap().as_str().unwrap().to_owned();
        usage
            .map(|line| {
                format!("{} {} {} {}", kind(&line), line.price.clone().unwrap(), line.quantity, line.amount_minor)
            })
            .collect()
    }

    /// A subscriber `one` to `dev`, whose tenant's clock stands at the start.
    async fn begin(&self) {
        self.set_up().await;
        self.move_clock(MAY.parse().unwrap()).await;
        self.subscriber("one", ("dev", "pm_sandbox_ok"), MAY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_usage_is_billed_once_by_the_next_invoice() {
    let servers = Servers::start();
    for (name, repeat) in [("once", Repeat::Once), ("twice", Repeat::Twice), ("at_once", Repeat::AtOnce)] {
        let world = servers.world(name).await;
        world.begin().await;
        world.report(&[call("e1", "2026-05-20T00:00:00Z")]).await;
        world.bill_at("2026-06-01T00:00:00Z", repeat).await;
        assert_eq!(world.last_usage("sub_one").await, ["usage calls 1 10"]);

        let late = [
            call("e2", "2026-05-21T00:00:00Z"),
            call("e3", "2026-05-31T23:59:59.999Z"),
            call("e4", "2026-06-01T00:00:00Z"),
        ];
        assert_eq!(world.report(&late).await.accepted, 3);
        assert_eq!(world.report(&late).await.duplicates, 3);
        world.bill_at("2026-07-01T00:00:00Z", repeat).await;
        assert_eq!(world.last_usage("sub_one").await, ["adjustment calls 2 20", "usage calls 1 10"]);
        world.bill_at("2026-08-01T00:00:00Z", repeat).await;
        assert_eq!(world.last_usage("sub_one").await, [""; 0], "{name}");
        assert!(world.all::<LateMark>().await.is_empty() && world.all::<UsageReport>().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_count_at_their_own_time() {
    let servers = Servers::start();
    let world = servers.world("corrections").await;
    world.begin().await;
    world.report(&[call("e1", "2026-05-20T00:00:00Z"), call("e2", "2026-05-20T00:00:00Z")]).await;
    world.bill_at("2026-06-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_one").await, ["usage calls 2 20"]);

    let corrects =
        |id: &str, replaced: &str, at: &str| NewUsageEvent { replaces: Some(replaced.to_owned()), ..call(id, at) };
    // Out of the billed period into this one; then that one is corrected in the same batch.
    let batch = [
        corrects("c2", "c1", "2026-06-11T00:00:00Z"),
        corrects("c1", "e1", "2026-06-10T00:00:00Z"),
        corrects("c3", "none", "2026-06-10T00:00:00Z"),
        corrects("c4", "e1", "2026-06-10T00:00:00Z"),
        call("e2", "2026-05-21T00:00:00Z"),
    ];
    let outcome = world.report(&batch).await;
    let rejected: Vec<_> = outcome.rejected.iter().map(|one| (one.index, one.code)).collect();
    assert_eq!(rejected, [(0, "unknown_event"), (2, "unknown_event"), (3, "unknown_event"), (4, "id_conflict")]);
    assert_eq!(world.report(&batch[..1]).await.accepted, 1);
    assert_eq!(world.report(&batch[..2]).await.duplicates, 2);
    world.bill_at("2026-07-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_one").await, ["adjustment calls -1 -10", "usage calls 1 10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_usage_goes_to_the_one_subscription_that_bills_it_then() {
    let servers = Servers::start();
    let world = servers.world("subjects").await;
    world.begin().await;
    world.subscribe("sub_two", ("cus_one", "dev"), MAY).await.unwrap();
    let ambiguous = world.report(&[event("e1", customers("cus_one"), "2026-05-20T00:00:00Z")]).await;
    assert_eq!(ambiguous.rejected[0].code, "ambiguous_subscription");
    world.report(&[event("e1", of("sub_two"), "2026-05-20T00:00:00Z"), call("e2", "2026-05-20T00:00:00Z")]).await;
    // Before both of them nobody bills it, until somebody does whose time it is.
    let early = [
        event("e3", customers("cus_one"), "2026-05-09T23:00:00Z"),
        event("e4", customers("cus_one"), "2026-05-05T00:00:00Z"),
    ];
    assert_eq!(world.report(&early).await.accepted, 2);
    world.subscribe("sub_three", ("cus_one", "dev"), "2026-05-06T00:00:00Z").await.unwrap();
    world.bill_at("2026-06-01T00:00:00Z", Repeat::Once).await;
    for subscription in ["sub_one", "sub_two", "sub_three"] {
        assert_eq!(world.last_usage(subscription).await, ["usage calls 1 10"], "{subscription}");
    }
    // What came when it was nobody's goes to whoever has billed that time, and to nobody else.
    assert_eq!(world.report(&[event("e5", customers("cus_one"), "2026-05-07T00:00:00Z")]).await.accepted, 1);
    assert_eq!(
        world.report(&[event("e1", of("sub_one"), "2026-05-20T00:00:00Z")]).await.rejected[0].code,
        "id_conflict"
    );
    world.bill_at("2026-07-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_three").await, ["adjustment calls 1 10"]);
    assert_eq!(world.last_usage("sub_two").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_comes_while_it_is_counted_is_counted_once() {
    let servers = Servers::start();
    let world = servers.world("during").await;
    world.begin().await;
    world.move_clock("2026-06-01T00:00:00Z".parse().unwrap()).await;
    world.run("run_1").await;
    world.drive_to("run_1", ChunkState::Usage).await;
    // Counted, and not billed yet.
    world.report(&[call("e1", "2026-05-20T00:00:00Z")]).await;
    world.drive("run_1", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_one").await, [""; 0]);
    // At the same moment as everything else.
    world.move_clock("2026-07-01T00:00:00Z".parse().unwrap()).await;
    world.run("run_2").await;
    let events: Vec<NewUsageEvent> =
        (0..40).map(|number| call(&format!("x{number}"), "2026-06-20T00:00:00Z")).collect();
    let reporting = async {
        for one in &events {
            world.report(std::slice::from_ref(one)).await;
        }
    };
    join(world.drive("run_2", Repeat::AtOnce), reporting).await;
    world.bill_at("2026-08-01T00:00:00Z", Repeat::Once).await;
    let usage = world.all::<Invoice>().await.into_iter().flat_map(|invoice| invoice.content.lines);
    let billed: i64 = usage.filter(|line| line.price.as_deref() == Some("calls")).map(|line| line.amount_minor).sum();
    assert_eq!(billed, 41 * 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_whose_process_is_killed_at_any_step_loses_nothing() {
    let servers = Servers::start();
    let world = servers.world("killed").await;
    world.begin().await;
    world.report(&[call("e0", "2026-05-20T00:00:00Z")]).await;
    world.bill_at("2026-06-01T00:00:00Z", Repeat::Once).await;

    let mut turns = 1;
    loop {
        let (plain, correction) = (
            call(&format!("e{turns}"), "2026-05-21T00:00:00Z"),
            NewUsageEvent {
                replaces: Some(format!("e{}", turns - 1)),
                ..call(&format!("c{turns}"), "2026-05-22T00:00:00Z")
            },
        );
        let events = [plain, correction];
        let report = report_id(&events);
        let ingestion = billing::ingest_usage(&world.billing.store, (TENANT, &report), &events, crate::world::WALL);
        if killed_after(turns, ingestion).await.is_some() {
            break;
        }
        turns += 1;
    }
    assert!(turns > 10, "{turns} turns are too few to have been anywhere");
    for report in world.billing.store.due::<UsageReport>(crate::world::WALL, None, 1_000).await.unwrap() {
        billing::finish_usage_report(&world.billing, (TENANT, &report.id)).await.unwrap();
    }
    world.bill_at("2026-07-01T00:00:00Z", Repeat::Once).await;
    let stored = world.all::<store::UsageEvent>().await;
    let counts = stored.iter().filter(|event| event.replaced_by.is_none()).count();
    let usage = world.all::<Invoice>().await.into_iter().flat_map(|invoice| invoice.content.lines);
    let billed: i64 = usage.filter(|line| line.price.as_deref() == Some("calls")).map(|line| line.amount_minor).sum();
    assert_eq!(billed, 10 * i64::try_from(counts).unwrap());
    assert!(counts > 5 && world.all::<UsageReport>().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_may_ignore_what_comes_late_and_keeps_a_record() {
    let servers = Servers::start();
    let world = servers.world("ignored").await;
    world.set_up().await;
    world.move_clock(MAY.parse().unwrap()).await;
    world.meter("mtr_3", r#"{"key":"forgetful","aggregation":"count","late_policy":"ignore"}"#).await;
    let price = r#"{"key":"forgetful","kind":"usage","timing":"arrears","meter":"forgetful",
        "model":{"type":"per_unit","unit_amount":"0.10"}}"#;
    world.plan("pln_f", "f", price).await;
    world.subscriber("one", ("f", "pm_sandbox_ok"), MAY).await;
    let used = |id: &str, at: &str| NewUsageEvent { meter: "forgetful".to_owned(), ..call(id, at) };
    world.report(&[used("e1", "2026-05-20T00:00:00Z")]).await;
    world.bill_at("2026-06-01T00:00:00Z", Repeat::Once).await;
    world.report(&[used("e2", "2026-05-20T00:00:00Z"), used("e3", "2026-06-02T00:00:00Z")]).await;
    world.bill_at("2026-07-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_one").await, ["usage forgetful 1 10"]);
    let records: Vec<Event> =
        world.all::<Event>().await.into_iter().filter(|event| event.event_type == "usage.ignored").collect();
    assert_eq!(records.len(), 1);
    let period = serde_json::json!({ "start": "2026-05-10", "end": "2026-06-01" });
    assert_eq!(records[0].data["ignored"], serde_json::json!([{ "meter": "forgetful", "period": period }]));
    assert_eq!(world.all::<store::UsageEvent>().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counts_in_a_draft_until_it_is_final() {
    let servers = Servers::start();
    let world = servers.world("drafts").await;
    world.set_up().await;
    world.move_clock(MAY.parse().unwrap()).await;
    world.customer_with_grace("cus_one", "pm_sandbox_ok", 5).await;
    world
        .plan(
            "pln_calls",
            "calls",
            r#"{"key":"calls","kind":"usage","timing":"arrears","meter":"calls",
        "model":{"type":"per_unit","unit_amount":"0.10"}}"#,
        )
        .await;
    world.subscribe("sub_one", ("cus_one", "calls"), MAY).await.unwrap();
    world.report(&[call("e1", "2026-05-20T00:00:00Z")]).await;
    world.bill_at("2026-06-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.billed("sub_one").await, ["2026-06-01 draft 10"]);
    world.report(&[call("e2", "2026-05-21T00:00:00Z")]).await;
    let draft = world.all::<Invoice>().await.remove(0);
    let looked = billing::current_invoice(&world.billing.store, draft.clone()).await.unwrap();
    assert_eq!((looked.content.total_minor, world.invoice(&draft.id).await.content.total_minor), (20, 10));

    // Both at once: the sweep's job and a person.
    world.move_clock("2026-06-06T00:00:00Z".parse().unwrap()).await;
    let time = world.time().await;
    let person = async {
        let change = billing::finalize_invoice(&world.billing.store, &actor(), &time, &draft.id).await?;
        world.billing.commit(change).await
    };
    let (job, person) = join(world.collect(&draft.id, crate::world::WALL), person).await;
    let lost = |error: &BillingError| error.is_conflict() || matches!(error, BillingError::State { .. });
    assert!(job.is_ok() || person.is_ok(), "{job:?} {person:?}");
    assert!(job.as_ref().err().is_none_or(lost) && person.as_ref().err().is_none_or(lost), "{job:?} {person:?}");
    world.drive_alone(crate::world::WALL, Repeat::Once).await;
    assert_eq!(world.billed("sub_one").await, ["2026-06-01 paid 20"]);

    // After that it is late.
    world.report(&[call("e3", "2026-05-22T00:00:00Z")]).await;
    world.bill_at("2026-07-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.billed("sub_one").await[1], "2026-07-01 draft 10");
    let away = NewUsageEvent { replaces: Some("e3".to_owned()), ..call("c3", "2026-06-20T00:00:00Z") };
    world.report(&[away]).await;
    world.move_clock("2026-07-06T00:00:00Z".parse().unwrap()).await;
    let sweep = billing::sweep_overdue(&world.billing, crate::world::WALL).await.unwrap();
    assert!(sweep.offered > 0, "a draft is due by the tenant's clock");
    let second = world.all::<Invoice>().await.remove(1);
    world.collect(&second.id, crate::world::WALL).await.unwrap();
    // The draft bills e3 as late, and c3 in its own time; that e3 is corrected is known to the next one.
    assert_eq!(world.billed("sub_one").await[1], "2026-07-01 paid 20");
    world.bill_at("2026-08-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_one").await, ["adjustment calls -1 -10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_whose_usage_was_corrected_away_ends_paid_and_without_lines() {
    let servers = Servers::start();
    let world = servers.world("nothing").await;
    world.set_up().await;
    world.move_clock(MAY.parse().unwrap()).await;
    world.customer_with_grace("cus_one", "pm_sandbox_ok", 5).await;
    world
        .plan(
            "pln_lines",
            "lines",
            r#"{"key":"lines","kind":"usage","timing":"arrears","meter":"lines",
        "model":{"type":"per_unit","unit_amount":"0.10"}}"#,
        )
        .await;
    world.subscribe("sub_one", ("cus_one", "lines"), MAY).await.unwrap();
    world.lines("e1", "cus_one", ("2026-05-20T00:00:00Z", "3")).await;
    world.bill_at("2026-06-01T00:00:00Z", Repeat::Once).await;
    let zero = NewUsageEvent {
        meter: "lines".to_owned(),
        properties: [("lines".to_owned(), "0".to_owned())].into(),
        replaces: Some("e1".to_owned()),
        ..call("c1", "2026-05-20T00:00:00Z")
    };
    world.report(&[zero]).await;
    world.move_clock("2026-06-06T00:00:00Z".parse().unwrap()).await;
    let draft = world.all::<Invoice>().await.remove(0);
    world.collect(&draft.id, crate::world::WALL).await.unwrap();
    let invoice = world.invoice(&draft.id).await;
    assert_eq!(
        (invoice.status, invoice.content.lines.len(), invoice.number.as_str()),
        (InvoiceStatus::Paid, 0, "INV-000001")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_move_the_next_boundary_is_still_the_old_midnight() {
    let servers = Servers::start();
    let world = servers.world("moves").await;
    world.begin().await;
    let mut customer: Customer = world.billing.store.find(TENANT, "cus_one").await.unwrap().unwrap();
    customer.timezone = "America/New_York".parse().unwrap();
    let mut unit = UnitOfWork::default();
    unit.replace(&mut customer).unwrap();
    world.billing.store.commit(unit).await.unwrap();
    world.report(&[call("e1", "2026-05-31T23:59:00Z"), call("e2", "2026-06-01T00:00:00Z")]).await;
    world.report(&[call("e3", "2026-07-01T03:59:00Z"), call("e4", "2026-07-01T04:00:00Z")]).await;
    world.bill_at("2026-06-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_one").await, ["usage calls 1 10"]);
    world.bill_at("2026-07-01T00:00:00Z", Repeat::Once).await;
    assert_eq!(world.billed("sub_one").await.len(), 2, "June ends with New York's");
    world.bill_at("2026-07-01T04:00:00Z", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_one").await, ["usage calls 2 20"]);
    world.bill_at("2026-08-01T04:00:00Z", Repeat::Once).await;
    assert_eq!(world.last_usage("sub_one").await, ["usage calls 1 10"]);
}
