//! What a key protects from.

use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use sandbox_gateway::{Config, Settings};
use serde_json::json;

use crate::server::{Answer, Server, charge, soon, with};

#[tokio::test]
async fn a_repeat_replays_the_same_bytes_and_charges_once() {
    let server = Server::start(Config::default()).await;
    for token in ["pm_sandbox_ok", "pm_sandbox_decline"] {
        let first = server.charge(token, &charge(token)).await;
        let repeat = server.charge(token, &charge(token)).await;
        assert!(!first.replayed);
        assert!(repeat.replayed);
        assert_eq!((first.status, first.text), (repeat.status, repeat.text));
    }
    let ledger = server.ledger().await;
    assert_eq!(ledger["charges"], 2);
    assert_eq!(ledger["amount_minor"], json!({ "usd": 1250 }));
    server.stop().await;
}

#[tokio::test]
async fn other_parameters_under_the_same_key_are_refused() {
    let server = Server::start(Config::default()).await;
    server.charge("k1", &charge("pm_sandbox_ok")).await;
    let other = server.charge("k1", &with("pm_sandbox_ok", "amount", "1251")).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
    assert_eq!(other.json()["error"]["type"], "idempotency_error");
    assert_eq!(server.ledger().await["charges"], 1);
    server.stop().await;
}

#[tokio::test]
async fn without_a_key_every_request_charges() {
    let server = Server::start(Config::default()).await;
    for _ in 0..2 {
        let request = server.create(&charge("pm_card_visa"));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(server.ledger().await["succeeded"], 2);
    server.stop().await;
}

#[tokio::test]
async fn fifty_at_once_under_one_key_charge_once() {
    let server =
        Server::start(Config { settings: Settings { latency_ms: 300, ..Settings::default() }, ..Config::default() })
            .await;
    let fields = charge("pm_sandbox_ok");
    let answers = join_all((0..50).map(|_| server.charge("k1", &fields))).await;
    let count = |status| answers.iter().filter(|a| a.status == status).count();
    assert_eq!(count(StatusCode::OK) + count(StatusCode::CONFLICT), 50);
    let executed = |answer: &&Answer| answer.status == StatusCode::OK && !answer.replayed;
    assert_eq!(answers.iter().filter(executed).count(), 1);
    let busy = answers.iter().find(|a| a.status == StatusCode::CONFLICT);
    let busy = busy.expect("some met the first one at work").json();
    assert_eq!(busy["error"]["code"], "idempotency_key_in_use");
    assert_eq!(server.ledger().await["charges"], 1);
    server.stop().await;
}

#[tokio::test]
async fn fail_once_fails_before_execution_and_then_succeeds_under_the_same_key() {
    let server = Server::start(Config::default()).await;
    let fields = charge("pm_sandbox_fail_once");
    for key in ["k1", "k2"] {
        let first = server.charge(key, &fields).await;
        assert_eq!(first.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(first.json()["error"]["type"], "api_error");
        let second = server.charge(key, &fields).await;
        assert_eq!(second.status, StatusCode::OK);
        assert!(!second.replayed, "a 5xx before execution is not stored");
        let third = server.charge(key, &fields).await;
        assert_eq!((third.replayed, third.text), (true, second.text));
    }
    assert_eq!(server.ledger().await["charges"], 2);
    server.stop().await;
}

#[tokio::test]
async fn a_failure_after_charging_is_stored_and_replayed() {
    let server = Server::start(Config::default()).await;
    let fields = charge("pm_sandbox_fail_after_charge");
    let first = server.charge("k1", &fields).await;
    let second = server.charge("k1", &fields).await;
    assert_eq!(first.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(second.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(server.ledger().await["succeeded"], 1);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_is_charged_all_the_same() {
    let server =
        Server::start(Config { settings: Settings { latency_ms: 300, ..Settings::default() }, ..Config::default() })
            .await;
    let fields = charge("pm_sandbox_ok");
    let impatient = server.create(&fields).header("Idempotency-Key", "k1");
    let hung_up = impatient.timeout(Duration::from_millis(50)).send().await;
    assert!(hung_up.unwrap_err().is_timeout());
    let answer = soon(async {
        loop {
            let answer = server.charge("k1", &fields).await;
            if answer.status != StatusCode::CONFLICT {
                break answer;
            }
        }
    })
    .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.replayed, "the first request executed");
    assert_eq!(server.ledger().await["charges"], 1);
    server.stop().await;
}

#[tokio::test]
async fn a_key_is_forgotten_after_24_hours_of_the_gateways_clock() {
    let server = Server::start(Config::default()).await;
    let fields = charge("pm_sandbox_ok");
    let almost = json!({ "seconds": 24 * 3600 - 60 });
    server.charge("k1", &fields).await;
    server.admin("/clock/advance", almost).await;
    assert!(server.charge("k1", &fields).await.replayed);
    server.admin("/clock/advance", json!({ "seconds": 60 })).await;
    assert!(!server.charge("k1", &fields).await.replayed);
    assert_eq!(server.ledger().await["charges"], 2);
    server.stop().await;
}
