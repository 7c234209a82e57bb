//! Passwords: what may be one, how it is stored, how it is checked.
//!
//! Argon2id (RFC 9106) with the parameters of the OWASP password storage cheat sheet. Owns hashing
//! and its load; throttling and what a failed login answers are the auth service's.
//!
//! **Invariant:** checking a password takes one hash of the current cost whether or not the user
//! exists, so time does not tell.
//!
//! **Invariant:** no more hashes run at once than memory was set aside for.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::problem::Problem;

/// Shortest password in characters (NIST SP 800-63B).
const MIN_CHARS: usize = 8;

/// Longest password in characters: room for any passphrase, none for a load attack.
const MAX_CHARS: usize = 128;

/// Longest wait for a free place; then the service is overloaded and says so.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The passwords that are tried first, one a line, in lower case.
const COMMON: &str = include_str!("common_passwords.txt");

/// What a hash costs, and how many may be computed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory of one hash in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Most hashes at once; times the memory it must fit the process.
    pub at_once: usize,
}

impl HashCost {
    /// security.md: m=47104 KiB (46 MiB), t=2, p=1; four at once take 184 MiB.
    pub const STANDARD: Self = Self { memory_kib: 47_104, passes: 2, at_once: 4 };
}

/// Lanes of a hash: one, since many are computed side by side anyway.
const LANES: u32 = 1;

/// Why something may not be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRule {
    /// Fewer than eight characters.
    #[error("a password has at least {MIN_CHARS} characters")]
    TooShort,
    /// More than 128 characters.
    #[error("a password has at most {MAX_CHARS} characters")]
    TooLong,
    /// Among those that are tried first.
    #[error("the password is too common")]
    TooCommon,
}

impl PasswordRule {
    /// The 422 for a password that came in the field at `pointer`.
    #[must_use]
    pub fn problem(self, pointer: &str) -> Problem {
        let code = match self {
            Self::TooShort => "password_too_short",
            Self::TooLong => "password_too_long",
            Self::TooCommon => "password_too_common",
        };
        let problem = Problem::rule_violated("password_refused", "the password is not acceptable");
        problem.at(pointer, code, self.to_string())
    }
}

/// A password that fulfils the rules and may be stored (as a hash).
#[derive(Clone, Debug)]
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Checks the rules.
    ///
    /// # Errors
    /// The broken rule.
    pub fn parse(password: SecretString) -> Result<Self, PasswordRule> {
        let text = password.expose_secret();
        let lower = text.to_lowercase();
        match text.chars().count() {
            ..MIN_CHARS => Err(PasswordRule::TooShort),
            chars if chars > MAX_CHARS => Err(PasswordRule::TooLong),
            _ if COMMON.lines().any(|common| common == lower) => Err(PasswordRule::TooCommon),
            _ => Ok(Self(password)),
        }
    }
}

/// Hashing did not happen.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many passwords are being hashed.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// The cost is not possible, the machine has no randomness, or the worker thread died.
    #[error("a password could not be hashed: {0}")]
    Failed(String),
}

impl From<HashingError> for Problem {
    /// 503, or 500 with the cause logged.
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::unavailable("authentication_busy", error.to_string()),
            HashingError::Failed(_) => {
                tracing::error!(%error, "password hashing failed");
                Self::internal()
            }
        }
    }
}

/// What checking a password gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not the user's, or there is no such user.
    Wrong,
    /// The user's.
    Right,
    /// The user's, stored at another cost: hash it anew and store it.
    RightToRehash,
}

/// Hashes and checks passwords; cheap to clone.
#[derive(Clone, Debug)]
pub struct Passwords {
    argon2: Argon2<'static>,
    places: Arc<Semaphore>,
    /// Stands in for the hash of a user that does not exist.
    dummy: Arc<str>,
}

impl Passwords {
    /// A hasher of this cost. Computes one hash.
    ///
    /// # Errors
    /// `Failed` when the cost is not possible.
    pub fn new(cost: HashCost) -> Result<Self, HashingError> {
        let params = Params::new(cost.memory_kib, cost.passes, LANES, None)
            .map_err(|error| HashingError::Failed(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = hash(&argon2, "no user has this password")?.into();
        let places = Arc::new(Semaphore::new(cost.at_once));
        Ok(Self { argon2, places, dummy })
    }

    /// The PHC string to store for a password.
    ///
    /// # Errors
    /// `Busy`, `Failed`.
    pub async fn hash(&self, password: NewPassword) -> Result<String, HashingError> {
        let argon2 = self.argon2.clone();
        self.compute(move || hash(&argon2, password.0.expose_secret())).await?
    }

    /// Checks a password against the user's stored hash; `None` for a user that does not exist.
    ///
    /// # Errors
    /// `Busy`, `Failed`.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<Verdict, HashingError> {
        let (argon2, dummy) = (self.argon2.clone(), Arc::clone(&self.dummy));
        self.compute(move || {
            let password = password.expose_secret();
            let verdict = stored.as_deref().map(|stored| verdict(&argon2, password, stored));
            verdict.unwrap_or_else(|| {
                verdict_of_nobody(&argon2, password, &dummy);
                Verdict::Wrong
            })
        })
        .await
    }

    /// Runs `work` on a thread of its own when there is a place. The place is held by the thread,
    /// so that a client that goes away does not free it early.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashingError> {
        let place = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.places).acquire_owned());
        let place: OwnedSemaphorePermit =
            place.await.map_err(|_| HashingError::Busy)?.map_err(|error| HashingError::Failed(error.to_string()))?;
        let computed = tokio::task::spawn_blocking(move || {
            let _held = place;
            work()
        });
        computed.await.map_err(|error| HashingError::Failed(error.to_string()))
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, HashingError> {
    let hashed: Result<PasswordHash, _> = argon2.hash_password(password.as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(|error| HashingError::Failed(error.to_string()))
}

fn verdict(argon2: &Argon2<'_>, password: &str, stored: &str) -> Verdict {
    let Ok(stored) = PasswordHash::new(stored) else {
        tracing::error!("a stored password hash cannot be read");
        return Verdict::Wrong;
    };
    if argon2.verify_password(password.as_bytes(), &stored).is_err() {
        return Verdict::Wrong;
    }
    let current = Params::try_from(&stored).is_ok_and(|params| {
        let wanted = argon2.params();
        (params.m_cost(), params.t_cost(), params.p_cost()) == (wanted.m_cost(), wanted.t_cost(), wanted.p_cost())
    });
    if current { Verdict::Right } else { Verdict::RightToRehash }
}

/// Spends what checking a user's password costs.
fn verdict_of_nobody(argon2: &Argon2<'_>, password: &str, dummy: &str) {
    std::hint::black_box(verdict(argon2, password, dummy));
}

#[cfg(test)]
mod tests {
    use super::{COMMON, HashCost, HashingError, MIN_CHARS, NewPassword, PasswordRule, Passwords, Verdict};

    /// The least that argon2 takes, so that tests wait for logic and not for memory.
    const CHEAP: HashCost = HashCost { memory_kib: 8, passes: 1, at_once: 2 };

    const SECRET: &str = "correct horse battery";

    fn parse(password: &str) -> Result<NewPassword, PasswordRule> {
        NewPassword::parse(password.into())
    }

    #[test]
    fn the_rules_count_characters() {
        assert!(parse("abcdefg-").is_ok());
        assert_eq!(parse("abcdef-").unwrap_err(), PasswordRule::TooShort);
        assert_eq!(parse("äöüäöüä").unwrap_err(), PasswordRule::TooShort);
        assert!(parse("äöüäöüäö").is_ok());
        assert!(parse(&"ä".repeat(128)).is_ok());
        assert_eq!(parse(&"x".repeat(129)).unwrap_err(), PasswordRule::TooLong);
        assert_eq!(parse("PassWord123").unwrap_err(), PasswordRule::TooCommon);
    }

    #[test]
    fn the_list_holds_only_what_the_length_lets_through() {
        let fits = |line: &str| line.chars().count() >= MIN_CHARS && line == line.to_lowercase();
        assert!(COMMON.lines().count() > 100 && COMMON.lines().all(fits));
    }

    #[tokio::test]
    async fn only_the_users_password_is_right() {
        let passwords = Passwords::new(CHEAP).expect("a hasher");
        let stored = passwords.hash(parse(SECRET).expect("a password")).await.expect("a hash");
        let other = passwords.hash(parse(SECRET).expect("a password")).await.expect("a hash");
        assert_ne!(stored, other, "salted");
        for (given, stored, verdict) in [
            (SECRET, Some(stored.clone()), Verdict::Right),
            ("Correct horse battery", Some(stored.clone()), Verdict::Wrong),
            ("", Some(stored), Verdict::Wrong),
            (SECRET, None, Verdict::Wrong),
            ("no user has this password", None, Verdict::Wrong),
            (SECRET, Some("not a hash".to_owned()), Verdict::Wrong),
        ] {
            assert_eq!(passwords.verify(given.into(), stored).await.expect("a verdict"), verdict);
        }
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_to_be_renewed() {
        let old = Passwords::new(CHEAP).expect("a hasher");
        let new = Passwords::new(HashCost { memory_kib: 16, ..CHEAP }).expect("a hasher");
        let stored = old.hash(parse(SECRET).expect("a password")).await.expect("a hash");
        let verdict = new.verify(SECRET.into(), Some(stored)).await.expect("a verdict");
        assert_eq!(verdict, Verdict::RightToRehash);
    }

    #[tokio::test]
    async fn the_standard_cost_is_the_one_required() {
        let passwords = Passwords::new(HashCost::STANDARD).expect("a hasher");
        let stored = passwords.hash(parse(SECRET).expect("a password")).await.expect("a hash");
        assert!(stored.starts_with("$argon2id$v=19$m=47104,t=2,p=1$"), "{stored}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_place_it_says_busy() {
        let passwords = Passwords::new(CHEAP).expect("a hasher");
        let _taken = passwords.places.acquire_many(2).await.expect("both places");
        let refused = passwords.verify(SECRET.into(), None).await;
        assert!(matches!(refused, Err(HashingError::Busy)), "{refused:?}");
    }

    #[test]
    fn a_cost_that_cannot_be_is_refused() {
        let refused = Passwords::new(HashCost { memory_kib: 1, ..CHEAP });
        assert!(matches!(refused, Err(HashingError::Failed(_))));
    }
}
