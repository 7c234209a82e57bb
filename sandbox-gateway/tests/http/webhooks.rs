//! Who is told what happens, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ring::hmac;
use sandbox_gateway::Config;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::server::{Server, charge, soon};

/// What an endpoint was told.
struct Told {
    signature: String,
    body: String,
}

/// Where the endpoint hands on what it is told, and whether it has refused once.
type Teller = Arc<(UnboundedSender<Told>, AtomicBool)>;

/// An endpoint that answers 500 once and 200 from then on.
async fn endpoint() -> (String, UnboundedReceiver<Told>) {
    let (sender, receiver) = unbounded_channel();
    let receive = async |State(teller): State<Teller>, headers: HeaderMap, body: String| {
        let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
        teller.0.send(Told { signature, body }).unwrap();
        let refused = teller.1.swap(true, Ordering::Relaxed);
        if refused { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
    };
    let state = Arc::new((sender, AtomicBool::new(false)));
    let router = axum::Router::new().route("/hook", post(receive)).with_state(state);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, receiver)
}

fn is_signed(told: &Told, secret: &str) -> bool {
    let (time, _) = told.signature.strip_prefix("t=").unwrap().split_once(',').unwrap();
    let tag =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), format!("{time}.{}", told.body).as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    told.signature.split(',').any(|part| part == format!("v1={hex}"))
}

fn kind(told: &Told) -> String {
    serde_json::from_str::<Value>(&told.body).unwrap()["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_endpoint_is_told_at_once_and_again_until_it_listens() {
    let server = Server::start(Config::default()).await;
    let (url, mut told) = endpoint().await;
    server.admin("/webhook_endpoints", json!({ "url": url, "secrets": ["whsec_old", "whsec_new"] })).await;
    server.charge("k1", &charge("pm_sandbox_ok")).await.ok();
    let first = soon(told.recv()).await.unwrap();
    let second = soon(told.recv()).await.unwrap();
    assert_eq!((kind(&first), &first.body), (kind(&second), &second.body), "told again");
    for secret in ["whsec_old", "whsec_new"] {
        assert!(is_signed(&first, secret) && is_signed(&second, secret));
    }
    assert!(!is_signed(&first, "whsec_other"));
    server.stop().await;
}

#[tokio::test]
async fn a_held_endpoint_is_told_what_is_sent_late_twice_and_out_of_order() {
    let server = Server::start(Config::default()).await;
    let (url, mut told) = endpoint().await;
    server.admin("/webhook_endpoints", json!({ "url": url, "secrets": ["whsec_1"], "held": true })).await;
    let intent = server.charge("k1", &charge("pm_sandbox_dispute")).await.ok();
    server.post("/v1/refunds", &[("payment_intent", intent["id"].as_str().unwrap())]).await.ok();
    server.admin("/disputes", json!({ "payment_intent": intent["id"], "status": "lost" })).await.ok();
    let events = server.get("/v1/events?limit=100").await.ok();
    let events: Vec<&Value> = events["data"].as_array().unwrap().iter().collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let newest_first = [
        "charge.dispute.closed",
        "charge.refunded",
        "refund.created",
        "charge.dispute.created",
        "payment_intent.succeeded",
        "payment_intent.created",
    ];
    assert_eq!(kinds[..6], newest_first);

    let wanted = [&events[1]["id"], &events[4]["id"], &events[1]["id"]];
    let sent = server.admin("/webhooks", json!({ "events": wanted, "signed_seconds_from_now": 3600 })).await.ok();
    let statuses: Vec<&Value> = sent.as_array().unwrap().iter().map(|delivery| &delivery["status"]).collect();
    assert_eq!(statuses, [500, 200, 200], "each is sent once, whatever it is answered");
    let mut order = Vec::new();
    for _ in 0..3 {
        let one = told.recv().await.unwrap();
        assert!(is_signed(&one, "whsec_1"));
        order.push(kind(&one));
    }
    assert_eq!(order, ["charge.refunded", "payment_intent.succeeded", "charge.refunded"]);
    assert!(told.try_recv().is_err(), "nothing by itself");
    assert_eq!(events[1]["data"]["object"]["amount_refunded"], 1250);
    server.stop().await;
}
