//! Money on its way back.

use futures::future::join_all;
use sandbox_gateway::Config;
use serde_json::{Value, json};

use crate::server::{Answer, Server, charge};

async fn charged(server: &Server, token: &str) -> String {
    let intent = server.charge(token, &charge(token)).await.ok();
    intent["id"].as_str().unwrap().to_owned()
}

async fn refund(server: &Server, intent: &str, amount: &str) -> Answer {
    server.post("/v1/refunds", &[("payment_intent", intent), ("amount", amount), ("metadata[refund]", "re_1")]).await
}

#[tokio::test]
async fn never_more_goes_back_than_was_taken_however_many_ask_at_once() {
    let server = Server::start(Config::default()).await;
    let intent = charged(&server, "pm_sandbox_ok").await;
    let part = refund(&server, &intent, "250").await.ok();
    assert_eq!(
        (&part["status"], &part["amount"], &part["payment_intent"]),
        (&json!("succeeded"), &json!(250), &json!(intent))
    );
    assert_eq!(refund(&server, &intent, "1001").await.refused(400), "amount_too_large");
    assert_eq!(refund(&server, &intent, "0").await.refused(400), "parameter_invalid_integer");
    assert_eq!(refund(&server, "pi_none", "1").await.refused(404), "resource_missing");

    let answers = join_all((0..9).map(|_| refund(&server, &intent, "300"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status.is_success()).count(), 3);
    let rest = server.post("/v1/refunds", &[("payment_intent", &intent)]).await.ok();
    assert_eq!(rest["amount"], 100, "all that is left");
    assert_eq!(refund(&server, &intent, "1").await.refused(400), "charge_already_refunded");
    let ledger = server.ledger().await;
    assert_eq!(
        (&ledger["amount_minor"], &ledger["refunded_minor"]),
        (&json!({ "usd": 1250 }), &json!({ "usd": 1250 }))
    );
    let list = server.get(&format!("/v1/refunds?payment_intent={intent}")).await.ok();
    let amounts: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|refund| &refund["amount"]).collect();
    assert_eq!(amounts, [100, 300, 300, 300, 250]);
    server.stop().await;
}

#[tokio::test]
async fn a_refund_that_fails_or_waits_is_told_apart() {
    let server = Server::start(Config::default()).await;
    let fails = charged(&server, "pm_sandbox_refund_fails").await;
    let failed = refund(&server, &fails, "1250").await.ok();
    assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("lost_or_stolen_card")));

    let pends = charged(&server, "pm_sandbox_refund_pends").await;
    let pending = refund(&server, &pends, "1250").await.ok();
    assert_eq!(pending["status"], "pending");
    assert_eq!(refund(&server, &pends, "1").await.refused(400), "charge_already_refunded", "it is reserved");
    let ended = server.admin("/refunds", json!({ "id": pending["id"], "succeeds": false })).await.ok();
    assert_eq!(ended["status"], "failed");
    assert_eq!(server.ledger().await["refunded_minor"], json!({ "usd": 0 }));
    refund(&server, &pends, "1250").await.ok();
    server.stop().await;
}
