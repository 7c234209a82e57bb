//! What happens on a queue, counted: [`Tally`] gathers it in a worker between two beats, the script adds it to
//! the minute's hash in Redis, and [`Counts`] reads it back over the whole fleet.
//!
//! Owns the field names of those hashes. Durations fall into buckets of fixed bounds, so that those of all workers
//! add up.
//!
//! **Invariant:** the bounds are for ever: fleets with different ones would add up nonsense.

use std::collections::BTreeMap;
use std::time::Duration;

/// Upper bound of the first bucket, in nanoseconds: a tenth of a millisecond, below what any job takes with its
/// way to Redis and back.
const FIRST_BOUND_NANOS: f64 = 100_000.0;

/// How many buckets a doubling has: a percentile is at most a fifth too high.
const BUCKETS_PER_DOUBLING: f64 = 4.0;

/// The bucket of everything longer: 30 doublings of the first bound are more than a day.
const LAST_BUCKET: usize = 120;

/// Before the number of a bucket of waits.
const WAIT: char = 'w';

/// Before the number of a bucket of run times.
const RUN: char = 'r';

/// What is counted. Each is a field of a minute's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    /// Counted by the script that adds.
    Added,
    Claimed,
    Done,
    Cancelled,
    Snoozed,
    Retried,
    Dead,
    Released,
    /// Counted by the script that takes expired leases back.
    Reclaimed,
}

impl Counter {
    /// The field's name.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Claimed => "claimed",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Snoozed => "snoozed",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Released => "released",
            Self::Reclaimed => "reclaimed",
        }
    }
}

/// What a worker has counted and not handed in yet. Bounded: there are only so many fields.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counters: BTreeMap<Counter, u64>,
    waits: BTreeMap<usize, u64>,
    runs: BTreeMap<usize, u64>,
    /// Handed out by [`Tally::take`] and returned.
    returned: BTreeMap<String, u64>,
}

impl Tally {
    /// One more.
    pub(crate) fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// So many more.
    pub(crate) fn add(&mut self, counter: Counter, count: u64) {
        *self.counters.entry(counter).or_default() += count;
    }

    /// A job was claimed so long after it could have run.
    pub(crate) fn waited(&mut self, wait: Duration) {
        *self.waits.entry(bucket(wait)).or_default() += 1;
    }

    /// A handler took so long.
    pub(crate) fn ran(&mut self, time: Duration) {
        *self.runs.entry(bucket(time)).or_default() += 1;
    }

    /// Everything since the last time, as fields and increments for the script.
    pub(crate) fn take(&mut self) -> Vec<(String, u64)> {
        let mut fields = std::mem::take(&mut self.returned);
        for (counter, count) in std::mem::take(&mut self.counters) {
            *fields.entry(counter.field().to_owned()).or_default() += count;
        }
        for (sign, buckets) in [(WAIT, &mut self.waits), (RUN, &mut self.runs)] {
            for (index, count) in std::mem::take(buckets) {
                *fields.entry(format!("{sign}{index}")).or_default() += count;
            }
        }
        fields.into_iter().collect()
    }

    /// Takes back what could not be handed in.
    pub(crate) fn give_back(&mut self, fields: Vec<(String, u64)>) {
        for (field, count) in fields {
            *self.returned.entry(field).or_default() += count;
        }
    }
}

/// What the hash of one or more minutes says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    fields: BTreeMap<String, u64>,
    waits: BTreeMap<usize, u64>,
    runs: BTreeMap<usize, u64>,
}

impl Counts {
    /// Adds a hash's fields. What is no known number is left out: another version may count more.
    pub(crate) fn add(&mut self, fields: &[(String, u64)]) {
        for (field, count) in fields {
            let bucket = |sign| field.strip_prefix(sign).and_then(|index: &str| index.parse::<usize>().ok());
            if let Some(index) = bucket(WAIT) {
                *self.waits.entry(index).or_default() += count;
            } else if let Some(index) = bucket(RUN) {
                *self.runs.entry(index).or_default() += count;
            } else {
                *self.fields.entry(field.clone()).or_default() += count;
            }
        }
    }

    /// How often it was counted.
    pub(crate) fn of(&self, counter: Counter) -> u64 {
        self.fields.get(counter.field()).copied().unwrap_or_default()
    }

    /// The wait that so many percent of the claims stayed within.
    pub(crate) fn wait_percentile(&self, percent: u64) -> Option<Duration> {
        percentile(&self.waits, percent)
    }

    /// The run time that so many percent of the runs stayed within.
    pub(crate) fn run_percentile(&self, percent: u64) -> Option<Duration> {
        percentile(&self.runs, percent)
    }
}

/// The bucket of a duration: the first whose bound it does not exceed.
fn bucket(duration: Duration) -> usize {
    let ratio = duration.as_secs_f64() * 1e9 / FIRST_BOUND_NANOS;
    if ratio <= 1.0 {
        return 0;
    }
    // Never negative, and cut where it would not fit.
    ((ratio.log2() * BUCKETS_PER_DOUBLING).ceil() as usize).min(LAST_BUCKET)
}

/// The upper bound of a bucket.
fn bound(index: usize) -> Duration {
    let doublings = index.min(LAST_BUCKET) as f64 / BUCKETS_PER_DOUBLING;
    Duration::from_secs_f64(FIRST_BOUND_NANOS * doublings.exp2() / 1e9)
}

fn percentile(buckets: &BTreeMap<usize, u64>, percent: u64) -> Option<Duration> {
    let total: u64 = buckets.values().sum();
    let rank = (total * percent).div_ceil(100).max(1);
    let mut seen = 0;
    buckets
        .iter()
        .find(|(_, count)| {
            seen += *count;
            seen >= rank
        })
        .map(|(index, _)| bound(*index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_within_its_bucket_and_little_below_the_bound() {
        assert_eq!(bucket(Duration::ZERO), 0);
        let mut duration = Duration::from_micros(101);
        while duration < Duration::from_secs(86_400) {
            let bound = bound(bucket(duration));
            let slack = bound.as_secs_f64() / duration.as_secs_f64();
            assert!((0.999_999..1.2).contains(&slack), "{duration:?} {bound:?}");
            duration = duration.mul_f64(1.07);
        }
        assert_eq!(bucket(Duration::MAX), LAST_BUCKET);
        assert!(bound(LAST_BUCKET) > Duration::from_secs(86_400));
    }

    #[test]
    fn what_is_taken_adds_up_over_workers_and_reads_back() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.count(Counter::Done);
        one.add(Counter::Claimed, 3);
        (0..98).for_each(|_| one.ran(Duration::from_millis(2)));
        other.count(Counter::Done);
        other.ran(Duration::from_secs(1));
        other.ran(Duration::from_secs(60));
        other.waited(Duration::from_millis(10));
        let mut counts = Counts::default();
        counts.add(&one.take());
        counts.add(&other.take());
        assert_eq!((counts.of(Counter::Done), counts.of(Counter::Claimed), counts.of(Counter::Dead)), (2, 3, 0));
        let near = |measured: Option<Duration>, truth: f64| {
            let seconds = measured.unwrap().as_secs_f64();
            assert!((truth..truth * 1.2).contains(&seconds), "{seconds} for {truth}");
        };
        near(counts.run_percentile(50), 0.002);
        near(counts.run_percentile(99), 1.0);
        near(counts.run_percentile(100), 60.0);
        near(counts.wait_percentile(50), 0.01);
        assert_eq!(Counts::default().wait_percentile(95), None);
        assert!(one.take().is_empty());
    }

    #[test]
    fn what_could_not_be_handed_in_is_handed_in_next_time() {
        let mut tally = Tally::default();
        tally.count(Counter::Retried);
        let failed = tally.take();
        tally.count(Counter::Retried);
        tally.give_back(failed);
        assert_eq!(tally.take(), [("retried".to_owned(), 2)]);
    }
}
