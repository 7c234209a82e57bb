//! The sandbox payment gateway: a strict HTTP server that speaks the part of the Stripe API the
//! product uses, so that one adapter serves Stripe and development alike.
//!
//! It owns its own books (customers, payment methods, payment intents, refunds, disputes, events, idempotency keys, clock) and
//! shares nothing with the product: the product is checked against these books, so they must be an independent witness. It
//! moves no money, knows no cards, and does not know what an invoice is.
//!
//! **Invariant:** a charge is in the journal before its answer leaves; a killed gateway comes back
//! with every charge it ever confirmed and with the idempotency keys that protect them.
//!
//! **Invariant:** one idempotency key executes at most once within its 24 hours, whatever the
//! client does meanwhile (repeat, hang up, run in parallel).
//!
//! | path | what |
//! |---|---|
//! | `/v1/customers`, `/v1/payment_methods/{token}/attach` | who pays, and with what |
//! | `POST /v1/payment_intents` | charge off session, at once |
//! | `POST /v1/payment_intents/{id}/confirm`, `/cancel` | let the customer confirm; give up |
//! | `/v1/refunds` | give back, never more than was taken |
//! | `GET` of all these, `/v1/disputes`, `/v1/events` | read, list newest first |
//! | `GET /_sandbox/ledger`, `GET /_sandbox/charges` | what was really charged |
//! | `POST /_sandbox/charges` | a charge that no client asked for |
//! | `GET`/`POST /_sandbox/settings` | latency, failures, rate limiting |
//! | `POST /_sandbox/payment_methods` | let a token behave as another one |
//! | `POST /_sandbox/authentications`, `/refunds`, `/disputes` | end what waits; begin a dispute |
//! | `/_sandbox/authenticate/{id}` | the page on which a customer confirms |
//! | `POST /_sandbox/webhook_endpoints`, `/webhooks` | who is told; send late, twice, out of order |
//! | `POST /_sandbox/clock/advance` | move its clock forward |
//! | `GET /livez` | it answers |
//!
//! Tokens and what they do are in `tokens`.

mod admin;
mod auth;
mod charging;
mod clock;
mod customers;
mod errors;
mod events;
mod execution;
mod form;
mod gateway;
mod hosted;
mod idempotency;
mod journal;
mod ledger;
mod objects;
mod payment_intents;
mod payment_methods;
mod refunds;
mod requests;
mod settings;
mod table;
mod tokens;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use settings::Settings;
pub use webhooks::WebhookSettings;

use crate::gateway::Gateway;

/// A charge is a few hundred bytes of form fields with at most fifty metadata entries of 500.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What the gateway is started with. Everything has a default: no data, no misbehaviour.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Config {
    /// Folder of the journal; without it the books live in memory and end with the process
    #[arg(long, env = "SANDBOX_GATEWAY_DATA")]
    pub data_dir: Option<PathBuf>,
    /// How it behaves from the start; an admin call changes it later
    #[command(flatten)]
    pub settings: Settings,
    /// Who is told what happens
    #[command(flatten)]
    pub webhooks: WebhookSettings,
}

/// Serves the gateway on `listener` until `shutdown`, then finishes the requests under way.
///
/// # Errors
/// When the journal cannot be opened, is held by another gateway or is damaged before its last
/// line, and when the listener fails.
pub async fn run(listener: TcpListener, config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let address = listener.local_addr().context("reading the listener's address")?;
    let gateway = Arc::new(Gateway::open(&config, format!("http://{address}"))?);
    tracing::info!(%address, data_dir = ?config.data_dir, "sandbox gateway listens");
    axum::serve(listener, router(gateway))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
        .context("serving the sandbox gateway")
}

fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .merge(customers::routes())
        .merge(payment_methods::routes())
        .merge(payment_intents::routes())
        .merge(refunds::routes())
        .merge(events::routes())
        .merge(hosted::routes())
        .merge(admin::routes())
        .route("/livez", get(|| async { "ok\n" }))
        .fallback(errors::unrecognised_url)
        .method_not_allowed_fallback(errors::unrecognised_url)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(gateway)
}
