//! The job platform: jobs are written down in Redis, delivered at least once, retried, and kept as dead
//! letters when they cannot succeed. Built on apalis as the worker runtime, with our own backend.
//!
//! Owns queues, leases, retries, dead letters and the way to Redis. Knows nothing of billing: handlers
//! get a context whose type is a parameter. apalis is named in this crate alone.
//!
//! - Define a [`Job`]: payload, wire name, queue, [`RetryPolicy`], time-out, [`UniqueKey`].
//! - Implement [`Handler`] for it, for your context type.
//! - Enqueue with a [`QueueClient`]: one or thousands of [`NewJob`]s a call.
//! - Put all handlers into a [`Registry`] and run [`Workers`] until a token says stop.
//! - Look at [`DeadLetter`]s, one by one or by cause; edit, requeue and discard them.
//!
//! ```no_run
//! use std::time::Duration;
//! use queue::*;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Greet { name: String }
//!
//! impl Job for Greet {
//!     const NAME: &'static str = "greet";
//!     const QUEUE: &'static str = "greetings";
//!     const RETRY: RetryPolicy =
//!         RetryPolicy::exponential(5, Duration::from_secs(1), Duration::from_secs(60));
//!     const TIMEOUT: Duration = Duration::from_secs(30);
//!     fn tenant(&self) -> Option<&str> { None }
//!     fn unique_key(&self) -> Option<UniqueKey> { Some(UniqueKey::waiting(&self.name)) }
//! }
//!
//! struct Context { greeting: String }
//!
//! impl Handler<Context> for Greet {
//!     async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
//!         println!("{} {} (attempt {})", context.greeting, self.name, job.attempt);
//!         Ok(Outcome::Done)
//!     }
//! }
//!
//! # async fn program() -> Result<(), QueueError> {
//! let client = QueueClient::connect("redis://127.0.0.1:6379", "ratchet").await?;
//! client.enqueue(NewJob::of(&Greet { name: "Ada".into() })?).await?;
//! let workers = Workers {
//!     client,
//!     registry: Registry::new().register::<Greet>(),
//!     context: Context { greeting: "Hello".into() },
//!     config: WorkerConfig::new("worker").queue(Greet::QUEUE, 8),
//!     health: WorkerHealth::default(),
//! };
//! workers.run(tokio_util::sync::CancellationToken::new()).await
//! # }
//! ```
//!
//! How it works in Redis is told in this crate's `README.md`.

mod address;
mod backend;
mod best_effort;
mod claims;
mod client;
mod connection;
mod context;
mod control;
mod dead;
mod delivery;
mod driver;
mod entry;
mod error;
mod fingerprint;
mod health;
mod insight;
mod job;
mod keys;
mod listen;
mod measure;
#[cfg(test)]
mod model;
mod new_job;
mod pace;
mod partition;
mod record;
mod registry;
mod service;
mod stats;
mod suitable;
mod turn;
mod wake;
mod worker;

pub use best_effort::BestEffort;
pub use client::{Depth, QueueClient};
pub use connection::Connection;
pub use context::JobContext;
pub use control::{Limit, LimitStatus, Pause, PauseTarget, Rate};
pub use dead::{
    By, DeadAction, DeadChange, DeadChangeKind, DeadCursor, DeadFilter, DeadGroup, DeadLetter, Edited, Page, Requeued,
    StoredDeadLetter, SweepCursor, SweepStep,
};
pub use entry::Failure;
pub use error::QueueError;
pub use health::{Unhealthy, WorkerHealth};
pub use insight::{Minute, Percentiles, QueueStatus, Rates, WorkerState, WorkerStatus};
pub use job::{Handler, Job, JobError, JobErrorKind, LimitUse, Outcome, Priority, RetryPolicy, UniqueKey, UniqueScope};
pub use listen::Message;
pub use measure::{DURATION_BUCKETS, describe_metrics};
pub use new_job::{Enqueued, NewJob};
pub use record::{JobRecord, JobState, JobStateKind};
pub use registry::Registry;
pub use worker::{WorkerConfig, Workers};

/// Longest tenant, unique key or name, in bytes: they are repeated in keys, logs and every entry.
pub const MAX_KEY_BYTES: usize = 256;

/// Most limits that one job may take part in: each costs a look at every claim.
pub const MAX_LIMITS: usize = 3;

/// Largest payload, in bytes of JSON: a chunk of work fits many times; more belongs into the database,
/// with its id in the payload.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// How much of a failure's message is kept, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1024;
