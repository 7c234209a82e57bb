//! Tells those who own a tenant about its endpoints.

use jiff::Timestamp;
use queue::NewJob;
use store::{Message, Notification, Recipient, Store, UnitOfWork};

use crate::{BillingError, jobs::SendNotification};

/// Adds a mail to each owner, once for a cause; returns the jobs that send them.
pub(super) async fn tell_owners(
    store: &Store,
    unit: &mut UnitOfWork,
    (tenant, cause): (&str, &str),
    (message, wall): (&Message, Timestamp),
) -> Result<Vec<NewJob>, BillingError> {
    let mut jobs = Vec::new();
    for owner in store.owners(tenant).await? {
        let cause = format!("{cause}_{}", owner.id);
        let mail = Notification::new((tenant, &cause), Recipient::User(owner.id), message.clone(), wall);
        if store.find::<Notification>(tenant, &mail.id).await?.is_some() {
            continue;
        }
        unit.insert(&mail)?;
        jobs.push(NewJob::of(&SendNotification::Notification { tenant: mail.tenant, notification: mail.id })?);
    }
    Ok(jobs)
}
