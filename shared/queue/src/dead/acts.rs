//! What a person does with a dead letter: requeue, discard, edit. Each is one script, with who and why in the journal.

use std::sync::LazyLock;

use redis::Script;
use serde::de::IgnoredAny;

use crate::client::QueueClient;
use crate::error::QueueError;
use crate::keys::QueueKeys;
use crate::{MAX_KEY_BYTES, MAX_PAYLOAD_BYTES};

/// Longest reason: some sentences of any script. It is kept in the journal and in the mirror.
const MAX_REASON_BYTES: usize = 2_048;

/// Letters of one call: a millisecond or two of Redis's time.
const IDS_PER_CALL: usize = 100;

static REQUEUE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        "#!lua flags=allow-oom\n",
        include_str!("../lua/lines.lua"),
        include_str!("../lua/dead.lua"),
        include_str!("../lua/requeue.lua")
    ))
});

static DISCARD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        "#!lua flags=allow-oom\n",
        include_str!("../lua/lines.lua"),
        include_str!("../lua/dead.lua"),
        include_str!("../lua/discard.lua")
    ))
});

static EDIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        "#!lua\n",
        include_str!("../lua/lines.lua"),
        include_str!("../lua/dead.lua"),
        include_str!("../lua/edit_dead.lua")
    ))
});

/// Who does something to dead letters, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// A user's id, an operator's name: 1 to 256 bytes.
    pub who: String,
    /// In at most 2,048 bytes; only requeueing may do without.
    pub reason: String,
}

/// What became of a request to requeue a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeued {
    /// It waits in its queue again, with all attempts ahead of it.
    Requeued,
    /// There is no such dead letter.
    Missing,
    /// Other work holds its unique key; it was left where it is.
    Duplicate,
    /// It is not a job and cannot run; it was left where it is.
    Malformed,
}

/// What became of a request to edit a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// It has the new payload.
    Edited,
    /// There is no such dead letter.
    Missing,
    /// It is not a job and has no payload.
    Malformed,
}

/// Whether an act has to be accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Optional,
    Required,
}

impl By {
    pub(super) fn check(&self, need: Reason) -> Result<(), QueueError> {
        if self.who.trim().is_empty() || self.who.len() > MAX_KEY_BYTES {
            return Err(QueueError::invalid("who does it", format!("must be said, in at most {MAX_KEY_BYTES} bytes")));
        }
        if self.reason.len() > MAX_REASON_BYTES {
            return Err(QueueError::invalid("reason", format!("must be at most {MAX_REASON_BYTES} bytes")));
        }
        if need == Reason::Required && self.reason.trim().is_empty() {
            return Err(QueueError::invalid("reason", "must be said"));
        }
        Ok(())
    }
}

impl QueueClient {
    /// Puts a dead letter back to work, at the end of its line; its history stays with it.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`], [`QueueError::Invalid`] for who and why.
    pub async fn requeue_dead(&self, queue: &str, id: &str, by: &By) -> Result<Requeued, QueueError> {
        by.check(Reason::Optional)?;
        let answers = self.requeue_all(&self.keys.queue(queue), by, &[id]).await?;
        Ok(answers.into_iter().next().unwrap_or(Requeued::Missing))
    }

    /// Gives a dead letter up for good. Returns whether there was one.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`], [`QueueError::Invalid`] for who and why; a reason is required.
    pub async fn discard_dead(&self, queue: &str, id: &str, by: &By) -> Result<bool, QueueError> {
        by.check(Reason::Required)?;
        Ok(self.discard_all(&self.keys.queue(queue), by, &[id]).await? == 1)
    }

    /// Puts another payload in place of a dead letter's: any JSON; blanks between its parts are left out. Unique key,
    /// tenant and limits stay those it was enqueued with, whatever the payload says.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]; [`QueueError::Invalid`] for who and why, a reason is required, and for a payload that is
    /// not JSON or larger than [`MAX_PAYLOAD_BYTES`].
    pub async fn edit_dead(&self, queue: &str, id: &str, payload: &str, by: &By) -> Result<Edited, QueueError> {
        by.check(Reason::Required)?;
        let payload = compact(payload)?;
        let answer: String = EDIT
            .key(&self.keys.queue(queue).base)
            .arg(&by.who)
            .arg(&by.reason)
            .arg(id)
            .arg(payload)
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("editing a dead letter"))?;
        Ok(match answer.as_str() {
            "edited" => Edited::Edited,
            "malformed" => Edited::Malformed,
            _ => Edited::Missing,
        })
    }

    /// Requeues letters in their order; after an error any part of them may have been.
    pub(super) async fn requeue_all(
        &self,
        keys: &QueueKeys,
        by: &By,
        ids: &[&str],
    ) -> Result<Vec<Requeued>, QueueError> {
        let mut answers = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS_PER_CALL) {
            let chunk = self.act(&REQUEUE, (keys, by), chunk).await;
            answers.extend(chunk.map_err(QueueError::redis("requeueing dead letters"))?);
        }
        let read = |answer: String| match answer.as_str() {
            "requeued" => Requeued::Requeued,
            "duplicate" => Requeued::Duplicate,
            "malformed" => Requeued::Malformed,
            _ => Requeued::Missing,
        };
        Ok(answers.into_iter().map(read).collect())
    }

    /// Discards letters and says how many there were; after an error any part of them may have been.
    pub(super) async fn discard_all(&self, keys: &QueueKeys, by: &By, ids: &[&str]) -> Result<usize, QueueError> {
        let mut discarded = 0;
        for chunk in ids.chunks(IDS_PER_CALL) {
            let answers = self.act(&DISCARD, (keys, by), chunk).await;
            let answers = answers.map_err(QueueError::redis("discarding dead letters"))?;
            discarded += answers.iter().filter(|answer| *answer == "discarded").count();
        }
        Ok(discarded)
    }

    async fn act(
        &self,
        script: &Script,
        (keys, by): (&QueueKeys, &By),
        ids: &[&str],
    ) -> redis::RedisResult<Vec<String>> {
        script.key(&keys.base).arg(&by.who).arg(&by.reason).arg(ids).invoke_async(&mut self.connection.clone()).await
    }
}

/// JSON on one line. Only blanks between its parts are taken out: numbers, order and doubled names stay as they were
/// written, which reading and writing values would not keep.
fn compact(json: &str) -> Result<String, QueueError> {
    if let Err(cause) = serde_json::from_str::<IgnoredAny>(json) {
        return Err(QueueError::invalid("payload", format!("must be JSON: {cause}")));
    }
    let (mut in_string, mut escaped) = (false, false);
    let compact: String = json
        .chars()
        .filter(|&sign| {
            let keep = in_string || !sign.is_ascii_whitespace();
            if sign == '"' && !escaped {
                in_string = !in_string;
            }
            escaped = sign == '\\' && !escaped;
            keep
        })
        .collect();
    if compact.len() > MAX_PAYLOAD_BYTES {
        let what = format!("payload ({} bytes)", compact.len());
        return Err(QueueError::invalid(what, format!("must be at most {MAX_PAYLOAD_BYTES} bytes")));
    }
    Ok(compact)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_is_made_compact_and_nothing_else() {
        let pretty = "{\n\t\"b\": [ 1.10, 12345678901234567890123 ],\r\n \"a\": \" \\\" \\\\\", \"a\" : null }";
        let dense = "{\"b\":[1.10,12345678901234567890123],\"a\":\" \\\" \\\\\",\"a\":null}";
        assert_eq!(compact(pretty).unwrap(), dense);
        for bad in ["", "{", "{} {}", "no", "\"a\nb\""] {
            assert!(compact(bad).is_err(), "{bad:?}");
        }
        let full = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES - 2));
        assert!(compact(&format!(" {full} ")).is_ok());
        assert!(compact(&format!("[{full}]")).is_err());
    }

    proptest! {
        #[test]
        fn compacting_keeps_the_value(text in "\\PC{0,20}", number: i64) {
            let value = serde_json::json!({ "text": text, (text.clone()): [number, null, { "": true }] });
            let compacted = compact(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&compacted).unwrap(), value.clone());
            prop_assert_eq!(compacted, value.to_string());
        }
    }

    #[test]
    fn who_and_why_are_said() {
        let by = |who: &str, reason: &str| By { who: who.to_owned(), reason: reason.to_owned() };
        assert!(by("ada", "").check(Reason::Optional).is_ok());
        assert!(by("ada", "no use").check(Reason::Required).is_ok());
        for (bad, need) in [
            (by("", "why"), Reason::Optional),
            (by(&"x".repeat(MAX_KEY_BYTES + 1), "why"), Reason::Optional),
            (by("ada", &"x".repeat(MAX_REASON_BYTES + 1)), Reason::Optional),
            (by("ada", " "), Reason::Required),
        ] {
            assert!(bad.check(need).is_err(), "{bad:?}");
        }
    }
}
