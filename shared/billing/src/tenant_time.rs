//! A tenant's time: its test clock's if it stands on one, else the wall's.

use jiff::Timestamp;
use store::{Due, Store, Tenant, TestClock};

use crate::BillingError;

/// One reading of time for one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantTime {
    /// The wall clock: for leases, retries, audit and what should happen as soon as possible.
    pub wall: Timestamp,
    /// The tenant's clock: for everything that has to do with billing.
    pub now: Timestamp,
    /// The test clock that `now` was read on.
    pub clock: Option<String>,
    /// Whether that clock is being advanced.
    pub advancing: bool,
}

impl TenantTime {
    /// Reads the tenant's time at the wall-clock instant `wall`.
    ///
    /// # Errors
    /// `NotFound` for an unknown tenant; store errors.
    pub async fn read(store: &Store, tenant: &str, wall: Timestamp) -> Result<Self, BillingError> {
        let record: Tenant =
            store.find(tenant, tenant).await?.ok_or_else(|| BillingError::not_found("tenant", tenant))?;
        let Some(clock) = record.test_clock else { return Ok(Self { wall, now: wall, clock: None, advancing: false }) };
        let stored: TestClock =
            store.find(tenant, &clock).await?.ok_or_else(|| BillingError::not_found("test_clock", &clock))?;
        Ok(Self { wall, now: stored.now, clock: Some(clock), advancing: stored.target.is_some() })
    }

    /// Whether what is due has come, on the clock that it names.
    #[must_use]
    pub fn has_come(&self, due: &Due) -> bool {
        let now = if due.clock.is_some() { self.now } else { self.wall };
        due.at.is_some_and(|at| at <= now)
    }

    /// Due at a business instant, on this tenant's clock; never without one.
    #[must_use]
    pub fn due(&self, at: Option<Timestamp>) -> Due {
        at.map_or_else(Due::never, |at| Due::by_clock(at, self.clock.as_deref()))
    }
}
