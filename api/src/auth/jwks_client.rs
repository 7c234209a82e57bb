//! The gateway's view of the auth service: its public keys, fetched and kept.
//!
//! Owns the fetching, its limits, and how old keys may be. **Invariant:** what clients send can
//! make it fetch only once per pace, however many unknown `kid`s they invent.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::StatusCode;
use tokio::sync::Mutex;

use super::{
    jwks::{Jwks, JwksError},
    tokens::{Claims, Realm, TokenError, Verifier, key_of},
};

/// Longest time for a fetch; requests wait for it.
const FETCH_TIME_LIMIT: Duration = Duration::from_secs(3);

/// Largest key set: sixteen keys fit many times.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// How often keys are fetched, and how old they may be.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Shortest time between two fetches.
    pub at_most_every: Duration,
    /// After this long the keys are fetched again, so that a key that was withdrawn goes.
    pub refreshed_after: Duration,
    /// After this long without a successful fetch the keys are trusted no more.
    pub trusted_for: Duration,
}

impl Pace {
    /// The pace of production: a new key is known within seconds, a withdrawn one gone in minutes,
    /// and an hour without the auth service is survived.
    pub const STEADY: Self = Self {
        at_most_every: Duration::from_secs(2),
        refreshed_after: Duration::from_secs(5 * 60),
        trusted_for: Duration::from_secs(60 * 60),
    };
}

/// Why a token could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The token is bad.
    #[error(transparent)]
    Refused(#[from] TokenError),
    /// It cannot be told, since the keys are not to be had.
    #[error("the keys of the auth service are not available")]
    Unavailable,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the auth service cannot be asked for its keys")]
    Http(#[from] reqwest::Error),
    #[error("the auth service answered {0} when asked for its keys")]
    Status(StatusCode),
    #[error("the auth service's key set is larger than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Jwks(#[from] JwksError),
}

struct Keys {
    verifier: Verifier,
    fetched: Instant,
}

struct Attempt {
    at: Instant,
    succeeded: bool,
}

struct Shared {
    http: reqwest::Client,
    url: String,
    realm: Realm,
    pace: Pace,
    keys: RwLock<Option<Arc<Keys>>>,
    /// Held while fetching, so that many requests cause one fetch.
    last: Mutex<Option<Attempt>>,
}

/// Verifies tokens with the keys of the auth service; cheap to clone.
#[derive(Clone)]
pub struct JwksClient(Arc<Shared>);

impl std::fmt::Debug for JwksClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwksClient").field("url", &self.0.url).finish_non_exhaustive()
    }
}

impl JwksClient {
    /// A client of the auth service at `auth_url` (`http://auth:3005`), for tokens of `realm`.
    #[must_use]
    pub fn new(http: reqwest::Client, auth_url: &str, realm: Realm, pace: Pace) -> Self {
        let url = format!("{}/.well-known/jwks.json", auth_url.trim_end_matches('/'));
        let (keys, last) = (RwLock::new(None), Mutex::new(None));
        Self(Arc::new(Shared { http, url, realm, pace, keys, last }))
    }

    /// Checks a token at the instant `now`; fetches the keys when its key is not known, or when
    /// those that are known grow old.
    ///
    /// # Errors
    /// `Refused`, or `Unavailable` when the keys are not to be had.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, VerifyError> {
        let kid = key_of(token)?;
        let keys = match self.fresh_keys(&kid) {
            Some(keys) => keys,
            None => self.refresh(&kid).await?,
        };
        Ok(keys.verifier.verify(token, now)?)
    }

    /// Whether the auth service's keys are at hand, fetched if need be; for readiness.
    pub async fn is_ready(&self) -> bool {
        self.trusted_keys().is_some() || self.refresh("").await.is_ok()
    }

    /// Keys that include `kid` and need no refresh.
    fn fresh_keys(&self, kid: &str) -> Option<Arc<Keys>> {
        let fresh = |keys: &Arc<Keys>| keys.fetched.elapsed() < self.0.pace.refreshed_after && keys.verifier.knows(kid);
        self.trusted_keys().filter(fresh)
    }

    fn trusted_keys(&self) -> Option<Arc<Keys>> {
        // A poisoned lock only means that a reader panicked; the value is replaced as a whole.
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        keys.filter(|keys| keys.fetched.elapsed() < self.0.pace.trusted_for)
    }

    /// The best keys to be had for `kid` after a fetch, if one is allowed now.
    async fn refresh(&self, kid: &str) -> Result<Arc<Keys>, VerifyError> {
        let mut last = self.0.last.lock().await;
        // Another request may have fetched while this one waited.
        if let Some(keys) = self.fresh_keys(kid) {
            return Ok(keys);
        }
        let pace = self.0.pace.at_most_every;
        if last.as_ref().is_none_or(|attempt| attempt.at.elapsed() >= pace) {
            let succeeded = self.fetch_and_keep().await;
            *last = Some(Attempt { at: Instant::now(), succeeded });
        }
        let up_to_date = last.as_ref().is_some_and(|attempt| attempt.succeeded);
        self.trusted_keys()
            // Without an answer an unknown key may be a new one: that is no reason to refuse.
            .filter(|keys| up_to_date || keys.verifier.knows(kid))
            .ok_or(VerifyError::Unavailable)
    }

    async fn fetch_and_keep(&self) -> bool {
        match self.fetch().await {
            Ok(verifier) => {
                let keys = Arc::new(Keys { verifier, fetched: Instant::now() });
                *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
                true
            }
            Err(error) => {
                tracing::warn!(%error, url = self.0.url, "the keys could not be fetched");
                false
            }
        }
    }

    async fn fetch(&self) -> Result<Verifier, FetchError> {
        let request = self.0.http.get(&self.0.url).timeout(FETCH_TIME_LIMIT);
        let mut response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if document.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                return Err(FetchError::TooLarge);
            }
            document.extend_from_slice(&chunk);
        }
        let keys = Jwks::parse(&document)?.public_keys()?;
        Ok(Verifier::new(&keys, &self.0.realm))
    }
}

#[cfg(test)]
mod tests;
