//! Tells the stories of the job platform on a real Redis, which each test starts for itself.

mod bulk;
mod delivery;
mod drain;
mod failure;
mod harness;
mod lease;
mod outage;
mod proxy;
mod server;
mod unique;
