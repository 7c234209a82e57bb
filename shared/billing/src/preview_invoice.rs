//! Previews the first invoice of a subscription that is not created, of a customer or of anybody.

use domain::{Billable, Currency, Metered, Occasion, Taxes, Zone};
use store::Store;

use crate::{
    BillingError, NewSubscription, TenantTime, UpcomingInvoice,
    apply_coupon::find_coupons,
    create_subscription::{check_terms, find_plan, on_sale, start},
    find_customer::find_customer,
    loaded_subscription::refusal,
    upcoming_invoice::paid,
};

/// Somebody who is no customer yet.
#[derive(Clone, Debug)]
pub struct Prospect {
    /// The plan's if absent.
    pub currency: Option<Currency>,
    pub timezone: Zone,
    pub taxes: Taxes,
}

/// What the creation of a subscription would bill at its start, be that now or later; without lines when nothing. Its customer
/// is the prospect, or `new.customer` if there is none.
///
/// # Errors
/// Those of [`crate::create_subscription`].
pub async fn preview_invoice(
    store: &Store,
    (tenant, time): (&str, &TenantTime),
    prospect: Option<Prospect>,
    new: &NewSubscription,
) -> Result<UpcomingInvoice, BillingError> {
    let (payer, prospect) = match prospect {
        Some(prospect) => (None, prospect),
        None => {
            let customer = find_customer(store, tenant, &new.customer).await?;
            let (currency, taxes) = (Some(customer.currency), customer.taxes());
            let prospect = Prospect { currency, timezone: customer.timezone.clone(), taxes };
            (Some(customer), prospect)
        }
    };
    let plan = on_sale(&find_plan(store, tenant, &new.plan).await?)?;
    let currency = prospect.currency.unwrap_or(plan.plan.currency());
    check_terms(currency, &plan)?;
    let coupons = find_coupons(store, (tenant, currency), &new.coupons).await?;
    let subscription = start(new, &plan, (time.now, &prospect.timezone), coupons)?;
    let (zone, taxes) = (&prospect.timezone, &prospect.taxes);
    let billable = Billable { plan: &plan.plan, subscription: &subscription, zone, taxes };
    let bill =
        domain::bill(&billable, &Occasion::Boundary { next_plan: None }, &Metered::default()).map_err(refusal)?;
    let boundary = subscription.start_date();
    let mut content = bill.invoice.map_or_else(|| domain::nothing(&billable).map_err(refusal), Ok)?;
    if let Some(customer) = &payer {
        content = paid(store, customer, time, content).await?;
    }
    Ok(UpcomingInvoice { customer: payer.map(|customer| customer.id), subscription: None, boundary, content })
}
