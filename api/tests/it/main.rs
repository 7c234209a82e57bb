//! Stories about both services over real TCP, on a real Redis and a real MongoDB-compatible server.

mod access;
mod bad_input;
mod balances;
mod billing;
mod catalogue;
mod contract;
mod credit_notes;
mod dead_letters;
mod document;
mod harness;
mod idempotency;
mod invoice_actions;
mod limits;
mod lists;
mod queues;
mod records;
mod sign_in;
mod simulations;
mod subscription_actions;
mod subscription_outlook;
mod usage;
mod wallets;
mod work;
mod world;
mod writes;
