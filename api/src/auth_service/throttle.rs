//! Throttling of log-ins: per account and per address, with a delay that grows with every failure.
//!
//! A try is counted before its password is checked, so tries at once are no way around it; a success takes its count back.
//! Counted in the database, for all replicas. **Invariant:** an account that does not exist is counted like one that does.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use store::{Store, StoreError, Throttle, UnitOfWork};

use crate::{auth::opaque::hash, http::problem::Problem};

/// Failures that nobody is made to wait for: a person who tries its old passwords.
const FREE_AT_AN_ACCOUNT: u32 = 5;

/// The same for everybody behind one address: an office.
const FREE_AT_AN_ADDRESS: u32 = 50;

/// Longest wait: a guesser gets four tries an hour, and the owner of the account is not shut out for long.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// Failures are forgotten when none has come for this long.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How often counting is tried while others count at the same time.
const TRIES: u32 = 64;

/// What a log-in is counted at.
pub(super) struct Counters<'a> {
    store: &'a Store,
    account: String,
    address: Option<String>,
}

impl<'a> Counters<'a> {
    /// Those of a (lower-case) e-mail address and of whoever calls.
    pub(super) fn new(store: &'a Store, email: &str, caller: Option<&str>) -> Self {
        // Hashed: an account that does not exist leaves no address behind.
        let account = format!("account:{}", hash(email.as_bytes()));
        Self { store, account, address: caller.map(|caller| format!("address:{caller}")) }
    }

    /// Counts a try.
    ///
    /// # Errors
    /// 429 while it is too early for one.
    pub(super) async fn count(&self, now: Timestamp) -> Result<(), Problem> {
        if let Some(address) = &self.address {
            self.count_at((address, FREE_AT_AN_ADDRESS), now).await?;
        }
        self.count_at((&self.account, FREE_AT_AN_ACCOUNT), now).await
    }

    /// Takes the count of a try back that succeeded, and forgets the account's failures.
    pub(super) async fn succeeded(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut unit = UnitOfWork::default();
        unit.delete::<Throttle>(&self.account);
        self.store.commit(unit).await?;
        let Some(address) = &self.address else { return Ok(()) };
        let Some(mut at_address) = self.store.throttle(address).await? else { return Ok(()) };
        at_address.tries = at_address.tries.saturating_sub(1);
        at_address.not_before = now;
        let mut unit = UnitOfWork::default();
        unit.replace(&mut at_address)?;
        match self.store.commit(unit).await {
            // Somebody else was counted at this moment; one more or less there does not matter.
            Err(error) if error.is_conflict() => Ok(()),
            outcome => outcome,
        }
    }

    async fn count_at(&self, (id, free): (&str, u32), now: Timestamp) -> Result<(), Problem> {
        for _ in 0..TRIES {
            let known = self.store.throttle(id).await?;
            if let Some(known) = &known
                && now < known.not_before
            {
                return Err(Problem::too_many_requests(wait(known.not_before.duration_since(now))));
            }
            match self.store.commit(counted((id, free), known, now)?).await {
                Err(StoreError::Conflict(_) | StoreError::Duplicate(_)) => {}
                outcome => return Ok(outcome?),
            }
        }
        // So many at once are no person.
        Err(Problem::too_many_requests(Duration::from_secs(1)))
    }
}

fn counted((id, free): (&str, u32), known: Option<Throttle>, now: Timestamp) -> Result<UnitOfWork, StoreError> {
    let mut unit = UnitOfWork::default();
    // What has expired may still be there.
    let remembered = known.as_ref().filter(|known| now < known.expires_at);
    let tries = remembered.map_or(0, |known| known.tries).saturating_add(1);
    let not_before = now + delay_after(tries, free);
    let expires_at = not_before + FORGOTTEN_AFTER;
    match known {
        Some(known) => unit.replace(&mut Throttle { tries, not_before, expires_at, ..known })?,
        None => unit.insert(&Throttle { id: id.to_owned(), revision: 1, tries, not_before, expires_at })?,
    }
    Ok(unit)
}

/// How long after this many tries the next one is refused: one second after the free ones, then twice as long each time.
fn delay_after(tries: u32, free: u32) -> SignedDuration {
    match tries.saturating_sub(free) {
        0 => SignedDuration::ZERO,
        over => SignedDuration::from_secs(1_i64 << (over - 1).min(20)).min(LONGEST_WAIT),
    }
}

fn wait(rest: SignedDuration) -> Duration {
    Duration::try_from(rest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::{FREE_AT_AN_ACCOUNT, LONGEST_WAIT, delay_after};

    #[test]
    fn the_delay_grows_to_a_quarter_of_an_hour() {
        let after = |tries| delay_after(tries, FREE_AT_AN_ACCOUNT);
        assert_eq!([4, 5, 6, 7, 8].map(|tries| after(tries).as_secs()), [0, 0, 1, 2, 4]);
        assert_eq!(after(15), SignedDuration::from_secs(512));
        assert_eq!([16, 17, 100, u32::MAX].map(after), [LONGEST_WAIT; 4]);
    }
}
