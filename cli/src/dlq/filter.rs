//! Which dead letters are meant: conditions on the command line, and in the queue's words.

use std::str::FromStr;

use anyhow::anyhow;
use billing::jobs::queues;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use queue::{DeadFilter, QueueClient};

use crate::operator::queue_name;

/// Conditions, all of which must hold.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct FilterArgs {
    /// Only of this queue.
    #[arg(long, value_parser = queue_name)]
    pub queue: Option<String>,
    /// Only jobs of this type.
    #[arg(long)]
    pub job: Option<String>,
    /// Only of this tenant.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Only those that died of this error code.
    #[arg(long)]
    pub code: Option<String>,
    /// Only those of one cause.
    #[arg(long)]
    pub fingerprint: Option<String>,
    /// Only those that died at this time or later: RFC 3339, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Only those that died before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
}

/// A time on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    At(Timestamp),
    Ago(SignedDuration),
}

impl FromStr for Moment {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let ago: Option<SignedDuration> = text.parse().ok();
        ago.filter(|ago| !ago.is_negative())
            .map(Self::Ago)
            .ok_or_else(|| anyhow!("expected a time such as 2026-08-01T12:00:00Z, or how long ago, such as 2h"))
    }
}

impl Moment {
    fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FilterArgs {
    /// The queues that are meant.
    pub(super) fn queues(&self, client: &QueueClient) -> Vec<String> {
        queues::partitions(client, self.queue.as_deref())
    }

    /// Whether any condition is set.
    pub(super) fn is_set(&self) -> bool {
        !self.words(Timestamp::UNIX_EPOCH).is_empty()
    }

    /// The conditions in the queue's words.
    pub(super) fn resolve(&self, now: Timestamp) -> DeadFilter {
        DeadFilter {
            job: self.job.clone(),
            tenant: self.tenant.clone(),
            code: self.code.clone(),
            fingerprint: self.fingerprint.clone(),
            died_from_ms: self.since.map(|since| since.resolve(now).as_millisecond()),
            died_until_ms: self.until.map(|until| until.resolve(now).as_millisecond()),
        }
    }

    /// The same conditions at a fixed time, ending no later: what dies while an act goes on is not taken by it.
    pub(super) fn until_now(mut self, now: Timestamp) -> Self {
        self.since = self.since.map(|since| Moment::At(since.resolve(now)));
        let until = self.until.map_or(now, |until| until.resolve(now).min(now));
        self.until = Some(Moment::At(until));
        self
    }

    /// The conditions as they stand on a command line.
    pub(super) fn words(&self, now: Timestamp) -> Vec<String> {
        let moment = |moment: Option<Moment>| moment.map(|moment| moment.resolve(now).to_string());
        let conditions = [
            ("--queue", self.queue.clone()),
            ("--job", self.job.clone()),
            ("--tenant", self.tenant.clone()),
            ("--code", self.code.clone()),
            ("--fingerprint", self.fingerprint.clone()),
            ("--since", moment(self.since)),
            ("--until", moment(self.until)),
        ];
        let set = conditions.into_iter().filter_map(|(name, value)| Some([name.to_owned(), quoted(&value?)]));
        set.flatten().collect()
    }
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/+@".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{FilterArgs, Moment, quoted};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn times_are_absolute_or_ago() {
        let now = at("2026-08-01T12:00:00Z");
        for (text, meant) in [
            ("2026-08-01T10:00:00+02:00", "2026-08-01T08:00:00Z"),
            ("2h", "2026-08-01T10:00:00Z"),
            ("30 min", "2026-08-01T11:30:00Z"),
        ] {
            assert_eq!(text.parse::<Moment>().expect(text).resolve(now), at(meant), "{text}");
        }
        for text in ["", "yesterday", "-2h", "2026-08-01"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_act_ends_with_what_has_died_by_now() {
        let now = at("2026-08-01T12:00:00Z");
        let until = |text: Option<&str>| {
            let until = text.map(|text| text.parse().expect("a time"));
            FilterArgs { until, ..FilterArgs::default() }.until_now(now).resolve(at("2027-01-01T00:00:00Z"))
        };
        assert_eq!(until(None).died_until_ms, Some(now.as_millisecond()));
        assert_eq!(until(Some("2030-01-01T00:00:00Z")).died_until_ms, Some(now.as_millisecond()));
        assert_eq!(until(Some("1h")).died_until_ms, Some(at("2026-08-01T11:00:00Z").as_millisecond()));
    }

    #[test]
    fn conditions_can_be_typed_again() {
        let filter = FilterArgs {
            code: Some("gateway_unavailable".to_owned()),
            tenant: Some("it's".to_owned()),
            since: Some("1h".parse().expect("a time")),
            ..FilterArgs::default()
        };
        let words = filter.words(at("2026-08-01T12:00:00Z")).join(" ");
        assert_eq!(words, r"--tenant 'it'\''s' --code gateway_unavailable --since 2026-08-01T11:00:00Z");
        assert!(filter.is_set() && !FilterArgs::default().is_set());
        assert_eq!(quoted("gateway is back"), "'gateway is back'");
    }
}
