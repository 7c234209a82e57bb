//! Acting on all dead letters that match, from the terminal: step by step, paced, with a bar.
//!
//! **Invariant:** it may be stopped anywhere. What has been handled is no dead letter any more, so the same command, which is
//! printed then, goes on with the rest.

use std::time::{Duration, Instant};

use anyhow::bail;
use app::Clock;
use indicatif::{ProgressBar, ProgressStyle};
use queue::{By, DeadAction, QueueClient, SweepCursor};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    act::Kind,
    filter::{FilterArgs, quoted},
    look::{matching_groups, print_groups},
};
use crate::terminal::{print_json, say, span};

/// Letters a second unless somebody asks for another pace: the operations' own.
pub(super) const DEFAULT_PACE: u32 = billing::DEFAULT_PACE.unsigned_abs();

/// Letters of one step at most: a fraction of a second of Redis's time.
const STEP_LIMIT: u32 = 500;

/// What to do, to which letters, how fast.
pub(super) struct Sweeping {
    pub kind: Kind,
    pub filter: FilterArgs,
    pub by: By,
    /// Letters a second, at least 1.
    pub pace: u32,
    pub dry_run: bool,
    pub json: bool,
}

/// What became of the letters; names as in the API's operations.
#[derive(Debug, Default, Serialize)]
struct Summary {
    object: &'static str,
    kind: &'static str,
    dry_run: bool,
    state: &'static str,
    expected: u64,
    matched: u64,
    done: u64,
    skipped: u64,
}

impl Kind {
    fn command(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry_dead_letters",
            Self::Discard => "discard_dead_letters",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Retry => "back in their queues",
            Self::Discard => "given up",
        }
    }

    fn action(self) -> DeadAction {
        match self {
            Self::Retry => DeadAction::Requeue,
            Self::Discard => DeadAction::Discard,
        }
    }
}

impl Sweeping {
    /// The command that goes on with what is left.
    fn again(&self) -> String {
        let mut words = vec![format!("ratchet dlq {} --matching", self.kind.command())];
        words.extend(self.filter.words(Clock.now()));
        words.push(format!("--reason {} --by {} --pace {}", quoted(&self.by.reason), quoted(&self.by.who), self.pace));
        words.join(" ")
    }
}

pub(super) async fn run(client: &QueueClient, mut sweeping: Sweeping) -> anyhow::Result<()> {
    let now = Clock.now();
    sweeping.filter = sweeping.filter.until_now(now);
    let filter = sweeping.filter.resolve(now);
    let mut expected = 0;
    for queue in sweeping.filter.queues(client) {
        expected += client.count_dead(&queue, &filter).await?;
    }
    let mut summary = Summary {
        object: "operation",
        kind: sweeping.kind.name(),
        dry_run: sweeping.dry_run,
        state: "completed",
        expected,
        ..Summary::default()
    };
    if sweeping.dry_run {
        summary.matched = expected;
        return show_dry_run(client, &sweeping, &summary).await;
    }
    let bar = bar(&sweeping, expected);
    let stopped = sweep(client, &sweeping, (&mut summary, &bar)).await?;
    bar.finish_and_clear();
    if stopped == Stopped::ByHand {
        summary.state = "interrupted";
    }
    if sweeping.json {
        print_json(&summary)?;
    } else {
        say(told(&sweeping, &summary))?;
    }
    if stopped == Stopped::ByHand {
        bail!("interrupted; this goes on with the rest:\n{}", sweeping.again());
    }
    Ok(())
}

async fn show_dry_run(client: &QueueClient, sweeping: &Sweeping, summary: &Summary) -> anyhow::Result<()> {
    if sweeping.json {
        return print_json(summary);
    }
    let now = Clock.now();
    if summary.expected > 0 {
        print_groups(&matching_groups(client, &sweeping.filter, now).await?, now)?;
    }
    say(format!("{} dead letters match; nothing was done (--dry-run)", summary.expected))?;
    Ok(())
}

fn told(sweeping: &Sweeping, summary: &Summary) -> String {
    let mut told = format!("{} of {} dead letters are {}", summary.done, summary.expected, sweeping.kind.done());
    if summary.skipped > 0 {
        let why = "other work holds their unique key, they are no job, or somebody else came first";
        told.push_str(&format!("; {} were left ({why})", summary.skipped));
    }
    told
}

/// Why a sweep has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// Nothing is left.
    AtTheEnd,
    /// Somebody pressed Ctrl-C.
    ByHand,
}

async fn sweep(
    client: &QueueClient,
    sweeping: &Sweeping,
    (summary, bar): (&mut Summary, &ProgressBar),
) -> anyhow::Result<Stopped> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let filter = sweeping.filter.resolve(Clock.now());
    let limit = usize::try_from(sweeping.pace.min(STEP_LIMIT))?;
    for queue in sweeping.filter.queues(client) {
        let mut cursor = SweepCursor::default();
        loop {
            let began = Instant::now();
            // A step is never cut short: what it has done is counted.
            let step = client.sweep_dead(&queue, sweeping.kind.action(), &filter, &sweeping.by, cursor, limit).await?;
            summary.matched += step.matched;
            summary.done += step.done;
            summary.skipped += step.skipped;
            bar.set_position(summary.matched);
            bar.set_message(left(summary, sweeping.pace));
            let rest = earned(step.done + step.skipped, sweeping.pace).saturating_sub(began.elapsed());
            tokio::select! {
                biased;
                _ = interrupt.recv() => return Ok(Stopped::ByHand),
                () = tokio::time::sleep(rest) => {}
            }
            if step.finished {
                break;
            }
            cursor = step.cursor;
        }
    }
    Ok(Stopped::AtTheEnd)
}

/// How long the rest takes if nothing is slower than the pace.
fn left(summary: &Summary, pace: u32) -> String {
    format!("{} left", span(earned(summary.expected.saturating_sub(summary.matched), pace)))
}

/// How long so many letters take at a pace of so many a second.
fn earned(letters: u64, pace: u32) -> Duration {
    Duration::from_millis(letters.saturating_mul(1_000).div_ceil(u64::from(pace.max(1))))
}

fn bar(sweeping: &Sweeping, expected: u64) -> ProgressBar {
    let template = "  {prefix} {bar:40.cyan/dim} {human_pos} / {human_len}  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(expected).with_prefix(sweeping.kind.command()).with_style(style);
    if bar.is_hidden() {
        eprintln!("{}: {expected} dead letters, {} a second", sweeping.kind.command(), sweeping.pace);
    }
    bar
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::earned;

    #[test]
    fn a_pace_is_kept() {
        assert_eq!(earned(100, 100), Duration::from_secs(1));
        assert_eq!(earned(1, 3), Duration::from_millis(334));
        assert_eq!(earned(0, 100), Duration::ZERO);
    }
}
