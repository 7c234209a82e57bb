//! The gateway's state and its one way to write: the books (ledger, keys, journal) under one lock,
//! so that a charge and the key that protects it appear together.
//!
//! Owns execution: claim the key, execute once, store the answer. The endpoints read the request
//! and hand it over.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::Config;
use crate::clock::Clock;
use crate::errors::ApiError;
use crate::execution::{Executed, Execution};
use crate::idempotency::{Answer, Claim, Keys, StoredKey};
use crate::journal::{Entry, Journal};
use crate::ledger::Ledger;
use crate::objects::Event;
use crate::settings::Behaviour;
use crate::webhooks::Webhooks;

/// Everything the endpoints share.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Where it is reached.
    pub(crate) own_url: String,
    pub(crate) clock: Clock,
    pub(crate) behaviour: Behaviour,
    pub(crate) webhooks: Webhooks,
    books: Mutex<Books>,
}

/// What changes with an execution.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) ledger: Ledger,
    keys: Keys,
    journal: Journal,
    /// Keys whose first try with the fail-once token has already failed.
    failed_once: HashSet<String>,
}

impl Gateway {
    /// Opens the books, from the journal if there is one.
    pub(crate) fn open(config: &Config, own_url: String) -> anyhow::Result<Self> {
        config.settings.check().map_err(anyhow::Error::msg)?;
        let mut ledger = Ledger::default();
        let mut keys = Keys::default();
        let mut advanced_seconds = 0;
        let replay = |entry| match entry {
            Entry::Executed { objects, events, key } => {
                objects.into_iter().for_each(|object| ledger.put(object));
                events.into_iter().for_each(|event| drop(ledger.events.put(event)));
                if let Some(stored) = key {
                    keys.finish(stored);
                }
            }
            Entry::ClockAdvanced { seconds } => advanced_seconds += seconds,
        };
        let journal = match &config.data_dir {
            None => Journal::in_memory(),
            Some(dir) => Journal::open(dir, replay)?,
        };
        let latest = ledger.latest().and_then(|at| Timestamp::from_second(at).ok());
        Ok(Self {
            own_url,
            clock: Clock::start(advanced_seconds, latest.unwrap_or(Timestamp::UNIX_EPOCH)),
            behaviour: Behaviour::new(config.settings.clone()),
            webhooks: Webhooks::new(config.webhooks.endpoint()),
            books: Mutex::new(Books { ledger, keys, journal, failed_once: HashSet::new() }),
        })
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    /// Moves the clock forward, durably. `false` when it cannot go that far.
    pub(crate) fn advance_clock(&self, seconds: u64) -> anyhow::Result<bool> {
        let mut books = self.books();
        if !self.clock.can_advance(seconds) {
            return Ok(false);
        }
        books.journal.append(&Entry::ClockAdvanced { seconds })?;
        self.clock.advance(seconds);
        Ok(true)
    }

    /// Runs `execute` at most once under the execution's key, however often and however
    /// concurrently it is asked for. It runs in a task of its own: a client that hangs up does
    /// not stop a charge, as it would not stop a real one. (Should it panic, its key stays taken:
    /// nobody can tell any more whether it executed.)
    pub(crate) async fn once<F>(self: Arc<Self>, execution: Execution, execute: F) -> Response
    where
        F: FnOnce(&mut Books, Timestamp) -> Result<Executed, ApiError> + Send + 'static,
    {
        if let Some(key) = &execution.key {
            let now = self.clock.now();
            let claim = self.books().keys.claim(key, &execution.fingerprint, now);
            match claim {
                Ok(Claim::Taken) => {}
                Ok(Claim::Replay(answer)) => return answer.replayed(),
                Err(refusal) => return refusal.into_response(),
            }
        }
        let task = tokio::spawn(async move { self.execute(execution, execute).await });
        task.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "an execution ended in a panic");
            ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        })
    }

    /// Executes what no client asked for, without a key and without misbehaviour.
    pub(crate) async fn enter<F>(self: Arc<Self>, execute: F) -> Result<Response, ApiError>
    where
        F: FnOnce(&mut Books, Timestamp) -> Result<Executed, ApiError>,
    {
        let nameless = Execution { key: None, fingerprint: String::new() };
        let Committed { answer, events, .. } = self.books().commit(nameless, &self.clock, execute)?;
        self.webhooks.announce(&self, &events);
        Ok(answer.first())
    }

    async fn execute<F>(self: Arc<Self>, execution: Execution, execute: F) -> Response
    where
        F: FnOnce(&mut Books, Timestamp) -> Result<Executed, ApiError>,
    {
        let settings = self.behaviour.settings();
        tokio::time::sleep(settings.latency()).await;
        let outcome = self.books().commit(execution, &self.clock, execute);
        match outcome {
            Ok(Committed { answer, events, delay }) => {
                self.webhooks.announce(&self, &events);
                tokio::time::sleep(settings.answer_delay() + delay).await;
                answer.first()
            }
            Err(refusal) => refusal.into_response(),
        }
    }
}

/// An execution that is in the books.
struct Committed {
    answer: Answer,
    events: Vec<Event>,
    delay: Duration,
}

impl Books {
    /// Executes and enters the result: journal first, then memory, so that what is read from
    /// memory is already safe. If nothing was executed the key is free again.
    fn commit<F>(&mut self, execution: Execution, clock: &Clock, execute: F) -> Result<Committed, ApiError>
    where
        F: FnOnce(&mut Self, Timestamp) -> Result<Executed, ApiError>,
    {
        let at = clock.now();
        let entered = execute(self, at).and_then(|executed| self.enter(&execution, executed, at));
        if let (Err(_), Some(key)) = (&entered, &execution.key) {
            self.keys.release(key);
        }
        entered
    }

    fn enter(&mut self, execution: &Execution, executed: Executed, at: Timestamp) -> Result<Committed, ApiError> {
        let Executed { objects, events, answer, delay } = executed;
        let key = execution.key.clone().map(|key| StoredKey {
            key,
            fingerprint: execution.fingerprint.clone(),
            answer: answer.clone(),
            at,
        });
        let entry = Entry::Executed { objects: objects.clone(), events: events.clone(), key: key.clone() };
        self.journal.append(&entry).map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "a request was not executed");
            ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR)
        })?;
        objects.into_iter().for_each(|object| self.ledger.put(object));
        events.iter().for_each(|event| drop(self.ledger.events.put(event.clone())));
        if let Some(stored) = key {
            self.failed_once.remove(&stored.key);
            self.keys.finish(stored);
        }
        Ok(Committed { answer, events, delay })
    }

    /// Whether this is the first try of `key` with the fail-once token; remembers it.
    pub(crate) fn fails_this_time(&mut self, key: &str) -> bool {
        self.failed_once.insert(key.to_owned())
    }
}

/// Locks through a poisoned mutex: a panic inside is logged where it happened, and the guarded
/// values are only ever changed by steps that leave them whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
