//! The product's ways out: adapters to the systems of others. `payment` speaks the Stripe API,
//! `mail` speaks SMTP and renders what is sent, `webhook` calls the endpoints of tenants.
//!
//! It decides nothing about billing: it takes frozen requests, carries them over the wire, and
//! classifies what comes back. It reads no clock and makes up no ids; both are arguments.
//!
//! **Invariant:** an answer that does not prove what happened is reported as unknown, never as
//! failed: whoever hears "failed" may try again with other money.

pub mod mail;
pub mod payment;
pub mod webhook;
