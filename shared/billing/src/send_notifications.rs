//! Sends notifications as mails, each under its own id as Message-ID.
//!
//! **Invariant:** a mail is sent at least once; a second copy exists only where a process died between the mail server's
//! acceptance and our commit, and it is the same mail.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use gateways::mail::MailError;
use jiff::Timestamp;
use queue::NewJob;
use store::{ChunkState, Notification, NotificationState};

use crate::{
    Billing, BillingError, Progress,
    chunk_stage::{self, Course},
    context::retry_conflicts,
    jobs::SendNotification,
    mails::Sources,
};

/// Mails of one step of a chunk.
const STEP_LIMIT: i64 = 200;
/// Mails sent before they are marked: if the process dies, no more than these are sent a second time.
const MARK_BATCH: usize = 3 * MAIL_CONCURRENCY;
/// A step that has taken this long leaves the rest to the next one, before its job's time-out aborts it.
const STEP_TIME: Duration = Duration::from_secs(20);
/// Mails under way at once, of one job.
const MAIL_CONCURRENCY: usize = 8;

/// Sends up to 200 mails of a chunk; completes the chunk when none is left. A mail that is refused goes on alone.
///
/// # Errors
/// `NotFound` for an unknown chunk; store errors.
pub async fn send_chunk_notifications(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    retry_conflicts(|| chunk_step(billing, (tenant, id), wall)).await
}

async fn chunk_step(billing: &Billing, (tenant, id): (&str, &str), wall: Timestamp) -> Result<Progress, BillingError> {
    let loaded = chunk_stage::load(billing, (tenant, id), ChunkState::Collected).await?;
    let Some((mut chunk, course)) = loaded else { return Ok(Progress::Done) };
    let notifications = billing.store.unsent_of_chunk(tenant, id, STEP_LIMIT).await?;
    if notifications.is_empty() {
        chunk.counts = billing.store.count_chunk(tenant, id).await?;
        chunk_stage::finish(billing, chunk, wall).await?;
        return Ok(Progress::Done);
    }
    match course {
        Course::Onward => send_step(billing, tenant, &notifications, wall).await?,
        Course::WindDown => {
            let ids: Vec<String> = notifications.into_iter().map(|notification| notification.id).collect();
            go_alone(billing, (tenant, ids), wall).await?;
        }
    }
    Ok(Progress::More)
}

async fn send_step(
    billing: &Billing,
    tenant: &str,
    notifications: &[Notification],
    wall: Timestamp,
) -> Result<(), BillingError> {
    let started = Instant::now();
    for batch in notifications.chunks(MARK_BATCH) {
        if started.elapsed() > STEP_TIME {
            return Ok(());
        }
        send_batch(billing, tenant, batch, wall).await?;
    }
    Ok(())
}

async fn send_batch(
    billing: &Billing,
    tenant: &str,
    batch: &[Notification],
    wall: Timestamp,
) -> Result<(), BillingError> {
    let sources = Sources::load(&billing.store, tenant, batch).await?;
    let mails: Vec<_> = batch.iter().map(|notification| send(billing, &sources, notification, wall)).collect();
    let outcomes: Vec<Result<(), MailError>> = stream::iter(mails).buffered(MAIL_CONCURRENCY).collect().await;
    let mut sent = Vec::new();
    let mut refused = Vec::new();
    for (notification, outcome) in batch.iter().zip(outcomes) {
        let id = notification.id.clone();
        match outcome {
            Ok(()) => sent.push(id),
            Err(error) => {
                tracing::warn!(notification = id, %error, "a mail was not accepted; it goes on alone");
                refused.push(id);
            }
        }
    }
    billing.store.notifications_sent(tenant, &sent, wall).await?;
    if refused.is_empty() {
        return Ok(());
    }
    go_alone(billing, (tenant, refused), wall).await
}

async fn go_alone(billing: &Billing, (tenant, ids): (&str, Vec<String>), wall: Timestamp) -> Result<(), BillingError> {
    billing.store.notifications_go_alone(tenant, &ids, wall).await?;
    let job = |notification| NewJob::of(&SendNotification::Notification { tenant: tenant.to_owned(), notification });
    billing.hint(ids.into_iter().map(job).collect::<Result<_, _>>()?).await;
    Ok(())
}

/// Sends one notification that goes on alone. One that was refused for good is tried again: only a person who requeues its
/// dead letter, or a redelivery, comes here with it.
///
/// # Errors
/// `Mail` when the server does not take it: permanent ones are marked as failed, the others stay due. Store errors.
pub async fn send_notification(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<(), BillingError> {
    let notification: Notification =
        billing.store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("notification", id))?;
    if matches!(notification.state, NotificationState::Pending | NotificationState::Failed) {
        send_alone(billing, &notification, wall).await?;
    }
    match &notification.chunk {
        Some(chunk) => chunk_stage::recount(billing, (tenant, chunk)).await,
        None => Ok(()),
    }
}

async fn send_alone(billing: &Billing, notification: &Notification, wall: Timestamp) -> Result<(), BillingError> {
    let tenant = notification.tenant.as_str();
    let sources = Sources::load(&billing.store, tenant, std::slice::from_ref(notification)).await?;
    if sources.is_moot(notification) {
        return Ok(billing.store.notifications_moot(tenant, std::slice::from_ref(&notification.id)).await?);
    }
    let outcome = send(billing, &sources, notification, wall).await;
    let ids = [notification.id.clone()];
    match &outcome {
        Ok(()) => billing.store.notifications_sent(tenant, &ids, wall).await?,
        Err(MailError::Permanent { .. }) => billing.store.notifications_failed(tenant, &ids).await?,
        Err(MailError::Transient { .. }) => {}
    }
    Ok(outcome?)
}

async fn send(
    billing: &Billing,
    sources: &Sources,
    notification: &Notification,
    wall: Timestamp,
) -> Result<(), MailError> {
    let mail = sources.mail(notification, &billing.mail_from)?;
    billing.mailer.send(&mail, wall).await
}
