//! Usage events: repeats are recognised, and windows are summed exactly.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use store::{Insertion, LateMark, Store, Unclaimed, UsageEvent, UsageFence, UsageQuery};

use crate::{
    records::{TENANT, at},
    server::Server,
};

fn event(id: &str, customer: &str, (meter, quantity): (&str, &str), timestamp: Timestamp) -> UsageEvent {
    UsageEvent {
        id: UsageEvent::stored_id(TENANT, id),
        tenant: TENANT.to_owned(),
        created: at("06-01T00:00:00"),
        customer: customer.to_owned(),
        subscription: Some(of(customer)),
        by_customer: false,
        unclaimed: false,
        meter: meter.to_owned(),
        timestamp,
        quantity: quantity.parse().unwrap(),
        properties: BTreeMap::from([("lines".to_owned(), quantity.to_owned())]),
        replaces: None,
        replaced_by: None,
    }
}

/// The subscription of a customer.
fn of(customer: &str) -> String {
    customer.replace("cus", "sub")
}

fn query(customer: &str, meter: &str, (from, to): (&str, &str)) -> UsageQuery {
    let (subscription, customer) = (of(customer), customer.to_owned());
    UsageQuery { customer, subscription, meter: meter.to_owned(), from: at(from), to: at(to) }
}

async fn insert(store: &Store, events: &[UsageEvent]) {
    let outcome = store.insert_usage_events(events).await.unwrap();
    assert_eq!(outcome, vec![Insertion::Accepted; events.len()]);
}

/// "subscription meter sum" of every sum.
async fn sums(store: &Store, queries: &[UsageQuery]) -> Vec<String> {
    let sums = store.usage(TENANT, queries, Unclaimed::LeftOut).await.unwrap();
    let text = |sum: Result<Decimal, _>| sum.map_or_else(|_| "inexact".to_owned(), |sum| sum.normalize().to_string());
    sums.into_iter().map(|((subscription, meter), sum)| format!("{subscription} {meter} {}", text(sum))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_stored_once_and_summed_exactly() {
    let server = Server::start();
    each_customer_has_its_own_window(&server.store("windows").await).await;
    sums_are_exact_or_an_error_of_their_own(&server.store("exact").await).await;
    repeats_are_recognised(&server.store("repeats").await).await;
    an_event_of_nobody_is_claimed_once(&server.store("claims").await).await;
    a_correction_takes_the_place_of_what_it_corrects(&server.store("corrections").await).await;
    fences_rise_and_a_mark_that_is_widened_stays(&server.store("late").await).await;
}

async fn each_customer_has_its_own_window(store: &Store) {
    let tick = |id: &str, customer: &str, text: &str| event(id, customer, ("calls", "1"), at(text));
    let mut other_tenant = tick("9", "cus_a", "02-10T00:00:00");
    other_tenant.tenant = "ten_2".to_owned();
    insert(
        store,
        &[
            tick("1", "cus_a", "01-31T23:59:59.999"),
            tick("2", "cus_a", "02-01T00:00:00"),
            tick("3", "cus_a", "02-28T23:59:59.999"),
            tick("4", "cus_a", "03-01T00:00:00"),
            tick("5", "cus_b", "02-10T00:00:00"),
            tick("6", "cus_b", "03-01T00:00:00"),
            tick("7", "cus_c", "02-10T00:00:00"),
            event("8", "cus_a", ("lines", "7"), at("02-10T00:00:00")),
            event("10", "cus_b", ("lines", "9"), at("03-10T00:00:00")),
        ],
    )
    .await;
    insert(store, &[other_tenant]).await;

    let queries = [
        query("cus_a", "calls", ("02-01T00:00:00", "03-01T00:00:00")),
        query("cus_a", "lines", ("02-01T00:00:00", "03-01T00:00:00")),
        query("cus_b", "calls", ("03-01T00:00:00", "04-01T00:00:00")),
        query("cus_d", "calls", ("01-01T00:00:00", "12-01T00:00:00")),
    ];
    assert_eq!(sums(store, &queries).await, ["sub_a calls 2", "sub_a lines 7", "sub_b calls 1"]);
    assert_eq!(sums(store, &[]).await, [""; 0]);
}

async fn sums_are_exact_or_an_error_of_their_own(store: &Store) {
    let lines =
        |id: &str, customer: &str, quantity: &str| event(id, customer, ("lines", quantity), at("02-10T00:00:00"));
    insert(
        store,
        &[
            lines("1", "cus_a", "0.1"),
            lines("2", "cus_a", "0.2"),
            lines("3", "cus_a", "999999999999999"),
            lines("4", "cus_a", "0.000000000001"),
            lines("5", "cus_b", "-2.50"),
            lines("6", "cus_c", "0.0000000000001"),
        ],
    )
    .await;
    // Eleven of these make 29 digits, which a decimal cannot hold.
    let large: Vec<UsageEvent> =
        (0..11).map(|index| lines(&format!("l{index}"), "cus_d", "9999999999999999.999999999999")).collect();
    insert(store, &large).await;

    let window = ("02-01T00:00:00", "03-01T00:00:00");
    let queries = ["cus_a", "cus_b", "cus_c", "cus_d"].map(|customer| query(customer, "lines", window));
    let expected = [
        "sub_a lines 999999999999999.300000000001",
        "sub_b lines -2.5",
        "sub_c lines 0.0000000000001",
        "sub_d lines inexact",
    ];
    assert_eq!(sums(store, &queries).await, expected);
}

async fn repeats_are_recognised(store: &Store) {
    let fine = at("02-10T00:00:00.123456789");
    let first = event("1", "cus_a", ("lines", "1.50"), fine);
    insert(store, std::slice::from_ref(&first)).await;

    let batch = [
        UsageEvent { created: at("07-01T00:00:00"), quantity: "1.5".parse().unwrap(), ..first.clone() },
        event("1", "cus_a", ("lines", "1.51"), fine),
        event("1", "cus_b", ("lines", "1.50"), fine),
        event("1", "cus_a", ("lines", "1.50"), at("02-10T00:00:00.124")),
        event("2", "cus_a", ("lines", "4"), fine),
        event("2", "cus_a", ("lines", "4"), fine),
        event("2", "cus_a", ("lines", "5"), fine),
    ];
    use Insertion::{Accepted, Conflicting, Duplicate};
    let outcome = store.insert_usage_events(&batch).await.unwrap();
    assert_eq!(outcome, [Duplicate, Conflicting, Conflicting, Conflicting, Accepted, Duplicate, Conflicting]);
    assert_eq!(store.insert_usage_events(&batch).await.unwrap()[4], Duplicate);

    let window = ("02-10T00:00:00.123", "02-10T00:00:00.124");
    assert_eq!(sums(store, &[query("cus_a", "lines", window)]).await, ["sub_a lines 5.5"]);
}

async fn an_event_of_nobody_is_claimed_once(store: &Store) {
    let nobodys = |id: &str, text: &str| UsageEvent {
        subscription: None,
        by_customer: true,
        unclaimed: true,
        ..event(id, "cus_a", ("lines", "1"), at(text))
    };
    insert(store, &[nobodys("1", "02-10T00:00:00"), nobodys("2", "03-10T00:00:00")]).await;
    let february = query("cus_a", "lines", ("02-01T00:00:00", "03-01T00:00:00"));
    let longer = query("cus_a", "lines", ("02-01T00:00:00", "04-01T00:00:00"));
    let looked = store.usage(TENANT, std::slice::from_ref(&longer), Unclaimed::Counted).await.unwrap();
    assert_eq!(
        looked.into_values().map(Result::unwrap).collect::<Vec<_>>(),
        [Decimal::TWO],
        "counted, and not claimed"
    );
    assert_eq!(sums(store, std::slice::from_ref(&longer)).await, [""; 0]);

    store.claim_usage_events(TENANT, std::slice::from_ref(&february)).await.unwrap();
    let other = UsageQuery { subscription: "sub_b".to_owned(), ..longer.clone() };
    for _ in 0..2 {
        store.claim_usage_events(TENANT, std::slice::from_ref(&other)).await.unwrap();
    }
    assert_eq!(sums(store, &[longer]).await, ["sub_a lines 1"]);
    assert_eq!(sums(store, &[other]).await, ["sub_b lines 1"], "what the first one left");
    // Sent again it is a duplicate, whoever has claimed it.
    let again = store.insert_usage_events(&[nobodys("1", "02-10T00:00:00")]).await.unwrap();
    assert_eq!(again, [Insertion::Duplicate]);
}

async fn a_correction_takes_the_place_of_what_it_corrects(store: &Store) {
    use Insertion::{Accepted, Conflicting, Duplicate, NothingToCorrect};
    let corrects = |id: &str, replaced: &str, quantity: &str| UsageEvent {
        replaces: Some(UsageEvent::stored_id(TENANT, replaced)),
        ..event(id, "cus_a", ("lines", quantity), at("02-11T00:00:00"))
    };
    insert(store, &[event("1", "cus_a", ("lines", "5"), at("02-10T00:00:00"))]).await;
    let mut outcome = Vec::new();
    for correction in [
        corrects("2", "1", "3"),
        corrects("2", "1", "3"),
        corrects("2", "1", "4"),
        corrects("3", "1", "4"),
        corrects("3", "9", "4"),
        corrects("3", "2", "7"),
    ] {
        outcome.push(store.insert_correction(&correction).await.unwrap());
    }
    assert_eq!(outcome, [Accepted, Duplicate, Conflicting, NothingToCorrect, NothingToCorrect, Accepted]);
    assert_eq!(sums(store, &[query("cus_a", "lines", ("02-01T00:00:00", "03-01T00:00:00"))]).await, ["sub_a lines 7"]);
}

async fn fences_rise_and_a_mark_that_is_widened_stays(store: &Store) {
    let fence = |until: &str| UsageFence {
        id: "sub_a".to_owned(),
        tenant: TENANT.to_owned(),
        customer: "cus_a".to_owned(),
        until: at(until),
    };
    for until in ["02-01T00:00:00", "03-01T00:00:00", "01-01T00:00:00"] {
        store.raise_usage_fences(&[fence(until)]).await.unwrap();
    }
    assert_eq!(store.usage_fences(TENANT, &["cus_a", "cus_b"]).await.unwrap(), [fence("03-01T00:00:00")]);
    assert_eq!(store.usage_fences("ten_2", &["cus_a"]).await.unwrap(), []);

    let mark = |instant: &str, token: &str| LateMark {
        id: store::late_mark_id("sub_a", "lines"),
        tenant: TENANT.to_owned(),
        subscription: "sub_a".to_owned(),
        meter: "lines".to_owned(),
        from: at(instant),
        to: at(instant),
        token: token.to_owned(),
    };
    store.mark_late(&mark("02-10T00:00:00", "urp_1")).await.unwrap();
    let read = store.late_marks(TENANT, &["sub_a"]).await.unwrap().remove(0);
    store.mark_late(&mark("02-05T00:00:00", "urp_2")).await.unwrap();
    let delete = async |mark: &LateMark| {
        let mut unit = store::UnitOfWork::default();
        unit.delete_mark(mark);
        store.commit(unit).await.unwrap();
    };
    delete(&read).await;
    let widened = store.late_marks(TENANT, &["sub_a"]).await.unwrap();
    assert_eq!(widened, [LateMark { from: at("02-05T00:00:00"), token: "urp_2".to_owned(), ..read }]);
    delete(&widened[0]).await;
    assert_eq!(store.late_marks(TENANT, &["sub_a"]).await.unwrap(), []);
}
