//! From the credentials of a request to its caller: a token or key is checked, then how its user or key stands now.
//!
//! A token says what was true when it was signed. How its session and user stand is looked up again: role and customer are
//! those of today, and whoever is gone gets no further. **Invariant:** a log-out, a disabled user or a revoked key is refused
//! once the standing that was looked up before has lived its life, in every process and without a message from anybody.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use app::Clock;
use jiff::{SignedDuration, Timestamp};
use store::{ApiKey, Session, Store, StoreError, User};

use crate::{
    auth::{
        caller::{AccessTokens, Caller, Reach},
        opaque::{is_api_key, key_hash},
        role::Role,
        tokens::Grant,
    },
    http::problem::Problem,
};

/// Most standings that are kept: about 3 MB.
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
    /// A door that believes what it has looked up for `standing_life`.
    pub(crate) fn new(
        access_tokens: AccessTokens,
        (store, clock): (Store, Clock),
        standing_life: SignedDuration,
    ) -> Self {
        Self { access_tokens, store, clock, standings: Standings { life: standing_life, known: Mutex::default() } }
    }

    /// Who brings this token or key.
    ///
    /// # Errors
    /// 401; 503 when it cannot be told.
    pub(crate) async fn caller(&self, credential: &str) -> Result<Caller, Problem> {
        let now = self.clock.now();
        if is_api_key(credential) {
            let hash = key_hash(credential).ok_or_else(refused)?;
            let standing = match self.standings.get(&hash, now) {
                Some(standing) => standing,
                None => self.keep((hash.clone(), now), Standing::of_key(self.store.api_key_by_hash(&hash).await?)),
            };
            return standing.key(now);
        }
        let grant = self.access_tokens.verify(credential, now).await?.grant();
        let standing = match self.standings.get(&grant.session, now) {
            // A token with another role was signed since, or before the role was changed.
            Some(standing) if standing.is_of(grant.role) => standing,
            _ => self.keep((grant.session.clone(), now), self.look_up(&grant, now).await?),
        };
        standing.user(grant)
    }

    /// Believes nothing any more of what was looked up before.
    pub(crate) fn forget(&self) {
        self.standings.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn look_up(&self, grant: &Grant, now: Timestamp) -> Result<Standing, StoreError> {
        let session: Option<Session> = self.store.find(&grant.tenant, &grant.session).await?;
        if !session.is_some_and(|session| session.is_alive(now) && session.user == grant.user) {
            return Ok(Standing::Gone);
        }
        let user: Option<User> = self.store.find(&grant.tenant, &grant.user).await?;
        Ok(user.filter(|user| user.disabled_at.is_none()).map_or(Standing::Gone, Standing::of_user))
    }

    fn keep(&self, (key, now): (String, Timestamp), standing: Standing) -> Standing {
        self.standings.keep(key, (now, standing.clone()));
        standing
    }
}

fn refused() -> Problem {
    Problem::refused_credentials("invalid_token", "the token is not accepted")
}

/// How a session or a key stands.
#[derive(Clone, Debug)]
enum Standing {
    /// There is no such thing, or it is good for nothing any more.
    Gone,
    /// The session of a user of this role; a customer's is the customer of this id.
    Member(Role, Reach),
    /// A key.
    Key(Box<ApiKey>),
}

impl Standing {
    fn of_user(user: User) -> Self {
        match (user.role.parse(), user.customer) {
            (Ok(Role::Customer), Some(customer)) => Self::Member(Role::Customer, Reach::Customer(customer)),
            (Ok(role), None) if role != Role::Customer => Self::Member(role, Reach::Tenant),
            _ => {
                tracing::error!(user = user.id, role = user.role, "a user has a role that it cannot have");
                Self::Gone
            }
        }
    }

    fn is_of(&self, role: Role) -> bool {
        !matches!(self, Self::Member(other, _) if *other != role)
    }

    fn of_key(key: Option<ApiKey>) -> Self {
        key.map_or(Self::Gone, |key| Self::Key(Box::new(key)))
    }

    fn user(self, grant: Grant) -> Result<Caller, Problem> {
        let Self::Member(role, reach) = self else {
            return Err(Problem::refused_credentials("invalid_token", "the token's session is over"));
        };
        let Grant { user: id, tenant, scopes, session, .. } = grant;
        Ok(Caller { tenant, id, role: Some(role), session: Some(session), scopes, reach })
    }

    fn key(self, now: Timestamp) -> Result<Caller, Problem> {
        let Self::Key(key) = self else { return Err(refused()) };
        if !key.is_good(now) {
            return Err(Problem::refused_credentials("invalid_token", "the key is revoked or has expired"));
        }
        let ApiKey { id, tenant, scopes, .. } = *key;
        let scopes = scopes.parse().map_err(|error| {
            tracing::error!(%error, key = id, "a stored key has no scopes that can be read");
            refused()
        })?;
        Ok(Caller { tenant, id, role: None, session: None, scopes, reach: Reach::Tenant })
    }
}

/// What is known of sessions (by id) and keys (by hash), with the instant when it was looked up.
#[derive(Debug)]
struct Standings {
    life: SignedDuration,
    known: Mutex<HashMap<String, (Timestamp, Standing)>>,
}

impl Standings {
    fn get(&self, key: &str, now: Timestamp) -> Option<Standing> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(looked_up, _)| self.believes(*looked_up, now)).map(|(_, standing)| standing.clone())
    }

    fn keep(&self, key: String, looked_up: (Timestamp, Standing)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_STANDINGS {
            let now = looked_up.0;
            known.retain(|_, (looked_up, _)| self.believes(*looked_up, now));
        }
        // All of them fresh: looking some up again is cheaper than an order of age.
        if known.len() >= MAX_STANDINGS {
            known.clear();
        }
        known.insert(key, looked_up);
    }

    fn believes(&self, looked_up: Timestamp, now: Timestamp) -> bool {
        now.duration_since(looked_up).abs() < self.life
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::{SignedDuration, Timestamp};

    use super::{MAX_STANDINGS, Standing, Standings};

    const LIFE: SignedDuration = SignedDuration::from_secs(30);

    fn standings() -> (Standings, Timestamp) {
        (Standings { life: LIFE, known: Mutex::default() }, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_was_looked_up_is_believed_for_its_life() {
        let (standings, now) = standings();
        standings.keep("ses_1".to_owned(), (now, Standing::Gone));
        let just_before = now + LIFE - SignedDuration::from_millis(1);
        assert!(standings.get("ses_1", just_before).is_some());
        assert!(standings.get("ses_1", now + LIFE).is_none());
        // A clock that was set back does not make it live longer.
        assert!(standings.get("ses_1", now - LIFE).is_none());
        assert!(standings.get("ses_2", now).is_none());
    }

    #[test]
    fn only_so_much_is_known() {
        let (standings, now) = standings();
        for number in 0..MAX_STANDINGS {
            standings.keep(format!("ses_{number}"), (now, Standing::Gone));
        }
        standings.keep("ses_new".to_owned(), (now + LIFE, Standing::Gone));
        assert!(standings.get("ses_new", now + LIFE).is_some());
        assert_eq!(standings.known.lock().expect("no panic").len(), 1);
    }
}
