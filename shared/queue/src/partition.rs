//! A hot queue split into several, which a cluster can spread over its nodes: which there are, and to which a job
//! goes.
//!
//! Partition 0 has the queue's own name, the others `<queue>~<number>`, which no queue can have. Each is a queue of
//! its own in every respect.
//!
//! **Invariant:** a partition that was ever fed is worked on, also after the setting was lowered: Redis remembers the
//! largest number.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use redis::Script;
use sha2::{Digest, Sha256};

use crate::client::QueueClient;
use crate::error::QueueError;
use crate::keys::check_name;
use crate::new_job::NewJob;

/// Most partitions of a queue: each costs every worker a driver and two connections.
const MAX_PARTITIONS: u32 = 64;

/// Most queues that are read of: names come from code, so there are never as many.
const MAX_SPLIT_QUEUES: usize = 1_000;

/// Most settings of a kind that a new partition takes over: as many as can be set.
const MAX_SETTINGS: usize = 10_000;

/// Settings per call.
const SETTINGS_PER_CALL: usize = 500;

static REMEMBER: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!("#!lua\n", include_str!("lua/partitions.lua"))));

/// The queues that are, or were, split.
#[derive(Debug, Clone, Default)]
pub(crate) struct Partitions {
    queues: BTreeMap<String, Split>,
}

#[derive(Debug, Clone, Copy)]
struct Split {
    /// How many get new jobs.
    fed: u32,
    /// How many may hold jobs; at least as many.
    there: u32,
}

impl QueueClient {
    /// Splits queues into so many partitions (1 to 64). A job goes to one of them by its first limit, else by its
    /// unique key, else by its tenant, else by its id; jobs that have it in common stay together, in order, and the
    /// limit or key holds as in one queue. A second limit of a job is kept by each partition on its own.
    ///
    /// Everyone who enqueues a job needs the same setting. To raise it, start workers with it first. While old jobs are
    /// left after a change, what they share with new ones is not kept between partitions. A lower number stops feeding
    /// the rest, which workers go on to drain.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for a bad name or number; [`QueueError::Unavailable`].
    pub async fn with_partitions<Q: Into<String>>(
        mut self,
        counts: impl IntoIterator<Item = (Q, u32)>,
    ) -> Result<Self, QueueError> {
        let mut partitions = Partitions::clone(&self.partitions);
        for (queue, count) in counts {
            let queue = queue.into();
            check_name("queue", &queue)?;
            if !(1..=MAX_PARTITIONS).contains(&count) {
                return Err(QueueError::invalid(
                    format!("{count} partitions of queue {queue}"),
                    format!("must be 1 to {MAX_PARTITIONS}"),
                ));
            }
            let before = partitions.there(&queue);
            self.furnish(&queue, before..count).await.map_err(QueueError::redis("setting partitions up"))?;
            let there = REMEMBER
                .key(self.keys.partitions())
                .arg(&queue)
                .arg(count)
                .invoke_async(&mut self.connection.clone())
                .await
                .map_err(QueueError::redis("remembering partitions"))?;
            partitions.queues.insert(queue, Split { fed: count, there });
        }
        self.partitions = Arc::new(partitions);
        Ok(self)
    }

    /// The partitions of a queue that may hold jobs, by the name under which each can be looked at; the queue itself
    /// comes first, and alone if it is not split.
    pub fn partitions(&self, queue: &str) -> Vec<String> {
        (0..self.partitions.there(queue)).map(|number| name(Cow::Borrowed(queue), number).into_owned()).collect()
    }

    /// The partition that a job goes to.
    pub fn partition_for(&self, job: &NewJob) -> Cow<'static, str> {
        let fed = self.partitions.queues.get(job.queue()).map_or(1, |split| split.fed);
        let number = if fed == 1 { 0 } else { spread(&job.companions(), fed) };
        name(Cow::Borrowed(job.queue()), number)
    }

    /// What Redis remembers, with nothing fed but the queues themselves.
    pub(crate) async fn remembered_partitions(&self) -> Result<Partitions, QueueError> {
        let reading = QueueError::redis("reading the partitions");
        let found = self.scan(&self.keys.partitions(), MAX_SPLIT_QUEUES).await.map_err(reading)?;
        let read = |(queue, number): (String, String)| {
            let there = number.parse::<u32>().unwrap_or(1).clamp(1, MAX_PARTITIONS);
            (queue, Split { fed: 1, there })
        };
        Ok(Partitions { queues: found.into_iter().map(read).collect() })
    }

    /// Gives new partitions the limits and pauses of their queue, before anything is in them.
    async fn furnish(&self, queue: &str, new: std::ops::Range<u32>) -> redis::RedisResult<()> {
        let own = self.keys.queue(queue);
        for part in ["limits", "paused"] {
            if new.is_empty() {
                break;
            }
            let settings = self.scan(&own.part(part), MAX_SETTINGS).await?;
            for number in new.clone() {
                let key = self.keys.queue(&name(Cow::Borrowed(queue), number)).part(part);
                for some in settings.chunks(SETTINGS_PER_CALL) {
                    redis::cmd("HSET").arg(&key).arg(some).exec_async(&mut self.connection.clone()).await?;
                }
            }
        }
        Ok(())
    }
}

impl Partitions {
    fn there(&self, queue: &str) -> u32 {
        self.queues.get(queue).map_or(1, |split| split.there)
    }
}

fn name(queue: Cow<'_, str>, number: u32) -> Cow<'_, str> {
    if number == 0 { queue } else { Cow::Owned(format!("{queue}~{number}")) }
}

/// The same number everywhere and for ever, whatever computes it.
fn spread(word: &str, over: u32) -> u32 {
    let digest: [u8; 32] = Sha256::digest(word).into();
    let [first, second, third, fourth, ..] = digest;
    u32::from_be_bytes([first, second, third, fourth]) % over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_word_goes_never_changes() {
        let places: Vec<u32> = ["", "acme", "gateway:stripe", "job:key"].iter().map(|word| spread(word, 64)).collect();
        assert_eq!(places, [2, 45, 42, 53]);
    }

    #[test]
    fn words_are_spread_evenly() {
        for over in [2, 3, 4, 8, 64] {
            let mut counts = vec![0_u32; over as usize];
            for number in 0..over * 1_000 {
                counts[spread(&format!("tenant-{number}"), over) as usize] += 1;
            }
            assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{over}: {counts:?}");
        }
    }

    #[test]
    fn the_first_partition_has_the_queues_name_and_no_other_can_be_a_queue() {
        assert_eq!((name("usage".into(), 0), name("usage".into(), 2)), ("usage".into(), "usage~2".into()));
        assert!(check_name("queue", "usage~2").is_err());
    }
}
