//! Counts what occasions bill of usage, in an order in which no event is lost and none is billed twice.
//!
//! Closing first raises the subscription's fence, then reads the marks of what came late, then counts. Ingestion first stores
//! an event, then reads the fence, and sets a mark if the event may have been counted already. **Invariant:** an event that was
//! stored too late for a count finds the fence raised, and its mark outlives the marks that were read before that count. So
//! the next occasion finds it, and measures the windows again that it is in.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ClosedWindow, LatePolicy, Meter, Plan, PlanPeriod, Usage, UsageWindow, Used};
use store::{
    IgnoredUsage, LateMark, LateUsage, PlanVersion, RemeasuredWindow, ReopenedClosing, Store, SubscriptionRecord,
    Unclaimed, UsageClosing, UsageFence, UsageQuery,
};

use crate::{
    BillingError,
    measure_usage::{Meters, Wanted, load_meters, measure_usage},
};

/// A subscription, and the windows that an occasion bills of it.
pub(crate) struct Closing<'a> {
    pub record: &'a SubscriptionRecord,
    pub plan: &'a Plan,
    pub windows: Vec<UsageWindow>,
}

/// What an occasion bills of usage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub usage: Usage,
    pub late: LateUsage,
}

/// Whether usage is counted for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is billed by what is counted.
    Close,
    /// It is only looked at.
    Look,
}

/// What was counted, or why that cannot be, in the order of what was to be.
pub(crate) type Counts = Vec<Result<Counted, String>>;

/// Counts what occasions bill. What cannot be counted is an error of its own, so that it keeps nobody else from being billed.
///
/// # Errors
/// Store errors.
pub(crate) async fn count_usage(
    store: &Store,
    tenant: &str,
    closings: &[Closing<'_>],
    mode: Mode,
) -> Result<Counts, BillingError> {
    if mode == Mode::Close {
        store.raise_usage_fences(&fences(tenant, closings)).await?;
    }
    let subscriptions: Vec<&str> = closings.iter().map(|closing| closing.record.id.as_str()).collect();
    let marks = store.late_marks(tenant, &subscriptions).await?;
    let marked = store.closings_marked((tenant, &subscriptions), &marks).await?;
    let meters = load_meters(store, tenant).await?;
    let wanted: Vec<Wanted<'_>> = closings.iter().map(Closing::wanted).collect();
    let unclaimed = claim(store, tenant, (&wanted, &meters), mode).await?;
    let usage = measure_usage(store, (tenant, &meters), &wanted, unclaimed).await?;
    let mut counts: Counts =
        usage.into_iter().map(|usage| Ok(Counted { usage: usage?, late: LateUsage::default() })).collect();
    if marks.is_empty() && marked.is_empty() {
        return Ok(counts);
    }
    let lateness = Lateness { store, tenant, meters: &meters, mode };
    for (closing, count) in closings.iter().zip(&mut counts) {
        let own = |subscription: &str| subscription == closing.record.id;
        let marks: Vec<LateMark> = marks.iter().filter(|mark| own(&mark.subscription)).cloned().collect();
        let marked: Vec<&UsageClosing> = marked.iter().filter(|marked| own(&marked.subscription)).collect();
        if let Ok(counted) = count {
            match lateness.look(closing.record, marks, marked).await? {
                Ok(late) => counted.late = late,
                Err(error) => *count = Err(error),
            }
        }
    }
    Ok(counts)
}

fn fences(tenant: &str, closings: &[Closing<'_>]) -> Vec<UsageFence> {
    let fence = |closing: &Closing<'_>| {
        let until = closing.windows.iter().map(|window| window.window.to).max()?;
        let (id, customer) = (closing.record.id.clone(), closing.record.customer.clone());
        Some(UsageFence { id, tenant: tenant.to_owned(), customer, until })
    };
    closings.iter().filter_map(fence).collect()
}

impl Closing<'_> {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            customer: &self.record.customer,
            subscription: &self.record.id,
            plan: self.plan,
            windows: self.windows.clone(),
        }
    }
}

/// Has what is counted for good be claimed before. An event that a mark tells of was stored before the mark was read, so it is
/// claimed here.
pub(crate) async fn claim(
    store: &Store,
    tenant: &str,
    (wanted, meters): (&[Wanted<'_>], &Meters),
    mode: Mode,
) -> Result<Unclaimed, BillingError> {
    if mode == Mode::Look {
        return Ok(Unclaimed::Counted);
    }
    let query = |one: &Wanted<'_>, window: &UsageWindow| {
        Some(UsageQuery {
            customer: one.customer.to_owned(),
            subscription: one.subscription.to_owned(),
            meter: window.meter.clone(),
            from: window.window.reaches_back_to(meters.get(&window.meter)?),
            to: window.window.to,
        })
    };
    let queries = wanted.iter().flat_map(|one| one.windows.iter().filter_map(move |window| query(one, window)));
    store.claim_usage_events(tenant, &Vec::from_iter(queries)).await?;
    Ok(Unclaimed::LeftOut)
}

/// Looks at what came late.
struct Lateness<'a> {
    store: &'a Store,
    tenant: &'a str,
    meters: &'a Meters,
    mode: Mode,
}

impl Lateness<'_> {
    /// What the marks of a subscription, and the closings that they may be about, come to.
    async fn look(
        &self,
        record: &SubscriptionRecord,
        mut marks: Vec<LateMark>,
        marked: Vec<&UsageClosing>,
    ) -> Result<Result<LateUsage, String>, BillingError> {
        let mut late = LateUsage::default();
        let mut periods = BTreeSet::new();
        for closing in marked {
            let reached: Vec<usize> = self.reached(closing, &marks);
            if closing.draft {
                // It counts in the draft; the mark stays until the draft is final, since it may come too late for it.
                marks.retain(|mark| !closing.windows.iter().any(|window| self.reaches(mark, window)));
                continue;
            }
            let adjusts = |index: &usize| self.policy(&closing.windows[*index]) == Some(LatePolicy::Adjust);
            let (adjusted, ignored): (Vec<usize>, Vec<usize>) = reached.into_iter().partition(adjusts);
            late.ignored.extend(ignored.into_iter().map(|index| ignored_usage(&closing.windows[index])));
            if adjusted.is_empty() && !closing.recount {
                continue;
            }
            periods.extend(adjusted.iter().map(|&index| closing.windows[index].within.clone()));
            match self.measure(record, (closing, adjusted)).await? {
                Ok(reopened) => late.reopened.push(reopened),
                Err(error) => return Ok(Err(error)),
            }
        }
        self.add_commitments(record, periods, &mut late).await?;
        late.marks = marks;
        Ok(Ok(late))
    }

    /// The windows that a mark is about.
    fn reached(&self, closing: &UsageClosing, marks: &[LateMark]) -> Vec<usize> {
        let windows = closing.windows.iter().enumerate();
        let reached = windows.filter(|(_, window)| marks.iter().any(|mark| self.reaches(mark, window)));
        reached.map(|(index, _)| index).collect()
    }

    fn meter(&self, window: &ClosedWindow) -> Option<&Meter> {
        self.meters.get(&window.window.meter)
    }

    fn policy(&self, window: &ClosedWindow) -> Option<LatePolicy> {
        self.meter(window).map(Meter::late_policy)
    }

    fn reaches(&self, mark: &LateMark, window: &ClosedWindow) -> bool {
        let instants = window.window.window;
        let from = self.meter(window).map(|meter| instants.reaches_back_to(meter));
        mark.meter == window.window.meter && from.is_some_and(|from| from <= mark.to) && mark.from < instants.to
    }

    async fn measure(
        &self,
        record: &SubscriptionRecord,
        (closing, indices): (&UsageClosing, Vec<usize>),
    ) -> Result<Result<ReopenedClosing, String>, BillingError> {
        let plans = plans_of(self.store, self.tenant, indices.iter().map(|&index| &closing.windows[index])).await?;
        let mut reopened =
            ReopenedClosing { closing: closing.id.clone(), revision: closing.revision, windows: Vec::new() };
        // Each apart: windows of one price would share a place in the result.
        let wanted = |&index: &usize| {
            let ClosedWindow { within, window, .. } = &closing.windows[index];
            let plan = &plans.get(&within.plan)?.plan;
            let (customer, subscription) = (record.customer.as_str(), record.id.as_str());
            Some(Wanted { customer, subscription, plan, windows: vec![window.clone()] })
        };
        let wanted: Vec<Wanted<'_>> = indices.iter().filter_map(wanted).collect();
        let unclaimed = claim(self.store, self.tenant, (&wanted, self.meters), self.mode).await?;
        let measured = measure_usage(self.store, (self.tenant, self.meters), &wanted, unclaimed).await?;
        for (index, usage) in indices.into_iter().zip(measured) {
            match usage {
                Ok(mut usage) => {
                    let used: Vec<Used> = usage.remove(&closing.windows[index].window.price).unwrap_or_default();
                    let index = u32::try_from(index).unwrap_or(u32::MAX);
                    reopened.windows.push(RemeasuredWindow { index, used });
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(reopened))
    }

    /// Adds the closings of commitments towards which the measured windows count.
    async fn add_commitments(
        &self,
        record: &SubscriptionRecord,
        periods: BTreeSet<PlanPeriod>,
        late: &mut LateUsage,
    ) -> Result<(), BillingError> {
        let periods = Vec::from_iter(periods);
        for closing in self.store.closings_of_periods((self.tenant, &record.id), &periods).await? {
            let is_there = late.reopened.iter().any(|reopened| reopened.closing == closing.id);
            // One of a draft counts what it is billed again with.
            if !is_there && !closing.draft {
                let (closing, revision) = (closing.id, closing.revision);
                late.reopened.push(ReopenedClosing { closing, revision, windows: Vec::new() });
            }
        }
        Ok(())
    }
}

fn ignored_usage(window: &ClosedWindow) -> IgnoredUsage {
    let UsageWindow { meter, period, .. } = &window.window;
    IgnoredUsage { meter: meter.clone(), period: *period }
}

/// The plan versions by which windows were billed.
pub(crate) async fn plans_of(
    store: &Store,
    tenant: &str,
    windows: impl Iterator<Item = &ClosedWindow>,
) -> Result<BTreeMap<String, PlanVersion>, BillingError> {
    let ids: BTreeSet<String> = windows.map(|window| window.within.plan.clone()).collect();
    let plans: Vec<PlanVersion> = store.find_all(tenant, &Vec::from_iter(ids)).await?;
    Ok(plans.into_iter().map(|version| (version.id.clone(), version)).collect())
}
