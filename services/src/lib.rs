//! What the product runs on, for development and tests: finds, installs, starts and stops Redis, a
//! MongoDB-compatible server, a mail catcher, and endpoints for webhooks. Used by `xtask` and by the end-to-end tests, never by the
//! product: in production these are the operator's (docker-compose, or any orchestrator).
//!
//! It owns the installation cache, the data folders and the processes. It knows nothing of billing.
//!
//! **Invariant: nothing outlives its owner.** Every process ends when its value is dropped, when this process
//! ends in any way (the kernel kills it, where `setpriv` can ask for that), and at the latest when the same data
//! folder is used again.
//!
//! **Invariant: an own port and an own folder.** Nothing listens on a well-known port or beyond 127.0.0.1, and
//! one data folder serves one owner at a time, so any number of stacks run side by side.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod data_folder;
mod install;
mod mail;
mod mongo;
mod mongo_wire;
mod port;
mod process;
mod redis;
mod stack;
mod tied;
mod webhook_receiver;

pub use data_folder::{DataFolder, Owner};
pub use mail::{HeaderAddress, Mail, MailSummary};
pub use mongo::Mongo;
pub use redis::Redis;
pub use stack::{External, Stack, end_leftovers, install_missing};
pub use tied::{DeathSignal, tied_to_parent};
pub use webhook_receiver::{ReceivedWebhook, WebhookReceiver, WebhookReply};
