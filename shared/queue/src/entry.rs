//! How a job is written down in Redis: [`Entry`], readable with `redis-cli` and cheap to alter in a
//! script, which only ever looks at the first line.
//!
//! ```text
//! <.|!><attempts spent> <h|n|l> <enqueued at, ms>+<to run at, ms later> <job> <tenant|-> <limits|-> <-|w|r><unique key>
//! <meta as JSON, or nothing>
//! <payload as JSON>
//! <one JSON object per failed attempt> ...
//! ```
//!
//! The first sign is `!` where a claim has more to do than to hand the job out: it has a unique key or limits.
//! Limits are `<key>=<cost>`, separated by commas.
//!
//! **Invariant:** JSON is written compactly and therefore holds no line feed; names, tenants and keys
//! are checked for it when a job is made. So lines are always what they seem.

use serde::{Deserialize, Serialize};

use crate::error::QueueError;
use crate::fingerprint::fingerprint;
use crate::job::{LimitUse, Priority, UniqueKey, UniqueScope};
use crate::{MAX_KEY_BYTES, MAX_LIMITS, MAX_MESSAGE_BYTES};

/// Stands for nothing in the first line.
const NONE: &str = "-";

/// The first sign of an entry that has neither unique key nor limits.
const PLAIN: &str = ".";

/// The first sign of every other entry.
const SPECIAL: &str = "!";

/// Words of the first line before the scope and unique key, which may contain blanks.
const WORDS: usize = 7;

/// One job as Redis keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Attempts of ended runs; a run that goes on is counted in its lease.
    pub(crate) spent: u32,
    pub(crate) priority: Priority,
    pub(crate) enqueued_at_ms: i64,
    /// When it was, or is, to run: later than enqueued if delayed, snoozed or tried again.
    pub(crate) run_at_ms: i64,
    pub(crate) job: String,
    pub(crate) tenant: Option<String>,
    pub(crate) limits: Vec<LimitUse>,
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
        let [spent, lane, times, job, tenant, limits, unique] = words[..] else {
            return Err(MalformedEntry("words are missing"));
        };
        let spent = spent.strip_prefix([PLAIN, SPECIAL].map(|sign| sign.as_bytes()[0] as char));
        let (enqueued, offset) = times.split_once('+').ok_or(MalformedEntry("no time to run at"))?;
        let enqueued_at_ms: i64 = number(enqueued)?;
        Ok(Self {
            spent: number(spent.ok_or(MalformedEntry("unknown first sign"))?)?,
            priority: priority_of(lane)?,
            enqueued_at_ms,
            run_at_ms: enqueued_at_ms.saturating_add(number(offset)?),
            job: job.to_owned(),
            tenant: (tenant != NONE).then(|| tenant.to_owned()),
            limits: limits_of(limits)?,
            unique: unique_of(unique)?,
            meta: meta_of(meta)?,
            payload: payload.to_owned(),
            history: lines.map(str::to_owned).collect(),
        })
    }

    /// Whether its end gives nothing back but the job: no unique key is held, no limit counts it.
    pub(crate) fn ends_plainly(&self) -> bool {
        let holds_key = matches!(&self.unique, Some(unique) if unique.scope == UniqueScope::WaitingOrRunning);
        !holds_key && self.limits.is_empty()
    }
}

fn limits_of(word: &str) -> Result<Vec<LimitUse>, MalformedEntry> {
    if word == NONE {
        return Ok(Vec::new());
    }
    let one = |text: &str| {
        let (key, cost) = text.split_once('=').ok_or(MalformedEntry("a limit without cost"))?;
        Ok(LimitUse { key: key.to_owned(), cost: number(cost)? })
    };
    word.split(',').map(one).collect()
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
    pub(crate) priority: Priority,
    pub(crate) job: &'a str,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) limits: &'a [LimitUse],
    pub(crate) unique: Option<&'a UniqueKey>,
    pub(crate) meta: &'a Meta,
    pub(crate) payload: &'a str,
}

impl Draft<'_> {
    /// The first sign and the lane.
    pub(crate) fn flags(&self) -> &'static str {
        let special = self.unique.is_some() || !self.limits.is_empty();
        match (special, self.priority) {
            (false, Priority::High) => ".h",
            (false, Priority::Normal) => ".n",
            (false, Priority::Low) => ".l",
            (true, Priority::High) => "!h",
            (true, Priority::Normal) => "!n",
            (true, Priority::Low) => "!l",
        }
    }

    /// The tenant's word.
    pub(crate) fn tenant(&self) -> &str {
        self.tenant.unwrap_or(NONE)
    }

    /// The entry from the job's name on.
    pub(crate) fn tail(&self) -> String {
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
        let limits = if self.limits.is_empty() {
            NONE.to_owned()
        } else {
            let words: Vec<_> = self.limits.iter().map(|limit| format!("{}={}", limit.key, limit.cost)).collect();
            words.join(",")
        };
        format!(
            "{job} {tenant} {limits} {scope}{key}\n{meta}\n{payload}",
            job = self.job,
            tenant = self.tenant(),
            payload = self.payload,
        )
    }

    /// The field of the hash of unique keys, empty if there is none.
    pub(crate) fn unique_field(&self) -> String {
        self.unique.map(|unique| format!("{}:{}", self.job, unique.key)).unwrap_or_default()
    }
}

/// Checks the limits that a job declares.
pub(crate) fn check_limits(limits: &[LimitUse]) -> Result<(), QueueError> {
    if limits.len() > MAX_LIMITS {
        return Err(QueueError::invalid(format!("{} limits", limits.len()), format!("must be at most {MAX_LIMITS}")));
    }
    for (index, limit) in limits.iter().enumerate() {
        check_limit_key(&limit.key)?;
        if limit.cost == 0 {
            return Err(QueueError::invalid(format!("cost of limit {:?}", limit.key), "must be at least 1"));
        }
        if limits[..index].iter().any(|other| other.key == limit.key) {
            return Err(QueueError::invalid(format!("limit {:?}", limit.key), "is declared twice"));
        }
    }
    Ok(())
}

/// Checks the key of a limit.
pub(crate) fn check_limit_key(key: &str) -> Result<(), QueueError> {
    let fits = (1..=MAX_KEY_BYTES).contains(&key.len());
    let is_word = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    if fits && is_word {
        return Ok(());
    }
    let rule = format!("must be 1 to {MAX_KEY_BYTES} letters, digits or any of _ - . :");
    Err(QueueError::invalid(format!("limit key {key:?}"), rule))
}

/// Checks a tenant: a word that is not the sign for none.
pub(crate) fn check_tenant(tenant: &str) -> Result<(), QueueError> {
    let is_word = !tenant.is_empty()
        && tenant != NONE
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

impl Failure {
    /// What the script needs to make a dead letter of the job: fingerprint, code and the failure.
    pub(crate) fn dead_note(&self, job: &str) -> String {
        let fingerprint = fingerprint(job, &self.code, &self.message);
        format!("{fingerprint} {}\n{}", self.code, self.note())
    }
}

/// Cuts a message to what is kept of it, at a character boundary.
pub(crate) fn cut_message(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft<'a>(unique: Option<&'a UniqueKey>, limits: &'a [LimitUse], meta: &'a Meta) -> Draft<'a> {
        Draft {
            priority: Priority::Low,
            job: "collect_payment",
            tenant: Some("acme"),
            limits,
            unique,
            meta,
            payload: r#"{"note":"a\nb"}"#,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let unique = UniqueKey::waiting_or_running("run 7 chunk 3");
        let limits = [LimitUse::new("gateway:stripe").cost(5), LimitUse::new("tenant:acme")];
        let meta = Meta { request_id: Some("req-1".into()), ..Meta::default() };
        let draft = draft(Some(&unique), &limits, &meta);
        assert_eq!(draft.flags(), "!l");
        let note = r#"{"at":5,"attempt":1,"code":"timeout","message":"m","worker":"w"}"#;
        let entry = Entry::parse(&format!("!2 l 1700000000000+250 {}\n{note}", draft.tail())).unwrap();
        assert_eq!((entry.enqueued_at_ms, entry.run_at_ms), (1_700_000_000_000, 1_700_000_000_250));
        assert_eq!(entry.spent, 2);
        assert_eq!(entry.priority, Priority::Low);
        assert_eq!(entry.tenant.as_deref(), Some("acme"));
        assert_eq!(entry.limits, limits);
        assert_eq!(entry.unique, Some(unique));
        assert_eq!(entry.meta, meta);
        assert_eq!(entry.payload, r#"{"note":"a\nb"}"#);
        assert_eq!(entry.history, [note]);
        assert!(!entry.ends_plainly());
    }

    #[test]
    fn a_plain_job_costs_few_bytes_besides_its_payload() {
        let meta = Meta::default();
        let draft = draft(None, &[], &meta);
        assert_eq!((draft.flags(), draft.tail().as_str()), (".l", "collect_payment acme - -\n\n{\"note\":\"a\\nb\"}"));
    }

    #[test]
    fn garbage_is_an_error_not_a_panic() {
        for text in [
            "",
            "x",
            ".1 n 3\n\n{}",
            ".0 q 1+0 job t - -\n\n{}",
            "0 n 1+0 job t - -\n\n{}",
            ".0 n 1 job t - -\n\n{}",
            ".0 n 1+0 job t - \n\n{}",
            ".0 n 1+0 job t - é\n\n{}",
            "!0 n 1+0 job t key -\n\n{}",
            "!0 n 1+0 job t key=-1 -\n\n{}",
            ".-1 n 1+0 job t - -\n\n{}",
            ".0 n 1+0 job t - -\nnot json\n{}",
            ".0 n 1+0 job t - -\n",
        ] {
            assert!(Entry::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn limits_are_words_with_a_cost_and_few() {
        let good = [LimitUse::new("gateway:stripe"), LimitUse::new("t")];
        assert!(check_limits(&good).is_ok());
        let three_more = ["a", "b", "c", "d"].map(LimitUse::new);
        let twice = [LimitUse::new("a"), LimitUse::new("a")];
        for bad in
            [&three_more[..], &twice, &[LimitUse::new("a").cost(0)], &[LimitUse::new("a=b")], &[LimitUse::new("")]]
        {
            assert!(check_limits(bad).is_err(), "{bad:?}");
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
