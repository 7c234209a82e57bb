//! What tests and demos ask of the gateway.

use reqwest::StatusCode;
use sandbox_gateway::Config;
use serde_json::{Value, json};

use crate::server::{Server, charge, with};

#[tokio::test]
async fn the_ledger_sums_by_currency_and_the_charges_page_through() {
    let server = Server::start(Config::default()).await;
    for number in 0..5 {
        let fields = with("pm_sandbox_ok", "metadata[attempt]", &format!("pay_{number}"));
        server.charge(&format!("usd {number}"), &fields).await;
        let declined = charge("pm_sandbox_decline");
        server.charge(&format!("declined {number}"), &declined).await;
    }
    let yen = with("pm_sandbox_ok", "currency", "jpy");
    server.charge("jpy", &yen).await;

    let ledger = server.ledger().await;
    assert_eq!(ledger["charges"], 11);
    assert_eq!(ledger["succeeded"], 6);
    assert_eq!(ledger["declined"], 5);
    assert_eq!(ledger["customers"], 2);
    assert_eq!(ledger["amount_minor"], json!({ "usd": 6250, "jpy": 1250 }));

    let mut seen: Vec<Value> = Vec::new();
    let mut path = "/_sandbox/charges?limit=4".to_owned();
    loop {
        let page = server.get(&path).await.json();
        seen.extend(page["data"].as_array().unwrap().clone());
        if page["has_more"] == false {
            break;
        }
        let last = seen.last().unwrap()["id"].as_str().unwrap();
        path = format!("/_sandbox/charges?limit=4&starting_after={last}");
    }
    let attempts: Vec<_> = seen.iter().map(|c| c["metadata"]["attempt"].clone()).collect();
    assert_eq!(attempts, ["pay_0", "pay_1", "pay_2", "pay_3", "pay_4", "pay_1"]);
    server.stop().await;
}

#[tokio::test]
async fn failures_and_rate_limits_come_on_request_before_execution() {
    let server = Server::start(Config::default()).await;
    let fields = charge("pm_sandbox_ok");

    let limited = json!({ "rate_limited_per_mille": 1000 });
    assert_eq!(server.admin("/settings", limited).await.status, StatusCode::OK);
    let request = server.create(&fields).header("Idempotency-Key", "k1");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "1");

    let failing = json!({ "fail_before_per_mille": 1000, "seed": 3 });
    server.admin("/settings", failing).await;
    let failed = server.charge("k1", &fields).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    let settings = server.get("/_sandbox/settings").await.json();
    assert_eq!(settings["fail_before_per_mille"], 1000);
    assert_eq!(settings["rate_limited_per_mille"], 0);

    server.admin("/settings", json!({})).await;
    let charged = server.charge("k1", &fields).await;
    assert_eq!((charged.status, charged.replayed), (StatusCode::OK, false));
    assert_eq!(server.ledger().await["charges"], 1);
    server.stop().await;
}

#[tokio::test]
async fn admin_calls_are_strict() {
    let server = Server::start(Config::default()).await;
    for (path, body) in [
        ("/settings", json!({ "latency": 5 })),
        ("/settings", json!({ "fail_before_per_mille": 1001 })),
        ("/clock/advance", json!({ "seconds": -1 })),
        ("/clock/advance", json!({ "seconds": u64::MAX })),
        ("/clock/advance", json!({})),
        ("/payment_methods", json!({ "payment_method": "pm_1", "behaves_as": "pm_nobody" })),
        ("/webhook_endpoints", json!({ "url": "http://127.0.0.1:9", "secrets": [] })),
    ] {
        let answer = server.admin(path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {body}");
    }
    assert_eq!(server.get("/livez").await.status, StatusCode::OK);
    server.stop().await;
}
