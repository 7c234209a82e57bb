//! A gateway that speaks the Stripe API: Stripe itself, or the sandbox gateway.
//!
//! This file owns the HTTP client: time-outs, the connection pool, and the first classification, by what the network and the
//! status say. What bodies mean is `wire`'s, what is asked for `calls`', `lookup` finds what was asked for before.

mod calls;
mod lookup;
mod webhook;
mod wire;

pub use webhook::{GatewayEvent, GatewaySubject, SIGNATURE_TOLERANCE, SignatureError, read_event, verify_signature};

use std::time::{Duration, Instant};

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use rustls::crypto::CryptoProvider;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::accounts::Account;
use super::charge::ChargeOutcome;
use super::error::{PaymentError, SetUpError};

/// The API version our reading was written against; without it Stripe uses the account's.
const STRIPE_VERSION: &str = "2024-06-20";
/// A gateway that takes longer to accept a connection is down; nothing was sent yet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Stripe's slow charges take some 20 s (banks); beyond that, asking is better than waiting.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// As many idle connections as a worker has charges in flight.
const MAX_IDLE_CONNECTIONS: usize = 64;
/// Below the idle limit of common load balancers (60 s), so that they never close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// A page of a hundred intents is some 400 kB; more is not an answer to our questions.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Where a customer goes that has confirmed a payment, unless it is configured: a page that says thank you.
const RETURN_URL: &str = "https://ratchet.example/payment-confirmed";
/// Waiting longer than this on the gateway's word would be a disguised outage.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A gateway that speaks the Stripe API. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct StripeGateway {
    base_url: Url,
    secret_key: SecretString,
    return_url: String,
    call_timeout: Duration,
    http: Client,
}

/// An answer, read but not understood.
struct Answer {
    status: StatusCode,
    replayed: bool,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl StripeGateway {
    /// Builds the client; nothing is sent. `base_url` is `https://api.stripe.com` or where the
    /// sandbox gateway listens.
    ///
    /// The process must have installed its TLS provider before (`rustls::crypto::ring`, first
    /// thing in `main`; tests do it themselves): there is one choice per process, and it is the
    /// binary's. Without it this is [`SetUpError::NoTlsProvider`], also for an `http` URL, instead
    /// of the panic deep in the HTTP client.
    ///
    /// # Errors
    /// [`SetUpError`] says what is missing.
    pub fn new(base_url: &str, secret_key: SecretString) -> Result<Self, SetUpError> {
        let url = parse_base_url(base_url)?;
        if CryptoProvider::get_default().is_none() {
            return Err(SetUpError::NoTlsProvider);
        }
        let mut http = Client::builder();
        if is_loopback(&url) {
            // A sandbox on this machine is never behind the proxy of the environment.
            http = http.no_proxy();
        }
        let http = http
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(SetUpError::Client)?;
        Ok(Self { base_url: url, secret_key, return_url: RETURN_URL.to_owned(), call_timeout: CALL_TIMEOUT, http })
    }

    /// Sends customers that have confirmed a payment there.
    #[must_use]
    pub fn with_return_url(self, return_url: String) -> Self {
        Self { return_url, ..self }
    }

    /// The same gateway with another account.
    pub(super) fn for_account(self, account: &Account) -> Result<Self, SetUpError> {
        let base_url = account.base_url.as_deref().map(parse_base_url).transpose()?;
        Ok(Self {
            base_url: base_url.unwrap_or(self.base_url),
            secret_key: account.secret_key.clone(),
            return_url: account.return_url.clone().unwrap_or(self.return_url),
            ..self
        })
    }

    /// Gives up on a call after `call_timeout` instead of the default of 30 seconds.
    #[must_use]
    pub fn with_call_timeout(self, call_timeout: Duration) -> Self {
        Self { call_timeout, ..self }
    }

    /// Runs a call and records its duration by operation and result.
    async fn measured<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, PaymentError>>,
    ) -> Result<T, PaymentError> {
        let started = Instant::now();
        let result = call.await;
        let outcome = result.as_ref().map_or_else(PaymentError::class, |_| "ok");
        metrics::histogram!(
            "payment_gateway_call_seconds", "operation" => operation, "outcome" => outcome
        )
        .record(started.elapsed());
        result
    }

    /// The URL of a path below the API's version.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base_url.clone();
        // Its base was checked when it was set: it has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        url
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    /// A request that executes once under its key.
    fn post(&self, path: &[&str], key: &str) -> RequestBuilder {
        self.http.post(self.url(path)).header("Idempotency-Key", key)
    }

    /// Sends a request and reads the whole answer. What is an error whatever was asked (429, 409,
    /// 5xx, the network's failures) is one already.
    async fn call(&self, request: RequestBuilder) -> Result<Answer, PaymentError> {
        let response = request
            .bearer_auth(self.secret_key.expose_secret())
            .header("Stripe-Version", STRIPE_VERSION)
            .timeout(self.call_timeout)
            .send()
            .await
            .map_err(|error| network_failure(&error))?;
        let answer = Answer::receive(response).await?;
        match answer.status {
            StatusCode::TOO_MANY_REQUESTS => Err(PaymentError::RateLimited { retry_after: answer.retry_after }),
            status if status == StatusCode::CONFLICT || status.is_server_error() => {
                Err(PaymentError::Unknown { detail: format!("status {status}"), replayed: answer.replayed })
            }
            _ => Ok(answer),
        }
    }
}

impl Answer {
    async fn receive(mut response: Response) -> Result<Self, PaymentError> {
        let header = |name| response.headers().get(name)?.to_str().ok();
        let mut answer = Self {
            status: response.status(),
            replayed: header("idempotent-replayed") == Some("true"),
            retry_after: header(RETRY_AFTER.as_str())
                .and_then(|seconds| seconds.parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
            body: Vec::new(),
        };
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(answer),
                Ok(Some(chunk)) if answer.body.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                    answer.body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => {
                    let detail = format!("an answer of more than {MAX_ANSWER_BYTES} bytes");
                    return Err(PaymentError::unknown(detail));
                }
                Err(error) => return Err(network_failure(&error)),
            }
        }
    }

    fn is_success(&self) -> bool {
        self.status == StatusCode::OK
    }

    /// The body of a success.
    fn read<T: DeserializeOwned>(&self) -> Result<T, PaymentError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| PaymentError::unknown(format!("an unreadable answer: {error}")))
    }

    /// The refusal in a 4xx; every status that is neither that nor a success proves nothing.
    fn refusal(&self) -> Result<ChargeOutcome, PaymentError> {
        if self.status.is_client_error() {
            wire::refusal(self.status.as_u16(), &self.body)
        } else {
            let detail = format!("status {} was not expected", self.status);
            Err(PaymentError::unknown(detail))
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn parse_base_url(text: &str) -> Result<Url, SetUpError> {
    let bad_url = || SetUpError::BaseUrl { url: text.to_owned() };
    let url = Url::parse(text).map_err(|_| bad_url())?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(bad_url());
    }
    Ok(url)
}

/// Only a connection that was never made proves that nothing was executed.
fn network_failure(error: &reqwest::Error) -> PaymentError {
    let detail = with_causes(error);
    if error.is_builder() {
        PaymentError::Rejected { status: 0, code: "unsendable".to_owned(), message: detail }
    } else if error.is_connect() {
        PaymentError::Unavailable { detail }
    } else {
        PaymentError::unknown(detail)
    }
}

/// The error and its causes in one line: the client's own text says only "error sending request".
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
