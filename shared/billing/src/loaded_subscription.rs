//! A subscription with all that it is billed from.

use domain::{Billable, Occasion, Taxes, UsageWindow};
use store::{Customer, PlanVersion, Store, SubscriptionRecord};

use crate::{
    BillingError,
    close_usage::{Closing, Counted, Mode, count_usage},
};

/// A subscription, its customer, its plan and the one that follows.
pub(crate) struct LoadedSubscription {
    pub record: SubscriptionRecord,
    pub customer: Customer,
    pub plan: PlanVersion,
    /// The version that is scheduled to follow, if another one is.
    pub next_plan: Option<PlanVersion>,
    taxes: Taxes,
}

impl LoadedSubscription {
    /// # Errors
    /// `NotFound` for a subscription that the tenant does not have; store errors.
    pub(crate) async fn load(store: &Store, tenant: &str, id: &str) -> Result<Self, BillingError> {
        let missing = || BillingError::not_found("subscription", id);
        let record: SubscriptionRecord = store.find(tenant, id).await?.ok_or_else(missing)?;
        let customer: Customer = store.find(tenant, &record.customer).await?.ok_or_else(missing)?;
        let plan: PlanVersion = store.find(tenant, record.subscription.plan()).await?.ok_or_else(missing)?;
        let next_plan = match record.subscription.scheduled_plan() {
            Some(next) => Some(store.find::<PlanVersion>(tenant, next).await?.ok_or_else(missing)?),
            None => None,
        };
        let taxes = customer.taxes();
        Ok(Self { record, customer, plan, next_plan, taxes })
    }

    /// What the core bills it from.
    pub(crate) fn billable(&self) -> Billable<'_> {
        Billable {
            plan: &self.plan.plan,
            subscription: &self.record.subscription,
            zone: &self.customer.timezone,
            taxes: &self.taxes,
        }
    }

    /// The occasion of its next boundary.
    pub(crate) fn boundary(&self) -> Occasion<'_> {
        Occasion::Boundary { next_plan: self.next_plan.as_ref().map(|version| &version.plan) }
    }

    /// Counts what an occasion bills of usage.
    ///
    /// # Errors
    /// `State` or `Spec` when the occasion does not fit, `Rule` when usage cannot be measured; store errors.
    pub(crate) async fn count(
        &self,
        store: &Store,
        occasion: &Occasion<'_>,
        mode: Mode,
    ) -> Result<Counted, BillingError> {
        let windows = domain::usage_windows(&self.billable(), occasion).map_err(refusal)?;
        self.count_windows(store, windows, mode).await
    }

    /// Counts some windows.
    ///
    /// # Errors
    /// `Rule` when usage cannot be measured; store errors.
    pub(crate) async fn count_windows(
        &self,
        store: &Store,
        windows: Vec<UsageWindow>,
        mode: Mode,
    ) -> Result<Counted, BillingError> {
        let closing = Closing { record: &self.record, plan: &self.plan.plan, windows };
        let count = count_usage(store, &self.record.tenant, &[closing], mode).await?.pop();
        let count = count.transpose().map_err(|detail| BillingError::rule("usage_not_measured", "", detail))?;
        Ok(count.unwrap_or_default())
    }

    /// Follows the subscription to the plan that it names since it was billed.
    pub(crate) fn follow(&mut self, to: Option<PlanVersion>) {
        if let Some(version) = to.filter(|version| version.id == self.record.subscription.plan()) {
            self.plan = version;
        }
        let scheduled = self.record.subscription.scheduled_plan();
        self.next_plan = self.next_plan.take().filter(|next| Some(next.id.as_str()) == scheduled);
    }
}

/// A refusal of the billing core in this crate's words.
pub(crate) fn refusal(error: domain::BillingError) -> BillingError {
    match error {
        domain::BillingError::State(_) | domain::BillingError::Over => {
            BillingError::state("invalid_state", error.to_string())
        }
        domain::BillingError::Terms(error) => error.into(),
        _ => BillingError::rule("not_billable", "", error.to_string()),
    }
}
