//! How a queue fares: [`QueueStatus`] with depth, ages, rates, durations, limits and workers.
//!
//! Owns nothing that lasts: drivers and scripts count, this reads. Bounded: whatever grows with tenants or workers
//! is read in pages up to a limit that is told where it applies.
//!
//! **Invariant:** reading changes nothing and never keeps Redis busy for more than a few milliseconds at a time.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{RedisResult, Script};
use serde::Deserialize;

use crate::client::{Depth, QueueClient};
use crate::control::{LimitStatus, Pause};
use crate::error::QueueError;
use crate::keys::QueueKeys;
use crate::measure;
use crate::stats::{Counter, Counts};

/// Tenants per lane whose first job is looked at for the longest wait. With more at once waiting, a tenant in the
/// back of the ring may have an older one.
const MAX_TENANTS: usize = 1_000;

/// Tenants per lane and call: about a millisecond of Redis's time.
const TENANTS_PER_CALL: usize = 100;

/// Most workers told of, those seen last first.
const MAX_WORKERS: usize = 1_000;

/// Minutes of history: what the scripts keep.
const HISTORY_MINUTES: i64 = 60;

/// Full minutes that rates and durations are of, beside the one that is being counted.
const RATE_MINUTES: i64 = 5;

const MINUTE_MS: i64 = 60_000;

/// Several beats of a worker were missed.
const SILENT_MS: i64 = 15_000;

/// How long work may wait beside a free slot before the worker counts as starving.
const STARVING_MS: i64 = 30_000;

/// After so long without a beat a worker is not told of any more; its leases have ended long before.
const FORGOTTEN_MS: i64 = 60_000;

/// How long setting the gauges may take: well below the ten seconds that a scrape may take.
const EXPORT_LIMIT: Duration = Duration::from_secs(3);

/// What the history tells of a minute, in this order.
const HISTORY: [Counter; 6] =
    [Counter::Added, Counter::Done, Counter::Cancelled, Counter::Dead, Counter::Retried, Counter::Reclaimed];

static OLDEST: LazyLock<Script> = LazyLock::new(|| {
    let source =
        concat!("#!lua flags=no-writes,allow-oom\n", include_str!("lua/lines.lua"), include_str!("lua/oldest.lua"));
    Script::new(source)
});

/// How a queue fares, as of about one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueStatus {
    /// Its name.
    pub queue: String,
    /// How many jobs it holds.
    pub depth: Depth,
    /// How long the oldest job has been due that waits for a worker; jobs held back on purpose do not count. Looks
    /// at the first jobs of a thousand tenants per priority.
    pub oldest_ready: Option<Duration>,
    /// What is paused; see [`QueueClient::pauses`].
    pub paused: Vec<(Option<String>, Pause)>,
    /// Jobs per second over the last five to six minutes, or since the first of them in which anything happened.
    pub rates: Rates,
    /// How long what is ready or limited takes at the rate at which jobs have left, if any have.
    pub time_to_drain: Option<Duration>,
    /// From due to claimed, over the same minutes.
    pub wait: Percentiles,
    /// From begin to end of a run, over the same minutes.
    pub run: Percentiles,
    /// The last hour, minute by minute, the current one last.
    pub history: Vec<Minute>,
    /// See [`QueueClient::limits`].
    pub limits: Vec<LimitStatus>,
    /// Those seen within a minute, by name; a thousand at most.
    pub workers: Vec<WorkerStatus>,
}

/// Jobs per second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Enqueued.
    pub added_per_second: f64,
    /// Done or cancelled.
    pub finished_per_second: f64,
    /// Runs that failed, whether tried again, dead or taken down with their worker.
    pub failed_per_second: f64,
}

/// Durations that half and nearly all stayed within, rounded up by at most a fifth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Percentiles {
    /// Half of them.
    pub p50: Option<Duration>,
    /// Nineteen of twenty.
    pub p95: Option<Duration>,
}

/// What happened in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// When it began, by Redis's clock: milliseconds since 1970.
    pub at_ms: i64,
    /// Enqueued.
    pub added: u64,
    /// Done or cancelled.
    pub finished: u64,
    /// Runs that failed; see [`Rates::failed_per_second`].
    pub failed: u64,
}

/// A worker of a queue, as it last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name, unique per start.
    pub name: String,
    /// How long ago it told.
    pub seen_ms_ago: u64,
    /// Jobs of this queue that it holds.
    pub running: u32,
    /// Jobs of this queue that it runs at once at most.
    pub capacity: u32,
    /// How long ago it last claimed one; nothing if it never has.
    pub last_claim_ms_ago: Option<u64>,
    /// What that says of it.
    pub health: WorkerState,
}

/// How a worker fares on a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// It is there, and takes work if there is any.
    Working,
    /// It has not been heard of for 15 s.
    Silent,
    /// Work has waited and slots were free for 30 s, and it took none.
    Starving,
}

impl WorkerState {
    /// The name in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Silent => "silent",
            Self::Starving => "starving",
        }
    }
}

/// What a driver tells with each turn that beats.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Beat {
    running: u32,
    capacity: u32,
    last_claim_ms: Option<i64>,
    started_ms: i64,
}

/// What a queue's work looks like to a worker that takes none of it.
struct Waiting {
    now_ms: i64,
    /// For how long work has waited that anyone could take.
    for_ms: Option<i64>,
}

impl QueueClient {
    /// How a queue fares. A few calls, so parts may be some milliseconds apart.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn status(&self, queue: &str) -> Result<QueueStatus, QueueError> {
        let keys = self.keys.queue(queue);
        let depth = self.depth(queue).await?;
        let paused = self.pauses(queue).await?;
        let limits = self.limits(queue).await?;
        let reading = || QueueError::redis("reading a queue's status");
        let (now_ms, due_ms) = self.oldest_ready(&keys).await.map_err(reading())?;
        let history = self.history(&keys, now_ms).await.map_err(reading())?;
        let recent = self.recent(&keys, now_ms).await.map_err(reading())?;
        let oldest_ready = due_ms.map(|due_ms| Duration::from_millis(since(now_ms, due_ms)));
        let is_paused = paused.first().is_some_and(|(job, _)| job.is_none());
        let for_ms = due_ms.filter(|_| !is_paused).map(|due_ms| now_ms - due_ms);
        let workers = self.workers(&keys, &Waiting { now_ms, for_ms }).await.map_err(reading())?;
        Ok(QueueStatus {
            queue: queue.to_owned(),
            depth,
            oldest_ready,
            paused,
            rates: recent.rates(),
            time_to_drain: recent.time_to_drain(depth.ready + depth.limited),
            wait: Percentiles { p50: recent.counts.wait_percentile(50), p95: recent.counts.wait_percentile(95) },
            run: Percentiles { p50: recent.counts.run_percentile(50), p95: recent.counts.run_percentile(95) },
            history,
            limits,
            workers,
        })
    }

    /// Reads the status of these queues and sets the gauges that [`crate::describe_metrics`] tells of, for whoever
    /// scrapes this process.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]; the gauges of queues not read keep their values and `queue_redis_up` is 0.
    pub async fn export<Q: AsRef<str>>(&self, queues: &[Q]) -> Result<(), QueueError> {
        let read = tokio::time::timeout(EXPORT_LIMIT, async {
            for queue in queues {
                measure::status(&self.status(queue.as_ref()).await?);
            }
            Ok(())
        });
        let timed_out = |_| {
            let source = std::io::Error::from(std::io::ErrorKind::TimedOut).into();
            Err(QueueError::redis("reading the queues for the gauges")(source))
        };
        let exported = read.await.unwrap_or_else(timed_out);
        measure::redis_up(exported.is_ok());
        exported
    }

    /// Redis's time, and since when the job could run that has waited longest.
    async fn oldest_ready(&self, keys: &QueueKeys) -> RedisResult<(i64, Option<i64>)> {
        let (mut now_ms, mut oldest) = (0, None);
        for first in (0..MAX_TENANTS).step_by(TENANTS_PER_CALL) {
            let (now, found, more): (i64, i64, bool) = OLDEST
                .key(&keys.base)
                .arg(first)
                .arg(TENANTS_PER_CALL)
                .invoke_async(&mut self.connection.clone())
                .await?;
            now_ms = now;
            oldest = [oldest, (found >= 0).then_some(found)].into_iter().flatten().min();
            if !more {
                break;
            }
        }
        Ok((now_ms, oldest))
    }

    async fn history(&self, keys: &QueueKeys, now_ms: i64) -> RedisResult<Vec<Minute>> {
        let current = now_ms / MINUTE_MS;
        let minutes: Vec<i64> = (current - HISTORY_MINUTES + 1..=current).collect();
        let mut pipe = redis::pipe();
        for minute in &minutes {
            pipe.hmget(minute_key(keys, *minute), HISTORY.map(Counter::field).to_vec());
        }
        let answers: Vec<Vec<Option<u64>>> = pipe.query_async(&mut self.connection.clone()).await?;
        let read = |(minute, counts): (&i64, Vec<Option<u64>>)| {
            let of = |counters: &[Counter]| {
                let counted = HISTORY.iter().zip(&counts).filter(|(counter, _)| counters.contains(counter));
                counted.filter_map(|(_, count)| *count).sum()
            };
            Minute {
                at_ms: minute * MINUTE_MS,
                added: of(&[Counter::Added]),
                finished: of(&FINISHED),
                failed: of(&FAILED),
            }
        };
        Ok(minutes.iter().zip(answers).map(read).collect())
    }

    async fn recent(&self, keys: &QueueKeys, now_ms: i64) -> RedisResult<Recent> {
        let current = now_ms / MINUTE_MS;
        let first = current - RATE_MINUTES;
        let mut pipe = redis::pipe();
        for minute in first..=current {
            // A fixed number of counters and buckets.
            pipe.hgetall(minute_key(keys, minute));
        }
        let minutes: Vec<Vec<(String, u64)>> = pipe.query_async(&mut self.connection.clone()).await?;
        let began = minutes.iter().zip(first..).find(|(fields, _)| !fields.is_empty());
        let began_ms = began.map_or(current, |(_, minute)| minute) * MINUTE_MS;
        let mut counts = Counts::default();
        minutes.iter().for_each(|fields| counts.add(fields));
        Ok(Recent { counts, over: Duration::from_millis(since(now_ms, began_ms)).max(Duration::from_secs(1)) })
    }

    async fn workers(&self, keys: &QueueKeys, waiting: &Waiting) -> RedisResult<Vec<WorkerStatus>> {
        let seen: Vec<(String, i64)> = redis::cmd("ZRANGE")
            .arg(keys.part("workers"))
            .arg("+inf")
            .arg(waiting.now_ms - FORGOTTEN_MS)
            .arg(&["BYSCORE", "REV", "LIMIT", "0"])
            .arg(MAX_WORKERS)
            .arg("WITHSCORES")
            .query_async(&mut self.connection.clone())
            .await?;
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
        let beats: Vec<Option<String>> =
            redis::cmd("HMGET").arg(keys.part("beats")).arg(&names).query_async(&mut self.connection.clone()).await?;
        let mut workers: Vec<WorkerStatus> = seen
            .iter()
            .zip(beats)
            .map(|((name, seen_ms), json)| {
                let beat = json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
                beat_status((name, *seen_ms), &beat, waiting)
            })
            .collect();
        workers.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(workers)
    }
}

const FINISHED: [Counter; 2] = [Counter::Done, Counter::Cancelled];
const FAILED: [Counter; 3] = [Counter::Retried, Counter::Dead, Counter::Reclaimed];

/// The last minutes together.
struct Recent {
    counts: Counts,
    over: Duration,
}

impl Recent {
    fn per_second(&self, counters: &[Counter]) -> f64 {
        let count: u64 = counters.iter().map(|counter| self.counts.of(*counter)).sum();
        count as f64 / self.over.as_secs_f64()
    }

    fn rates(&self) -> Rates {
        Rates {
            added_per_second: self.per_second(&[Counter::Added]),
            finished_per_second: self.per_second(&FINISHED),
            failed_per_second: self.per_second(&FAILED),
        }
    }

    /// Dead letters have left as well: what waits does not wait for them.
    fn time_to_drain(&self, waiting: u64) -> Option<Duration> {
        let left_per_second = self.per_second(&[Counter::Done, Counter::Cancelled, Counter::Dead]);
        let drains = left_per_second > 0.0;
        drains.then(|| Duration::try_from_secs_f64(waiting as f64 / left_per_second).ok()).flatten()
    }
}

fn beat_status((name, seen_ms): (&str, i64), beat: &Beat, waiting: &Waiting) -> WorkerStatus {
    let now_ms = waiting.now_ms;
    // A worker's very first beat cannot tell yet when it started.
    let idle_since = beat.last_claim_ms.or((beat.started_ms > 0).then_some(beat.started_ms));
    let idle = idle_since.is_some_and(|since_ms| now_ms - since_ms >= STARVING_MS);
    let work_waits = waiting.for_ms.is_some_and(|for_ms| for_ms >= STARVING_MS);
    let health = if now_ms - seen_ms >= SILENT_MS {
        WorkerState::Silent
    } else if work_waits && idle && beat.running < beat.capacity {
        WorkerState::Starving
    } else {
        WorkerState::Working
    };
    WorkerStatus {
        name: name.to_owned(),
        seen_ms_ago: since(now_ms, seen_ms),
        running: beat.running,
        capacity: beat.capacity,
        last_claim_ms_ago: beat.last_claim_ms.map(|at_ms| since(now_ms, at_ms)),
        health,
    }
}

fn minute_key(keys: &QueueKeys, minute: i64) -> String {
    keys.part(&format!("stats:{minute}"))
}

/// Milliseconds from then to now; none if the clock was set back.
fn since(now_ms: i64, then_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or_default()
}
