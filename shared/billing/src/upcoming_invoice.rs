//! What a subscription will be billed, and what was used so far: by what is known now, and without any effect.

use domain::{
    BillingPeriod, Currency, Exact, Group, InvoiceContent, LateCharges, LineItem, Metered, Usage, UsageWindow, Wallet,
    apply_credits,
};
use jiff::{Timestamp, civil::Date};
use store::{Customer, Store, WalletRecord};

use crate::{
    BillingError, TenantTime,
    adjust_usage::Books,
    close_usage::{Counted, Mode},
    loaded_subscription::{LoadedSubscription, refusal},
    purse::load_wallets,
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

/// What was used so far.
#[derive(Clone, Debug)]
pub struct UsageSoFar {
    /// In the windows under way.
    pub prices: Vec<PriceUsage>,
    /// What came late for periods that were billed before, as the next invoice will bill it.
    pub late: Vec<LineItem>,
    /// Of all amounts.
    pub currency: Currency,
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
pub async fn upcoming_invoice(
    store: &Store,
    (tenant, time): (&str, &TenantTime),
    id: &str,
) -> Result<UpcomingInvoice, BillingError> {
    let loaded = LoadedSubscription::load(store, tenant, id).await?;
    let subscription = &loaded.record.subscription;
    let boundary = subscription.next_boundary().zip(subscription.due_at());
    let (boundary, at) = boundary.ok_or_else(|| BillingError::not_found("upcoming_invoice", id))?;
    let counted = loaded.count(store, &loaded.boundary(), Mode::Look).await?;
    let late = late_charges(store, &loaded, &counted).await?;
    let metered = Metered { usage: counted.usage, late };
    let bill = domain::bill(&loaded.billable(), &loaded.boundary(), &metered).map_err(refusal)?;
    let content = bill.invoice.map_or_else(|| domain::nothing(&loaded.billable()).map_err(refusal), Ok)?;
    // It is paid when it is issued, or later.
    let time = TenantTime { now: time.now.max(at), ..time.clone() };
    let content = paid(store, &loaded.customer, &time, content).await?;
    let LoadedSubscription { record, customer, .. } = loaded;
    Ok(UpcomingInvoice { customer: Some(customer.id), subscription: Some(record.id), boundary, content })
}

/// What came late for periods that were billed before.
async fn late_charges(
    store: &Store,
    loaded: &LoadedSubscription,
    counted: &Counted,
) -> Result<LateCharges, BillingError> {
    let books = Books::load(store, &loaded.record.tenant, [&counted.late].into_iter()).await?;
    Ok(books.adjust(&loaded.billable(), &counted.late)?.charges)
}

/// The invoice as wallets and balance would pay it now, without any effect.
pub(crate) async fn paid(
    store: &Store,
    customer: &Customer,
    time: &TenantTime,
    content: InvoiceContent,
) -> Result<InvoiceContent, BillingError> {
    let wallets = load_wallets(store, customer, time).await?;
    let mut wallets: Vec<Wallet> = wallets.iter().map(WalletRecord::wallet).collect();
    let mut balance_minor = customer.balance_minor;
    let content = apply_credits(content, &mut wallets, &mut balance_minor, time.now);
    content.map_err(|error| BillingError::rule("not_billable", "", error.to_string()))
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
) -> Result<UsageSoFar, BillingError> {
    let loaded = LoadedSubscription::load(store, tenant, id).await?;
    let windows = domain::windows_under_way(&loaded.billable(), now).map_err(refusal)?;
    let counted = loaded.count_windows(store, windows.clone(), Mode::Look).await?;
    let lines = domain::usage_so_far(&loaded.billable(), now, counted.usage.clone()).map_err(refusal)?;
    let late = late_charges(store, &loaded, &counted).await?.lines;
    let (currency, usage) = (loaded.plan.plan.currency(), &counted.usage);
    let prices = windows.iter().flat_map(|window| rows(window, currency, (usage, &lines))).collect();
    Ok(UsageSoFar { prices, late, currency })
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
