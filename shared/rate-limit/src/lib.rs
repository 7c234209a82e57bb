//! Rate limits that all replicas keep together: fixed windows, counted in Redis by one script and Redis's clock.
//!
//! A request counts on all its limits or, if one of them is used up, on none. Owns counting; which requests have which limits
//! is the API's. **Invariant:** Redis being away neither stops nor frees anybody: each replica then counts by itself, so what
//! passes is at most the quota times the number of replicas.

mod in_process;
mod quota;

use std::{
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use queue::{BestEffort, Connection, QueueClient};
use redis::{RedisResult, Script};

use in_process::InProcess;
pub use quota::{Quota, Standing};

/// Answers whether the request passes, and then of each limit how many were counted and how many ms of its window are left.
static TAKE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!("#!lua flags=allow-oom\n", include_str!("take.lua"))));

/// What is counted together: limits of one group are kept on one node of a cluster, and there is one script call for all.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Who is limited, unique in its group.
    pub who: String,
    pub quota: Quota,
}

/// Counts requests. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct RateLimiter {
    redis: BestEffort,
    /// What is counted while Redis is away.
    here: Arc<Mutex<InProcess>>,
}

impl RateLimiter {
    /// Counts beside the queues: on their Redis, under their prefix.
    #[must_use]
    pub fn beside(queue: &QueueClient) -> Self {
        Self { redis: queue.best_effort("rate"), here: Arc::default() }
    }

    /// Counts a request of a group on its limits; answers with how the tightest of them stands.
    pub async fn take(&self, group: &str, limits: &[Limit]) -> Standing {
        match self.redis.ask(|connection| self.take_in_redis(connection, group, limits)).await {
            Some(standing) => standing,
            None => {
                let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
                here.take(group, limits, Instant::now())
            }
        }
    }

    async fn take_in_redis(&self, mut connection: Connection, group: &str, limits: &[Limit]) -> RedisResult<Standing> {
        let mut call = TAKE.prepare_invoke();
        for Limit { who, quota } in limits {
            // A hash tag, so that all keys of a group are on one node.
            let key = format!("{{{}:{group}}}:{who}", self.redis.prefix());
            call.key(key).arg(quota.requests).arg(quota.window_ms());
        }
        let (passed, counts): (bool, Vec<(u64, u64)>) = call.invoke_async(&mut connection).await?;
        let standings = limits.iter().zip(counts).map(|(limit, (used, left_ms))| {
            Standing::of(limit.quota, used, Duration::from_millis(left_ms)).with_outcome(passed)
        });
        Ok(Standing::tightest(standings))
    }
}
