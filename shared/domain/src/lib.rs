//! The pure billing core: what is owed, for which days, and why.
//!
//! Owns money, local dates and time zones, billing periods, plans, rating, subscriptions, invoices and dunning. Knows no
//! storage, network, clock or randomness: time and ids are arguments, so the same input gives the same invoice anywhere.
//!
//! **Invariant:** one function bills, [`bill`]. Creation, billing runs and previews call it; no rule has a second
//! implementation. **Invariant:** arithmetic is exact until the one rounding, once per line; what cannot be computed exactly
//! is an error, never an approximation.

mod allot;
mod billing;
mod cadence;
mod calendar;
mod count;
mod coupon;
mod credit_note;
pub mod decimal;
mod discount;
mod dunning;
mod exact;
mod explain;
mod grace;
mod invoice;
pub mod ledger;
mod line;
mod locale;
mod meter;
mod metering;
mod model_spec;
mod money;
mod one_off;
mod period;
mod plan;
mod price;
mod price_model;
mod rating;
mod run_state;
mod spec;
mod subscription;
mod tax;
mod transition;
mod wallet;
mod webhook_retry;

pub use billing::{
    Adjustments, Bill, Billable, BillingError, Closed, ClosedCommitment, ClosedWindow, LateCharges, Metered, Occasion,
    PlanPeriod, ProrationBehavior, Reopened, Taxes, Usage, UsageWindow, Used, adjust, bill, is_upgrade, nothing,
    usage_so_far, usage_windows, windows_under_way,
};
pub use cadence::{Anchor, AnchorDay, BillingCycle, Cadence, Every, Interval, NotAnchorDay};
pub use calendar::{UnknownZone, Zone};
pub use coupon::{AppliedCoupon, Coupon, CouponDuration, CouponOff, CouponSpec};
pub use credit_note::{
    CreditNote, CreditOutcome, CreditRequest, CreditRequestLine, CreditedLine, Settlement, credit_note,
    settle_credit_note,
};
pub use dunning::{
    Advice, Decline, DeclineKind, DunningOutcome, DunningPolicy, DunningPolicySpec, DunningStep, PaymentFailure,
};
pub use exact::{Exact, NotExact};
pub use grace::grace_end;
pub use invoice::{
    ENGINE_VERSION, Imbalance, InvoiceContent, InvoiceHead, InvoiceReason, InvoiceStatus, invoice_number,
};
pub use line::{Limit, LineInputs, LineItem, LineKind};
pub use locale::{Locale, UnknownLocale};
pub use meter::{Aggregation, LatePolicy, Meter, MeterSpec, PropertyFilter, QuantityError};
pub use metering::{Accumulator, EventView, Group, MeasureError, Measured, MeterWindow, Selection};
pub use model_spec::{ModelSpec, ModelType, TierSpec};
pub use money::{AmountError, Currency, Money};
pub use one_off::{OneOffLine, OneOffLineSpec};
pub use period::{BillingPeriod, NotProration, Proration};
pub use plan::{Plan, PlanSpec, TrialUsage};
pub use price::{Price, PriceKind, PriceSpec, Timing};
pub use price_model::{Package, PercentTier, Percentage, PriceModel, Tier};
pub use rating::{ChargedEvents, EventFee, Rated, Rating, Step, rate};
pub use run_state::RunState;
pub use spec::SpecError;
pub use subscription::{Start, Subscription, SubscriptionStatus};
pub use tax::{TaxRate, TaxRateSpec, TaxRounding, tax_rates};
pub use transition::ForbiddenTransition;
pub use wallet::{RestoreError, Wallet, WalletUse, apply_credits, restore_credits};
pub use webhook_retry::{WEBHOOK_ATTEMPTS, webhook_wait};
