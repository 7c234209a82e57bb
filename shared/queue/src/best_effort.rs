//! Redis for what can be done without it: caches and rate limits, which share the queues' server and the way to it.
//!
//! **Invariant:** nobody waits long for it. A call is given up after [`PATIENCE`], and after one has failed none is made for
//! [`REST`], so that a Redis that is away costs its users next to nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::RedisResult;

use crate::client::QueueClient;
use crate::connection::Connection;

/// How long a call may take: many times what it takes, and not felt by whoever waits.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long Redis is left alone after it has failed.
const REST: Duration = Duration::from_secs(1);

/// A way to Redis that may lead nowhere. Clones rest together.
#[derive(Clone)]
pub struct BestEffort {
    connection: Connection,
    prefix: String,
    rests_until: Arc<Mutex<Option<Instant>>>,
}

impl QueueClient {
    /// The same Redis for another purpose, whose keys begin with the client's prefix and its name.
    pub fn best_effort(&self, purpose: &str) -> BestEffort {
        let prefix = self.keys.channel(purpose);
        BestEffort { connection: self.connection.clone(), prefix, rests_until: Arc::default() }
    }
}

impl BestEffort {
    /// What the names of all keys of this purpose begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The answer, if there is one in time. A failure is logged here.
    pub async fn ask<T, F>(&self, call: impl FnOnce(Connection) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        if self.rests() {
            return None;
        }
        match tokio::time::timeout(PATIENCE, call(self.connection.clone())).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::warn!(%error, purpose = self.prefix, "Redis fails; going on without it"),
            Err(_) => tracing::warn!(purpose = self.prefix, "Redis is slow; going on without it"),
        }
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
        None
    }

    fn rests(&self) -> bool {
        let rests_until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        rests_until.is_some_and(|until| Instant::now() < until)
    }
}
