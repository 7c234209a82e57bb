//! Lists: pages in both directions, filters, and cursors that are none.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Client, Platform};

async fn ids(client: &Client<'_>, path: &str) -> (Vec<String>, bool) {
    let page = client.get(path).await.ok();
    assert_eq!((&page["object"], &page["url"]), (&json!("list"), &json!("/v1/customers")));
    let rows = page["data"].as_array().expect("a list");
    let ids = rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect();
    (ids, page["has_more"] == json!(true))
}

#[tokio::test]
async fn pages_tile_a_list_in_both_directions() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    assert_eq!(ids(&client, "/v1/customers").await, (vec![], false));
    let mut all = Vec::new();
    for number in 0..5 {
        all.insert(0, client.customer(&format!("customer{number}")).await);
    }
    assert_eq!(ids(&client, "/v1/customers").await, (all.clone(), false));
    assert_eq!(ids(&client, "/v1/customers?limit=2").await, (all[..2].to_vec(), true));
    let after = |id: &str| format!("/v1/customers?limit=2&starting_after={id}");
    assert_eq!(ids(&client, &after(&all[1])).await, (all[2..4].to_vec(), true));
    assert_eq!(ids(&client, &after(&all[3])).await, (all[4..].to_vec(), false));
    let before = |id: &str| format!("/v1/customers?limit=2&ending_before={id}");
    assert_eq!(ids(&client, &before(&all[3])).await, (all[1..3].to_vec(), true));
    assert_eq!(ids(&client, &before(&all[2])).await, (all[..2].to_vec(), false));

    let bob = platform.client("bob").await;
    assert_eq!(ids(&bob, "/v1/customers").await, (vec![], false));
    let foreign = bob.get(&after(&all[0])).await.problem(400, "invalid_query");
    assert_eq!(foreign["errors"][0]["pointer"], "starting_after");
}

#[tokio::test]
async fn every_list_and_object_can_be_read() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let plan = client.catalogue().await;
    let customer = client.customer("ada").await;
    let body = json!({ "customer": customer, "plan": plan, "start_at": "2026-06-15T00:00:00Z" });
    client.create("/v1/subscriptions", &body).await;
    client.create("/v1/billing_runs", &json!({})).await;
    let resources = ["customers", "meters", "plans", "subscriptions", "invoices", "billing_runs", "test_clocks"];
    for resource in resources {
        let list = client.get(&format!("/v1/{resource}")).await.ok();
        assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
        let row = &list["data"][0];
        let id = row["id"].as_str().expect("an id");
        assert_eq!(row["livemode"], false);
        assert!(row["created"].is_string() && resource.starts_with(row["object"].as_str().expect("text")), "{row}");
        let answer = client.get(&format!("/v1/{resource}/{id}")).await;
        assert!(answer.header("etag").is_some_and(|tag| tag.starts_with("\"r")), "{answer:?}");
        let mut object = answer.ok();
        if resource == "billing_runs" {
            // A run is watched as it goes on.
            object["eta"] = row["eta"].clone();
        }
        assert_eq!(&object, row);
    }
    assert_eq!(client.get("/v1/payments").await.ok()["data"], json!([]));
    let queues = client.get("/v1/queues").await.ok();
    let billing = queues["data"].as_array().expect("a list").iter().find(|queue| queue["name"] == "billing_cycle");
    assert_eq!(billing.expect("a queue")["ready"], 1);

    let count = async |path: &str| client.get(path).await.ok()["data"].as_array().map(Vec::len);
    for (filter, rows) in [
        (format!("/v1/invoices?customer={customer}&status=open"), 1),
        ("/v1/invoices?status=paid".to_owned(), 0),
        ("/v1/invoices?number=INV-000001".to_owned(), 1),
        ("/v1/invoices?billing_run=run_1".to_owned(), 0),
        (format!("/v1/subscriptions?customer={customer}"), 1),
        ("/v1/subscriptions?status=cancelled".to_owned(), 0),
        ("/v1/payments?status=pending&invoice=inv_1".to_owned(), 0),
    ] {
        assert_eq!(count(&filter).await, Some(rows), "{filter}");
    }
    for query in ["/v1/invoices?status=late", "/v1/payments?status=x", "/v1/customers?name=x", "/v1/queues?limit=1"] {
        let problem: Value = client.get(query).await.problem(400, "invalid_query");
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1), "{problem}");
    }
}

#[tokio::test]
async fn a_walk_neither_skips_nor_repeats_while_rows_come() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let mut there = Vec::new();
    for number in 0..12 {
        there.insert(0, client.customer(&format!("there{number}")).await);
    }
    // Older to newer, while newer ones come.
    let coming = async {
        for number in 0..24 {
            client.customer(&format!("coming{number}")).await;
        }
    };
    let walking = async {
        let (mut seen, mut path) = (Vec::new(), "/v1/customers?limit=2".to_owned());
        loop {
            let (page, more) = ids(&client, &path).await;
            let Some(last) = page.last() else { break };
            path = format!("/v1/customers?limit=2&starting_after={last}");
            seen.extend(page);
            if !more {
                break;
            }
        }
        seen
    };
    let ((), down) = tokio::join!(coming, walking);
    assert_eq!(down.iter().collect::<BTreeSet<_>>().len(), down.len(), "repeated");
    assert_eq!(down[down.len() - there.len()..], there, "skipped");

    // Newer and newer, up to the newest.
    let mut up = vec![there.last().expect("a row").clone()];
    loop {
        let (page, more) =
            ids(&client, &format!("/v1/customers?limit=5&ending_before={}", up.first().expect("a row"))).await;
        up.splice(0..0, page);
        if !more {
            break;
        }
    }
    assert_eq!(up, ids(&client, "/v1/customers?limit=100").await.0);
}

#[tokio::test]
async fn a_list_can_be_cut_by_the_time_of_creation() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let mut created = Vec::new();
    for number in 0..3 {
        let id = client.customer(&format!("customer{number}")).await;
        let shown = client.get(&format!("/v1/customers/{id}")).await.ok();
        created.push(shown["created"].as_str().expect("an instant").to_owned());
    }
    let count = async |edges: &str| ids(&client, &format!("/v1/customers?{edges}")).await.0.len();
    assert_eq!(count(&format!("created[gte]={}", created[1])).await, 2);
    assert_eq!(count(&format!("created[gt]={}", created[1])).await, 1);
    assert_eq!(count(&format!("created[lte]={}", created[1])).await, 2);
    assert_eq!(count(&format!("created[lt]={}", created[1])).await, 1);
    assert_eq!(count(&format!("created[gt]={}&created[lt]={}&limit=1", created[0], created[2])).await, 1);
    let problem = client.get("/v1/customers?created[gte]=yesterday").await.problem(400, "invalid_query");
    assert_eq!(problem["errors"][0]["pointer"], "created[gte]");
    client.get("/v1/customers?created[ne]=2026-08-01T00:00:00Z").await.problem(400, "invalid_query");
}
