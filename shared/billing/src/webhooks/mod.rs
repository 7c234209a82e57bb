//! Outbound webhooks: endpoints, and what is delivered to them. One file per action.
//!
//! An event becomes one delivery for each endpoint that wants it (`subscribers::webhooks`), and each delivery a job that
//! attempts it until it is taken or given up (`deliver`). Endpoints are few and deliveries many, so the tenant says whether it
//! has any endpoint at all.

mod create_endpoint;
mod delete_endpoint;
mod deliver;
mod event_filter;
pub(crate) mod message;
mod owners;
mod replay;
pub(crate) mod replay_many;
mod rotate_secret;
mod test_endpoint;
mod update_endpoint;

pub use create_endpoint::{NewWebhookEndpoint, create_webhook_endpoint};
pub use delete_endpoint::delete_webhook_endpoint;
pub use deliver::{Delivering, deliver_webhook};
pub use replay::replay_webhook_delivery;
pub use replay_many::{NewReplay, replay_webhook_deliveries};
pub use rotate_secret::{SecretRotation, rotate_webhook_secret};
pub use test_endpoint::test_webhook_endpoint;
pub use update_endpoint::{WebhookEndpointPatch, update_webhook_endpoint};
