//! A queue: how much waits, how long, what holds it back, who works on it.

use std::time::Duration;

use jiff::Timestamp;
use queue::{LimitStatus, Percentiles, QueueStatus, WorkerStatus};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use super::instant;

/// Digits after the point of a rate.
const RATE_DECIMALS: u32 = 3;

/// A queue and how it fares. Counts and times are of all tenants together.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Queue {
    #[schema(example = "invoices")]
    pub name: String,
    /// Always `queue`.
    #[schema(value_type = String, example = "queue")]
    pub object: &'static str,
    /// Due and waiting for a worker.
    pub ready: u64,
    /// Due, and held back by a limit or because their type is paused.
    pub limited: u64,
    /// Waiting for their time: delayed, or between attempts.
    pub scheduled: u64,
    /// Held by a worker.
    pub running: u64,
    /// Dead letters.
    pub dead: u64,
    /// How long the oldest job has been due that waits for a worker; null if none does. Whole seconds.
    pub oldest_ready_seconds: Option<u64>,
    /// Who paused the queue, why and when; null while it is not paused.
    pub paused: Option<PausedQueue>,
    /// The job types that are paused.
    pub paused_jobs: Vec<PausedJob>,
    /// Over the last five to six minutes.
    pub rates: Rates,
    /// How long what is ready or limited takes at the rate at which jobs have left; null if none have. Whole seconds.
    pub time_to_drain_seconds: Option<u64>,
    /// From due to claimed, over the same minutes.
    pub wait_ms: Milliseconds,
    /// From begin to end of a run, over the same minutes.
    pub run_ms: Milliseconds,
    /// Those heard of within a minute.
    pub workers: Vec<Worker>,
}

/// A queue with its last hour and its limits.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueDetail {
    #[serde(flatten)]
    pub queue: Queue,
    /// The last hour, minute by minute, the current one last.
    pub history: Vec<Minute>,
    /// Keys that jobs declare, with what is set for them and how they are used.
    pub limits: Vec<Limit>,
}

/// A pause of a whole queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PausedQueue {
    /// Who paused it: a user's id, or a name from the terminal.
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
}

/// A pause of one job type.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PausedJob {
    #[schema(example = "collect_payment")]
    pub job: String,
    #[serde(flatten)]
    pub pause: PausedQueue,
}

/// Jobs a second, as decimals.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rates {
    /// Enqueued.
    #[schema(example = "12.5")]
    pub added_per_second: Decimal,
    /// Done or cancelled.
    #[schema(example = "12.25")]
    pub finished_per_second: Decimal,
    /// Runs that failed, whether tried again, dead or taken down with their worker.
    #[schema(example = "0.1")]
    pub failed_per_second: Decimal,
}

/// What half and nearly all stayed within; null where nothing was measured.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Milliseconds {
    pub p50: Option<u64>,
    pub p95: Option<u64>,
}

/// A worker, as it last told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Worker {
    /// Unique per start.
    pub name: String,
    /// `working`; `silent` if it was not heard of for 15 s; `starving` if it takes no work although some waits.
    #[schema(value_type = String, example = "working")]
    pub state: &'static str,
    /// Jobs of this queue that it holds.
    pub running: u32,
    /// Jobs of this queue that it runs at once at most.
    pub capacity: u32,
    /// How long ago it told.
    pub seen_ms_ago: u64,
    /// How long ago it last took a job; null if it never has.
    pub last_claim_ms_ago: Option<u64>,
}

/// What happened in one minute.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Minute {
    /// When it began.
    pub at: Timestamp,
    /// Enqueued.
    pub added: u64,
    /// Done or cancelled.
    pub finished: u64,
    /// Runs that failed.
    pub failed: u64,
}

/// What jobs that declare a key may take, across the whole fleet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Limit {
    #[schema(example = "gateway:stripe")]
    pub key: String,
    /// Jobs running at once; null if that is not limited.
    pub concurrency: Option<u32>,
    /// Null if that is not limited.
    pub rate: Option<LimitRate>,
    /// Running jobs that declare the key.
    pub in_use: u64,
    /// Jobs that wait for it.
    pub parked: u64,
}

/// Units a time.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LimitRate {
    /// Units earned in that time; a job takes its declared cost of them.
    pub units: u32,
    /// That time.
    #[schema(value_type = f64, example = 60)]
    pub per_seconds: Number,
    /// Units that can be taken at once after a quiet time.
    pub burst: u32,
}

impl From<&QueueStatus> for Queue {
    fn from(status: &QueueStatus) -> Self {
        let queue::Depth { ready, limited, scheduled, running, dead } = status.depth;
        let whole = status.paused.iter().find(|(job, _)| job.is_none());
        let jobs = status.paused.iter().filter_map(|(job, pause)| Some((job.as_ref()?, pause)));
        Self {
            name: status.queue.clone(),
            object: "queue",
            ready,
            limited,
            scheduled,
            running,
            dead,
            oldest_ready_seconds: status.oldest_ready.map(|age| age.as_secs()),
            paused: whole.map(|(_, pause)| pause.into()),
            paused_jobs: jobs.map(|(job, pause)| PausedJob { job: job.clone(), pause: pause.into() }).collect(),
            rates: (&status.rates).into(),
            // Rounded up: what has not drained yet does not drain in no time.
            time_to_drain_seconds: status.time_to_drain.map(|time| time.as_millis().div_ceil(1_000)).map(saturated),
            wait_ms: status.wait.into(),
            run_ms: status.run.into(),
            workers: status.workers.iter().map(Worker::from).collect(),
        }
    }
}

impl From<&QueueStatus> for QueueDetail {
    fn from(status: &QueueStatus) -> Self {
        Self {
            queue: status.into(),
            history: status.history.iter().map(Minute::from).collect(),
            limits: status.limits.iter().map(Limit::from).collect(),
        }
    }
}

impl From<&queue::Pause> for PausedQueue {
    fn from(pause: &queue::Pause) -> Self {
        Self { by: pause.by.clone(), reason: pause.reason.clone(), at: instant(pause.at_ms) }
    }
}

impl From<&queue::Rates> for Rates {
    fn from(rates: &queue::Rates) -> Self {
        Self {
            added_per_second: rate(rates.added_per_second),
            finished_per_second: rate(rates.finished_per_second),
            failed_per_second: rate(rates.failed_per_second),
        }
    }
}

impl From<Percentiles> for Milliseconds {
    fn from(percentiles: Percentiles) -> Self {
        let ms = |duration: Duration| saturated(duration.as_millis());
        Self { p50: percentiles.p50.map(ms), p95: percentiles.p95.map(ms) }
    }
}

impl From<&WorkerStatus> for Worker {
    fn from(worker: &WorkerStatus) -> Self {
        Self {
            name: worker.name.clone(),
            state: worker.health.name(),
            running: worker.running,
            capacity: worker.capacity,
            seen_ms_ago: worker.seen_ms_ago,
            last_claim_ms_ago: worker.last_claim_ms_ago,
        }
    }
}

impl From<&queue::Minute> for Minute {
    fn from(minute: &queue::Minute) -> Self {
        let queue::Minute { at_ms, added, finished, failed } = *minute;
        Self { at: instant(at_ms), added, finished, failed }
    }
}

impl From<&LimitStatus> for Limit {
    fn from(status: &LimitStatus) -> Self {
        let limit = status.limit.unwrap_or_default();
        Self {
            key: status.key.clone(),
            concurrency: limit.concurrency,
            rate: limit.rate.map(LimitRate::from),
            in_use: status.in_use,
            parked: status.parked,
        }
    }
}

impl From<queue::Rate> for LimitRate {
    fn from(rate: queue::Rate) -> Self {
        let whole = rate.per.subsec_nanos() == 0;
        let exact = if whole { Some(Number::from(rate.per.as_secs())) } else { None };
        // A duration has no infinite or undefined length.
        let per_seconds = exact.or_else(|| Number::from_f64(rate.per.as_secs_f64())).unwrap_or_else(|| Number::from(0));
        Self { units: rate.units, per_seconds, burst: rate.burst }
    }
}

/// A measured rate; what no decimal can hold, nobody has measured.
fn rate(per_second: f64) -> Decimal {
    Decimal::try_from(per_second).unwrap_or_default().round_dp(RATE_DECIMALS).normalize()
}

fn saturated(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{Limit, LimitRate, Milliseconds, rate};

    #[test]
    fn rates_are_short_decimals() {
        assert_eq!(rate(12.0).to_string(), "12");
        assert_eq!(rate(1.0 / 3.0).to_string(), "0.333");
        assert_eq!(rate(f64::INFINITY).to_string(), "0");
    }

    #[test]
    fn a_rate_tells_its_time_as_plainly_as_it_can() {
        let shown = |per: Duration| {
            serde_json::to_value(LimitRate::from(queue::Rate { units: 5, per, burst: 9 })).expect("JSON")
        };
        assert_eq!(shown(Duration::from_secs(60)), json!({ "units": 5, "per_seconds": 60, "burst": 9 }));
        assert_eq!(shown(Duration::from_millis(250))["per_seconds"], json!(0.25));
    }

    #[test]
    fn what_is_only_counted_has_no_limit() {
        let status = queue::LimitStatus { key: "smtp".to_owned(), limit: None, in_use: 2, parked: 0 };
        let shown = serde_json::to_value(Limit::from(&status)).expect("JSON");
        assert_eq!(shown, json!({ "key": "smtp", "concurrency": null, "rate": null, "in_use": 2, "parked": 0 }));
    }

    #[test]
    fn what_was_not_measured_is_null() {
        let none = Milliseconds::from(queue::Percentiles::default());
        assert_eq!(serde_json::to_value(none).expect("JSON"), json!({ "p50": null, "p95": null }));
    }
}
