//! A charge that only its customer can complete.

use reqwest::StatusCode;
use reqwest::redirect::Policy;
use sandbox_gateway::Config;
use serde_json::{Value, json};

use crate::server::{Server, charge};

/// The id of an intent that waits for its customer, after the refusal off session.
async fn refused(server: &Server, key: &str) -> String {
    let answer = server.charge(key, &charge("pm_sandbox_authenticate")).await;
    assert_eq!(answer.refused(402), "authentication_required");
    answer.json()["error"]["payment_intent"]["id"].as_str().unwrap().to_owned()
}

async fn confirm(server: &Server, intent: &str, method: &str) -> Value {
    let fields = [("payment_method", method), ("return_url", "https://shop.example/back")];
    server.post(&format!("/v1/payment_intents/{intent}/confirm"), &fields).await.ok()
}

#[tokio::test]
async fn the_customer_confirms_on_a_page_and_comes_back() {
    let server = Server::start(Config::default()).await;
    let intent = refused(&server, "k1").await;
    let waiting = confirm(&server, &intent, "pm_sandbox_authenticate").await;
    assert_eq!(waiting["status"], "requires_action");
    let page = waiting["next_action"]["redirect_to_url"]["url"].as_str().unwrap();
    assert!(server.client.get(page).send().await.unwrap().text().await.unwrap().contains("Confirm"));
    let browser = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let back = browser.post(page).form(&[("outcome", "succeed")]).send().await.unwrap();
    assert_eq!(back.status(), StatusCode::SEE_OTHER);
    assert_eq!(back.headers()["location"], "https://shop.example/back");
    let paid = server.get(&format!("/v1/payment_intents/{intent}")).await.ok();
    assert_eq!(
        (&paid["status"], &paid["amount_received"], &paid["next_action"]),
        (&json!("succeeded"), &json!(1250), &Value::Null)
    );
    let ledger = server.ledger().await;
    assert_eq!((&ledger["charges"], &ledger["succeeded"], &ledger["declined"]), (&json!(1), &json!(1), &json!(0)));
    let again = browser.post(page).form(&[("outcome", "succeed")]).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::BAD_REQUEST, "once");
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_and_a_cancellation_take_no_money() {
    let server = Server::start(Config::default()).await;
    let (refuses, gives_up) = (refused(&server, "k1").await, refused(&server, "k2").await);
    confirm(&server, &refuses, "pm_sandbox_authenticate").await;
    let failed = server.admin("/authentications", json!({ "id": refuses, "succeeds": false })).await.ok();
    assert_eq!(failed["status"], "requires_payment_method");
    assert_eq!(failed["last_payment_error"]["code"], "payment_intent_authentication_failure");

    let cancel = async || {
        server.post(&format!("/v1/payment_intents/{gives_up}/cancel"), &[("cancellation_reason", "abandoned")]).await
    };
    assert_eq!(cancel().await.ok()["status"], "canceled");
    assert_eq!(cancel().await.refused(400), "payment_intent_unexpected_state");
    let confirmed = [("payment_method", "pm_sandbox_ok"), ("return_url", "https://shop.example")];
    let late = server.post(&format!("/v1/payment_intents/{gives_up}/confirm"), &confirmed).await;
    assert_eq!(late.refused(400), "payment_intent_unexpected_state");
    // Another card, on session, may simply work.
    assert_eq!(confirm(&server, &refuses, "pm_sandbox_ok").await["status"], "succeeded");
    assert_eq!(server.ledger().await["amount_minor"], json!({ "usd": 1250 }));
    server.stop().await;
}
