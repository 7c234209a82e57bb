//! How a job is written down in Redis: [`Entry`], readable with `redis-cli` and cheap to alter in a
//! script, which only ever looks at the first line.
//!
//! ```text
//! <enqueued at, ms> <attempt> <id> <h|n|l> <job> <tenant|-> <-|w|r><unique key>
//! <meta as JSON, or nothing>
//! <payload as JSON>
//! <one JSON object per failed attempt> ...
//! ```
//!
//! **Invariant:** JSON is written compactly and therefore holds no line feed; names, tenants and keys
//! are checked for it when a job is made. So lines are always what they seem.

use serde::{Deserialize, Serialize};

use crate::error::QueueError;
use crate::job::{Priority, UniqueKey, UniqueScope};
use crate::{MAX_KEY_BYTES, MAX_MESSAGE_BYTES};

/// Stands for "no tenant" in the first line.
const NO_TENANT: &str = "-";

/// Words of the first line before the scope and unique key, which may contain blanks.
const WORDS: usize = 7;

/// One job as Redis keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) enqueued_at_ms: i64,
    pub(crate) attempt: u32,
    pub(crate) id: String,
    pub(crate) priority: Priority,
    pub(crate) job: String,
    pub(crate) tenant: Option<String>,
    pub(crate) unique: Option<UniqueKey>,
    pub(crate) meta: Meta,
    pub(crate) payload: String,
    /// [`Failure`]s as JSON, undecoded: a worker never needs them.
    pub(crate) history: Vec<String>,
}

/// What belongs to a job besides its payload; absent parts take no room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    #[serde(default, rename = "trace", skip_serializing_if = "Option::is_none")]
    pub(crate) trace_parent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
}

/// One failed attempt, as kept with a job that is tried again and with a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When, by Redis's clock: milliseconds since 1970. Stamped by the script that stores it.
    #[serde(default, skip_serializing)]
    pub at: i64,
    /// Which attempt; 1 is the first.
    pub attempt: u32,
    /// The stable code.
    pub code: String,
    /// The message, cut to [`MAX_MESSAGE_BYTES`].
    pub message: String,
    /// The worker it ran on.
    pub worker: String,
}

/// Why bytes are not an [`Entry`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed entry: {0}")]
pub(crate) struct MalformedEntry(&'static str);

impl Entry {
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedEntry> {
        let mut lines = text.split('\n');
        let head = lines.next().ok_or(MalformedEntry("it is empty"))?;
        let meta = lines.next().ok_or(MalformedEntry("no meta line"))?;
        let payload = lines.next().ok_or(MalformedEntry("no payload line"))?;
        let words: Vec<&str> = head.splitn(WORDS, ' ').collect();
        let [enqueued, attempt, id, lane, job, tenant, unique] = words[..] else {
            return Err(MalformedEntry("words are missing"));
        };
        Ok(Self {
            enqueued_at_ms: number(enqueued)?,
            attempt: number(attempt)?,
            id: id.to_owned(),
            priority: priority_of(lane)?,
            job: job.to_owned(),
            tenant: (tenant != NO_TENANT).then(|| tenant.to_owned()),
            unique: unique_of(unique)?,
            meta: meta_of(meta)?,
            payload: payload.to_owned(),
            history: lines.map(str::to_owned).collect(),
        })
    }

    /// Whether a unique key is still held while the job runs, and thus to be freed when it ends.
    pub(crate) fn holds_key_while_running(&self) -> bool {
        matches!(&self.unique, Some(unique) if unique.scope == UniqueScope::WaitingOrRunning)
    }
}

fn number<N: std::str::FromStr>(word: &str) -> Result<N, MalformedEntry> {
    word.parse().map_err(|_| MalformedEntry("not a number"))
}

fn priority_of(lane: &str) -> Result<Priority, MalformedEntry> {
    match lane {
        "h" => Ok(Priority::High),
        "n" => Ok(Priority::Normal),
        "l" => Ok(Priority::Low),
        _ => Err(MalformedEntry("unknown priority")),
    }
}

fn unique_of(word: &str) -> Result<Option<UniqueKey>, MalformedEntry> {
    match word.split_at_checked(1) {
        Some(("-", "")) => Ok(None),
        Some(("w", key)) => Ok(Some(UniqueKey::waiting(key))),
        Some(("r", key)) => Ok(Some(UniqueKey::waiting_or_running(key))),
        _ => Err(MalformedEntry("unknown unique scope")),
    }
}

fn meta_of(line: &str) -> Result<Meta, MalformedEntry> {
    if line.is_empty() {
        return Ok(Meta::default());
    }
    serde_json::from_str(line).map_err(|_| MalformedEntry("meta is not JSON"))
}

/// The part of an [`Entry`] that is known before Redis stamps it.
pub(crate) struct Draft<'a> {
    pub(crate) id: &'a str,
    pub(crate) priority: Priority,
    pub(crate) job: &'a str,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) unique: Option<&'a UniqueKey>,
    pub(crate) meta: &'a Meta,
    pub(crate) payload: &'a str,
}

impl Draft<'_> {
    /// The entry without its first two words.
    pub(crate) fn tail(&self) -> String {
        let lane = match self.priority {
            Priority::High => 'h',
            Priority::Normal => 'n',
            Priority::Low => 'l',
        };
        let (scope, key) = match self.unique {
            None => ('-', ""),
            Some(unique) => match unique.scope {
                UniqueScope::Waiting => ('w', unique.key.as_str()),
                UniqueScope::WaitingOrRunning => ('r', unique.key.as_str()),
            },
        };
        let meta = if *self.meta == Meta::default() {
            String::new()
        } else {
            // Three optional strings always serialize.
            serde_json::to_string(self.meta).unwrap_or_default()
        };
        format!(
            "{id} {lane} {job} {tenant} {scope}{key}\n{meta}\n{payload}",
            id = self.id,
            job = self.job,
            tenant = self.tenant.unwrap_or(NO_TENANT),
            payload = self.payload,
        )
    }

    /// The field of the hash of unique keys, empty if there is none.
    pub(crate) fn unique_field(&self) -> String {
        self.unique.map(|unique| format!("{}:{}", self.job, unique.key)).unwrap_or_default()
    }
}

/// Checks a tenant: a word that is not the sign for none.
pub(crate) fn check_tenant(tenant: &str) -> Result<(), QueueError> {
    let is_word = !tenant.is_empty()
        && tenant != NO_TENANT
        && tenant.len() <= MAX_KEY_BYTES
        && !tenant.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_word {
        return Ok(());
    }
    Err(QueueError::invalid(format!("tenant {tenant:?}"), format!("must be a word of 1 to {MAX_KEY_BYTES} bytes")))
}

/// Checks a unique key: anything on one line.
pub(crate) fn check_unique_key(key: &str) -> Result<(), QueueError> {
    let fits = (1..=MAX_KEY_BYTES).contains(&key.len());
    if fits && !key.contains(char::is_control) {
        return Ok(());
    }
    Err(QueueError::invalid(
        format!("unique key {key:?}"),
        format!("must be 1 to {MAX_KEY_BYTES} bytes without control characters"),
    ))
}

impl Failure {
    /// The failure as the script stores it, which adds the time.
    pub(crate) fn note(&self) -> String {
        // Numbers and strings always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Cuts a message to what is kept of it, at a character boundary.
pub(crate) fn cut_message(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft<'a>(unique: Option<&'a UniqueKey>, meta: &'a Meta) -> Draft<'a> {
        Draft {
            id: "0af7",
            priority: Priority::Low,
            job: "collect_payment",
            tenant: Some("acme"),
            unique,
            meta,
            payload: r#"{"note":"a\nb"}"#,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let unique = UniqueKey::waiting_or_running("run 7 chunk 3");
        let meta = Meta { request_id: Some("req-1".into()), ..Meta::default() };
        let tail = draft(Some(&unique), &meta).tail();
        let note = r#"{"at":5,"attempt":1,"code":"timeout","message":"m","worker":"w"}"#;
        let entry = Entry::parse(&format!("1700000000000 2 {tail}\n{note}")).unwrap();
        assert_eq!(entry.enqueued_at_ms, 1_700_000_000_000);
        assert_eq!((entry.attempt, entry.id.as_str()), (2, "0af7"));
        assert_eq!(entry.priority, Priority::Low);
        assert_eq!(entry.tenant.as_deref(), Some("acme"));
        assert_eq!(entry.unique, Some(unique));
        assert_eq!(entry.meta, meta);
        assert_eq!(entry.payload, r#"{"note":"a\nb"}"#);
        assert_eq!(entry.history, [note]);
    }

    #[test]
    fn a_plain_job_costs_few_bytes_besides_its_payload() {
        let meta = Meta::default();
        let tail = draft(None, &meta).tail();
        assert_eq!(tail, "0af7 l collect_payment acme -\n\n{\"note\":\"a\\nb\"}");
    }

    #[test]
    fn garbage_is_an_error_not_a_panic() {
        for text in [
            "",
            "x",
            "1 2 3\n\n{}",
            "1 0 id q job t -\n\n{}",
            "1 0 id n job t \n\n{}",
            "1 0 id n job t é\n\n{}",
            "1 -1 id n job t -\n\n{}",
            "1 0 id n job t -\nnot json\n{}",
            "1 0 id n job t -\n",
        ] {
            assert!(Entry::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn tenants_and_keys_stay_on_their_line() {
        assert!(check_tenant("acme").is_ok());
        for bad in ["", "-", "a b", "a\nb", &"x".repeat(MAX_KEY_BYTES + 1)] {
            assert!(check_tenant(bad).is_err(), "{bad:?}");
        }
        assert!(check_unique_key("run 7").is_ok());
        for bad in ["", "a\nb", &"x".repeat(MAX_KEY_BYTES + 1)] {
            assert!(check_unique_key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let long = "é".repeat(MAX_MESSAGE_BYTES);
        let cut = cut_message(&long);
        assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.chars().all(|c| c == 'é'));
        assert_eq!(cut_message("short"), "short");
    }
}
