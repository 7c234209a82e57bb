//! What a subscription will be billed, and what was used so far: by what is known now, and without any effect.

use domain::{
    AppliedCoupon, Billable, BillingPeriod, Currency, Exact, Group, InvoiceContent, InvoiceHead, InvoiceReason,
    LineItem, Usage, UsageWindow,
};
use jiff::{Timestamp, civil::Date};
use store::Store;

use crate::{
    BillingError,
    loaded_subscription::{LoadedSubscription, refusal},
};

/// What a boundary would bill.
#[derive(Clone, Debug)]
pub struct UpcomingInvoice {
    /// `cus_...`, if there is one.
    pub customer: Option<String>,
    /// `sub_...`, if there is one.
    pub subscription: Option<String>,
    /// Local date of the boundary.
    pub boundary: Date,
    /// Without lines when nothing would be billed.
    pub content: InvoiceContent,
}

/// What was used of a price in its window under way, by one group if it has groups.
#[derive(Clone, Debug)]
pub struct PriceUsage {
    /// Key of the price.
    pub price: String,
    /// Key of its meter.
    pub meter: String,
    /// The local days that its line will cover.
    pub window: BillingPeriod,
    /// First instant whose events count.
    pub from: Timestamp,
    /// First instant after those counted so far.
    pub to: Timestamp,
    /// The values of the price's `group_by` properties.
    pub group: Option<Group>,
    /// The meter's value so far.
    pub quantity: Exact,
    /// Of the amount.
    pub currency: Currency,
    /// What it would cost if nothing more were used, without a minimum, before discount and tax.
    pub amount_minor: i64,
}

/// What the subscription's next boundary would bill if nothing more happened.
///
/// # Errors
/// `NotFound` for an unknown subscription, or one that is over; `Rule` when it cannot be billed; store errors.
pub async fn upcoming_invoice(store: &Store, tenant: &str, id: &str) -> Result<UpcomingInvoice, BillingError> {
    let loaded = LoadedSubscription::load(store, tenant, id).await?;
    let subscription = &loaded.record.subscription;
    let boundary = subscription.next_boundary().zip(subscription.due_at());
    let (boundary, at) = boundary.ok_or_else(|| BillingError::not_found("upcoming_invoice", id))?;
    let metered = loaded.measure(store, &loaded.boundary()).await?;
    let bill = domain::bill(&loaded.billable(), &loaded.boundary(), &metered).map_err(refusal)?;
    let content = bill.invoice.map_or_else(|| nothing(&loaded.billable(), (boundary, at)), Ok)?;
    let LoadedSubscription { record, customer, .. } = loaded;
    Ok(UpcomingInvoice { customer: Some(customer.id), subscription: Some(record.id), boundary, content })
}

/// An invoice without lines, which would not be issued.
pub(crate) fn nothing(
    billable: &Billable<'_>,
    (boundary, at): (Date, Timestamp),
) -> Result<InvoiceContent, BillingError> {
    let starts = boundary == billable.subscription.start_date();
    let head = InvoiceHead {
        reason: if starts { InvoiceReason::SubscriptionCreate } else { InvoiceReason::Period },
        issued_at: at,
        currency: billable.plan.currency(),
        plan: Some(billable.plan.key().to_owned()),
        tax_rates: billable.taxes.rates.clone(),
        tax_rounding: billable.taxes.rounding,
        coupons: AppliedCoupon::in_force(billable.subscription.coupons()),
    };
    InvoiceContent::of_lines(head, Vec::new()).map_err(|error| refusal(error.into()))
}

/// What was used in the subscription's windows under way at `now`, by price and group; none before it starts, in a free trial
/// or once it is over.
///
/// # Errors
/// `NotFound` for an unknown subscription; `Rule` when usage cannot be measured or rated; store errors.
pub async fn usage_so_far(
    store: &Store,
    (tenant, id): (&str, &str),
    now: Timestamp,
) -> Result<Vec<PriceUsage>, BillingError> {
    let loaded = LoadedSubscription::load(store, tenant, id).await?;
    let windows = domain::windows_under_way(&loaded.billable(), now).map_err(refusal)?;
    let usage = loaded.measure_windows(store, windows.clone()).await?.usage;
    let lines = domain::usage_so_far(&loaded.billable(), now, usage.clone()).map_err(refusal)?;
    let currency = loaded.plan.plan.currency();
    Ok(windows.iter().flat_map(|window| rows(window, currency, (&usage, &lines))).collect())
}

/// A row for each group that was used; one of nothing where none was.
fn rows(window: &UsageWindow, currency: Currency, (usage, lines): (&Usage, &[LineItem])) -> Vec<PriceUsage> {
    let amount = |group: &Option<Group>| {
        let line = lines.iter().find(|line| line.price.as_ref() == Some(&window.price) && line.group == *group);
        line.map_or(0, |line| line.amount_minor)
    };
    let row = |group: Option<Group>, quantity: Exact| PriceUsage {
        price: window.price.clone(),
        meter: window.meter.clone(),
        window: window.period,
        from: window.window.from,
        to: window.window.to,
        amount_minor: amount(&group),
        group,
        quantity,
        currency,
    };
    match usage.get(&window.price).map(Vec::as_slice) {
        None | Some([]) => vec![row(None, Exact::zero())],
        Some(used) => used.iter().map(|one| row(one.group.clone(), one.quantity.clone())).collect(),
    }
}
