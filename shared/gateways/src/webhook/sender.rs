//! One attempt over the wire.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};
use rustls::crypto::CryptoProvider;

use super::{
    error::{WebhookError, WebhookSetUpError},
    lanes::{Lane, Lanes},
    retry_after,
    rules::{Refusal, WebhookRules},
    signature,
    url::WebhookUrl,
};

/// An endpoint that takes longer to accept a connection is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An endpoint stores what it gets and answers; what takes longer is work that belongs behind the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// What is kept of an answer: enough to see an error message.
const MAX_BODY_SHOWN: usize = 1_024;
/// A connection that is kept would be used again without its address being checked.
const NO_IDLE_CONNECTIONS: usize = 0;

/// Sends webhooks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WebhookSender {
    http: Client,
    rules: Arc<WebhookRules>,
    lanes: Lanes,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub struct WebhookRequest<'a> {
    /// Where to, as stored: it is read under today's rules.
    pub url: &'a str,
    /// `webhook-id`; the same for every attempt.
    pub id: &'a str,
    /// `webhook-timestamp`, of this attempt.
    pub at: Timestamp,
    /// JSON; these bytes are signed.
    pub body: &'a str,
    /// `whsec_...`; all that are valid, the newest first.
    pub secrets: &'a [&'a str],
}

/// What the endpoint said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// HTTP status.
    pub status: u16,
    /// The beginning of the body.
    pub body: String,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    pub took: Duration,
}

impl WebhookSender {
    /// Builds the sender over the machine's own resolver; nothing is sent.
    ///
    /// # Errors
    /// Without a TLS provider in the process.
    pub fn new(rules: WebhookRules) -> Result<Self, WebhookSetUpError> {
        Self::with_resolver(rules, SystemResolver)
    }

    /// Builds it over a resolver of the caller's, which is not trusted: what it finds is checked.
    ///
    /// # Errors
    /// Without a TLS provider in the process.
    pub fn with_resolver(rules: WebhookRules, resolver: impl Resolve + 'static) -> Result<Self, WebhookSetUpError> {
        if CryptoProvider::get_default().is_none() {
            return Err(WebhookSetUpError::NoTlsProvider);
        }
        let rules = Arc::new(rules);
        let checked = CheckedResolver { inner: Arc::new(resolver), rules: Arc::clone(&rules) };
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(checked))
            .pool_max_idle_per_host(NO_IDLE_CONNECTIONS)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ATTEMPT_TIMEOUT)
            .user_agent(concat!("Ratchet-Webhooks/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(WebhookSetUpError::Client)?;
        Ok(Self { http, rules, lanes: Lanes::default() })
    }

    /// Where it may go.
    #[must_use]
    pub fn rules(&self) -> &WebhookRules {
        &self.rules
    }

    /// Room for an attempt at an endpoint, to be held while it is made; none while the endpoint has as many under way in this
    /// process as it may have.
    #[must_use]
    pub fn enter(&self, endpoint: &str) -> Option<Lane> {
        self.lanes.enter(endpoint)
    }

    /// Makes one attempt. Whatever the endpoint answers is an answer, also an error or a redirect.
    ///
    /// # Errors
    /// [`WebhookError`] when there is no answer.
    pub async fn send(&self, request: WebhookRequest<'_>) -> Result<WebhookAnswer, WebhookError> {
        let url = WebhookUrl::parse(request.url, &self.rules)?;
        let seconds = request.at.as_second();
        let signature = signature::sign(request.secrets, (request.id, seconds), request.body)?;
        let started = Instant::now();
        let call = self
            .http
            .post(url.url())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", request.id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature)
            .body(request.body.to_owned());
        let response = call.send().await.map_err(|error| classify(&error))?;
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|value| retry_after::parse(value, request.at));
        let body = beginning(response).await;
        Ok(WebhookAnswer { status, body, retry_after, took: started.elapsed() })
    }
}

/// The beginning of the answer's body. The status is the answer: a body that breaks off takes nothing from it.
async fn beginning(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_BODY_SHOWN {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY_SHOWN - bytes.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn classify(error: &reqwest::Error) -> WebhookError {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = source {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return WebhookError::Refused(refusal.clone());
        }
        source = cause.source();
    }
    if error.is_timeout() { WebhookError::TimedOut } else { WebhookError::Unreachable }
}

/// The machine's own resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// Gives out only addresses that were checked, and none at all if one of them is refused: a name that leads inside as well as
/// outside is up to no good.
struct CheckedResolver {
    inner: Arc<dyn Resolve>,
    rules: Arc<WebhookRules>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, rules) = (self.inner.resolve(name), Arc::clone(&self.rules));
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = found.await?.collect();
            if addresses.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            for address in &addresses {
                rules.check_address(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
