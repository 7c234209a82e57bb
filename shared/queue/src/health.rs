//! Whether a worker does what it is there for: [`WorkerHealth`]. Alive is not enough; a worker that takes
//! no job while work waits is unhealthy and says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a worker with free slots may take none of the waiting work.
const STARVING_LIMIT: Duration = Duration::from_secs(30);

/// How long a worker may go without reaching Redis: it takes a turn every few seconds, idle or busy.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How a worker's queues fare; shared between [`crate::Workers`] and whoever asks. Healthy before it starts.
#[derive(Debug, Clone, Default)]
pub struct WorkerHealth {
    queues: Arc<Mutex<BTreeMap<String, Observed>>>,
}

/// Why a worker is unhealthy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("queue {queue}: {reason}")]
pub struct Unhealthy {
    /// The queue.
    pub queue: String,
    /// What is wrong with it, for people.
    pub reason: String,
}

#[derive(Debug, Clone, Copy)]
struct Observed {
    last_turn: Instant,
    starving_since: Option<Instant>,
}

impl WorkerHealth {
    /// Whether every queue of this worker is being worked on.
    ///
    /// # Errors
    /// The first queue that is not, and why.
    pub fn check(&self) -> Result<(), Unhealthy> {
        self.check_at(Instant::now())
    }

    fn check_at(&self, now: Instant) -> Result<(), Unhealthy> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for (queue, observed) in queues.iter() {
            if let Some(reason) = observed.trouble(now) {
                return Err(Unhealthy { queue: queue.clone(), reason });
            }
        }
        Ok(())
    }

    /// The place where the driver of a queue reports.
    pub(crate) fn queue(&self, queue: &str) -> QueueHealth {
        QueueHealth { all: self.clone(), queue: queue.to_owned() }
    }
}

impl Observed {
    fn trouble(&self, now: Instant) -> Option<String> {
        let silent = now.saturating_duration_since(self.last_turn);
        if silent > SILENCE_LIMIT {
            return Some(format!("Redis was not reached for {} s", silent.as_secs()));
        }
        let starving = now.saturating_duration_since(self.starving_since?);
        (starving > STARVING_LIMIT)
            .then(|| format!("work waits and slots are free, and none was taken for {} s", starving.as_secs()))
    }
}

/// One queue's entry in a [`WorkerHealth`]; it leaves with the driver.
#[derive(Debug)]
pub(crate) struct QueueHealth {
    all: WorkerHealth,
    queue: String,
}

impl QueueHealth {
    /// A turn went through; `starving` if it took nothing although there was work and room.
    pub(crate) fn turned(&self, starving: bool) {
        self.turned_at(Instant::now(), starving);
    }

    fn turned_at(&self, now: Instant, starving: bool) {
        let mut queues = self.all.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = queues.get(&self.queue).and_then(|observed| observed.starving_since);
        let starving_since = starving.then(|| earlier.unwrap_or(now));
        queues.insert(self.queue.clone(), Observed { last_turn: now, starving_since });
    }
}

impl Drop for QueueHealth {
    fn drop(&mut self) {
        let mut queues = self.all.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.remove(&self.queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_nothing_while_work_waits_is_unhealthy_after_a_while() {
        let health = WorkerHealth::default();
        let queue = health.queue("payments");
        let start = Instant::now();
        queue.turned_at(start, true);
        let late = start + STARVING_LIMIT + Duration::from_secs(1);
        queue.turned_at(late, true);
        let unhealthy = health.check_at(late).unwrap_err().to_string();
        assert!(unhealthy.contains("payments") && unhealthy.contains("none was taken"), "{unhealthy}");
        queue.turned_at(late, false);
        assert_eq!(health.check_at(late), Ok(()));
        queue.turned_at(late, true);
        assert_eq!(health.check_at(late), Ok(()), "hungry for a moment only");
    }

    #[test]
    fn not_reaching_redis_is_unhealthy_after_a_while_and_a_queue_that_ended_is_not() {
        let health = WorkerHealth::default();
        assert_eq!(health.check(), Ok(()));
        let queue = health.queue("usage");
        queue.turned(false);
        let late = Instant::now() + SILENCE_LIMIT + Duration::from_secs(1);
        assert!(health.check_at(late).unwrap_err().reason.contains("not reached"));
        drop(queue);
        assert_eq!(health.check_at(late), Ok(()));
    }
}
