//! The Stripe adapter against the sandbox gateway over real HTTP.

use std::sync::Once;
use std::time::Duration;

use futures::future::join_all;
use gateways::payment::{
    Account, Amount, ChargeOutcome, ChargeRequest, Enrolment, ManualGateway, Payer, PaymentError, PaymentGateway,
    PaymentGateways, RefundOutcome, RefundRequest, Sought, StripeGateway,
};
use jiff::Timestamp;
use sandbox_gateway::{Config, Settings};
use secrecy::SecretString;
use serde_json::{Value, json};
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
        let task = tokio::spawn(sandbox_gateway::run(listener, Config::default(), shutdown.clone()));
        let sandbox = Self { adapter: adapter(&url), url, shutdown, task };
        for id in ["cus_1", "cus_2"] {
            let made = http().post(format!("{}/v1/customers", sandbox.url)).bearer_auth("sk").form(&[("id", id)]);
            made.send().await.unwrap().error_for_status().unwrap();
        }
        sandbox.admin("settings", serde_json::to_value(settings).unwrap()).await;
        sandbox
    }

    /// Asks something of the sandbox that no client could.
    async fn admin(&self, path: &str, body: Value) {
        let request = http().post(format!("{}/_sandbox/{path}", self.url)).json(&body);
        request.send().await.unwrap().error_for_status().unwrap();
    }

    async fn ledger(&self) -> Value {
        let answer = http().get(format!("{}/_sandbox/ledger", self.url)).send().await;
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

fn http() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The charge of an attempt of `cus_1`, some time.
fn sought(attempt: &str) -> Sought {
    Sought { customer: "cus_1".to_owned(), attempt: attempt.to_owned(), since: LONG_AGO }
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
        let found = sandbox.adapter.find_charge(&sought(token)).await;
        assert_eq!(found.unwrap().as_ref(), Some(&outcome), "looked up later");
        let ChargeOutcome::Declined { payment_id, decline, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(payment_id.is_some());
        assert_eq!((decline.code.as_str(), decline.decline_code.as_deref()), ("card_declined", Some(reason)));
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_charge_only_the_customer_can_confirm_says_where() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let request = request("pay_1", "pm_card_authenticationRequired");
    let outcome = sandbox.adapter.charge(&request).await.unwrap();
    let ChargeOutcome::RequiresAction { payment_id: Some(payment), action_url: Some(url), .. } = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(url.contains(payment.as_str()), "{url}");
    assert_eq!(sandbox.adapter.charge(&request).await.unwrap(), outcome, "asked again");
    let ChargeOutcome::RequiresAction { action_url, .. } =
        sandbox.adapter.find_charge(&sought("pay_1")).await.unwrap().unwrap()
    else {
        panic!("it waits");
    };
    assert_eq!(action_url.as_ref(), Some(url));
    sandbox.admin("authentications", json!({ "id": payment, "succeeds": true })).await;
    let succeeded = ChargeOutcome::Succeeded { payment_id: payment.clone() };
    assert_eq!(sandbox.adapter.find_charge(&sought("pay_1")).await.unwrap(), Some(succeeded.clone()));
    assert_eq!(sandbox.adapter.give_up(payment).await.unwrap(), succeeded, "too late to give up");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_payment_that_was_given_up_takes_no_money_ever() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let outcome = sandbox.adapter.charge(&request("pay_1", "pm_sandbox_authenticate")).await.unwrap();
    let ChargeOutcome::RequiresAction { payment_id: Some(payment), .. } = outcome else { panic!("{outcome:?}") };
    for _ in 0..2 {
        let given_up = sandbox.adapter.give_up(&payment).await.unwrap();
        assert!(matches!(&given_up, ChargeOutcome::Declined { .. }), "{given_up:?}");
        let found = sandbox.adapter.find_charge(&sought("pay_1")).await.unwrap();
        assert_eq!(found, Some(given_up));
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_payer_is_made_known_once_and_its_methods_as_they_come() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let payer = |token: &str, known_as: Option<String>| Payer {
        customer: "cus_ours".to_owned(),
        tenant: "ten_1".to_owned(),
        token: token.to_owned(),
        known_as,
    };
    let Enrolment::Enrolled { customer, method } = sandbox.adapter.enrol(&payer("pm_sandbox_ok", None)).await.unwrap()
    else {
        panic!("refused");
    };
    let again = sandbox.adapter.enrol(&payer("pm_sandbox_ok", None)).await.unwrap();
    assert!(matches!(again, Enrolment::Enrolled { customer: same, .. } if same == customer));
    let other = sandbox.adapter.enrol(&payer("pm_sandbox_decline", Some(customer.clone()))).await.unwrap();
    assert!(matches!(other, Enrolment::Enrolled { customer: same, .. } if same == customer));
    let refused = sandbox.adapter.enrol(&payer("pm_mistyped", Some(customer.clone()))).await.unwrap();
    assert!(matches!(refused, Enrolment::Refused { decline, .. } if decline.code == "resource_missing"));

    let request = ChargeRequest { customer: customer.clone(), ..request("pay_1", &method) };
    assert!(matches!(sandbox.adapter.charge(&request).await, Ok(ChargeOutcome::Succeeded { .. })));
    assert_eq!(sandbox.ledger().await["customers"], 3);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_refund_goes_back_once_and_is_found_again() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let paid = async |attempt: &str, token: &str| match sandbox.adapter.charge(&request(attempt, token)).await.unwrap()
    {
        ChargeOutcome::Succeeded { payment_id } => payment_id,
        other => panic!("{other:?}"),
    };
    let refund = |refund: &str, payment_id: &str, minor: i64| RefundRequest {
        refund: refund.to_owned(),
        payment_id: payment_id.to_owned(),
        amount: Amount { minor, currency: "usd".to_owned() },
        tenant: "ten_1".to_owned(),
    };
    let payment = paid("pay_1", "pm_sandbox_ok").await;
    let part = refund("re_1", &payment, 500);
    assert_eq!(sandbox.adapter.find_refund(&part).await.unwrap(), None);
    let first = sandbox.adapter.refund(&part).await.unwrap();
    assert!(matches!(first, RefundOutcome::Succeeded { .. }));
    assert_eq!(sandbox.adapter.refund(&part).await.unwrap(), first, "asked again");
    assert_eq!(sandbox.adapter.find_refund(&part).await.unwrap(), Some(first));
    let too_much = sandbox.adapter.refund(&refund("re_2", &payment, 1_501)).await.unwrap();
    assert!(matches!(too_much, RefundOutcome::Failed { refund_id: None, .. }), "{too_much:?}");
    assert_eq!(sandbox.ledger().await["refunded_minor"]["usd"], 500);

    let fails = paid("pay_2", "pm_sandbox_refund_fails").await;
    let failed = sandbox.adapter.refund(&refund("re_3", &fails, 1)).await.unwrap();
    assert!(matches!(failed, RefundOutcome::Failed { refund_id: Some(_), .. }));
    let pends = paid("pay_3", "pm_sandbox_refund_pends").await;
    let pending = sandbox.adapter.refund(&refund("re_4", &pends, 1)).await.unwrap();
    assert!(matches!(pending, RefundOutcome::Pending { .. }));
    sandbox.stop().await;
}

#[tokio::test]
async fn every_tenant_may_have_an_account_of_its_own() {
    let sandbox = Sandbox::start(Settings::default()).await;
    let gateways = PaymentGateways::new(adapter("http://127.0.0.1:9"));
    let own = Account {
        base_url: Some(sandbox.url.clone()),
        secret_key: SecretString::from("sk_of_the_tenant"),
        return_url: Some("https://shop.example/thanks".to_owned()),
    };
    let gateway = gateways.online(Some(&own)).unwrap();
    assert!(matches!(gateway.charge(&request("pay_1", "pm_sandbox_ok")).await, Ok(ChargeOutcome::Succeeded { .. })));
    let shown = format!("{gateway:?} {own:?}");
    assert!(!shown.contains("sk_of_the_tenant"), "{shown}");
    let shared = gateways.online(None).unwrap();
    let unreachable = shared.charge(&request("pay_1", "pm_sandbox_ok")).await;
    assert!(matches!(unreachable, Err(PaymentError::Unavailable { .. })), "{unreachable:?}");
    let nowhere = Account { base_url: Some("ftp://gateway".to_owned()), ..own };
    assert!(gateways.online(Some(&nowhere)).is_err());
    sandbox.stop().await;
}

#[tokio::test]
async fn what_was_recorded_has_happened() {
    let charged = ManualGateway.charge(&request("pay_1", "transfer of 3 May")).await.unwrap();
    assert_eq!(charged, ChargeOutcome::Succeeded { payment_id: "transfer of 3 May".to_owned() });
    assert_eq!(ManualGateway.find_charge(&sought("pay_1")).await.unwrap(), None);
    assert_eq!(ManualGateway.payments_since(LONG_AGO, None).await.unwrap().payments, []);
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
    assert!(matches!(&unknown, PaymentError::Rejected { status: 404, code, .. } if code == "resource_missing"));
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
    let found = sandbox.adapter.find_charge(&sought("pay_1")).await;
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
    let found = impatient.find_charge(&sought("pay_1")).await;
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
    let find = async |change: fn(&mut Sought)| {
        let mut sought = sought("pay_first");
        change(&mut sought);
        adapter.find_charge(&sought).await
    };
    assert!(find(|_| {}).await.unwrap().is_some(), "on the third page");
    assert_eq!(find(|sought| sought.customer = "cus_2".to_owned()).await, Ok(None));
    assert_eq!(find(|sought| sought.attempt = "pay_none".to_owned()).await, Ok(None));
    let next_century = |sought: &mut Sought| sought.since = Timestamp::from_second(4_102_444_800).unwrap();
    assert_eq!(find(next_century).await, Ok(None));

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = adapter.payments_since(LONG_AGO, after.as_deref()).await.unwrap();
        seen.extend(page.payments);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), seen[230].attempt.as_deref()), (231, Some("pay_first")));
    assert_eq!((seen[230].tenant.as_deref(), seen[230].amount.minor), (Some("ten_1"), 2_000));
    assert!(seen.iter().all(|payment| matches!(payment.outcome, Some(ChargeOutcome::Succeeded { .. }))));
    sandbox.stop().await;
}

#[tokio::test]
async fn rate_limiting_carries_the_gateways_advice() {
    let sandbox = Sandbox::start(Settings { rate_limited_per_mille: 1000, ..Settings::default() }).await;
    let limited = PaymentError::RateLimited { retry_after: Some(Duration::from_secs(1)) };
    let charged = sandbox.adapter.charge(&request("pay_1", "pm_sandbox_ok")).await;
    assert_eq!(charged, Err(limited.clone()));
    let found = sandbox.adapter.find_charge(&sought("pay_1")).await;
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
