//! Webhooks: who is told what happens, signed as Stripe signs, at the time of sending.
//!
//! An endpoint that is `held` is told nothing by itself: an admin call sends it what it names, late, twice or out of order.
//! Any other one is told at once, and again for a while if it does not answer with 2xx.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use ring::hmac;
use rustls::crypto::CryptoProvider;
use serde::{Deserialize, Serialize};

use crate::gateway::{Gateway, lock};
use crate::objects::Event;

/// An endpoint that takes longer has failed, as with Stripe.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of one delivery, half a second and doubling between them: a restart of the receiver is bridged.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Endpoints: one for each tenant of a test.
const MAX_ENDPOINTS: usize = 100;

/// Who is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    /// One signature for each: two while a secret is rotated.
    pub(crate) secrets: Vec<String>,
    /// Whether it is told only what an admin call sends.
    #[serde(default)]
    pub(crate) held: bool,
}

/// Where events go from the start; an admin call adds endpoints later
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WebhookSettings {
    /// URL that is told every event
    #[arg(long, env = "SANDBOX_WEBHOOK_URL", requires = "webhook_secret")]
    pub webhook_url: Option<String>,
    /// Secret that signs what it is told
    #[arg(long, env = "SANDBOX_WEBHOOK_SECRET", hide_env_values = true)]
    pub webhook_secret: Option<String>,
}

impl WebhookSettings {
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let (url, secret) = self.webhook_url.clone().zip(self.webhook_secret.clone())?;
        Some(Endpoint { url, secrets: vec![secret], held: false })
    }
}

/// The endpoints and the client that reaches them.
#[derive(Debug)]
pub(crate) struct Webhooks {
    endpoints: Mutex<Vec<Endpoint>>,
    client: OnceLock<Client>,
}

/// How one delivery went.
#[derive(Debug, Serialize)]
pub(crate) struct Delivery {
    pub(crate) event: String,
    pub(crate) url: String,
    /// What the endpoint answered; none if it did not.
    pub(crate) status: Option<u16>,
}

impl Webhooks {
    pub(crate) fn new(endpoint: Option<Endpoint>) -> Self {
        Self { endpoints: Mutex::new(endpoint.into_iter().collect()), client: OnceLock::new() }
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        lock(&self.endpoints).clone()
    }

    /// Adds an endpoint, or replaces the one of its URL. Says what is wrong with it, if something is.
    pub(crate) fn put(&self, endpoint: Endpoint) -> Result<(), String> {
        if endpoint.secrets.is_empty() || endpoint.secrets.iter().any(String::is_empty) {
            return Err("an endpoint has at least one secret, and none is empty".to_owned());
        }
        let mut endpoints = lock(&self.endpoints);
        endpoints.retain(|known| known.url != endpoint.url);
        if endpoints.len() == MAX_ENDPOINTS {
            return Err(format!("there are {MAX_ENDPOINTS} endpoints already"));
        }
        endpoints.push(endpoint);
        Ok(())
    }

    /// Tells every endpoint that is not held, without waiting for it.
    pub(crate) fn announce(&self, gateway: &Arc<Gateway>, events: &[Event]) {
        for endpoint in self.endpoints().into_iter().filter(|endpoint| !endpoint.held) {
            let (gateway, events) = (Arc::clone(gateway), events.to_vec());
            tokio::spawn(async move {
                for event in events {
                    gateway.webhooks.deliver(&gateway, &endpoint, &event).await;
                }
            });
        }
    }

    async fn deliver(&self, gateway: &Gateway, endpoint: &Endpoint, event: &Event) {
        for number in 0..TRIES {
            let status = self.send(endpoint, event, gateway.clock.wall()).await;
            if status.is_some_and(|status| (200..300).contains(&status)) {
                return;
            }
            tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(number)).await;
        }
        tracing::warn!(event = event.id, url = endpoint.url, "a webhook was given up");
    }

    /// Sends one event once, signed at `at`.
    pub(crate) async fn send(&self, endpoint: &Endpoint, event: &Event, at: Timestamp) -> Option<u16> {
        let body = serde_json::to_string(event).ok()?;
        let signature = signature(&endpoint.secrets, &body, at);
        let request = self.client()?.post(&endpoint.url).header("Stripe-Signature", signature);
        let request = request.header("Content-Type", "application/json; charset=utf-8").body(body);
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }

    /// Built when it is first needed: a gateway that tells nobody needs no TLS.
    fn client(&self) -> Option<&Client> {
        if self.client.get().is_none() {
            if CryptoProvider::get_default().is_none() {
                tracing::error!("no TLS provider is installed: webhooks cannot be sent");
                return None;
            }
            let client = Client::builder().no_proxy().timeout(TIMEOUT).build().ok()?;
            // Another task may have been first: its client serves as well.
            let _ = self.client.set(client);
        }
        self.client.get()
    }
}

/// The header: the time, and a signature of time and body with each secret.
fn signature(secrets: &[String], body: &str, at: Timestamp) -> String {
    let seconds = at.as_second();
    let signed = format!("{seconds}.{body}");
    let sign = |secret: &String| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    secrets.iter().fold(format!("t={seconds}"), |header, secret| format!("{header},v1={}", sign(secret)))
}
