//! The Stripe adapter against the sandbox gateway over real HTTP.

use std::sync::Once;
use std::time::Duration;

use futures::future::join_all;
use gateways::payment::{Amount, ChargeOutcome, ChargeRequest, PaymentError, StripeGateway};
use jiff::Timestamp;
use sandbox_gateway::{Config, Settings};
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine, short enough for a test that needs it to pass.
const IMPATIENT: Duration = Duration::from_millis(300);
/// Before everything the sandbox's clock can say.
const LONG_AGO: Timestamp = Timestamp::UNIX_EPOCH;

struct Sandbox {
    url: String,
    adapter: StripeGateway,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Sandbox {
    async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let config = Config { settings, ..Config::default() };
        let task = tokio::spawn(sandbox_gateway::run(listener, config, shutdown.clone()));
        Self { adapter: adapter(&url), url, shutdown, task }
    }

    async fn ledger(&self) -> Value {
        let answer = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = answer.get(format!("{}/_sandbox/ledger", self.url)).send().await;
        answer.unwrap().json().await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        drop(self.adapter);
        self.task.await.unwrap().unwrap();
    }
}

fn install_tls() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
}

fn adapter(url: &str) -> StripeGateway {
    install_tls();
    StripeGateway::new(url, SecretString::from("sk_test_1")).unwrap()
}

fn request(attempt: &str, token: &str) -> ChargeRequest {
    ChargeRequest {
        attempt: attempt.to_owned(),
        amount: Amount { minor: 2_000, currency: "usd".to_owned() },
        customer: "cus_1".to_owned(),
        payment_token: token.to_owned(),
        invoice: "in_1".to_owned(),
        tenant: "ten_1".to_owned(),
        description: "Invoice NWD-1 & more".to_owned(),
    }
}

/// A server that reads one request and answers with exactly these bytes, then hangs up.
async fn answering(bytes: &'static [u8]) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = String::new();
        // The form of a charge ends with the tenant.
        while !received.ends_with("ten_1") {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "hung up after {received}");
            received.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        stream.write_all(bytes).await.unwrap();
        received
    });
    (url, task)
}

#[tokio::test]
async fn a_good_card_is_charged_once_however_often_it_is_asked() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let request = request("pay_1", "pm_sandbox_ok");
    let first = sandbox.adapter.charge(&request).await.unwrap();
    assert!(matches!(&first, ChargeOutcome::Succeeded { payment_id } if payment_id.starts_with("pi_")));
    let stored = serde_json::to_string(&request).unwrap();
    let thawed: ChargeRequest = serde_json::from_str(&stored).unwrap();
    assert_eq!(sandbox.adapter.charge(&thawed).await.unwrap(), first);
    let ledger = sandbox.ledger().await;
    assert_eq!((&ledger["charges"], &ledger["amount_minor"]["usd"]), (&1.into(), &2000.into()));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_decline_is_a_value() {
    let sandbox = Sandbox::start(Settings::default()).await;
    for (token, reason) in
        [("pm_sandbox_decline", "generic_decline"), ("pm_sandbox_decline_insufficient_funds", "insufficient_funds")]
    {
        let outcome = sandbox.adapter.charge(&request(token, token)).await.unwrap();
        let found = sandbox.adapter.find_by_attempt("cus_1", token, LONG_AGO).await;
        assert_eq!(found.unwrap().as_ref(), Some(&outcome), "looked up later");
        let ChargeOutcome::Declined { payment_id, code, decline_code, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(payment_id.is_some());
        assert_eq!((code.as_str(), decline_code.as_deref()), ("card_declined", Some(reason)));
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_charge_only_the_customer_can_confirm_says_so() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let request = request("pay_1", "pm_card_authenticationRequired");
    let outcome = sandbox.adapter.charge(&request).await.unwrap();
    assert!(matches!(outcome, ChargeOutcome::RequiresAction { payment_id: Some(_), .. }));
    let found = sandbox.adapter.find_by_attempt("cus_1", "pay_1", LONG_AGO).await;
    assert_eq!(found.unwrap(), Some(outcome));
    sandbox.stop().await;
}

#[tokio::test]
async fn our_own_mistakes_are_rejected() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let mut request = request("pay_1", "pm_sandbox_ok");
    sandbox.adapter.charge(&request).await.unwrap();
    request.amount.minor += 1;
    let other = sandbox.adapter.charge(&request).await.unwrap_err();
    assert!(matches!(&other, PaymentError::Rejected { status: 400, code, .. } if code == "idempotency_error"));

    request.attempt = "pay_2".to_owned();
    request.payment_token = "pm_unknown".to_owned();
    let unknown = sandbox.adapter.charge(&request).await.unwrap_err();
    assert!(matches!(&unknown, PaymentError::Rejected { code, .. } if code == "resource_missing"));
    request.attempt = "a\nb".to_owned();
    let unsendable = sandbox.adapter.charge(&request).await.unwrap_err();
    assert!(matches!(unsendable, PaymentError::Rejected { status: 0, .. }));
    assert_eq!(sandbox.ledger().await["charges"], 1);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_failure_before_execution_is_unknown_and_the_same_key_then_charges_once() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let request = request("pay_1", "pm_sandbox_fail_once");
    let first = sandbox.adapter.charge(&request).await.unwrap_err();
    assert!(matches!(first, PaymentError::Unknown { replayed: false, .. }), "{first}");
    let second = sandbox.adapter.charge(&request).await.unwrap();
    assert!(matches!(second, ChargeOutcome::Succeeded { .. }));
    assert_eq!(sandbox.ledger().await["succeeded"], 1);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_replayed_failure_is_told_apart_and_the_look_up_finds_the_charge() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let request = request("pay_1", "pm_sandbox_fail_after_charge");
    let first = sandbox.adapter.charge(&request).await.unwrap_err();
    let second = sandbox.adapter.charge(&request).await.unwrap_err();
    assert!(matches!(first, PaymentError::Unknown { replayed: false, .. }), "{first}");
    assert!(matches!(second, PaymentError::Unknown { replayed: true, .. }), "{second}");
    let found = sandbox.adapter.find_by_attempt("cus_1", "pay_1", LONG_AGO).await;
    assert!(matches!(found, Ok(Some(ChargeOutcome::Succeeded { .. }))));
    assert_eq!(sandbox.ledger().await["succeeded"], 1);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_time_out_after_charging_is_unknown_and_the_look_up_finds_the_charge() {
    let sandbox = Sandbox::start(Settings { answer_delay_ms: 60_000, ..Settings::default() }).await;
    let impatient = sandbox.adapter.clone().with_call_timeout(IMPATIENT);
    let request = request("pay_1", "pm_sandbox_ok");
    let outcome = impatient.charge(&request).await.unwrap_err();
    assert!(matches!(outcome, PaymentError::Unknown { replayed: false, .. }), "{outcome}");
    let found = impatient.find_by_attempt("cus_1", "pay_1", LONG_AGO).await;
    assert!(matches!(found, Ok(Some(ChargeOutcome::Succeeded { .. }))));
    let repeated = impatient.charge(&request).await.unwrap();
    assert!(matches!(repeated, ChargeOutcome::Succeeded { .. }));
    assert_eq!(sandbox.ledger().await["succeeded"], 1);
    sandbox.stop().await;
}

#[tokio::test]
async fn the_look_up_reads_page_after_page_of_that_customer_since_that_time() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let adapter = &sandbox.adapter;
    adapter.charge(&request("pay_first", "pm_sandbox_ok")).await.unwrap();
    let others: Vec<_> = (0..230).map(|number| request(&format!("pay_{number}"), "pm_sandbox_ok")).collect();
    for outcome in join_all(others.iter().map(|other| adapter.charge(other))).await {
        outcome.unwrap();
    }
    let find = |customer, attempt, since| adapter.find_by_attempt(customer, attempt, since);
    let found = find("cus_1", "pay_first", LONG_AGO).await.unwrap();
    assert!(found.is_some(), "on the third page");
    assert_eq!(find("cus_2", "pay_first", LONG_AGO).await, Ok(None));
    assert_eq!(find("cus_1", "pay_none", LONG_AGO).await, Ok(None));
    let next_century = Timestamp::from_second(4_102_444_800).unwrap();
    assert_eq!(find("cus_1", "pay_first", next_century).await, Ok(None));
    sandbox.stop().await;
}

#[tokio::test]
async fn rate_limiting_carries_the_gateways_advice() {
    let sandbox = Sandbox::start(Settings { rate_limited_per_mille: 1000, ..Settings::default() }).await;
    let limited = PaymentError::RateLimited { retry_after: Some(Duration::from_secs(1)) };
    let charged = sandbox.adapter.charge(&request("pay_1", "pm_sandbox_ok")).await;
    assert_eq!(charged, Err(limited.clone()));
    let found = sandbox.adapter.find_by_attempt("cus_1", "pay_1", LONG_AGO).await;
    assert_eq!(found, Err(limited), "a list that failed is not an empty list");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_gateway_that_is_not_there_was_certainly_not_asked() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refused = adapter(&url).charge(&request("pay_1", "pm_sandbox_ok")).await;
    assert!(matches!(refused, Err(PaymentError::Unavailable { .. })), "{refused:?}");
}

#[tokio::test]
async fn answers_that_prove_nothing_are_unknown() {
    let cases: [&[u8]; 6] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\":",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 108\r\n\r\n{\"id\":\"pi_1\",\"amount\":2001,\
          \"currency\":\"usd\",\"status\":\"succeeded\",\"metadata\":{\"attempt\":\"pay_1\"}}         ",
    ];
    for bytes in cases {
        let (url, server) = answering(bytes).await;
        let outcome = adapter(&url).charge(&request("pay_1", "pm_sandbox_ok")).await;
        assert!(matches!(outcome, Err(PaymentError::Unknown { replayed: false, .. })), "{outcome:?}");
        server.await.unwrap();
    }
}

/// The pin of the wire format: attempts under way during a deployment repeat these very bytes.
#[tokio::test]
async fn the_request_on_the_wire() {
    let (url, server) = answering(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
    adapter(&url).charge(&request("pay_1", "pm_sandbox_ok")).await.unwrap_err();
    let host = url.trim_start_matches("http://").to_owned();
    insta::assert_snapshot!(server.await.unwrap().replace(&host, "HOST").replace('\r', ""));
}

#[test]
fn a_bad_base_url_is_refused() {
    install_tls();
    for url in ["", "api.stripe.com", "ftp://api.stripe.com", "data:text/plain,x"] {
        let error = StripeGateway::new(url, SecretString::from("sk_test_1")).unwrap_err();
        assert!(error.to_string().contains("base URL"), "{url}: {error}");
    }
}

#[test]
fn the_secret_key_is_never_shown() {
    let shown = format!("{:?}", adapter("https://api.stripe.com"));
    assert!(!shown.contains("sk_test_1"), "{shown}");
}
