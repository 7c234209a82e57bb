//! One dead letter, readable: [`DeadLetter`]; and as it is kept elsewhere: [`StoredDeadLetter`].

use serde::{Deserialize, Serialize};

use super::filter::{Line, NONE, Words};
use crate::entry::{Entry, Failure};
use crate::fingerprint::fingerprint;

/// The code of what a worker could not read.
const MALFORMED: &str = "malformed_entry";

/// A job that will not run again unless someone requeues it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The job's id.
    pub id: String,
    /// The queue it died on.
    pub queue: String,
    /// When, by Redis's clock, in milliseconds since 1970.
    pub died_at_ms: i64,
    /// Its wire name; empty if not even that can be read.
    pub job: String,
    /// Its tenant.
    pub tenant: Option<String>,
    /// How many attempts began since it was last enqueued or requeued.
    pub attempts: u32,
    /// Twelve hexadecimal digits that letters of the same job and cause share; `-` if the cause is not known.
    pub fingerprint: String,
    /// The key that only one such job may hold at work.
    pub unique_key: Option<String>,
    /// The payload as JSON; for a malformed entry everything that was found.
    pub payload: String,
    /// What went wrong, oldest first; the last one is the cause of death. May be empty if malformed.
    pub history: Vec<Failure>,
    /// The request that caused it.
    pub request_id: Option<String>,
    /// The job that enqueued it.
    pub parent: Option<String>,
}

/// A dead letter as it is kept outside of Redis, to be put back by [`crate::QueueClient::restore_dead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDeadLetter {
    /// The job's id.
    pub id: String,
    /// When it died, by Redis's clock, in milliseconds since 1970.
    pub died_at_ms: i64,
    /// All that Redis knows of it, opaque. What was not UTF-8 (no job of ours) is replaced.
    pub entry: String,
}

impl StoredDeadLetter {
    /// Makes it readable.
    pub fn read(&self, queue: &str) -> DeadLetter {
        let line = Line { id: self.id.clone(), died_at_ms: self.died_at_ms, words: self.index_line() };
        DeadLetter::read(queue, &line, &self.entry)
    }

    /// Its line in the index, made from the entry alone. For a job it is the one written when it died.
    pub(super) fn index_line(&self) -> String {
        let (text, failure) = split_cause(&self.entry);
        let entry = Entry::parse(text).ok();
        let tenant = entry.as_ref().and_then(|entry| entry.tenant.as_deref()).unwrap_or(NONE);
        let job = entry.as_ref().map_or("", |entry| entry.job.as_str());
        let kind = failure.map(|failure| {
            // A worker that cannot read an entry does not count on the job's name.
            let of = if failure.code == MALFORMED { "" } else { job };
            (fingerprint(of, &failure.code, &failure.message), failure.code)
        });
        let (fingerprint, code) = kind.unwrap_or_else(|| (NONE.to_owned(), MALFORMED.to_owned()));
        Words { fingerprint: &fingerprint, job, tenant, code: &code }.line()
    }
}

/// The entry without its last line, if that is a failure. It is one of every letter but the largest, which have
/// stopped growing, and those of which not even the first line could be read.
fn split_cause(text: &str) -> (&str, Option<Failure>) {
    let split = text.rsplit_once('\n').and_then(|(before, last)| Some((before, serde_json::from_str(last).ok()?)));
    split.map_or((text, None), |(before, failure)| (before, Some(failure)))
}

impl DeadLetter {
    pub(super) fn read(queue: &str, line: &Line, text: &str) -> Self {
        let words = line.words();
        let known = |word: &str| (word != NONE).then(|| word.to_owned());
        let mut letter = Self {
            id: line.id.clone(),
            queue: queue.to_owned(),
            died_at_ms: line.died_at_ms,
            job: known(words.job).unwrap_or_default(),
            tenant: known(words.tenant),
            attempts: 0,
            fingerprint: words.fingerprint.to_owned(),
            unique_key: None,
            payload: String::new(),
            history: Vec::new(),
            request_id: None,
            parent: None,
        };
        match Entry::parse(text) {
            Ok(entry) if words.code != MALFORMED => letter.fill(entry),
            _ => {
                let (found, failure) = split_cause(text);
                letter.payload = found.to_owned();
                letter.history = failure.into_iter().collect();
            }
        }
        letter
    }

    fn fill(&mut self, entry: Entry) {
        self.attempts = entry.spent;
        self.unique_key = entry.unique.map(|unique| unique.key);
        self.payload = entry.payload;
        self.history = entry.history.iter().filter_map(|note| serde_json::from_str(note).ok()).collect();
        self.request_id = entry.meta.request_id;
        self.parent = entry.meta.parent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSE: &str = r#"{"at":7,"attempt":2,"code":"hopeless","message":"no 5","worker":"w"}"#;

    fn stored(entry: &str) -> StoredDeadLetter {
        StoredDeadLetter { id: "one".to_owned(), died_at_ms: 7, entry: entry.to_owned() }
    }

    #[test]
    fn a_letter_is_known_from_its_entry_alone() {
        let first = r#"{"at":6,"attempt":1,"code":"busy","message":"m","worker":"w"}"#;
        let head = "!2 n 1+0 act acme - rthe key\n{\"request_id\":\"req_1\",\"parent\":\"p\"}\n{\"a\":1}";
        let letter = stored(&format!("{head}\n{first}\n{CAUSE}")).read("acts");
        let fingerprint = fingerprint("act", "hopeless", "no 9");
        assert_eq!((letter.fingerprint, letter.attempts), (fingerprint, 2));
        assert_eq!((letter.job.as_str(), letter.tenant.as_deref()), ("act", Some("acme")));
        assert_eq!((letter.unique_key.as_deref(), letter.payload.as_str()), (Some("the key"), "{\"a\":1}"));
        assert_eq!((letter.request_id.as_deref(), letter.parent.as_deref()), (Some("req_1"), Some("p")));
        assert_eq!(letter.history.iter().map(|failure| failure.at).collect::<Vec<_>>(), [6, 7]);
    }

    #[test]
    fn what_is_no_job_is_shown_as_it_was_found() {
        let garbage = stored("no job at all").read("acts");
        assert_eq!((garbage.payload.as_str(), garbage.fingerprint.as_str()), ("no job at all", "-"));
        assert_eq!((garbage.job.as_str(), garbage.tenant, garbage.history), ("", None, Vec::new()));

        // Two lines and a failure look like an entry; the failure says that they are none.
        let cause = CAUSE.replace("hopeless", MALFORMED);
        let short = stored(&format!(".1 n 1+0 act - - -\n\n{cause}"));
        assert!(short.index_line().ends_with(&format!(" - - {MALFORMED}")), "{}", short.index_line());
        let short = short.read("acts");
        assert_eq!((short.payload.as_str(), short.history.len()), (".1 n 1+0 act - - -\n", 1));
    }
}
