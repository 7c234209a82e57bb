//! Keeps the store's mirror of the queues' dead letters, and puts them back when Redis has lost them.
//!
//! **Invariant:** a change leaves a queue's journal only after the store has it, acknowledged by a majority. So what is
//! killed in between is read again, and what is read twice, also by two schedulers at once, is applied once. While the store
//! is away the journal waits in Redis; nothing trims it.

use jiff::Timestamp;
use queue::{DeadChange, DeadChangeKind, DeadLetter, StoredDeadLetter};
use store::{ChangeId, DeadLetterChange, DeadLetterContent, DeadLetterEvent, Handled, LostDeadLetter, StoreError};

use crate::{Billing, BillingError, jobs::queues};

/// Changes read from a queue at a time; each may bring its letter, of a few hundred bytes as a rule.
const PAGE: usize = 500;
/// Pages of a queue in one call, so that the scheduler's beat goes on to its other duties: ten thousand changes a second are
/// more than a fleet makes.
const PAGES_PER_CALL: usize = 20;
/// Letters read from the store and put back at a time.
const RESTORE_PAGE: i64 = 200;

/// Applies what has happened to dead letters since the last call. Returns how many changes it read.
///
/// # Errors
/// Store and queue errors; the next call goes on.
pub async fn mirror_dead_letters(billing: &Billing) -> Result<usize, BillingError> {
    let mut read = 0;
    for queue in queues::partitions(&billing.queue, None) {
        read += mirror_queue(billing, &queue).await?;
    }
    Ok(read)
}

async fn mirror_queue(billing: &Billing, queue: &str) -> Result<usize, BillingError> {
    let mut read = 0;
    for _ in 0..PAGES_PER_CALL {
        let changes = billing.queue.dead_changes(queue, PAGE).await?;
        if changes.is_empty() {
            break;
        }
        let ids: Vec<String> = changes.iter().map(|change| change.change_id.clone()).collect();
        let known = changes.into_iter().map(|change| mirrored(queue, change)).collect::<Result<_, _>>()?;
        billing.store.mirror_dead_letters(known).await?;
        billing.queue.forget_dead_changes(queue, &ids).await?;
        read += ids.len();
    }
    Ok(read)
}

/// A queue's change in the store's words.
fn mirrored(queue: &str, change: DeadChange) -> Result<DeadLetterChange, BillingError> {
    let DeadChange { change_id, id, what, by, at_ms, letter } = change;
    let at = instant(at_ms)?;
    let handled = by.map_or_else(
        || Handled { by: String::new(), reason: String::new(), at },
        |by| Handled { by: by.who, reason: by.reason, at },
    );
    let event = match what {
        DeadChangeKind::Died => DeadLetterEvent::Died,
        DeadChangeKind::Edited => DeadLetterEvent::Edited(handled),
        DeadChangeKind::Requeued => DeadLetterEvent::Requeued(handled),
        DeadChangeKind::Discarded => DeadLetterEvent::Discarded(handled),
    };
    let change = ChangeId::parse(&change_id)
        .ok_or_else(|| StoreError::Corrupt(format!("the journal of queue {queue} has a change {change_id:?}")))?;
    let content = letter.map(|letter| content(queue, letter)).transpose()?;
    Ok(DeadLetterChange { queue: queue.to_owned(), id, change, event, content })
}

fn content(queue: &str, stored: StoredDeadLetter) -> Result<DeadLetterContent, BillingError> {
    let DeadLetter { job, tenant, fingerprint, history, died_at_ms, .. } = stored.read(queue);
    let code = history.into_iter().next_back().map(|failure| failure.code).unwrap_or_default();
    Ok(DeadLetterContent { tenant, job, code, fingerprint, died_at: instant(died_at_ms)?, entry: stored.entry })
}

fn instant(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|error| StoreError::Corrupt(format!("a dead letter's time: {error}")))
}

/// Puts every letter that was dead when last heard of back into its queue, where it is missing. Returns how many were
/// missing.
pub(crate) async fn restore_dead_letters(billing: &Billing) -> Result<usize, BillingError> {
    let mut restored = 0;
    let mut after: Option<String> = None;
    loop {
        let page = billing.store.lost_dead_letters(after.as_deref(), RESTORE_PAGE).await?;
        let Some(last) = page.last() else { return Ok(restored) };
        after = Some(last.mirror_id.clone());
        for letters in page.chunk_by(|one, next| one.queue == next.queue) {
            let Some(first) = letters.first() else { continue };
            let letters = letters.iter().map(stored).collect();
            restored += billing.queue.restore_dead(&first.queue, letters).await?;
        }
    }
}

fn stored(lost: &LostDeadLetter) -> StoredDeadLetter {
    StoredDeadLetter { id: lost.id.clone(), died_at_ms: lost.died_at.as_millisecond(), entry: lost.entry.clone() }
}
