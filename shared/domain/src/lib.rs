//! The pure billing core: what is owed, for which days, and why.
//!
//! Owns money, local dates and time zones, billing periods, plans, rating, subscriptions, invoices and dunning. Knows no
//! storage, network, clock or randomness: time and ids are arguments, so the same input gives the same invoice anywhere.
//!
//! **Invariant:** one function bills, [`bill`]. Creation, billing runs and previews call it; no rule has a second
//! implementation. **Invariant:** arithmetic is exact until the one rounding, once per line; what cannot be computed exactly
//! is an error, never an approximation.

mod billing;
mod calendar;
pub mod decimal;
mod dunning;
mod exact;
mod explain;
mod invoice;
mod line;
mod meter;
mod money;
mod period;
mod plan;
mod rating;
mod spec;
mod subscription;
mod tax;
mod transition;

pub use billing::{Bill, Billable, BillingError, UsageWindow, bill, usage_window};
pub use calendar::{UnknownZone, Zone};
pub use dunning::{DunningPolicy, DunningStep};
pub use exact::{Exact, NotExact};
pub use invoice::{ENGINE_VERSION, InvoiceContent, InvoiceReason, InvoiceStatus, invoice_number};
pub use line::{LineInputs, LineItem, LineKind};
pub use meter::{Aggregation, Meter, MeterSpec, QuantityError};
pub use money::{AmountError, Currency, Money};
pub use period::{BillingCycle, BillingPeriod, Cadence, Interval, Proration};
pub use plan::{Plan, PlanSpec, Price, PriceKind, PriceModel, Tier, Timing};
pub use rating::{Rating, Step, rate};
pub use spec::SpecError;
pub use subscription::{Start, Subscription, SubscriptionStatus};
pub use tax::{TaxRate, TaxRateSpec};
pub use transition::ForbiddenTransition;
