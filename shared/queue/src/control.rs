//! What an operator may set while everything runs: pauses of a queue or a job type, and limits that hold across
//! the whole fleet.
//!
//! Owns their form in Redis and their checks. That they are kept is the business of `turn.lua`; how things stand
//! is told by `insight`.
//!
//! **Invariant:** every change lets parked jobs be looked at again, so that none waits for what no longer holds.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;
use serde::{Deserialize, Serialize};

use crate::client::QueueClient;
use crate::entry::check_limit_key;
use crate::error::QueueError;
use crate::keys::{QueueKeys, check_name};

/// Most pauses of one queue: far more than a queue has job types, and few enough to list.
const MAX_PAUSES: usize = 1_000;

/// Most limits set on one queue: each tenant of a large installation can have its own.
const MAX_LIMITS_SET: usize = 10_000;

/// Most keys listed by [`QueueClient::limits`].
const MAX_LIMITS_LISTED: usize = 1_000;

/// Longest name of who pauses, and longest reason, in bytes: a sentence, not a report.
const MAX_WORDS_BYTES: usize = 512;

/// The shortest time that a rate can be for: Redis's clock as the scripts keep it.
const SHORTEST_PER: Duration = Duration::from_millis(1);

/// The longest: what is owed must not outlive the day's operators.
const LONGEST_PER: Duration = Duration::from_secs(24 * 60 * 60);

/// Fields per step of a scan: some kilobytes.
const SCAN_COUNT: usize = 500;

/// The field of a whole queue among the pauses. No job can be called so.
const WHOLE_QUEUE: &str = "*";

/// Stands for "no limit of this kind".
const NONE: &str = "-";

static PAUSE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!("#!lua\n", include_str!("lua/lines.lua"), include_str!("lua/pause.lua"))));

/// Also when memory is full: it lets a queue drain.
static RESUME: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!("#!lua flags=allow-oom\n", include_str!("lua/lines.lua"), include_str!("lua/resume.lua")))
});

/// Also when memory is full: a looser limit lets a queue drain, and there are few of them.
static SET_LIMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!("#!lua flags=allow-oom\n", include_str!("lua/lines.lua"), include_str!("lua/set_limit.lua")))
});

/// What is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseTarget<'a> {
    /// The queue: nothing of it is claimed.
    Queue,
    /// The job type of this name: its jobs are set aside while others go on.
    Job(&'a str),
}

impl PauseTarget<'_> {
    fn field(&self) -> Result<&str, QueueError> {
        match self {
            Self::Queue => Ok(WHOLE_QUEUE),
            Self::Job(name) => check_name("job", name).map(|()| *name),
        }
    }
}

/// Who paused something, why and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who it was.
    pub by: String,
    /// Why, for those who find work waiting.
    pub reason: String,
    /// When, by Redis's clock: milliseconds since 1970. Stamped by the script that stores it.
    #[serde(rename = "at", default, skip_serializing)]
    pub at_ms: i64,
}

/// What a key may take at most, across the whole fleet, on one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limit {
    /// Jobs running at once; 0 lets none begin.
    pub concurrency: Option<u32>,
    /// Units begun per time.
    pub rate: Option<Rate>,
}

/// A rate with a burst. Kept by the generic cell rate algorithm (ITU-T I.371): units are earned evenly, and up to
/// `burst` of them can be saved. A job that costs more than the burst begins when all of it is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units earned in `per`; at least 1. A job takes its declared cost of them.
    pub units: u32,
    /// One millisecond to one day, counted in whole milliseconds.
    pub per: Duration,
    /// Units that can be taken at once after a quiet time; at least 1.
    pub burst: u32,
}

/// How a limit key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitStatus {
    /// The key that jobs declare.
    pub key: String,
    /// What is set for it; nothing if it is only counted.
    pub limit: Option<Limit>,
    /// Running jobs that declare it.
    pub in_use: u64,
    /// Jobs that wait for it.
    pub parked: u64,
}

impl QueueClient {
    /// Pauses a queue, with all its partitions, or a job type until [`QueueClient::resume`]. Running jobs run on;
    /// pausing again replaces who and why.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] without a name or a reason (at most 512 bytes each), for a bad name or when a thousand
    /// things are paused already; [`QueueError::Unavailable`].
    pub async fn pause(&self, queue: &str, target: PauseTarget<'_>, by: &str, reason: &str) -> Result<(), QueueError> {
        check_name("queue", queue)?;
        let field = target.field()?;
        check_words("who pauses", by)?;
        check_words("reason of a pause", reason)?;
        let pause = Pause { by: by.to_owned(), reason: reason.to_owned(), at_ms: 0 };
        // Two strings always serialize.
        let note = serde_json::to_string(&pause).unwrap_or_default();
        for partition in self.partitions(queue) {
            let paused: bool = PAUSE
                .key(&self.keys.queue(&partition).base)
                .arg(field)
                .arg(&note)
                .arg(MAX_PAUSES)
                .invoke_async(&mut self.connection.clone())
                .await
                .map_err(QueueError::redis("pausing"))?;
            if !paused {
                return Err(too_many("pauses", MAX_PAUSES));
            }
        }
        Ok(())
    }

    /// Ends a pause; whether there was one. What waited goes on at once, in its order.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for a bad name; [`QueueError::Unavailable`].
    pub async fn resume(&self, queue: &str, target: PauseTarget<'_>) -> Result<bool, QueueError> {
        check_name("queue", queue)?;
        let field = target.field()?;
        let mut was_paused = false;
        for partition in self.partitions(queue) {
            was_paused |= RESUME
                .key(&self.keys.queue(&partition).base)
                .arg(field)
                .invoke_async::<bool>(&mut self.connection.clone())
                .await
                .map_err(QueueError::redis("resuming"))?;
        }
        Ok(was_paused)
    }

    /// What is paused: job names, or nothing for the queue itself, which comes first.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn pauses(&self, queue: &str) -> Result<Vec<(Option<String>, Pause)>, QueueError> {
        let keys = self.keys.queue(queue);
        let fields = self.scan(&keys.part("paused"), MAX_PAUSES).await.map_err(QueueError::redis("listing pauses"))?;
        let mut pauses: Vec<(Option<String>, Pause)> = fields
            .into_iter()
            .map(|(field, note)| {
                // Written by hand or by another version, it is a pause all the same.
                let pause = serde_json::from_str(&note).unwrap_or(Pause { by: String::new(), reason: note, at_ms: 0 });
                ((field != WHOLE_QUEUE).then_some(field), pause)
            })
            .collect();
        pauses.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(pauses)
    }

    /// Sets or changes the limit of a key that jobs declare ([`crate::Job::limits`]). It holds for what begins from
    /// now on; running jobs run on.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for a bad key, a limit that limits nothing, a rate outside of its bounds, or when ten
    /// thousand are set already; [`QueueError::Unavailable`].
    pub async fn set_limit(&self, queue: &str, key: &str, limit: &Limit) -> Result<(), QueueError> {
        check_name("queue", queue)?;
        check_limit_key(key)?;
        limit.check()?;
        for partition in self.partitions(queue) {
            if !self.store_limit(&self.keys.queue(&partition), key, Some(limit)).await? {
                return Err(too_many("limits", MAX_LIMITS_SET));
            }
        }
        Ok(())
    }

    /// Removes the limit of a key; whether there was one. What waited for it goes on.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for a bad key; [`QueueError::Unavailable`].
    pub async fn remove_limit(&self, queue: &str, key: &str) -> Result<bool, QueueError> {
        check_name("queue", queue)?;
        check_limit_key(key)?;
        let mut was_set = false;
        for partition in self.partitions(queue) {
            was_set |= self.store_limit(&self.keys.queue(&partition), key, None).await?;
        }
        Ok(was_set)
    }

    async fn store_limit(&self, keys: &QueueKeys, key: &str, limit: Option<&Limit>) -> Result<bool, QueueError> {
        SET_LIMIT
            .key(&keys.base)
            .arg(key)
            .arg(limit.map(Limit::words).unwrap_or_default())
            .arg(u8::from(limit.is_some_and(|limit| limit.rate.is_some())))
            .arg(MAX_LIMITS_SET)
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("setting a limit"))
    }

    /// The keys that are limited or in use, by name; a thousand at most, those with a limit before others.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn limits(&self, queue: &str) -> Result<Vec<LimitStatus>, QueueError> {
        let keys = self.keys.queue(queue);
        self.read_limits(&keys).await.map_err(QueueError::redis("listing limits"))
    }

    async fn read_limits(&self, keys: &QueueKeys) -> redis::RedisResult<Vec<LimitStatus>> {
        let in_use_key = keys.part("in_use");
        let mut found: Vec<LimitStatus> = Vec::new();
        for (key, words) in self.scan(&keys.part("limits"), MAX_LIMITS_LISTED).await? {
            found.push(LimitStatus { key, limit: Limit::read(&words), in_use: 0, parked: 0 });
        }
        found.sort_by(|one, other| one.key.cmp(&other.key));
        let limited = found.len();
        for (key, _) in self.scan(&in_use_key, MAX_LIMITS_LISTED - limited).await? {
            if found[..limited].binary_search_by(|status| status.key.cmp(&key)).is_err() {
                found.push(LimitStatus { key, limit: None, in_use: 0, parked: 0 });
            }
        }
        if found.is_empty() {
            return Ok(found);
        }
        found.sort_by(|one, other| one.key.cmp(&other.key));
        let names: Vec<&str> = found.iter().map(|status| status.key.as_str()).collect();
        let gates: Vec<String> = names.iter().map(|key| format!("limit:{key}")).collect();
        let (in_use, parked): (Vec<Option<u64>>, Vec<Option<u64>>) = redis::pipe()
            .hmget(&in_use_key, &names)
            .hmget(keys.part("parked"), &gates)
            .query_async(&mut self.connection.clone())
            .await?;
        for (status, (in_use, parked)) in found.iter_mut().zip(in_use.into_iter().zip(parked)) {
            status.in_use = in_use.unwrap_or_default();
            status.parked = parked.unwrap_or_default();
        }
        Ok(found)
    }

    /// The fields of a hash, so many at most, in steps that keep nobody waiting.
    pub(crate) async fn scan(&self, hash: &str, most: usize) -> redis::RedisResult<Vec<(String, String)>> {
        let mut found = std::collections::BTreeMap::new();
        let mut cursor = 0_u64;
        while found.len() < most {
            let step: (u64, Vec<(String, String)>) = redis::cmd("HSCAN")
                .arg(hash)
                .arg(cursor)
                .arg("COUNT")
                .arg(SCAN_COUNT)
                .query_async(&mut self.connection.clone())
                .await?;
            // A scan may tell of a field twice.
            found.extend(step.1);
            cursor = step.0;
            if cursor == 0 {
                break;
            }
        }
        Ok(found.into_iter().take(most).collect())
    }
}

impl Limit {
    fn check(&self) -> Result<(), QueueError> {
        let Some(rate) = self.rate else {
            return match self.concurrency {
                Some(_) => Ok(()),
                None => Err(QueueError::invalid("a limit without concurrency and rate", "limits nothing; remove it")),
            };
        };
        if !(SHORTEST_PER..=LONGEST_PER).contains(&rate.per) {
            return Err(QueueError::invalid(format!("rate per {:?}", rate.per), "must be per 1 ms to 1 day"));
        }
        // The scripts keep time in microseconds: a unit that takes less cannot be told apart from none.
        if rate.units == 0 || u128::from(rate.units) > rate.per.as_micros() {
            let rule = "must be at least 1, and at most one per microsecond";
            return Err(QueueError::invalid(format!("rate of {} units per {:?}", rate.units, rate.per), rule));
        }
        if rate.burst == 0 {
            return Err(QueueError::invalid("burst of 0 units", "must be at least 1"));
        }
        Ok(())
    }

    /// As `turn.lua` reads it: concurrency, units, per in ms, burst.
    fn words(&self) -> String {
        let concurrency = self.concurrency.map_or_else(|| NONE.to_owned(), |most| most.to_string());
        match self.rate {
            Some(Rate { units, per, burst }) => format!("{concurrency} {units} {} {burst}", per.as_millis()),
            None => format!("{concurrency} {NONE} 0 0"),
        }
    }

    fn read(words: &str) -> Option<Self> {
        let words: Vec<&str> = words.split(' ').collect();
        let [concurrency, units, per, burst] = words[..] else { return None };
        let rate = match units {
            NONE => None,
            units => Some(Rate {
                units: units.parse().ok()?,
                per: Duration::from_millis(per.parse().ok()?),
                burst: burst.parse().ok()?,
            }),
        };
        let concurrency = match concurrency {
            NONE => None,
            most => Some(most.parse().ok()?),
        };
        Some(Self { concurrency, rate })
    }
}

fn check_words(what: &str, words: &str) -> Result<(), QueueError> {
    if !words.trim().is_empty() && words.len() <= MAX_WORDS_BYTES {
        return Ok(());
    }
    Err(QueueError::invalid(what, format!("must be said, in at most {MAX_WORDS_BYTES} bytes")))
}

fn too_many(what: &str, most: usize) -> QueueError {
    QueueError::invalid(format!("more than {most} {what} of one queue"), "cannot be set; remove others first")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { units: 100, per: Duration::from_secs(1), burst: 10 };

    #[test]
    fn a_limit_is_read_as_it_was_written() {
        for (limit, words) in [
            (Limit { concurrency: Some(3), rate: Some(RATE) }, "3 100 1000 10"),
            (Limit { concurrency: None, rate: Some(RATE) }, "- 100 1000 10"),
            (Limit { concurrency: Some(0), rate: None }, "0 - 0 0"),
        ] {
            assert!(limit.check().is_ok());
            assert_eq!(limit.words(), words);
            assert_eq!(Limit::read(words), Some(limit));
        }
        assert_eq!(Limit::read("3"), None);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let rate = |change: fn(&mut Rate)| {
            let mut rate = RATE;
            change(&mut rate);
            Limit { concurrency: None, rate: Some(rate) }.check()
        };
        assert!(Limit::default().check().is_err());
        assert!(rate(|_| ()).is_ok());
        assert!(rate(|rate| rate.units = 0).is_err());
        assert!(rate(|rate| rate.units = 1_000_001).is_err());
        assert!(rate(|rate| rate.burst = 0).is_err());
        assert!(rate(|rate| rate.per = Duration::from_micros(999)).is_err());
        assert!(rate(|rate| rate.per = LONGEST_PER + SHORTEST_PER).is_err());
    }
}
