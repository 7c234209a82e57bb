//! Acting on dead letters by their ids, and on the payload of one.

use anyhow::{Context as _, bail, ensure};
use api::shown::payload;
use clap::Args;
use queue::{By, Edited, QueueClient, Requeued};
use serde::Serialize;
use serde_json::Value;

use super::{
    filter::FilterArgs,
    look::{existing, find},
    sweep::{self, Sweeping},
};
use crate::{
    operator::ByArgs,
    terminal::{print_json, say},
};

/// What is done to dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Retry,
    Discard,
}

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    id: String,
    /// All of the new payload, as JSON. A field that is still shown as *** keeps its value.
    #[arg(long)]
    payload: String,
    #[command(flatten)]
    by: ByArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HandleArgs {
    /// Ids of dead letters.
    #[arg(conflicts_with = "matching")]
    ids: Vec<String>,
    /// All that meet the conditions, and have died by now.
    #[arg(long)]
    matching: bool,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    by: ByArgs,
    /// Letters a second at most, when matching.
    #[arg(long, requires = "matching", default_value_t = sweep::DEFAULT_PACE, value_parser = clap::value_parser!(u32).range(1..))]
    pace: u32,
    /// Only tells what matches.
    #[arg(long, requires = "matching")]
    dry_run: bool,
    /// Prints JSON: an outcome for each id, or one operation as the API shows it.
    #[arg(long)]
    json: bool,
}

/// What became of one dead letter.
#[derive(Debug, Serialize)]
struct Handled {
    id: String,
    /// `requeued`, `discarded`, `missing`, `duplicate_job` or `malformed_job`.
    outcome: &'static str,
}

impl Handled {
    fn is_done(&self) -> bool {
        matches!(self.outcome, "requeued" | "discarded")
    }

    fn in_words(&self) -> &'static str {
        match self.outcome {
            "requeued" => "is back in its queue",
            "discarded" => "is given up",
            "duplicate_job" => "stays: another job waits or runs that holds its unique key",
            "malformed_job" => "stays: it is no job and can only be discarded",
            _ => "is no dead letter",
        }
    }
}

pub(super) async fn handle(client: &QueueClient, kind: Kind, args: HandleArgs) -> anyhow::Result<()> {
    let by = By { who: args.by.by, reason: args.by.reason };
    ensure!(!by.reason.trim().is_empty(), "say why with --reason");
    if args.matching {
        let sweeping =
            Sweeping { kind, filter: args.filter, by, pace: args.pace, dry_run: args.dry_run, json: args.json };
        return sweep::run(client, sweeping).await;
    }
    ensure!(!args.ids.is_empty(), "name dead letters by their ids, or say --matching");
    ensure!(!args.filter.is_set(), "conditions go with --matching, not with ids");
    let mut outcomes = Vec::with_capacity(args.ids.len());
    for id in args.ids {
        let outcome = handle_one(client, kind, (&id, &by)).await?;
        let handled = Handled { id, outcome };
        if !args.json {
            say(format!("{} {}", handled.id, handled.in_words()))?;
        }
        outcomes.push(handled);
    }
    if args.json {
        print_json(&outcomes)?;
    }
    let failed = outcomes.iter().filter(|handled| !handled.is_done()).count();
    ensure!(failed == 0, "{failed} of {} were left as they are", outcomes.len());
    Ok(())
}

async fn handle_one(client: &QueueClient, kind: Kind, (id, by): (&str, &By)) -> anyhow::Result<&'static str> {
    let Some(letter) = find(client, id).await? else { return Ok("missing") };
    if kind == Kind::Discard {
        let discarded = client.discard_dead(&letter.queue, &letter.id, by).await?;
        return Ok(if discarded { "discarded" } else { "missing" });
    }
    Ok(match client.requeue_dead(&letter.queue, &letter.id, by).await? {
        Requeued::Requeued => "requeued",
        Requeued::Missing => "missing",
        Requeued::Duplicate => "duplicate_job",
        Requeued::Malformed => "malformed_job",
    })
}

pub(super) async fn edit(client: &QueueClient, args: EditArgs) -> anyhow::Result<()> {
    let by = By { who: args.by.by, reason: args.by.reason };
    ensure!(!by.reason.trim().is_empty(), "say why with --reason");
    let wanted: Value = serde_json::from_str(&args.payload).context("the payload is not JSON")?;
    let letter = existing(client, &args.id).await?;
    let edited = payload::restored(wanted, &letter.payload)?.to_string();
    match client.edit_dead(&letter.queue, &letter.id, &edited, &by).await? {
        Edited::Edited => {}
        Edited::Missing => bail!("no such dead letter: {}", args.id),
        Edited::Malformed => bail!("{} is no job and has no payload; it can be discarded", args.id),
    }
    print_change(&payload::shown(&letter.payload), &payload::shown(&edited))
}

/// Prints both payloads line by line, with what went and what came.
fn print_change(before: &Value, after: &Value) -> anyhow::Result<()> {
    let (before, after) = (serde_json::to_string_pretty(before)?, serde_json::to_string_pretty(after)?);
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    if head == old.len() && head == new.len() {
        say("nothing that is shown has changed")?;
    }
    say_all("  ", &old[..head])?;
    say_all("- ", &old[head..old.len() - tail])?;
    say_all("+ ", &new[head..new.len() - tail])?;
    say_all("  ", &old[old.len() - tail..])
}

fn say_all(mark: &str, lines: &[&str]) -> anyhow::Result<()> {
    lines.iter().try_for_each(|line| say(format!("{mark}{line}")))
}
