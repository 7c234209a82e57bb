//! Dead letters by their cause: [`DeadGroup`].

use std::collections::{HashMap, HashSet};

use super::Extent;
use super::filter::{DeadFilter, Line};
use super::walk::Walk;
use crate::client::QueueClient;
use crate::entry::Failure;
use crate::error::QueueError;

/// Most groups told of, the largest first: more kinds of failure than anyone reads.
const MAX_GROUPS: usize = 1_000;

/// The dead letters of one cause: same job, same code, same message but for numbers, ids and quoted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadGroup {
    /// Twelve hexadecimal digits; `-` for what was never a job.
    pub fingerprint: String,
    /// Wire name of the job; `-` for what was never a job.
    pub job: String,
    /// Stable code of the failure.
    pub code: String,
    /// Message of the latest; empty if that one was handled meanwhile or tells none.
    pub message: String,
    /// How many there are.
    pub count: u64,
    /// When the first of them died: by Redis's clock, in milliseconds since 1970.
    pub first_ms: i64,
    /// When the latest died.
    pub last_ms: i64,
    /// How many tenants are hit.
    pub tenants: u64,
    /// Id of the latest.
    pub latest_id: String,
}

/// A group while it is counted. Only the owner of the map's key knows its words.
struct Count {
    letters: u64,
    first_ms: i64,
    tenants: HashSet<String>,
    latest: Line,
}

impl QueueClient {
    /// The dead letters that a filter means by their cause, the largest groups first, a thousand at most. Looks through
    /// the whole index: about a second for some hundred thousand.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn dead_groups(&self, queue: &str, filter: &DeadFilter) -> Result<Vec<DeadGroup>, QueueError> {
        let mut walk = Walk::oldest_first(self, queue, filter);
        let mut counts: HashMap<String, Count> = HashMap::new();
        while let Some(lines) = walk.next_page().await? {
            for line in lines {
                add(&mut counts, line);
            }
        }
        let mut groups: Vec<DeadGroup> = counts.into_values().map(Count::group).collect();
        groups.sort_by(|one, other| {
            let rank = |group: &DeadGroup| (group.count, group.last_ms);
            rank(other).cmp(&rank(one)).then_with(|| one.fingerprint.cmp(&other.fingerprint))
        });
        groups.truncate(MAX_GROUPS);
        self.tell_messages(queue, &mut groups).await?;
        Ok(groups)
    }

    async fn tell_messages(&self, queue: &str, groups: &mut [DeadGroup]) -> Result<(), QueueError> {
        let latest: Vec<&str> = groups.iter().map(|group| group.latest_id.as_str()).collect();
        let rows = self.read_dead(&self.keys.queue(queue), Extent::Cause, &latest).await?;
        for (group, row) in groups.iter_mut().zip(rows) {
            let failure = row.and_then(|(_, _, cause)| serde_json::from_slice::<Failure>(&cause).ok());
            group.message = failure.map(|failure| failure.message).unwrap_or_default();
        }
        Ok(())
    }
}

/// Counts a line, which is later than all before it.
fn add(counts: &mut HashMap<String, Count>, line: Line) {
    let words = line.words();
    let key = [words.fingerprint, words.job, words.code].join(" ");
    let count = counts.entry(key).or_insert_with(|| Count {
        letters: 0,
        first_ms: line.died_at_ms,
        tenants: HashSet::new(),
        latest: line.clone(),
    });
    count.letters += 1;
    if words.tenant != super::filter::NONE && !count.tenants.contains(words.tenant) {
        count.tenants.insert(words.tenant.to_owned());
    }
    count.latest = line;
}

impl Count {
    fn group(self) -> DeadGroup {
        let words = self.latest.words();
        DeadGroup {
            fingerprint: words.fingerprint.to_owned(),
            job: words.job.to_owned(),
            code: words.code.to_owned(),
            message: String::new(),
            count: self.letters,
            first_ms: self.first_ms,
            last_ms: self.latest.died_at_ms,
            tenants: self.tenants.len() as u64,
            latest_id: self.latest.id,
        }
    }
}
