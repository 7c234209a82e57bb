//! What clients send and see of a subscription.

use std::collections::BTreeMap;

use billing::{NewSubscription, SubscriptionChange, SubscriptionPatch, When};
use domain::{AnchorDay, BillingCycle, ProrationBehavior, SubscriptionStatus};
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::{Collection, ListFilter, SubscriptionRecord, plan_of_version};
use utoipa::{IntoParams, ToSchema};

use super::super::fields::{self, Instant, Metadata, MetadataPatch, Period, Quantity};
use crate::{auth::caller::Reach, http::problem::Problem};

/// Days to pay an invoice that is sent in, when the client does not say.
const DEFAULT_NET_DAYS: u16 = 30;

/// Most days to pay in: a year.
const MAX_NET_DAYS: u16 = 365;

/// A subscription to create.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SubscriptionRequest {
    /// Id of the customer.
    #[schema(example = "cus_0198f3")]
    customer: String,
    /// Id or key of the plan.
    #[schema(example = "pln_0198f3")]
    plan: String,
    /// Where boundaries lie: `anniversary` of the start (if left out), or `calendar`: the first of the month or quarter, Monday
    /// or January 1, the first period being a part of one.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "anniversary", pattern = "^(anniversary|calendar)$")]
    billing_cycle: BillingCycle,
    /// Day of the month that periods begin on, in shorter months their last; for an anniversary cycle of months, quarters or
    /// years. The start's, or the trial's end's, if left out.
    #[schema(minimum = 1, maximum = 31)]
    anchor_day: Option<i64>,
    /// Price key -> quantity, for each licensed price of the plan.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    quantities: BTreeMap<String, Quantity>,
    /// Days of trial from the start; the plan's if left out.
    #[schema(minimum = 0, maximum = 3660)]
    trial_days: Option<u16>,
    /// Ids or keys of coupons, at most 20, in the order they apply.
    #[serde(default)]
    #[schema(example = json!(["welcome"]))]
    coupons: Vec<String>,
    /// May lie in the past or in the future; now if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    start_at: Option<Instant>,
    /// The first instant at which it is over, on a later day than the start; never if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    end_at: Option<Instant>,
    /// How its invoices are collected: from the customer's payment method (`charge_automatically`, if left out), or by the
    /// customer itself (`send_invoice`).
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "charge_automatically",
        pattern = "^(charge_automatically|send_invoice)$")]
    collection: CollectionMethod,
    /// Days in which an invoice that is sent is to be paid; 30 if left out.
    #[schema(minimum = 0, maximum = 365)]
    net_days: Option<u16>,
    /// What changes and cancellations do that do not say: credit and charge by `day` (if left out), or `none`.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "day", pattern = "^(day|none)$")]
    proration: ProrationBehavior,
    /// Up to 50 strings of the client's.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
}

/// What changes of a subscription besides what it bills. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "collection": "send_invoice", "net_days": 14 }))]
pub(super) struct SubscriptionUpdate {
    /// `charge_automatically` or `send_invoice`.
    #[schema(value_type = Option<String>, pattern = "^(charge_automatically|send_invoice)$")]
    collection: Option<CollectionMethod>,
    /// For `send_invoice`, named beside it; 30 if left out.
    #[schema(minimum = 0, maximum = 365)]
    net_days: Option<u16>,
    /// `day` or `none`.
    #[schema(value_type = Option<String>, pattern = "^(day|none)$")]
    proration: Option<ProrationBehavior>,
    /// Keys to set; null takes a key away.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    metadata: MetadataPatch,
}

/// How invoices are collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CollectionMethod {
    #[default]
    ChargeAutomatically,
    SendInvoice,
}

impl SubscriptionRequest {
    /// Whether whoever reaches this may ask for it: a customer chooses a plan and quantities for itself. Trials, coupons and
    /// dates are the tenant's to give.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn may_be_asked_by(&self, reach: &Reach) -> Result<(), Problem> {
        let Reach::Customer(own) = reach else { return Ok(()) };
        if self.customer != *own {
            return Err(Problem::rule_violated("unknown_customer", "no such customer").at(
                "/customer",
                "unknown_customer",
                "no such customer",
            ));
        }
        let given = [
            ("/trial_days", self.trial_days.is_some()),
            ("/coupons", !self.coupons.is_empty()),
            ("/start_at", self.start_at.is_some()),
            ("/end_at", self.end_at.is_some()),
            ("/collection", self.collection != CollectionMethod::default()),
            ("/net_days", self.net_days.is_some()),
            ("/proration", self.proration != ProrationBehavior::default()),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).try_for_each(|(pointer, _)| not_for_customers(pointer))
    }
}

fn not_for_customers(pointer: &str) -> Result<(), Problem> {
    Err(fields::refused(pointer, "not_for_customers", "is not for customers to choose"))
}

/// A change of plan or quantities; at least one of them.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ChangeRequest {
    /// Id or key of the new plan; it stays if left out.
    #[schema(example = "pro")]
    plan: Option<String>,
    /// Price key -> new quantity; the others stay.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    quantities: BTreeMap<String, Quantity>,
    /// `now`, with an invoice at once, or at `period_end`. If left out, an upgrade is now and a downgrade at the end of the
    /// period; it is an upgrade when the amount in advance per day does not fall.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(now|period_end)$")]
    when: Option<Moment>,
    /// Whether days are credited and charged: by `day`, or `none` until the next period; the subscription's if left out.
    #[schema(value_type = Option<String>, example = "day", pattern = "^(day|none)$")]
    proration: Option<ProrationBehavior>,
}

/// A cancellation.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CancelRequest {
    /// `now`, with a last invoice at once, or at `period_end`.
    #[schema(value_type = String, example = "period_end", pattern = "^(now|period_end)$")]
    when: Moment,
    /// Whether days that were billed in advance are credited: by `day`, or `none`; the subscription's if left out.
    #[schema(value_type = Option<String>, example = "day", pattern = "^(day|none)$")]
    proration: Option<ProrationBehavior>,
}

impl ChangeRequest {
    /// Whether whoever reaches this may ask for it: a customer does not choose what is prorated.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn may_be_asked_by(&self, reach: &Reach) -> Result<(), Problem> {
        match reach {
            Reach::Customer(_) if self.proration.is_some() => not_for_customers("/proration"),
            _ => Ok(()),
        }
    }
}

impl CancelRequest {
    /// Whether whoever reaches this may ask for it: a customer cancels at the end of what it has paid for.
    ///
    /// # Errors
    /// 422 with the field.
    pub(super) fn may_be_asked_by(&self, reach: &Reach) -> Result<(), Problem> {
        match reach {
            Reach::Customer(_) if matches!(self.when, Moment::Now) => not_for_customers("/when"),
            _ => Ok(()),
        }
    }
}

/// A coupon to apply.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ApplyCouponRequest {
    /// Id or key of the coupon.
    #[schema(example = "welcome")]
    pub coupon: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Moment {
    Now,
    PeriodEnd,
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Subscription {
    #[schema(example = "sub_0198f3")]
    id: String,
    /// Always `subscription`.
    #[schema(value_type = String, example = "subscription")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    customer: String,
    /// Id of the plan.
    plan: String,
    /// Which version of it.
    plan_version: i32,
    /// Id of the plan that follows at the end of the period; null if none does.
    scheduled_plan: Option<String>,
    /// Which version of it.
    scheduled_plan_version: Option<i32>,
    #[schema(value_type = String, example = "anniversary")]
    billing_cycle: BillingCycle,
    /// The day of the month that was asked for.
    anchor_day: Option<u8>,
    /// Price key -> quantity, of the licensed prices.
    quantities: BTreeMap<String, Decimal>,
    /// In the order they apply.
    coupons: Vec<AppliedCoupon>,
    /// Usage counts from here on.
    start_at: Timestamp,
    /// Local date of the first day after the trial; null if there is and was none.
    trial_end: Option<Date>,
    /// The first instant at which it is over; null if that is not known.
    end_at: Option<Timestamp>,
    /// `trialing`, `active`, `past_due`, `unpaid`, `paused` or `cancelled`.
    #[schema(value_type = String, example = "active")]
    status: SubscriptionStatus,
    /// The period that ends at the next boundary.
    current_period: Period,
    /// Local date of the oldest boundary that is not billed yet; null once it is over.
    next_boundary: Option<Date>,
    /// The instant from which the next boundary is billed; null when there is none.
    next_billing_at: Option<Timestamp>,
    /// How its invoices are collected, with `net_days` if they are sent.
    #[serde(flatten)]
    #[schema(value_type = CollectionShown)]
    collection: Collection,
    /// What changes and cancellations do that do not say.
    #[schema(value_type = String, example = "day")]
    proration: ProrationBehavior,
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
}

/// How invoices are collected.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only documents what the store's own type shows")]
pub(in crate::resources) struct CollectionShown {
    /// `charge_automatically` or `send_invoice`.
    #[schema(example = "charge_automatically")]
    collection: String,
    /// Days in which an invoice that is sent is to be paid.
    #[schema(minimum = 0)]
    net_days: Option<u16>,
}

/// A coupon that a subscription has.
#[derive(Debug, Serialize, ToSchema)]
struct AppliedCoupon {
    /// Its key.
    #[schema(example = "welcome")]
    coupon: String,
    /// Invoices that count towards its duration.
    uses: u32,
}

/// Which subscriptions are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SubscriptionFilter {
    /// Id of the customer.
    customer: Option<String>,
    /// Where they stand.
    #[param(value_type = Option<String>)]
    status: Option<SubscriptionStatus>,
}

impl SubscriptionRequest {
    pub(super) fn parse(self) -> Result<NewSubscription, Problem> {
        Ok(NewSubscription {
            customer: self.customer,
            plan: self.plan,
            billing_cycle: self.billing_cycle,
            anchor_day: self.anchor_day.map(anchor_day).transpose()?,
            trial_days: self.trial_days,
            coupons: self.coupons,
            quantities: decimals(self.quantities),
            start_at: self.start_at.map(|at| at.0),
            end_at: self.end_at.map(|at| at.0),
            collection: collection(self.collection, self.net_days)?,
            proration: self.proration,
            metadata: fields::metadata(self.metadata)?,
        })
    }
}

impl SubscriptionUpdate {
    pub(super) fn parse(self) -> Result<SubscriptionPatch, Problem> {
        let collection = match (self.collection, self.net_days) {
            (Some(method), net_days) => Some(collection(method, net_days)?),
            (None, Some(_)) => {
                return Err(fields::refused("/net_days", "invalid_value", "needs `collection` beside it"));
            }
            (None, None) => None,
        };
        let metadata = fields::metadata_patch(self.metadata)?;
        Ok(SubscriptionPatch { collection, proration: self.proration, metadata })
    }
}

fn collection(method: CollectionMethod, net_days: Option<u16>) -> Result<Collection, Problem> {
    match (method, net_days) {
        (CollectionMethod::ChargeAutomatically, None) => Ok(Collection::ChargeAutomatically),
        (CollectionMethod::ChargeAutomatically, Some(_)) => {
            Err(fields::refused("/net_days", "invalid_value", "is for `send_invoice` only"))
        }
        (CollectionMethod::SendInvoice, Some(days)) if days > MAX_NET_DAYS => {
            Err(fields::refused("/net_days", "out_of_range", &format!("must be between 0 and {MAX_NET_DAYS}")))
        }
        (CollectionMethod::SendInvoice, days) => {
            Ok(Collection::SendInvoice { net_days: days.unwrap_or(DEFAULT_NET_DAYS) })
        }
    }
}

pub(super) fn anchor_day(day: i64) -> Result<AnchorDay, Problem> {
    let day = u8::try_from(day).ok().and_then(|day| AnchorDay::try_from(day).ok());
    day.ok_or_else(|| fields::refused("/anchor_day", "invalid_value", &domain::NotAnchorDay.to_string()))
}

pub(super) fn decimals(quantities: BTreeMap<String, Quantity>) -> BTreeMap<String, Decimal> {
    quantities.into_iter().map(|(key, quantity)| (key, quantity.0)).collect()
}

impl ChangeRequest {
    pub(super) fn parse(self) -> SubscriptionChange {
        SubscriptionChange {
            plan: self.plan,
            quantities: decimals(self.quantities),
            when: self.when.map(When::from),
            proration: self.proration,
        }
    }
}

impl CancelRequest {
    pub(super) fn parse(self) -> (When, Option<ProrationBehavior>) {
        (self.when.into(), self.proration)
    }
}

impl From<Moment> for When {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::Now => Self::Now,
            Moment::PeriodEnd => Self::PeriodEnd,
        }
    }
}

impl SubscriptionFilter {
    pub(super) fn into_store(self) -> ListFilter {
        let status = self.status.map(|status| status.as_str().to_owned());
        ListFilter::default().field("customer", self.customer).field("subscription.status", status)
    }
}

impl Subscription {
    pub(super) fn of(record: SubscriptionRecord, livemode: bool) -> Self {
        let SubscriptionRecord { id, created, customer, subscription, collection, proration, metadata, due, .. } =
            record;
        let applied =
            |one: &domain::AppliedCoupon| AppliedCoupon { coupon: one.coupon.key().to_owned(), uses: one.uses };
        let (plan, plan_version) = plan_of_version(subscription.plan());
        let scheduled = subscription.scheduled_plan().map(plan_of_version);
        Self {
            id,
            object: "subscription",
            created,
            livemode,
            customer,
            plan: plan.to_owned(),
            plan_version,
            scheduled_plan: scheduled.map(|(plan, _)| plan.to_owned()),
            scheduled_plan_version: scheduled.map(|(_, version)| version),
            billing_cycle: subscription.billing_cycle(),
            anchor_day: subscription.anchor_day().map(u8::from),
            quantities: subscription.quantities().clone(),
            coupons: subscription.coupons().iter().map(applied).collect(),
            start_at: subscription.start_at(),
            trial_end: subscription.trial_end(),
            end_at: subscription.end_at(),
            status: subscription.status(),
            current_period: subscription.current_period().into(),
            next_boundary: subscription.next_boundary(),
            next_billing_at: due.at,
            collection,
            proration,
            metadata,
        }
    }
}
