//! Which objects a caller reaches: those of its tenant, and of these a customer only its own.
//!
//! **Invariant:** every kind of object says here whose it is, so [`crate::read`] never shows a customer what is another's:
//! a kind that is missing from the list cannot be read at all.

use store::{ListFilter, Record};

use crate::auth::caller::{Caller, Reach};

/// Whose the objects of a kind are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnedBy {
    /// The tenant's: no customer sees them.
    Tenant,
    /// For everybody in the tenant, customers too.
    Everybody,
    /// Each is of the customer that this stored field names.
    Customer(&'static str),
}

/// A kind of object that callers read.
pub(crate) trait Reached: Record {
    /// Whose they are.
    const OWNED_BY: OwnedBy;

    /// The customer that this one is of.
    fn customer(&self) -> Option<&str>;
}

macro_rules! reached {
    ($($type:ident: $owned:expr $(, $field:ident)?;)*) => {
        $(
            impl Reached for store::$type {
                const OWNED_BY: OwnedBy = $owned;

                fn customer(&self) -> Option<&str> {
                    reached!(@customer self $(, $field)?)
                }
            }
        )*
    };
    (@customer $object:ident) => { None };
    (@customer $object:ident, $field:ident) => { Some(&$object.$field) };
}

reached! {
    ApiKey: OwnedBy::Tenant;
    AuditEntry: OwnedBy::Tenant;
    BalanceEntry: OwnedBy::Customer("customer"), customer;
    BillingRun: OwnedBy::Tenant;
    CouponRecord: OwnedBy::Tenant;
    CreditNoteRecord: OwnedBy::Customer("customer"), customer;
    Customer: OwnedBy::Customer("_id"), id;
    Event: OwnedBy::Tenant;
    Invoice: OwnedBy::Customer("customer"), customer;
    MeterRecord: OwnedBy::Tenant;
    Operation: OwnedBy::Tenant;
    PaymentAttempt: OwnedBy::Customer("customer"), customer;
    Refund: OwnedBy::Customer("customer"), customer;
    PlanRecord: OwnedBy::Everybody;
    PlanVersion: OwnedBy::Everybody;
    SubscriptionRecord: OwnedBy::Customer("customer"), customer;
    TaxRateRecord: OwnedBy::Tenant;
    TestClock: OwnedBy::Tenant;
    User: OwnedBy::Tenant;
    WebhookDelivery: OwnedBy::Tenant;
    WebhookEndpoint: OwnedBy::Tenant;
    WalletRecord: OwnedBy::Customer("customer"), customer;
}

/// Whether the caller reaches an object of its tenant.
pub(crate) fn reaches<R: Reached>(caller: &Caller, object: &R) -> bool {
    match (&caller.reach, R::OWNED_BY) {
        (Reach::Tenant, _) | (Reach::Customer(_), OwnedBy::Everybody) => true,
        (Reach::Customer(_), OwnedBy::Tenant) => false,
        (Reach::Customer(own), OwnedBy::Customer(_)) => object.customer() == Some(own),
    }
}

/// Only the rows of a list that the caller reaches; `None` if there are none.
pub(crate) fn within_reach<R: Reached>(caller: &Caller, filter: ListFilter) -> Option<ListFilter> {
    match (&caller.reach, R::OWNED_BY) {
        (Reach::Tenant, _) | (Reach::Customer(_), OwnedBy::Everybody) => Some(filter),
        (Reach::Customer(_), OwnedBy::Tenant) => None,
        (Reach::Customer(own), OwnedBy::Customer(field)) => Some(filter.owned_by(field, own)),
    }
}
