//! Bills a draft again: usage still counts in it until it is final.

use domain::{Bill, Billable, InvoiceContent, InvoiceStatus, Metered, Occasion, Taxes};
use store::{Customer, DraftRecipe, Invoice, PlanVersion, Store, SubscriptionRecord, UnitOfWork, UsageClosing};

use crate::{
    BillingError,
    close_usage::{Mode, claim},
    loaded_subscription::refusal,
    measure_usage::{Wanted, load_meters, measure_usage},
};

/// An invoice as it is to be shown: a draft with the usage that is known by now, anything else as it is.
///
/// # Errors
/// `Rule` when the usage cannot be measured or billed; store errors.
pub async fn current_invoice(store: &Store, invoice: Invoice) -> Result<Invoice, BillingError> {
    match draft_recipe(&invoice) {
        Some(recipe) => {
            let content = again(store, &invoice, recipe, Mode::Look).await?.content;
            Ok(Invoice { content, ..invoice })
        }
        None => Ok(invoice),
    }
}

/// Bills a draft for the last time, and closes its usage for good.
///
/// # Errors
/// Those of [`current_invoice`].
pub(crate) async fn settle_draft(
    store: &Store,
    unit: &mut UnitOfWork,
    invoice: &mut Invoice,
) -> Result<(), BillingError> {
    let Some(recipe) = draft_recipe(invoice).cloned() else { return Ok(()) };
    let Again { content, bill, commits } = again(store, invoice, &recipe, Mode::Close).await?;
    invoice.content = content;
    invoice.recipe = None;
    let id = &recipe.closing;
    let missing = || BillingError::not_found("usage_closing", id);
    let mut closing: UsageClosing = store.find(&invoice.tenant, id).await?.ok_or_else(missing)?;
    let before = closing.windows.iter().fold(0_i64, |sum, window| sum.saturating_add(window.billed_minor()));
    let change_minor = bill.closed.billed_minor().saturating_sub(before);
    closing.windows = bill.closed.windows;
    closing.draft = false;
    // A commitment that ends with the draft was billed again with it; another one counts what has changed.
    if bill.closed.commitment.is_some() {
        closing.commitment = bill.closed.commitment;
    } else if commits && change_minor != 0 {
        recount(store, unit, &closing, change_minor).await?;
    }
    Ok(unit.replace(&mut closing)?)
}

fn draft_recipe(invoice: &Invoice) -> Option<&DraftRecipe> {
    invoice.recipe.as_ref().filter(|_| invoice.status == InvoiceStatus::Draft)
}

/// A draft that was billed again.
struct Again {
    content: InvoiceContent,
    bill: Bill,
    /// Whether its plan has a minimum commitment.
    commits: bool,
}

async fn again(store: &Store, invoice: &Invoice, recipe: &DraftRecipe, mode: Mode) -> Result<Again, BillingError> {
    let tenant = invoice.tenant.as_str();
    let missing = || BillingError::not_found("invoice", &invoice.id);
    let customer: Customer = store.find(tenant, &invoice.customer).await?.ok_or_else(missing)?;
    let plan: PlanVersion = store.find(tenant, recipe.before.plan()).await?.ok_or_else(missing)?;
    let next_plan: Option<PlanVersion> = match recipe.before.scheduled_plan() {
        Some(id) => Some(store.find(tenant, id).await?.ok_or_else(missing)?),
        None => None,
    };
    let taxes = Taxes { rates: invoice.content.tax_rates.clone(), rounding: invoice.content.tax_rounding };
    let billable = Billable { plan: &plan.plan, subscription: &recipe.before, zone: &customer.timezone, taxes: &taxes };
    let occasion = Occasion::Boundary { next_plan: next_plan.as_ref().map(|version| &version.plan) };
    let wanted = [Wanted {
        customer: &invoice.customer,
        subscription: invoice.subscription.as_deref().ok_or_else(missing)?,
        plan: &plan.plan,
        windows: domain::usage_windows(&billable, &occasion).map_err(refusal)?,
    }];
    let meters = load_meters(store, tenant).await?;
    let unclaimed = claim(store, tenant, (&wanted, &meters), mode).await?;
    let usage = measure_usage(store, (tenant, &meters), &wanted, unclaimed).await?.pop();
    let usage = usage.transpose().map_err(|detail| BillingError::rule("usage_not_measured", "", detail))?;
    let metered = Metered { usage: usage.unwrap_or_default(), late: recipe.late.clone() };
    let bill = domain::bill(&billable, &occasion, &metered).map_err(refusal)?;
    let content = match &bill.invoice {
        Some(content) => content.clone(),
        None => domain::nothing(&billable).map_err(refusal)?,
    };
    Ok(Again { content, bill, commits: plan.plan.minimum_commitment_minor() > 0 })
}

/// Counts what a draft's usage has changed by towards the commitment of its plan's period, wherever that has got to.
async fn recount(
    store: &Store,
    unit: &mut UnitOfWork,
    closing: &UsageClosing,
    change_minor: i64,
) -> Result<(), BillingError> {
    let Some(within) = closing.windows.first().map(|window| window.within.clone()) else { return Ok(()) };
    let (tenant, id) = (closing.tenant.as_str(), closing.subscription.as_str());
    let missing = || BillingError::not_found("subscription", id);
    let mut record: SubscriptionRecord = store.find(tenant, id).await?.ok_or_else(missing)?;
    let overflow = |error: domain::AmountError| BillingError::rule("not_billable", "", error.to_string());
    if record.subscription.count(&within, change_minor).map_err(overflow)? {
        return Ok(unit.replace(&mut record)?);
    }
    for mut ended in store.closings_of_periods((tenant, id), &[within]).await? {
        if let Some(commitment) = &mut ended.commitment {
            commitment.count(change_minor).map_err(overflow)?;
            ended.recount = true;
            unit.replace(&mut ended)?;
        }
    }
    Ok(())
}
