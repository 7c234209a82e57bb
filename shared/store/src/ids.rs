//! Deterministic ids: a repeat of the same work finds its own documents.
//!
//! Random ids (customers, plans, ...) are made by the caller and passed in. Ids are opaque to clients.

use domain::ledger::MovementKind;
use jiff::{Timestamp, civil::Date};

/// What stands between a plan's id and the number of a version.
const VERSION: &str = "_v";

/// What follows the prefix of an id: `sub_0198` gives `0198`.
pub(crate) fn body(id: &str) -> &str {
    id.split_once('_').map_or(id, |(_, body)| body)
}

/// The change of a customer's balance that came with a revision of the customer; ids of one customer sort by revision.
#[must_use]
pub fn balance_entry_id(customer: &str, revision: i64) -> String {
    format!("bal_{}_{revision:08}", body(customer))
}

/// Version `version` (from 1) of a plan.
#[must_use]
pub fn plan_version_id(plan: &str, version: i32) -> String {
    format!("{plan}{VERSION}{version}")
}

/// The plan of a version's id, and the version's number.
#[must_use]
pub fn plan_of_version(id: &str) -> (&str, i32) {
    let parts = id.rsplit_once(VERSION).and_then(|(plan, version)| Some((plan, version.parse().ok()?)));
    parts.unwrap_or((id, 1))
}

/// The invoice of a subscription at a boundary, or for an action at a revision; a one-off invoice is named by an id of its own in place of the subscription's. Begins with the date, so that a run's inserts
/// stay together in the index; `letter` tells reasons apart that may fall on one date.
#[must_use]
pub fn invoice_id((day, revision): (Date, Option<i64>), letter: char, subscription: &str) -> String {
    let revision = revision.map_or_else(String::new, |revision| format!("{revision}_"));
    format!("inv_{}{letter}{revision}{}", day.strftime("%Y%m%d"), body(subscription))
}

/// The one movement of a kind that a source brings about; begins with the date where the source's id does.
#[must_use]
pub fn ledger_entry_id(source: &str, kind: MovementKind) -> String {
    format!("led_{}_{}", body(source), kind.as_str())
}

/// Attempt `number` (from 1) to collect an invoice; it is also the gateway's idempotency key, for ever.
#[must_use]
pub fn payment_attempt_id(invoice: &str, number: i32) -> String {
    format!("pay_{}_{number}", body(invoice))
}

/// The one message of a kind about one cause; it is also the mail's Message-ID.
#[must_use]
pub fn notification_id(cause: &str, kind: &str) -> String {
    format!("ntf_{}_{kind}", body(cause))
}

/// The event that a subject's revision caused.
#[must_use]
pub fn event_id(subject: &str, revision: i64, event_type: &str) -> String {
    format!("evt_{subject}_{revision}_{event_type}")
}

/// The way of an event to one durable subscriber.
#[must_use]
pub fn event_delivery_id(event: &str, subscriber: &str) -> String {
    format!("dlv_{subscriber}_{}", body(event))
}

/// The subscription of a new customer to its tenant's default plan.
#[must_use]
pub fn default_subscription_id(customer: &str) -> String {
    format!("sub_{}d", body(customer))
}

/// The delivery of a cause (an event, a test) to a webhook endpoint; also its `webhook-id`, which has no dots since they part
/// what is signed.
#[must_use]
pub fn webhook_delivery_id(endpoint: &str, cause: &str) -> String {
    format!("whd_{}_{}", body(endpoint), body(cause).replace('.', "_"))
}

/// The chunk of a run that begins after a customer (empty for the first).
#[must_use]
pub fn chunk_id(run: &str, after_customer: &str) -> String {
    format!("chk_{}_{}", body(run), body(after_customer))
}

/// The usage frozen for one pass of a chunk.
#[must_use]
pub fn usage_pass_id(chunk: &str, pass: i32) -> String {
    format!("upa_{}_{pass}", body(chunk))
}

/// What was closed with an invoice, or would have been one.
#[must_use]
pub fn usage_closing_id(invoice: &str) -> String {
    format!("clo_{}", body(invoice))
}

/// The mark of late usage of a subscription and meter.
#[must_use]
pub fn late_mark_id(subscription: &str, meter: &str) -> String {
    format!("late_{}_{meter}", body(subscription))
}

/// One tick of a schedule; unique, so that two schedulers make one.
#[must_use]
pub fn tick_id(schedule: &str, at: Timestamp) -> String {
    format!("tck_{schedule}_{}", at.strftime("%Y%m%dT%H%M%SZ"))
}

/// The billing run that a tick makes for a tenant.
#[must_use]
pub fn scheduled_run_id(tick: &str, tenant: &str) -> String {
    format!("run_{}_{}", body(tick), body(tenant))
}

/// The billing run of an instant at which an advance of a test clock has stopped.
#[must_use]
pub fn clock_run_id(clock: &str, at: Timestamp) -> String {
    format!("run_{}_{}", body(clock), at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::{plan_of_version, plan_version_id};

    #[test]
    fn a_version_names_its_plan() {
        assert_eq!(plan_of_version(&plan_version_id("pln_0198f3", 12)), ("pln_0198f3", 12));
    }
}
