//! Usage events: repeats are recognised, and windows are summed exactly.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use store::{Insertion, Store, UsageEvent, UsageQuery};

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
        meter: meter.to_owned(),
        timestamp,
        quantity: quantity.parse().unwrap(),
        properties: BTreeMap::from([("lines".to_owned(), quantity.to_owned())]),
        replaces: None,
        replaced_by: None,
    }
}

fn query(customer: &str, meter: &str, (from, to): (&str, &str)) -> UsageQuery {
    UsageQuery { customer: customer.to_owned(), meter: meter.to_owned(), from: at(from), to: at(to) }
}

async fn insert(store: &Store, events: &[UsageEvent]) {
    let outcome = store.insert_usage_events(events).await.unwrap();
    assert_eq!(outcome, vec![Insertion::Accepted; events.len()]);
}

/// "customer meter sum" of every sum.
async fn sums(store: &Store, queries: &[UsageQuery]) -> Vec<String> {
    let sums = store.usage(TENANT, queries).await.unwrap();
    let text = |sum: Result<Decimal, _>| sum.map_or_else(|_| "inexact".to_owned(), |sum| sum.normalize().to_string());
    sums.into_iter().map(|((customer, meter), sum)| format!("{customer} {meter} {}", text(sum))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_stored_once_and_summed_exactly() {
    let server = Server::start();
    each_customer_has_its_own_window(&server.store("windows").await).await;
    sums_are_exact_or_an_error_of_their_own(&server.store("exact").await).await;
    repeats_are_recognised(&server.store("repeats").await).await;
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
    assert_eq!(sums(store, &queries).await, ["cus_a calls 2", "cus_a lines 7", "cus_b calls 1"]);
    assert_eq!(sums(store, &[]).await, [""; 0]);
}

async fn sums_are_exact_or_an_error_of_their_own(store: &Store) {
    let of = |id: &str, customer: &str, quantity: &str| event(id, customer, ("lines", quantity), at("02-10T00:00:00"));
    insert(
        store,
        &[
            of("1", "cus_a", "0.1"),
            of("2", "cus_a", "0.2"),
            of("3", "cus_a", "999999999999999"),
            of("4", "cus_a", "0.000000000001"),
            of("5", "cus_b", "-2.50"),
            of("6", "cus_c", "0.0000000000001"),
        ],
    )
    .await;
    // Eleven of these make 29 digits, which a decimal cannot hold.
    let large: Vec<UsageEvent> =
        (0..11).map(|index| of(&format!("l{index}"), "cus_d", "9999999999999999.999999999999")).collect();
    insert(store, &large).await;

    let window = ("02-01T00:00:00", "03-01T00:00:00");
    let queries = ["cus_a", "cus_b", "cus_c", "cus_d"].map(|customer| query(customer, "lines", window));
    let expected = [
        "cus_a lines 999999999999999.300000000001",
        "cus_b lines -2.5",
        "cus_c lines 0.0000000000001",
        "cus_d lines inexact",
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
    assert_eq!(sums(store, &[query("cus_a", "lines", window)]).await, ["cus_a lines 5.5"]);
}
