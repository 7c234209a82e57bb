//! Tells the stories of the job platform on a real Redis, which each test starts for itself.

mod bulk;
mod control;
mod delivery;
mod drain;
mod failure;
mod fairness;
mod harness;
mod insight;
mod lease;
mod limits;
mod outage;
mod proxy;
mod server;
mod unique;
