//! From the credentials of a request to its caller: the token is checked, then how its user stands now.
//!
//! A token says what was true when it was signed. How the user stands is looked up again, at most [`STANDING_LIFE`] ago: role
//! and customer are those of today, and whoever is gone gets no further. **Invariant:** a change to a user takes effect within
//! [`STANDING_LIFE`], in every process and without a message from anybody.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use app::Clock;
use jiff::{SignedDuration, Timestamp};
use store::{Store, StoreError, User};

use crate::{
    auth::{
        caller::{AccessTokens, Caller, Reach},
        role::Role,
        tokens::Grant,
    },
    http::problem::Problem,
};

/// How long it is believed how a user stands. Half a minute, so that whoever is sent away is out within one.
const STANDING_LIFE: SignedDuration = SignedDuration::from_secs(30);

/// Most users whose standing is kept: about 2 MB.
const MAX_STANDINGS: usize = 10_000;

/// Checks the credentials of every request of a service.
#[derive(Debug)]
pub(crate) struct Door {
    access_tokens: AccessTokens,
    store: Store,
    clock: Clock,
    standings: Standings,
}

impl Door {
    pub(crate) fn new(access_tokens: AccessTokens, store: Store, clock: Clock) -> Self {
        Self { access_tokens, store, clock, standings: Standings::default() }
    }

    /// Who brings this token.
    ///
    /// # Errors
    /// 401; 503 when it cannot be told.
    pub(crate) async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        let now = self.clock.now();
        let grant = self.access_tokens.verify(token, now).await?.grant();
        let standing = match self.standings.get(&grant.user, now) {
            Some(standing) => standing,
            None => self.look_up(&grant, now).await?,
        };
        standing.caller(grant)
    }

    /// Believes nothing any more of what was looked up before.
    pub(crate) fn forget(&self) {
        self.standings.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn look_up(&self, grant: &Grant, now: Timestamp) -> Result<Standing, StoreError> {
        let user: Option<User> = self.store.find(&grant.tenant, &grant.user).await?;
        let standing = Standing::of(user);
        self.standings.keep(grant.user.clone(), (now, standing.clone()));
        Ok(standing)
    }
}

/// How a user stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// No such user, or one who may not sign in.
    Gone,
    /// A user of this role; a customer's is the customer of this id.
    Member(Role, Reach),
}

impl Standing {
    fn of(user: Option<User>) -> Self {
        let Some(user) = user else { return Self::Gone };
        match (user.role.parse(), user.customer) {
            (Ok(Role::Customer), Some(customer)) => Self::Member(Role::Customer, Reach::Customer(customer)),
            (Ok(role), None) if role != Role::Customer => Self::Member(role, Reach::Tenant),
            _ => {
                tracing::error!(user = user.id, role = user.role, "a user has a role that it cannot have");
                Self::Gone
            }
        }
    }

    fn caller(self, grant: Grant) -> Result<Caller, Problem> {
        let Self::Member(role, reach) = self else {
            return Err(Problem::refused_credentials("invalid_token", "the token's user may not sign in any more"));
        };
        Ok(Caller { tenant: grant.tenant, id: grant.user, role: Some(role), scopes: grant.scopes, reach })
    }
}

/// What is known of users, by id, with the instant when it was looked up.
#[derive(Debug, Default)]
struct Standings(Mutex<HashMap<String, (Timestamp, Standing)>>);

impl Standings {
    fn get(&self, user: &str, now: Timestamp) -> Option<Standing> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(user).filter(|(looked_up, _)| believed(*looked_up, now)).map(|(_, standing)| standing.clone())
    }

    fn keep(&self, user: String, looked_up: (Timestamp, Standing)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_STANDINGS {
            let now = looked_up.0;
            known.retain(|_, (looked_up, _)| believed(*looked_up, now));
        }
        // All of them fresh: looking some up again is cheaper than an order of age.
        if known.len() >= MAX_STANDINGS {
            known.clear();
        }
        known.insert(user, looked_up);
    }
}

fn believed(looked_up: Timestamp, now: Timestamp) -> bool {
    now.duration_since(looked_up).abs() < STANDING_LIFE
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{MAX_STANDINGS, STANDING_LIFE, Standing, Standings};
    use crate::auth::{caller::Reach, role::Role};

    fn member() -> Standing {
        Standing::Member(Role::Viewer, Reach::Tenant)
    }

    #[test]
    fn what_is_known_of_a_user_is_believed_for_half_a_minute() {
        let (standings, now) = (Standings::default(), Timestamp::UNIX_EPOCH);
        standings.keep("usr_1".to_owned(), (now, member()));
        let just_before = now + STANDING_LIFE - SignedDuration::from_millis(1);
        assert_eq!(standings.get("usr_1", just_before), Some(member()));
        assert_eq!(standings.get("usr_1", now + STANDING_LIFE), None);
        // A clock that was set back does not make it live longer.
        assert_eq!(standings.get("usr_1", now - STANDING_LIFE), None);
        assert_eq!(standings.get("usr_2", now), None);
    }

    #[test]
    fn only_so_much_is_known() {
        let (standings, now) = (Standings::default(), Timestamp::UNIX_EPOCH);
        for number in 0..MAX_STANDINGS {
            standings.keep(format!("usr_{number}"), (now, Standing::Gone));
        }
        standings.keep("usr_new".to_owned(), (now + STANDING_LIFE, member()));
        assert_eq!(standings.get("usr_new", now + STANDING_LIFE), Some(member()));
        assert_eq!(standings.0.lock().expect("no panic").len(), 1);
    }
}
