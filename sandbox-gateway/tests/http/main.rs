//! The gateway over real HTTP, as a client meets it.

mod admin;
mod authentication;
mod customers;
mod durability;
mod idempotency;
mod payment_intents;
mod refunds;
mod server;
mod webhooks;
