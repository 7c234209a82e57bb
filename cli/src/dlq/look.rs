//! Looking at dead letters changes nothing.

use std::cmp::Reverse;

use anyhow::Context as _;
use api::{
    http::page::List,
    shown::{DeadLetter, DeadLetterGroup},
};
use app::Clock;
use billing::jobs::queues;
use clap::Args;
use jiff::Timestamp;
use queue::{DeadCursor, Page, QueueClient};

use super::filter::FilterArgs;
use crate::{
    jobs::attempts,
    operator::bare,
    terminal::{Last, Tone, figure, fit, instant, one_line, print_json, say, table, text, when, word},
};

/// Letters listed unless somebody asks for more.
const DEFAULT_LIMIT: u16 = 20;

/// Most letters of a list: more are a matter for the groups.
const MAX_LIMIT: i64 = 500;

/// Columns of letters that go where there is little room: tenant, attempts, queue, type.
const LETTERS_MAY_GO: [usize; 4] = [4, 5, 2, 3];

/// Columns of groups that go where there is little room: tenants, the first time, queue, type.
const GROUPS_MAY_GO: [usize; 4] = [2, 3, 5, 6];

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many, at most 500.
    #[arg(long, default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u16).range(1..=MAX_LIMIT))]
    limit: u16,
    /// Only those that died before this one did: the next page.
    #[arg(long, value_name = "ID")]
    starting_after: Option<String>,
    /// Prints what `GET /v1/dead_letters` answers.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GroupsArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Prints what `GET /v1/dead_letters/groups` answers.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    id: String,
    /// Prints what `GET /v1/dead_letters/{id}` answers.
    #[arg(long)]
    json: bool,
}

/// A dead letter, wherever it is.
///
/// # Errors
/// Redis does not answer.
pub(super) async fn find(client: &QueueClient, id: &str) -> anyhow::Result<Option<queue::DeadLetter>> {
    for queue in queues::partitions(client, None) {
        if let Some(letter) = client.dead_letter(&queue, bare(id)).await? {
            return Ok(Some(letter));
        }
    }
    Ok(None)
}

/// A dead letter that there must be.
///
/// # Errors
/// There is none with this id, or Redis does not answer.
pub(super) async fn existing(client: &QueueClient, id: &str) -> anyhow::Result<queue::DeadLetter> {
    find(client, id).await?.with_context(|| format!("no such dead letter: {id}"))
}

pub(super) async fn list(client: &QueueClient, args: ListArgs) -> anyhow::Result<()> {
    let now = Clock.now();
    let filter = args.filter.resolve(now);
    let before = match &args.starting_after {
        None => None,
        Some(id) => {
            let letter = existing(client, id).await?;
            Some(DeadCursor { died_at_ms: letter.died_at_ms, id: letter.id })
        }
    };
    let limit = usize::from(args.limit);
    let mut letters = Vec::new();
    for queue in args.filter.queues(client) {
        // One more than wanted tells whether more follow.
        let page = Page { before: before.clone(), limit: limit + 1 };
        letters.extend(client.dead_letters(&queue, &filter, page).await?);
    }
    letters.sort_by(|one, other| (other.died_at_ms, &other.id).cmp(&(one.died_at_ms, &one.id)));
    let has_more = letters.len() > limit;
    letters.truncate(limit);
    let letters: Vec<_> = letters.into_iter().map(DeadLetter::from).collect();
    if args.json {
        return print_json(&List::new("/v1/dead_letters", has_more, letters));
    }
    if letters.is_empty() {
        say("no dead letters")?;
        return Ok(());
    }
    print_letters(&letters, now)?;
    if let (true, Some(last)) = (has_more, letters.last()) {
        say(format!("more with --starting-after {}", last.id))?;
    }
    Ok(())
}

fn print_letters(letters: &[DeadLetter], now: Timestamp) -> anyhow::Result<()> {
    let mut rows = table(["dead letter", "died", "queue", "type", "tenant", "attempts", "code", "message"]);
    for letter in letters {
        rows.add_row([
            text(&letter.id),
            text(when(letter.created, now)),
            text(&letter.queue),
            text(&letter.job),
            text(letter.tenant.as_deref().unwrap_or("-")),
            figure(Some(letter.attempts)),
            text(&letter.code),
            text(one_line(&letter.message)),
        ]);
    }
    say(fit(rows, Last::Text, &LETTERS_MAY_GO))
}

pub(super) async fn groups(client: &QueueClient, args: GroupsArgs) -> anyhow::Result<()> {
    let now = Clock.now();
    let groups = matching_groups(client, &args.filter, now).await?;
    if args.json {
        let has_more = false;
        return print_json(&List::new("/v1/dead_letters/groups", has_more, groups));
    }
    if groups.is_empty() {
        say("no dead letters")?;
        return Ok(());
    }
    print_groups(&groups, now)
}

/// The groups of what matches, the largest first.
pub(super) async fn matching_groups(
    client: &QueueClient,
    filter: &FilterArgs,
    now: Timestamp,
) -> anyhow::Result<Vec<DeadLetterGroup>> {
    let mut groups = Vec::new();
    for queue in filter.queues(client) {
        let found = client.dead_groups(&queue, &filter.resolve(now)).await?;
        groups.extend(found.into_iter().map(|group| DeadLetterGroup::of(&queue, group)));
    }
    groups.sort_by_key(|group| Reverse((group.count, group.last_at)));
    Ok(groups)
}

/// Prints groups as a table.
///
/// # Errors
/// As for [`say`].
pub(super) fn print_groups(groups: &[DeadLetterGroup], now: Timestamp) -> anyhow::Result<()> {
    let mut rows = table(["fingerprint", "letters", "tenants", "first", "last", "queue", "type", "code", "message"]);
    for group in groups {
        rows.add_row([
            text(&group.fingerprint),
            figure(Some(group.count)),
            figure(Some(group.tenants)),
            text(when(group.first_at, now)),
            text(when(group.last_at, now)),
            text(&group.queue),
            text(&group.job),
            text(&group.code),
            text(one_line(&group.message)),
        ]);
    }
    say(fit(rows, Last::Text, &GROUPS_MAY_GO))
}

pub(super) async fn show(client: &QueueClient, args: ShowArgs) -> anyhow::Result<()> {
    let letter = DeadLetter::from(existing(client, &args.id).await?);
    if args.json {
        return print_json(&letter);
    }
    let now = Clock.now();
    say(format!("{}  {} on queue {}, died {}", letter.id, letter.job, letter.queue, when(letter.created, now)))?;
    let facts = [
        ("tenant", letter.tenant.clone()),
        ("fingerprint", Some(letter.fingerprint.clone())),
        ("unique key", letter.unique_key.clone()),
        ("request", letter.request_id.clone()),
        ("parent", letter.parent.clone()),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            say(format!("  {name:<12}{fact}"))?;
        }
    }
    let mut story = table(["when", "", "what", ""]);
    attempts(&mut story, &letter.history, now);
    let died = text(instant(letter.created));
    let spent = format!("after {} attempts", letter.attempts);
    story.add_row([died, text(when(letter.created, now)), word("died", Tone::Bad), text(spent)]);
    say(format!("\n{story}\n"))?;
    say(format!("payload\n{}", serde_json::to_string_pretty(&letter.payload)?))?;
    Ok(())
}
