//! Sweeps and lists, page by page.

use std::collections::BTreeMap;

use domain::{BillingCycle, Plan, Start, Subscription};
use jiff::Timestamp;
use store::{
    Customer, Due, DueRef, ListFilter, Message, Notification, PageRequest, Recipient, SecretText, Store,
    SubscriptionRecord, UnitOfWork,
};

use crate::{
    records::{TENANT, at, customer, notification},
    server::Server,
};

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_skip_nor_repeat() {
    let server = Server::start();
    a_sweep_finds_everything_due_once(&server.store("sweep").await).await;
    due_is_read_on_its_clock(&server.store("clocks").await).await;
    lists_are_stable_while_rows_come(&server.store("lists").await).await;
}

async fn a_sweep_finds_everything_due_once(store: &Store) {
    let now = at("01-02T00:00:00");
    let mut unit = UnitOfWork::default();
    let mut expected = Vec::new();
    for index in 0..25 {
        // One early, most at the same instant, and one exactly now.
        let due = match index {
            0 => at("01-01T00:00:00"),
            24 => now,
            _ => at("01-01T12:00:00"),
        };
        let id = format!("ntf_{index:02}");
        unit.insert(&notification(&id, Due::at(due))).unwrap();
        expected.push(id);
    }
    unit.insert(&notification("ntf_done", Due::never())).unwrap();
    unit.insert(&notification("ntf_later", Due::at(at("01-02T00:00:00.001")))).unwrap();
    unit.insert(&notification("ntf_clock", Due::by_clock(at("01-01T00:00:00"), Some("clk_1")))).unwrap();
    store.commit(unit).await.unwrap();

    let mut found = Vec::new();
    let mut last: Option<DueRef> = None;
    loop {
        let page = store.due::<Notification>(now, last.as_ref(), 4).await.unwrap();
        assert!(page.len() <= 4);
        let Some(end) = page.last().cloned() else { break };
        found.extend(page.into_iter().map(|due| due.id));
        last = Some(end);
    }
    assert_eq!(found, expected);

    // What is done is no longer due.
    store.notifications_sent(TENANT, &expected[1..], now).await.unwrap();
    let left = store.due::<Notification>(now, None, 100).await.unwrap();
    assert_eq!(left.into_iter().map(|due| due.id).collect::<Vec<_>>(), ["ntf_00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_link_is_forgotten_once_its_mail_is_sent() {
    let server = Server::start();
    let store = server.store("secret_links").await;
    let link = SecretText::from("https://app.example/reset?token=abc".to_owned());
    let message = Message::PasswordReset { secret_link: link.clone() };
    let to = Recipient::User("usr_1".to_owned());
    let mail = Notification::new((TENANT, "usr_1"), to, message, at("01-01T00:00:00"));
    let mut unit = UnitOfWork::default();
    unit.insert(&mail).unwrap();
    store.commit(unit).await.unwrap();
    let stored = async || store.find::<Notification>(TENANT, &mail.id).await.unwrap().unwrap().message;
    assert_eq!(stored().await, Message::PasswordReset { secret_link: link });

    store.notifications_sent(TENANT, std::slice::from_ref(&mail.id), at("01-01T00:00:01")).await.unwrap();
    assert_eq!(stored().await, Message::PasswordReset { secret_link: SecretText::default() });
}

fn subscription(id: &str, customer: &str, due: Due) -> SubscriptionRecord {
    let plan: Plan = serde_json::from_str(
        r#"{ "key": "dev", "currency": "usd", "interval": "month", "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "20.00" } }] }"#,
    )
    .unwrap();
    let zone = "UTC".parse().unwrap();
    let start = Start { cycle: BillingCycle::Calendar, ..Start::at(at("01-01T00:00:00"), &zone) };
    SubscriptionRecord {
        id: id.to_owned(),
        tenant: TENANT.to_owned(),
        revision: 1,
        created: at("01-01T00:00:00"),
        customer: customer.to_owned(),
        subscription: Subscription::start("pln_1", &plan, start).unwrap(),
        meters: Vec::new(),
        collection: store::Collection::default(),
        proration: domain::ProrationBehavior::default(),
        metadata: BTreeMap::new(),
        due,
    }
}

async fn due_is_read_on_its_clock(store: &Store) {
    let due = at("02-01T00:00:00");
    let mut unit = UnitOfWork::default();
    for (id, customer) in [("sub_1", "cus_1"), ("sub_2", "cus_2"), ("sub_3", "cus_2"), ("sub_4", "cus_3")] {
        unit.insert(&subscription(id, customer, Due::by_clock(due, Some("clk_1")))).unwrap();
    }
    unit.insert(&subscription("sub_5", "cus_4", Due::never())).unwrap();
    let wall = SubscriptionRecord { tenant: "ten_2".to_owned(), ..subscription("sub_6", "cus_5", Due::at(due)) };
    unit.insert(&wall).unwrap();
    store.commit(unit).await.unwrap();

    let tenants = async |clock: Option<&str>, until: Timestamp| store.tenants_due(clock, until).await.unwrap();
    assert_eq!(tenants(Some("clk_1"), due).await, [TENANT]);
    assert_eq!(tenants(None, due).await, ["ten_2"]);
    let before = at("01-31T23:59:59.999");
    assert!(tenants(Some("clk_1"), before).await.is_empty() && tenants(None, before).await.is_empty());
    assert!(store.due::<SubscriptionRecord>(due, None, 10).await.unwrap().iter().all(|due| due.id == "sub_6"));

    let customers = async |after: &str, limit: usize| store.customers_due(TENANT, due, (after, limit)).await.unwrap();
    assert_eq!(customers("", 10).await, ["cus_1", "cus_2", "cus_3"]);
    assert_eq!(customers("", 2).await, ["cus_1", "cus_2"]);
    assert_eq!(customers("cus_2", 2).await, ["cus_3"]);
    let scope = ["cus_1", "cus_2", "cus_4"].map(ToOwned::to_owned);
    assert_eq!(store.count_due((TENANT, &scope), due).await.unwrap(), 3);
    let except = ["sub_2".to_owned()];
    let left = store.subscriptions_due((TENANT, &scope), due, &except, 10).await.unwrap().records;
    assert_eq!(left.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["sub_1", "sub_3"]);
}

async fn insert_customers(store: &Store, ids: &[&str]) {
    let mut unit = UnitOfWork::default();
    for id in ids {
        unit.insert(&customer(id)).unwrap();
    }
    store.commit(unit).await.unwrap();
}

async fn page(store: &Store, after: Option<&str>, before: Option<&str>) -> (Vec<String>, bool) {
    let request = PageRequest {
        limit: 3,
        starting_after: after.map(ToOwned::to_owned),
        ending_before: before.map(ToOwned::to_owned),
    };
    let page = store.list::<Customer>(TENANT, ListFilter::default(), &request).await.unwrap().unwrap();
    (page.data.into_iter().map(|customer| customer.id).collect(), page.has_more)
}

async fn lists_are_stable_while_rows_come(store: &Store) {
    // All were created at the same instant, so the id alone orders them.
    insert_customers(store, &["cus_1", "cus_2", "cus_3", "cus_4", "cus_6", "cus_7"]).await;
    assert_eq!(page(store, None, None).await, (["cus_7", "cus_6", "cus_4"].map(String::from).into(), true));
    insert_customers(store, &["cus_5", "cus_8"]).await;
    assert_eq!(page(store, Some("cus_4"), None).await, (["cus_3", "cus_2", "cus_1"].map(String::from).into(), false));
    assert_eq!(page(store, None, Some("cus_2")).await, (["cus_5", "cus_4", "cus_3"].map(String::from).into(), true));
    assert_eq!(page(store, None, Some("cus_6")).await, (["cus_8", "cus_7"].map(String::from).into(), false));

    let request = PageRequest { limit: 3, starting_after: Some("cus_4".to_owned()), ending_before: None };
    assert!(store.list::<Customer>("ten_2", ListFilter::default(), &request).await.unwrap().is_none());
    let filter = ListFilter::default().field("email", Some("nobody@example.com".to_owned()));
    let request = PageRequest { starting_after: None, ..request };
    assert!(store.list::<Customer>(TENANT, filter, &request).await.unwrap().unwrap().data.is_empty());
}
