//! Idempotency keys as Stripe keeps them: the first request that starts executing under a key
//! decides its answer for 24 hours of the gateway's clock.
//!
//! Owns the table of keys. What was refused before execution (malformed, rate limited, a 500
//! before anything happened) never enters it; what was answered after execution stays, 5xx alike.

use std::collections::{HashMap, VecDeque};

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors::ApiError;

/// Stripe removes keys once they are at least 24 hours old.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An answer as stored and replayed: the status and the exact bytes of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Box<str>,
}

/// A finished key, as the journal keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    pub(crate) key: String,
    /// All parameters of the request that executed.
    pub(crate) fingerprint: String,
    pub(crate) answer: Answer,
    pub(crate) at: Timestamp,
}

/// What a request under a key meets.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The key is free and now taken by this request, which must finish or release it.
    Taken,
    /// The key has its answer.
    Replay(Answer),
}

#[derive(Debug)]
struct Entry {
    fingerprint: String,
    /// `None` while the request executes.
    answer: Option<Answer>,
}

/// All keys of the last 24 hours.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    entries: HashMap<String, Entry>,
    /// Finished keys in the order of their time, to forget the old ones without searching.
    finished: VecDeque<(Timestamp, String)>,
}

impl Keys {
    /// Takes the key for a request, or tells what stands against it.
    pub(crate) fn claim(&mut self, key: &str, fingerprint: &str, now: Timestamp) -> Result<Claim, ApiError> {
        self.forget_old(now);
        match self.entries.get(key) {
            None => {
                let entry = Entry { fingerprint: fingerprint.to_owned(), answer: None };
                self.entries.insert(key.to_owned(), entry);
                Ok(Claim::Taken)
            }
            Some(entry) if entry.fingerprint != fingerprint => Err(ApiError::other_parameters(key)),
            Some(Entry { answer: None, .. }) => Err(ApiError::key_in_use(key)),
            Some(Entry { answer: Some(answer), .. }) => Ok(Claim::Replay(answer.clone())),
        }
    }

    /// Stores the answer of an execution.
    pub(crate) fn finish(&mut self, stored: StoredKey) {
        self.finished.push_back((stored.at, stored.key.clone()));
        let entry = Entry { fingerprint: stored.fingerprint, answer: Some(stored.answer) };
        self.entries.insert(stored.key, entry);
    }

    /// Frees a claimed key whose request executed nothing.
    pub(crate) fn release(&mut self, key: &str) {
        self.entries.remove(key);
    }

    fn forget_old(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.finished.front() {
            if now.duration_since(*at) < KEPT_FOR {
                break;
            }
            if let Some((_, key)) = self.finished.pop_front() {
                self.entries.remove(&key);
            }
        }
    }
}

impl Answer {
    pub(crate) fn new(status: StatusCode, body: String) -> Self {
        Self { status: status.as_u16(), body: body.into_boxed_str() }
    }

    /// The answer of the execution itself.
    pub(crate) fn first(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        // Only statuses of ours are stored; a journal edited by hand shows as an internal error.
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, json)], self.body.into_string()).into_response()
    }

    /// The same answer again, marked as such.
    pub(crate) fn replayed(self) -> Response {
        let mut response = self.first();
        let marker = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, marker);
        response
    }
}
