//! Webhooks against real endpoints: what is on the wire, and where none goes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use gateways::webhook::{Ports, Refusal, WebhookError, WebhookRequest, WebhookRules, WebhookSender, sign};
use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use services::{WebhookReceiver, WebhookReply};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &str = r#"{"type":"invoice.paid","timestamp":"2026-08-01T12:00:00Z","data":{"id":"inv_1"}}"#;

fn now() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().unwrap()
}

fn install_tls() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap_or_default());
}

/// As a deployment that allows this machine.
fn rules() -> WebhookRules {
    WebhookRules { networks: vec!["127.0.0.0/8".parse().unwrap()], ports: Ports::Any }
}

fn sender(rules: WebhookRules) -> WebhookSender {
    install_tls();
    WebhookSender::new(rules).unwrap()
}

fn request<'a>(url: &'a str, secrets: &'a [&'a str]) -> WebhookRequest<'a> {
    WebhookRequest { url, id: "whd_1", at: now(), body: BODY, secrets }
}

/// Answers each question with the next list of addresses, and the last one for ever.
#[derive(Clone)]
struct Rebinding {
    answers: Arc<Vec<Vec<SocketAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Rebinding {
    fn new(answers: &[&[&str]]) -> Self {
        let parse = |address: &&str| SocketAddr::new(address.parse().unwrap(), 0);
        let answers = answers.iter().map(|answer| answer.iter().map(parse).collect()).collect();
        Self { answers: Arc::new(answers), asked: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Rebinding {
    fn resolve(&self, _: Name) -> Resolving {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[turn].clone();
        Box::pin(async move { Ok(Box::new(answer.into_iter()) as Addrs) })
    }
}

#[tokio::test]
async fn a_webhook_arrives_signed_with_every_valid_secret() {
    let endpoint = WebhookReceiver::start().unwrap();
    let answer = sender(rules()).send(request(&endpoint.url(), &[SECRET, OLD_SECRET])).await.unwrap();
    assert_eq!(answer.status, 204);
    let received = endpoint.received().remove(0);
    assert_eq!((received.path.as_str(), received.body.as_str()), ("/hooks", BODY));
    let expected = sign(&[SECRET, OLD_SECRET], ("whd_1", now().as_second()), BODY).unwrap();
    for (header, value) in [
        ("webhook-id", "whd_1"),
        ("webhook-timestamp", "1785585600"),
        ("webhook-signature", &expected),
        ("content-type", "application/json"),
    ] {
        assert_eq!(received.header(header), Some(value), "{header}");
    }
}

#[tokio::test]
async fn whatever_is_answered_is_an_answer_and_its_beginning_is_kept() {
    let endpoint = WebhookReceiver::start().unwrap();
    let reply = WebhookReply { body: "x".repeat(100_000), ..WebhookReply::status(503) };
    endpoint.answer(reply.with_header("Retry-After", "120"));
    let answer = sender(rules()).send(request(&endpoint.url(), &[SECRET])).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (503, 1_024));
    assert_eq!(answer.retry_after.map(|wait| wait.as_secs()), Some(120));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (inner, endpoint) = (WebhookReceiver::start().unwrap(), WebhookReceiver::start().unwrap());
    for status in [301, 302, 303, 307, 308] {
        endpoint.answer(WebhookReply::status(status).with_header("Location", inner.url()));
        let answer = sender(rules()).send(request(&endpoint.url(), &[SECRET])).await.unwrap();
        assert_eq!(answer.status, status);
    }
    assert_eq!((endpoint.received().len(), inner.received().len()), (5, 0));
}

#[tokio::test]
async fn an_address_that_is_not_public_is_never_connected_to() {
    let endpoint = WebhookReceiver::start().unwrap();
    let any_port = WebhookRules { ports: Ports::Any, ..WebhookRules::default() };
    let port = endpoint.port();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.1", "[::ffff:127.0.0.1]", "localhost"] {
        let url = format!("http://{host}:{port}/");
        let sent = sender(any_port.clone()).send(request(&url, &[SECRET])).await;
        assert_eq!(sent, Err(WebhookError::Refused(Refusal::Address)), "{url}");
    }
    assert_eq!(endpoint.received().len(), 0);
}

#[tokio::test]
async fn a_name_is_refused_if_any_of_its_addresses_is_and_asked_for_again_every_time() {
    install_tls();
    let endpoint = WebhookReceiver::start().unwrap();
    let url = format!("http://hooks.example:{}/", endpoint.port());
    let refused = Err(WebhookError::Refused(Refusal::Address));
    // Public at the first look, inside at the second; and both at once.
    let inside: [&[&[&str]]; 3] =
        [&[&["169.254.169.254"]], &[&["127.0.0.1", "169.254.169.254"]], &[&["::ffff:10.0.0.1"]]];
    for answers in inside {
        let resolver = Rebinding::new(answers);
        let sender = WebhookSender::with_resolver(rules(), resolver.clone()).unwrap();
        assert_eq!(sender.send(request(&url, &[SECRET])).await, refused);
        assert_eq!((resolver.asked(), endpoint.received().len()), (1, 0));
    }
    let resolver = Rebinding::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let sender = WebhookSender::with_resolver(rules(), resolver.clone()).unwrap();
    assert_eq!(sender.send(request(&url, &[SECRET])).await.unwrap().status, 204, "the first answer is allowed here");
    assert_eq!(sender.send(request(&url, &[SECRET])).await, refused, "no connection is kept that was checked before");
    assert_eq!((resolver.asked(), endpoint.received().len()), (2, 1));
}

#[tokio::test]
async fn who_is_not_there_or_does_not_answer_is_told_apart_from_who_refuses() {
    let endpoint = WebhookReceiver::start().unwrap();
    let url = endpoint.url();
    let sender = sender(rules());
    endpoint.keep_waiting();
    assert_eq!(sender.send(request(&url, &[SECRET])).await, Err(WebhookError::TimedOut));
    drop(endpoint);
    assert_eq!(sender.send(request(&url, &[SECRET])).await, Err(WebhookError::Unreachable));
}
