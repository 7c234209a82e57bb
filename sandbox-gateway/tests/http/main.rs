//! The gateway over real HTTP, as a client meets it.

mod admin;
mod durability;
mod idempotency;
mod payment_intents;
mod server;
