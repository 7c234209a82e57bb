//! What the stories of dead letters share: letters of any kind put there at once, and a check that everything Redis
//! knows of dead letters agrees.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use queue::{By, DeadFilter, DeadLetter, Page, QueueClient, StoredDeadLetter};

use crate::harness::QUEUE;
use crate::server::{PREFIX, Redis};

/// Everything of the queue at one moment: dead ids with times, index, entries, dead unique keys, the ids that wait or run
/// anywhere, and the journal.
const SNAPSHOT: &str = r"
    local B, at_work = KEYS[1], {}
    local function add(ids) for _, id in ipairs(ids) do at_work[#at_work + 1] = id end end
    for _, key in ipairs(redis.call('KEYS', B .. ':*/[hnl]/*')) do add(redis.call('LRANGE', key, 0, -1)) end
    add(redis.call('ZRANGE', B .. ':scheduled', 0, -1))
    for _, lease in ipairs(redis.call('ZRANGE', B .. ':leases', 0, -1)) do add({ string.match(lease, '^%d+:([^:]+):') }) end
    return {
      redis.call('ZRANGE', B .. ':dead', 0, -1, 'WITHSCORES'), redis.call('HGETALL', B .. ':dead:index'),
      redis.call('HGETALL', B .. ':jobs'), redis.call('HGETALL', B .. ':dead:unique'), at_work,
      redis.call('XRANGE', B .. ':dead:changes', '-', '+'),
    }";

pub(crate) fn by() -> By {
    By { who: "ada".to_owned(), reason: "the gateway is back".to_owned() }
}

/// The latest hundred dead letters.
pub(crate) async fn all_dead(client: &QueueClient) -> Vec<DeadLetter> {
    client.dead_letters(QUEUE, &DeadFilter::default(), Page { before: None, limit: 100 }).await.unwrap()
}

pub(crate) async fn count(client: &QueueClient) -> u64 {
    client.count_dead(QUEUE, &DeadFilter::default()).await.unwrap()
}

/// A letter as a mirror might hold it.
pub(crate) struct Sketch<'a> {
    pub(crate) id: String,
    pub(crate) died_at_ms: i64,
    pub(crate) job: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    /// Scope and key, `-` for none.
    pub(crate) unique: &'a str,
}

impl Default for Sketch<'_> {
    fn default() -> Self {
        Self {
            id: "one".to_owned(),
            died_at_ms: 1_000,
            job: "cameo",
            tenant: "acme",
            code: "hopeless",
            message: "will never work",
            unique: "-",
        }
    }
}

impl Sketch<'_> {
    pub(crate) fn letter(&self) -> StoredDeadLetter {
        let Self { id, died_at_ms, job, tenant, code, message, unique } = self;
        let flag = if *unique == "-" { '.' } else { '!' };
        let cause = serde_json::json!({
            "at": died_at_ms, "attempt": 1, "code": code, "message": message, "worker": "w"
        });
        let entry = format!("{flag}1 n 500+0 {job} {tenant} - {unique}\n\n{{\"name\":\"{id}\"}}\n{cause}");
        StoredDeadLetter { id: id.clone(), died_at_ms: *died_at_ms, entry }
    }
}

/// Puts letters there without anybody's dying.
pub(crate) async fn put(client: &QueueClient, letters: Vec<StoredDeadLetter>) {
    let expected = letters.len();
    assert_eq!(client.restore_dead(QUEUE, letters).await.unwrap(), expected);
}

/// Everything that Redis knows of the dead letters of [`QUEUE`].
pub(crate) struct DeadState {
    pub(crate) died_at: BTreeMap<String, i64>,
    pub(crate) holders: HashMap<String, String>,
    index: HashMap<String, String>,
    entries: HashMap<String, String>,
    at_work: Vec<String>,
    journal: Vec<(String, HashMap<String, String>)>,
}

impl DeadState {
    /// Reads it at one moment.
    pub(crate) async fn read(server: &Redis) -> Self {
        type Answer = (
            BTreeMap<String, i64>,
            HashMap<String, String>,
            HashMap<String, String>,
            HashMap<String, String>,
            Vec<String>,
            Vec<(String, HashMap<String, String>)>,
        );
        let base = format!("{{{PREFIX}:{QUEUE}}}");
        let (died_at, index, entries, holders, at_work, journal): Answer =
            server.ask(&["EVAL", SNAPSHOT, "1", &base]).await;
        Self { died_at, holders, index, entries, at_work, journal }
    }

    /// Fails if two parts of it contradict each other.
    pub(crate) fn check(&self) {
        let dead: BTreeSet<&String> = self.died_at.keys().collect();
        assert_eq!(self.index.keys().collect::<BTreeSet<_>>(), dead, "the index is of the dead");
        let at_work: BTreeSet<&String> = self.at_work.iter().collect();
        assert_eq!(at_work.len(), self.at_work.len(), "no job is in two places: {:?}", self.at_work);
        assert!(dead.is_disjoint(&at_work), "who is dead is not at work");
        let all: BTreeSet<&String> = dead.union(&at_work).copied().collect();
        assert_eq!(self.entries.keys().collect::<BTreeSet<_>>(), all, "entries are of the dead and of those at work");
        for id in &dead {
            self.check_line(id);
        }
        for (field, holder) in &self.holders {
            let of_field = |id: &&&String| self.field(id).as_ref() == Some(field);
            let latest = dead.iter().filter(of_field).map(|id| self.died_at[*id]).max();
            assert_eq!(latest, self.died_at.get(holder).copied(), "{field} is the latest's, not {holder}'s");
            assert_eq!(self.field(holder).as_ref(), Some(field));
        }
    }

    fn letter(&self, id: &str) -> DeadLetter {
        let entry = self.entries[id].clone();
        StoredDeadLetter { id: id.to_owned(), died_at_ms: self.died_at[id], entry }.read(QUEUE)
    }

    fn check_line(&self, id: &str) {
        let letter = self.letter(id);
        let cause = letter.history.last().unwrap();
        let tenant = letter.tenant.as_deref().unwrap_or("-");
        let line = format!("{} {} {tenant} {}", letter.fingerprint, letter.job, cause.code);
        assert_eq!(self.index[id], line, "the index says what the entry says");
    }

    fn field(&self, id: &str) -> Option<String> {
        let letter = self.letter(id);
        letter.unique_key.map(|key| format!("{}:{key}", letter.job))
    }

    /// Fails if the journal, of which nothing was forgotten, does not lead to what is, or tells of something that could
    /// not be.
    pub(crate) fn check_journal(&self) {
        let mut dead: BTreeSet<&String> = BTreeSet::new();
        for (change_id, fields) in &self.journal {
            let id = &fields["id"];
            let could_be = match fields["what"].as_str() {
                "died" => dead.insert(id),
                "edited" => dead.contains(id),
                _ => dead.remove(id),
            };
            assert!(could_be, "{change_id} {fields:?}");
        }
        assert_eq!(dead, self.died_at.keys().collect::<BTreeSet<_>>(), "the journal ends with what is");
    }
}

/// Fails if the dead letters of [`QUEUE`] contradict themselves. Workers may go on meanwhile.
pub(crate) async fn consistent(server: &Redis) -> DeadState {
    let state = DeadState::read(server).await;
    state.check();
    state
}
