//! Adjusts closed windows by usage that came late, and closes new ones: what an occasion writes besides its invoice.

use std::collections::BTreeMap;

use domain::{Billable, Closed, LateCharges, Meter, Plan, Reopened, UsageWindow};
use serde_json::json;
use store::{
    LateUsage, PlanVersion, Store, StoreError, SubscriptionRecord, UnitOfWork, UsageClosing, usage_closing_id,
};

use crate::{
    Actor, BillingError, EventType, TenantTime,
    actor::Fact,
    close_usage::plans_of,
    loaded_subscription::refusal,
    measure_usage::{Meters, load_meters},
};

/// What closings are adjusted and made from, for many subscriptions at once.
pub(crate) struct Books {
    closings: BTreeMap<String, UsageClosing>,
    plans: BTreeMap<String, PlanVersion>,
    meters: Meters,
}

/// What late usage changes, decided and not written yet.
#[derive(Default)]
pub(crate) struct Adjusted<'a> {
    pub charges: LateCharges,
    closings: Vec<UsageClosing>,
    late: Option<&'a LateUsage>,
}

impl Books {
    /// # Errors
    /// Store errors.
    pub(crate) async fn load(
        store: &Store,
        tenant: &str,
        late: impl Iterator<Item = &LateUsage>,
    ) -> Result<Self, BillingError> {
        let ids: Vec<String> = late.flat_map(|late| &late.reopened).map(|one| one.closing.clone()).collect();
        let closings: Vec<UsageClosing> =
            if ids.is_empty() { Vec::new() } else { store.find_all(tenant, &ids).await? };
        let windows = closings.iter().flat_map(|closing| &closing.windows);
        let plans = if ids.is_empty() { BTreeMap::new() } else { plans_of(store, tenant, windows).await? };
        let closings = closings.into_iter().map(|closing| (closing.id.clone(), closing)).collect();
        Ok(Self { closings, plans, meters: load_meters(store, tenant).await? })
    }

    /// Compares what was measured again with what was billed. Where a closing has changed since, all of it is left to the next
    /// occasion.
    ///
    /// # Errors
    /// `Rule` when an amount cannot be computed; `Corrupt` when a closing's window or plan is gone.
    pub(crate) fn adjust<'a>(
        &self,
        billable: &Billable<'_>,
        late: &'a LateUsage,
    ) -> Result<Adjusted<'a>, BillingError> {
        let mut closings = Vec::with_capacity(late.reopened.len());
        for reopened in &late.reopened {
            let closing = self.closings.get(&reopened.closing).filter(|closing| closing.revision == reopened.revision);
            let Some(closing) = closing else { return Ok(Adjusted::default()) };
            closings.push(closing.clone());
        }
        let (mut places, mut reopened) = (Vec::new(), Vec::new());
        for (place, (closing, measured)) in closings.iter().zip(&late.reopened).enumerate() {
            for window in &measured.windows {
                let index = usize::try_from(window.index).unwrap_or(usize::MAX);
                let closed = closing.windows.get(index);
                let plan = closed.and_then(|closed| self.plans.get(&closed.within.plan));
                let missing = || StoreError::Corrupt(format!("{} has no window {index}, or no plan", closing.id));
                let (closed, plan) = closed.zip(plan).ok_or_else(missing)?;
                places.push((place, index));
                reopened.push(Reopened { closed, plan: &plan.plan, used: &window.used });
            }
        }
        let commitments = closings.iter().filter_map(|closing| closing.commitment.clone()).collect();
        let adjusted = domain::adjust(billable, &reopened, commitments).map_err(refusal)?;
        for ((place, index), window) in places.into_iter().zip(adjusted.windows) {
            closings[place].windows[index] = window;
        }
        let counted = closings.iter_mut().filter(|closing| closing.commitment.is_some());
        for (closing, commitment) in counted.zip(adjusted.commitments) {
            closing.commitment = Some(commitment);
            closing.recount = false;
        }
        Ok(Adjusted { charges: adjusted.late, closings, late: Some(late) })
    }

    /// What an occasion closes, under the id of its invoice, also where it has none; nothing without usage.
    pub(crate) fn closing(
        &self,
        record: &SubscriptionRecord,
        (invoice, plan): (&str, &Plan),
        closed: Closed,
    ) -> Option<UsageClosing> {
        let measures = plan.meters().next().is_some();
        if closed.windows.is_empty() && (closed.commitment.is_none() || !measures) {
            return None;
        }
        let from = |window: &UsageWindow| {
            let meter: Option<&Meter> = self.meters.get(&window.meter);
            meter.map_or(window.window.from, |meter| window.window.reaches_back_to(meter))
        };
        let windows = || closed.windows.iter().map(|closed| &closed.window);
        let start = record.subscription.start_at();
        Some(UsageClosing {
            id: usage_closing_id(invoice),
            tenant: record.tenant.clone(),
            revision: 1,
            subscription: record.id.clone(),
            from: windows().map(from).min().unwrap_or(start),
            to: windows().map(|window| window.window.to).max().unwrap_or(start),
            windows: closed.windows,
            commitment: closed.commitment,
            draft: false,
            recount: false,
        })
    }
}

impl Adjusted<'_> {
    /// Writes what was decided: the closings as they are now, and that nothing more is known to be late.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written.
    pub(crate) fn write(
        self,
        unit: &mut UnitOfWork,
        (actor, time): (&Actor, &TenantTime),
        record: &SubscriptionRecord,
    ) -> Result<(), BillingError> {
        for mut closing in self.closings {
            unit.replace(&mut closing)?;
        }
        let Some(late) = self.late else { return Ok(()) };
        for mark in &late.marks {
            unit.delete_mark(mark);
        }
        if !late.ignored.is_empty() {
            let data = json!({ "customer": record.customer, "ignored": late.ignored });
            let revision = record.revision + 1;
            let fact = Fact { name: EventType::UsageIgnored, subject: &record.id, revision, data };
            actor.announce(unit, time.wall, fact)?;
        }
        Ok(())
    }
}
