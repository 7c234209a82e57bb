//! Tells the stories of the job platform on a real Redis, which each test starts for itself.

mod bulk;
mod control;
mod dead_letters;
mod dead_state;
mod dead_sweeps;
mod delivery;
mod drain;
mod failover;
mod failure;
mod fairness;
mod harness;
mod insight;
mod lease;
mod limits;
mod outage;
mod partition;
mod proxy;
mod server;
mod unique;
