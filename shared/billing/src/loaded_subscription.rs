//! A subscription with all that it is billed from.

use domain::{Billable, Metered, Occasion, Taxes, UsageWindow};
use store::{Customer, PlanVersion, Store, SubscriptionRecord};

use crate::{
    BillingError,
    measure_usage::{Wanted, measure_usage},
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

    /// What was used in the windows that an occasion bills.
    ///
    /// # Errors
    /// `State` or `Spec` when the occasion does not fit, `Rule` when usage cannot be measured; store errors.
    pub(crate) async fn measure(&self, store: &Store, occasion: &Occasion<'_>) -> Result<Metered, BillingError> {
        let windows = domain::usage_windows(&self.billable(), occasion).map_err(refusal)?;
        self.measure_windows(store, windows).await
    }

    /// What was used in some windows.
    ///
    /// # Errors
    /// `Rule` when usage cannot be measured; store errors.
    pub(crate) async fn measure_windows(
        &self,
        store: &Store,
        windows: Vec<UsageWindow>,
    ) -> Result<Metered, BillingError> {
        let wanted = Wanted { customer: &self.customer.id, plan: &self.plan.plan, windows };
        let outcome = measure_usage(store, &self.record.tenant, &[wanted]).await?.pop();
        let usage = outcome.transpose().map_err(|detail| BillingError::rule("usage_not_measured", "", detail))?;
        Ok(Metered { usage: usage.unwrap_or_default(), ..Metered::default() })
    }

    /// Follows the subscription to the plan that it names since it was billed.
    pub(crate) fn follow(&mut self, to: Option<PlanVersion>) {
        if let Some(version) = to.filter(|version| version.id == self.record.subscription.plan()) {
            self.plan = version;
        }
        let scheduled = self.record.subscription.scheduled_plan();
        self.next_plan = self.next_plan.take().filter(|next| Some(next.id.as_str()) == scheduled);
    }

    /// Notes the meters that it bills, and will bill: no other subscription of the customer may.
    pub(crate) fn note_meters(&mut self) {
        let plans = [Some(&self.plan), self.next_plan.as_ref()];
        let keys = |version: &PlanVersion| version.plan.meters().map(ToOwned::to_owned).collect::<Vec<_>>();
        let mut meters: Vec<String> = plans.into_iter().flatten().flat_map(keys).collect();
        meters.sort();
        meters.dedup();
        self.record.meters = meters;
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
