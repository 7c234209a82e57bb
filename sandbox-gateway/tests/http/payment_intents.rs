//! Charging, reading and listing.

use reqwest::StatusCode;
use sandbox_gateway::Config;
use serde_json::json;

use crate::server::{Answer, Server, charge, with};

#[tokio::test]
async fn a_good_card_is_charged_and_found_again() {
    let server = Server::start(Config::default()).await;
    let answer = server.charge("k1", &charge("pm_sandbox_ok")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let intent = answer.json();
    assert_eq!(intent["object"], "payment_intent");
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["amount_received"], 1250);
    assert_eq!(intent["metadata"]["attempt"], "pay_1");

    let id = intent["id"].as_str().unwrap();
    let read = server.get(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!(read.json(), intent);
    let missing = server.get("/v1/payment_intents/pi_none").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.json()["error"]["code"], "resource_missing");
    server.stop().await;
}

#[tokio::test]
async fn declines_carry_their_code_and_the_intent() {
    let server = Server::start(Config::default()).await;
    let cases = [
        ("pm_sandbox_decline", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_sandbox_decline_insufficient_funds", "card_declined", "insufficient_funds"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
        ("pm_sandbox_decline_expired_card", "expired_card", "expired_card"),
    ];
    for (token, code, decline_code) in cases {
        let answer = server.charge(token, &charge(token)).await;
        assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "{token}");
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "card_error", "{token}");
        assert_eq!(error["code"], code, "{token}");
        assert_eq!(error["decline_code"], decline_code, "{token}");
        let intent = &error["payment_intent"];
        assert_eq!(intent["status"], "requires_payment_method", "{token}");
        assert_eq!(intent["amount_received"], 0, "{token}");
        assert_eq!(intent["last_payment_error"]["code"], code, "{token}");
    }
    let ledger = server.ledger().await;
    assert_eq!(ledger["declined"], 5);
    assert_eq!(ledger["amount_minor"], json!({}));
    server.stop().await;
}

#[tokio::test]
async fn bad_parameters_are_named_and_leave_no_trace() {
    let server = Server::start(Config::default()).await;
    let cases = [
        ("amount", "0", "parameter_invalid_integer"),
        ("amount", "12.5", "parameter_invalid_integer"),
        ("amount", "100000000", "amount_too_large"),
        ("amount", "", "parameter_missing"),
        ("currency", "USD", "parameter_invalid"),
        ("customer", "", "parameter_missing"),
        ("confirm", "false", "parameter_invalid"),
        ("off_session", "", "parameter_missing"),
        ("capture", "true", "parameter_unknown"),
        ("metadata[]", "x", "parameter_invalid"),
    ];
    for (name, value, code) in cases {
        let answer = server.charge("same key", &with("pm_sandbox_ok", name, value)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}={value}");
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error", "{name}={value}");
        assert_eq!(error["code"], code, "{name}={value}");
        assert_eq!(error["param"], name, "{name}={value}");
    }
    for (name, value) in [("payment_method", "pm_nobody"), ("customer", "cus_nobody")] {
        let answer = server.charge("same key", &with("pm_sandbox_ok", name, value)).await;
        assert_eq!(answer.refused(404), "resource_missing");
        assert_eq!(answer.json()["error"]["param"], name);
    }
    assert_eq!(server.ledger().await["charges"], 0);
    // A refused request does not use its key up.
    let answer = server.charge("same key", &charge("pm_sandbox_ok")).await;
    assert_eq!(answer.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn a_secret_key_is_needed() {
    let server = Server::start(Config::default()).await;
    let fields = charge("pm_sandbox_ok");
    let url = format!("{}/v1/payment_intents", server.url);
    let anonymous = server.client.post(&url).form(&fields).send().await.unwrap();
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    assert!(anonymous.headers().contains_key("www-authenticate"));
    let basic = server.client.post(&url).form(&fields);
    let basic = basic.basic_auth("sk_test_1", None::<&str>).send().await;
    assert_eq!(basic.unwrap().status(), StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_the_envelope() {
    let server = Server::start(Config::default()).await;
    let deleted = server.client.delete(format!("{}/v1/payment_intents", server.url));
    for answer in [server.get("/v1/charges").await, Answer::of(deleted.send().await.unwrap()).await] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_customers_list_pages_newest_first_and_starts_at_a_time() {
    let server = Server::start(Config::default()).await;
    let mut created = Vec::new();
    for number in 0..7 {
        let other = with("pm_sandbox_ok", "customer", "cus_2");
        server.charge(&format!("other {number}"), &other).await;
        let own = server.charge(&format!("own {number}"), &charge("pm_sandbox_ok")).await;
        created.push(own.json());
        server.admin("/clock/advance", json!({ "seconds": 60 })).await;
    }
    created.reverse();

    let mut seen = Vec::new();
    let mut path = "/v1/payment_intents?customer=cus_1&limit=3".to_owned();
    loop {
        let page = server.get(&path).await.json();
        seen.extend(page["data"].as_array().unwrap().clone());
        if page["has_more"] == false {
            break;
        }
        let last = seen.last().unwrap()["id"].as_str().unwrap();
        path = format!("/v1/payment_intents?customer=cus_1&limit=3&starting_after={last}");
    }
    assert_eq!(seen, created);

    let since = created[2]["created"].as_i64().unwrap();
    let path = format!("/v1/payment_intents?customer=cus_1&created%5Bgte%5D={since}");
    let recent = server.get(&path).await.json();
    assert_eq!(recent["data"].as_array().unwrap(), &created[..3]);

    let nobody = server.get("/v1/payment_intents?customer=cus_3").await.json();
    assert_eq!(nobody["data"], json!([]));
    for bad in ["limit=0", "limit=101", "starting_after=pi_none", "colour=red"] {
        let answer = server.get(&format!("/v1/payment_intents?{bad}")).await;
        assert!(answer.status.is_client_error(), "{bad}");
    }
    server.stop().await;
}
