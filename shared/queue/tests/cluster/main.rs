//! Tells the stories of `it` again on a Redis Cluster of three nodes, and a few that only a cluster has.
//!
//! The stories are the same files; here their `server` is a cluster.

// `it` uses all of it; some of its stories are about one server alone.
#[allow(dead_code, reason = "shared with a larger set of stories")]
#[path = "../it/harness.rs"]
mod harness;
mod nodes;
#[allow(dead_code, reason = "shared with a larger set of stories")]
#[path = "../it/proxy.rs"]
mod proxy;
mod server;

#[path = "../it/bulk.rs"]
mod bulk;
#[path = "../it/control.rs"]
mod control;
#[path = "../it/dead_letters.rs"]
mod dead_letters;
#[path = "../it/dead_state.rs"]
mod dead_state;
#[path = "../it/dead_sweeps.rs"]
mod dead_sweeps;
#[path = "../it/delivery.rs"]
mod delivery;
#[path = "../it/drain.rs"]
mod drain;
#[path = "../it/failure.rs"]
mod failure;
#[path = "../it/fairness.rs"]
mod fairness;
#[path = "../it/insight.rs"]
mod insight;
#[path = "../it/lease.rs"]
mod lease;
#[path = "../it/limits.rs"]
mod limits;
#[path = "../it/partition.rs"]
mod partition;
#[path = "../it/unique.rs"]
mod unique;

mod change;
mod routing;
