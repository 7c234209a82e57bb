//! Payments that fail, over months of the tenant's clock: tried again, waited for, given up, recovered.

use std::collections::BTreeMap;

use billing::Progress;
use bson::doc;
use domain::{DunningPolicy, SubscriptionStatus};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use store::{
    AttemptState, Customer, Event, EventDelivery, Invoice, Notification, SubscriptionRecord, Tenant, TestClock,
    UnitOfWork,
};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World},
};

/// The initial invoice is of 10 July, the first of a run of 1 August, and the clock stands at noon of that day.
const START: &str = "2026-07-10T00:00:00Z";
const BROKE: &str = "pm_sandbox_decline_insufficient_funds";

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_until_it_is_paid_or_over() {
    let servers = Servers::start();
    soft_declines_go_by_the_schedule_and_a_new_method_collects_at_once(&servers.world("soft").await).await;
    a_hard_decline_waits_for_another_method(&servers.world("hard").await).await;
    an_unpaid_subscription_is_billed_as_drafts_until_it_is_paid(&servers.world("unpaid").await).await;
    a_cancelled_subscription_is_over(&servers.world("cancel").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_its_customer_has_to_confirm_waits_for_it() {
    let servers = Servers::start();
    a_confirmed_payment_is_paid_once(&servers.world("confirmed").await).await;
    one_that_nobody_confirms_is_given_up(&servers.world("given_up").await).await;
}

impl World {
    /// Lets a token behave as another one.
    async fn disguise(&self, token: &str, behaves_as: &str) {
        let body = serde_json::json!({ "payment_method": token, "behaves_as": behaves_as }).to_string();
        self.gateway.post("/_sandbox/payment_methods", &body).await;
    }

    async fn policy(&self, policy: &str) {
        let store = &self.billing.store;
        let mut tenant: Tenant = store.find(TENANT, TENANT).await.unwrap().unwrap();
        tenant.dunning = serde_json::from_str::<DunningPolicy>(policy).unwrap();
        let mut unit = UnitOfWork::default();
        unit.replace(&mut tenant).unwrap();
        store.commit(unit).await.unwrap();
    }

    async fn set_clock(&self, to: Timestamp) {
        let store = &self.billing.store;
        let mut clock: TestClock = store.find(TENANT, "clk_1").await.unwrap().unwrap();
        clock.now = to;
        let mut unit = UnitOfWork::default();
        unit.replace(&mut clock).unwrap();
        store.commit(unit).await.unwrap();
    }

    /// The earliest instant by `until` at which something is due on the clock.
    async fn next_due(&self, until: Timestamp) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        for collection in ["invoices", "subscriptions"] {
            let filter = doc! { "due_clock": "clk_1", "due_at": { "$lte": bson::DateTime::from_jiff(until) } };
            let documents = self.database.collection::<bson::Document>(collection);
            let mut found = documents.find(filter).await.unwrap();
            while let Some(document) = found.try_next().await.unwrap() {
                let at = document.get_datetime("due_at").unwrap().to_jiff();
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }

    /// Moves the clock on, from one thing that is due to the next, and does it: `repeat` says how often each job runs.
    async fn pass_to(&self, to: &str, repeat: Repeat) {
        let to: Timestamp = to.parse().unwrap();
        let mut runs = 0;
        while let Some(at) = self.next_due(to).await {
            self.set_clock(at).await;
            runs += 1;
            let run = format!("run_{}_{runs}", at.as_second());
            self.run(&run).await;
            self.drive(&run, repeat).await;
            self.collect_due_by_clock(repeat).await;
            self.drive_alone(WALL, repeat).await;
            assert!(runs < 200, "something stays due for ever");
        }
        self.set_clock(to).await;
    }

    async fn collect_due_by_clock(&self, repeat: Repeat) {
        let now = self.time().await.now;
        for invoice in self.all::<Invoice>().await {
            if invoice.due.clock.is_none() || invoice.due.at.is_none_or(|at| at > now) {
                continue;
            }
            match repeat {
                Repeat::Once => drop(self.collect(&invoice.id, WALL).await.unwrap()),
                Repeat::Twice => {
                    self.collect(&invoice.id, WALL).await.unwrap();
                    self.collect(&invoice.id, WALL).await.unwrap();
                }
                Repeat::AtOnce => {
                    let both = futures::future::join(self.collect(&invoice.id, WALL), self.collect(&invoice.id, WALL));
                    let (one, other) = both.await;
                    one.unwrap();
                    other.unwrap();
                }
            }
        }
    }

    /// Gives a customer another payment method, and delivers what follows.
    async fn new_method(&self, customer: &str, token: &str) {
        let store = &self.billing.store;
        let mut customer: Customer = store.find(TENANT, customer).await.unwrap().unwrap();
        customer.payment_method = Some(token.to_owned());
        let mut unit = UnitOfWork::default();
        unit.replace(&mut customer).unwrap();
        unit.record_event(&Event {
            id: format!("evt_{}_{}", customer.id, customer.revision),
            tenant: TENANT.to_owned(),
            created: WALL,
            event_type: "customer.updated".to_owned(),
            subject: customer.id.clone(),
            revision: customer.revision,
            related: Vec::new(),
            data: serde_json::json!({ "changed": ["payment_method"] }),
            request_id: None,
            due: store::Due::at(WALL),
        })
        .unwrap();
        store.commit(unit).await.unwrap();
        while billing::dispatch_events(&self.billing, TENANT, WALL).await.unwrap() == Progress::More {}
        let until = WALL + SignedDuration::from_hours(1);
        for due in store.due::<EventDelivery>(until, None, 100).await.unwrap() {
            billing::deliver_event(&self.billing, (TENANT, &due.id), WALL).await.unwrap();
        }
        self.drive_alone(WALL, Repeat::Twice).await;
    }

    async fn status(&self, subscription: &str) -> SubscriptionStatus {
        let found: Option<SubscriptionRecord> = self.billing.store.find(TENANT, subscription).await.unwrap();
        found.unwrap().subscription.status()
    }

    /// Kinds of the mails about one invoice, with how many there are.
    async fn mails_about(&self, invoice: &str) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for mail in self.all::<Notification>().await {
            if mail.message.invoice() == Some(invoice) {
                *kinds.entry(mail.message.kind()).or_default() += 1;
            }
        }
        kinds
    }

    /// Days of August on which an invoice was tried.
    async fn days_tried(&self, invoice: &str) -> Vec<i8> {
        let day = |at: Timestamp| at.to_zoned(jiff::tz::TimeZone::UTC).day();
        self.attempts(invoice).await.iter().filter_map(|attempt| attempt.settled_at.map(day)).collect()
    }
}

async fn subscriber(world: &World, token: &str) {
    world.set_up().await;
    world.subscriber("one", ("base", token), START).await;
    world.drive_alone(WALL, Repeat::Once).await;
}

async fn soft_declines_go_by_the_schedule_and_a_new_method_collects_at_once(world: &World) {
    subscriber(world, "pm_sandbox_ok").await;
    world.disguise("pm_sandbox_ok", BROKE).await;
    world.pass_to("2026-08-01T12:00:00Z", Repeat::Once).await;
    let august = "inv_20260801pone";
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::PastDue, "from the first failure on");

    world.pass_to("2026-08-20T00:00:00Z", Repeat::Twice).await;
    assert_eq!(world.days_tried(august).await, [1, 2, 4, 6, 8]);
    let mails = BTreeMap::from([("invoice_issued", 1), ("payment_failed", 5), ("final_notice", 1)]);
    assert_eq!(world.mails_about(august).await, mails);
    let over = world.invoice(august).await;
    assert_eq!((over.status.as_str(), over.due.at, over.open_attempt), ("open", None, None));

    // Past due goes on being billed and collected; the second try of September's succeeds.
    world.pass_to("2026-09-01T12:00:00Z", Repeat::AtOnce).await;
    world.disguise("pm_sandbox_ok", "pm_sandbox_ok").await;
    world.pass_to("2026-09-03T00:00:00Z", Repeat::AtOnce).await;
    let september = world.invoice("inv_20260901pone").await;
    assert_eq!((september.status.as_str(), september.attempts), ("paid", 2));
    assert_eq!(world.mails_about(&september.id).await["payment_received"], 1);
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::PastDue, "August's is still owed");

    world.new_method("cus_one", "pm_card_visa").await;
    let paid = world.invoice(august).await;
    assert_eq!((paid.status.as_str(), paid.attempts, paid.dunning), ("paid", 6, None));
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::Active);
    world.new_method("cus_one", "pm_sandbox_ok").await;
    assert_eq!(world.gateway.charges().await.len(), 3, "each invoice once");
}

async fn a_hard_decline_waits_for_another_method(world: &World) {
    subscriber(world, "pm_sandbox_ok").await;
    world.disguise("pm_sandbox_ok", "pm_sandbox_decline_lost_card").await;
    world.pass_to("2026-08-05T00:00:00Z", Repeat::Twice).await;
    let august = "inv_20260801pone";
    assert_eq!(world.days_tried(august).await, [1]);
    world.new_method("cus_one", "pm_sandbox_decline_stolen_card").await;
    assert_eq!(world.days_tried(august).await, [1, 5], "tried at once, and declined again");
    world.new_method("cus_one", "pm_card_visa").await;
    assert_eq!((world.invoice(august).await.status.as_str(), world.days_tried(august).await.len()), ("paid", 3));
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::Active);
}

async fn an_unpaid_subscription_is_billed_as_drafts_until_it_is_paid(world: &World) {
    subscriber(world, "pm_sandbox_ok").await;
    world.policy(r#"{"retry_days":[2],"outcome":"unpaid"}"#).await;
    world.disguise("pm_sandbox_ok", BROKE).await;
    world.pass_to("2026-08-04T00:00:00Z", Repeat::Twice).await;
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::Unpaid);
    world.pass_to("2026-10-15T00:00:00Z", Repeat::Twice).await;
    for month in ["inv_20260901pone", "inv_20261001pone"] {
        let draft = world.invoice(month).await;
        assert_eq!((draft.status.as_str(), draft.number.as_str(), draft.due.at), ("draft", "", None));
    }
    assert_eq!(world.days_tried("inv_20260801pone").await, [1, 3]);

    world.new_method("cus_one", "pm_card_visa").await;
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::Active);
    for month in ["inv_20260801pone", "inv_20260901pone", "inv_20261001pone"] {
        assert_eq!(world.invoice(month).await.status.as_str(), "paid", "{month}");
    }
    assert_eq!(world.gateway.charges().await.len(), 4);
}

async fn a_cancelled_subscription_is_over(world: &World) {
    subscriber(world, "pm_sandbox_ok").await;
    world.policy(r#"{"retry_days":[1],"outcome":"cancel"}"#).await;
    world.disguise("pm_sandbox_ok", BROKE).await;
    world.pass_to("2026-12-01T00:00:00Z", Repeat::AtOnce).await;
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::Cancelled);
    assert_eq!(world.billed("sub_one").await.len(), 2, "July's and August's");
    let august = world.invoice("inv_20260801pone").await;
    assert_eq!((august.status.as_str(), august.due.at), ("open", None));
    assert_eq!(world.mails_about(&august.id).await["final_notice"], 1);
    let customer: Customer = world.billing.store.find(TENANT, "cus_one").await.unwrap().unwrap();
    assert_eq!(customer.balance_minor, 0, "nobody is credited what nobody has paid");
}

/// An invoice whose payment waits for its customer, and that payment at the gateway.
async fn waiting(world: &World) -> String {
    subscriber(world, "pm_sandbox_ok").await;
    world.disguise("pm_sandbox_ok", "pm_sandbox_authenticate").await;
    world.pass_to("2026-08-01T12:00:00Z", Repeat::Once).await;
    let invoice = world.invoice("inv_20260801pone").await;
    let attempt = world.attempts(&invoice.id).await.remove(0);
    assert_eq!((attempt.state, invoice.open_attempt.as_ref()), (AttemptState::RequiresAction, Some(&attempt.id)));
    let mails = world.mails_about(&invoice.id).await;
    assert_eq!(mails, BTreeMap::from([("invoice_issued", 1), ("payment_action_required", 1)]));
    let link = attempt.action_url.unwrap();
    assert!(world.gateway.http.get(&link).send().await.unwrap().status().is_success(), "{link}");
    attempt.gateway_payment.unwrap()
}

async fn a_confirmed_payment_is_paid_once(world: &World) {
    let payment = waiting(world).await;
    let body = serde_json::json!({ "id": payment, "succeeds": true }).to_string();
    world.gateway.post("/_sandbox/authentications", &body).await;
    // Nobody was told: the last day asks.
    world.pass_to("2026-08-10T00:00:00Z", Repeat::AtOnce).await;
    let paid = world.invoice("inv_20260801pone").await;
    assert_eq!((paid.status.as_str(), paid.attempts), ("paid", 1));
    assert_eq!(world.gateway.charges().await.len(), 2);
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::Active);
}

async fn one_that_nobody_confirms_is_given_up(world: &World) {
    let payment = waiting(world).await;
    world.pass_to("2026-08-04T13:00:00Z", Repeat::Twice).await;
    let open = world.invoice("inv_20260801pone").await;
    assert_eq!((open.status.as_str(), open.open_attempt, open.attempts), ("open", None, 1));
    assert_eq!(world.attempts(&open.id).await[0].state, AttemptState::Failed);
    assert_eq!(world.status("sub_one").await, SubscriptionStatus::PastDue);
    let body = serde_json::json!({ "id": payment, "succeeds": true }).to_string();
    let late = world.gateway.http.post(format!("{}/_sandbox/authentications", world.gateway.url));
    let late = late.header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(late.status(), 400, "it can never be confirmed any more");
    world.disguise("pm_card_visa", "pm_card_visa").await;
    world.new_method("cus_one", "pm_card_visa").await;
    assert_eq!(world.invoice(&open.id).await.status.as_str(), "paid");
}
