//! Bills a subscription for an occasion that was counted: late usage, the invoice or its draft, and what is closed with it.
//!
//! The one road of every invoice of a subscription, from a run or from an action. **Invariant:** what is refused has added
//! nothing to the unit.

use domain::{Billable, InvoiceReason, Metered, Occasion};
use jiff::civil::Date;
use store::{Chunk, Customer, DraftRecipe, Invoice, PlanVersion, SubscriptionRecord, UnitOfWork, WalletRecord};

use crate::{
    Actor, BillingError, TenantTime,
    adjust_usage::Books,
    close_usage::Counted,
    issue_invoice::{Issue, Source, invoice_id_of, issue_invoice},
    loaded_subscription::refusal,
};

/// Whose subscription is billed.
pub(crate) struct Party<'a> {
    pub record: &'a mut SubscriptionRecord,
    pub plan: &'a PlanVersion,
    pub customer: &'a mut Customer,
    /// The customer's usable wallets.
    pub wallets: &'a mut [WalletRecord],
}

/// What it is billed for.
pub(crate) struct Matter<'a> {
    pub occasion: &'a Occasion<'a>,
    pub counted: &'a Counted,
    pub books: &'a Books,
    /// The chunk of the run that bills it.
    pub chunk: Option<&'a Chunk>,
}

/// Adds everything to the unit but the subscription itself, which is moved on in place.
///
/// # Errors
/// `State`, `Rule` or `Spec` when the occasion does not fit the subscription or cannot be billed; store errors.
pub(crate) fn bill_occasion(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    party: Party<'_>,
    matter: &Matter<'_>,
) -> Result<Option<Invoice>, BillingError> {
    let Party { record, plan, customer, wallets } = party;
    let taxes = customer.taxes();
    let billable =
        Billable { plan: &plan.plan, subscription: &record.subscription, zone: &customer.timezone, taxes: &taxes };
    let adjusted = matter.books.adjust(&billable, &matter.counted.late)?;
    let metered = Metered { usage: matter.counted.usage.clone(), late: adjusted.charges.clone() };
    let bill = domain::bill(&billable, matter.occasion, &metered).map_err(refusal)?;

    let (boundary, revision) = place(record, matter.occasion);
    let reason = bill.invoice.as_ref().map_or_else(|| reason(matter.occasion), |content| content.reason);
    let id = invoice_id_of((boundary, revision), reason, &record.id);
    let mut closing = matter.books.closing(record, (&id, &plan.plan), bill.closed);
    let mut invoice = None;
    if let Some(content) = bill.invoice {
        let at_boundary = matches!(matter.occasion, Occasion::Boundary { .. });
        let is_held = bill.subscription.is_billed_as_drafts();
        let recipe = closing.as_ref().filter(|_| at_boundary).map(|closing| DraftRecipe {
            before: record.subscription.clone(),
            late: metered.late,
            closing: closing.id.clone(),
        });
        let (source, chunk) = (Source::Subscription(&record.id), matter.chunk);
        let collection = record.collection;
        let issue =
            Issue { customer, wallets, source, boundary, revision, content, collection, chunk, is_held, recipe };
        invoice = Some(issue_invoice(unit, actor, time, issue)?);
    }
    if let Some(closing) = &mut closing {
        closing.draft = invoice.as_ref().is_some_and(|invoice| invoice.recipe.is_some());
        unit.insert(closing)?;
    }
    adjusted.write(unit, (actor, time), record)?;
    record.subscription = bill.subscription;
    Ok(invoice)
}

/// The local date that is billed, and the subscription's revision for what may happen more than once a day.
fn place(record: &SubscriptionRecord, occasion: &Occasion<'_>) -> (Date, Option<i64>) {
    let today = |at| (record.subscription.date_of(at), Some(record.revision));
    match *occasion {
        Occasion::Boundary { .. } => (record.subscription.next_boundary().unwrap_or(Date::MAX), None),
        Occasion::Change { at, .. } | Occasion::Cancel { at, .. } | Occasion::Resume { at } => today(at),
    }
}

/// Of the invoice that there would be.
fn reason(occasion: &Occasion<'_>) -> InvoiceReason {
    match occasion {
        Occasion::Boundary { .. } => InvoiceReason::Period,
        Occasion::Change { .. } | Occasion::Resume { .. } => InvoiceReason::Change,
        Occasion::Cancel { .. } => InvoiceReason::Cancel,
    }
}
