//! Webhooks to the endpoints of others, as Standard Webhooks has them: where they may go (`url`, `rules`), how they are signed
//! (`signature`), and one attempt over the wire (`sender`).
//!
//! Owns no endpoint and no schedule. The URLs are chosen by people who are not trusted with our network.
//!
//! **Invariant:** before every attempt all addresses that a host resolves to are checked, and only an address that was checked
//! is connected to: no connection is kept for the next attempt, no redirect is followed and no proxy asked.

mod error;
mod lanes;
mod retry_after;
mod rules;
mod sender;
mod signature;
mod url;

pub use error::{WebhookError, WebhookSetUpError};
pub use lanes::Lane;
pub use rules::{Ports, Refusal, WebhookRules};
pub use sender::{SystemResolver, WebhookAnswer, WebhookRequest, WebhookSender};
pub use signature::{MalformedSecret, SECRET_BYTES, new_secret, sign};
pub use url::WebhookUrl;
