//! Applies a coupon to a subscription, from its next invoice on.

use domain::{Coupon, CouponOff, Currency, SpecError};
use serde_json::json;
use store::{CouponRecord, Store, SubscriptionRecord};

use crate::{Actor, BillingError, Change, EventType, TenantTime, subscription_desk::SubscriptionDesk};

/// Coupons that are looked up for one creation; the domain takes no more.
const MAX_NAMED: usize = 20;

/// Decides the application of a coupon, named by id or key.
///
/// # Errors
/// `NotFound`; `Spec` when the coupon is unknown, does not fit, or would be one too many; `State` when the subscription is
/// over or has the coupon in force already; store errors.
pub async fn apply_coupon(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, named): (&str, &str),
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let mut desk = SubscriptionDesk::open(store, actor, time, id).await?;
    desk.must_live()?;
    let coupon = find_coupon(store, (&actor.tenant, desk.loaded.customer.currency), ("coupon", named)).await?;
    let subscription = &mut desk.loaded.record.subscription;
    let again = |key: &str| subscription.coupons().iter().any(|one| one.coupon.key() == key && one.is_in_force());
    if again(coupon.key()) {
        let detail = format!("the coupon `{}` is in force already", coupon.key());
        return Err(BillingError::state("coupon_in_force", detail));
    }
    let data = json!({ "coupon": coupon.key() });
    subscription.apply_coupon(coupon)?;
    desk.close(EventType::SubscriptionCouponApplied, data)
}

/// The coupons that a client names at creation, in its order, for a customer who pays in `currency`.
///
/// # Errors
/// `Spec` at `coupons[i]` for one that is unknown, does not fit the customer, or is named twice; store errors.
pub(crate) async fn find_coupons(
    store: &Store,
    (tenant, currency): (&str, Currency),
    named: &[String],
) -> Result<Vec<Coupon>, BillingError> {
    if named.len() > MAX_NAMED {
        return Err(SpecError::new("coupons", format!("must be at most {MAX_NAMED}")).into());
    }
    let mut found: Vec<Coupon> = Vec::with_capacity(named.len());
    for (index, name) in named.iter().enumerate() {
        let path = format!("coupons[{index}]");
        let coupon = find_coupon(store, (tenant, currency), (&path, name)).await?;
        if found.iter().any(|other| other.key() == coupon.key()) {
            return Err(SpecError::new(path, format!("is the coupon `{}` again", coupon.key())).into());
        }
        found.push(coupon);
    }
    Ok(found)
}

/// The coupon that a client names by id or key in the field `path`.
async fn find_coupon(
    store: &Store,
    (tenant, currency): (&str, Currency),
    (path, named): (&str, &str),
) -> Result<Coupon, BillingError> {
    let refused = |code, rule: String| BillingError::Spec { code, error: SpecError::new(path, rule) };
    let by_id = store.find::<CouponRecord>(tenant, named).await?;
    let record = match by_id {
        Some(record) => Some(record),
        None => store.coupon_by_key(tenant, named).await?,
    };
    let record = record.ok_or_else(|| refused("unknown_coupon", format!("is no coupon: {named}")))?;
    if record.archived_at.is_some() {
        return Err(refused("coupon_archived", format!("is archived: {named}")));
    }
    let coupon = record.coupon;
    match coupon.off() {
        CouponOff::Amount { currency: Some(other), .. } if other != currency => {
            Err(refused("currency_mismatch", format!("is in {other}, the customer pays in {currency}")))
        }
        _ => Ok(coupon),
    }
}
