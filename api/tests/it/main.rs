//! Stories about both services over real TCP, on a real Redis and a real MongoDB-compatible server.

mod bad_input;
mod billing;
mod catalogue;
mod dead_letters;
mod document;
mod harness;
mod idempotency;
mod lists;
mod queues;
mod sign_in;
mod simulations;
mod subscription_actions;
mod subscription_outlook;
mod usage;
mod work;
