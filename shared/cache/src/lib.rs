//! A read-through cache of objects: in this process, behind it in Redis for all replicas, behind that whoever loads.
//!
//! Owns what is believed for how long. Every entry has the revision of the object that it was made from; an event that
//! announces a later one (see [`Cache::follow`]) makes it worthless everywhere.
//!
//! **Invariant:** an entry never replaces one of a later revision, nor what was announced of one: a reader that loaded before
//! a change and stores after it changes nothing. **Invariant:** messages may be lost and Redis may be away. Then an object is
//! old for no longer than both lives together; so nothing that decides about money reads the cache, and no crate that decides
//! about it knows this one.

mod follow;
mod here;
mod shared;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use queue::{BestEffort, QueueClient};
use serde::{Serialize, de::DeserializeOwned};

use here::Here;

/// How long an entry is believed, in this process and in Redis.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    pub here: Duration,
    pub shared: Duration,
}

/// Which object: its id tells its kind.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub tenant: &'a str,
    pub id: &'a str,
}

/// An object as of one of its revisions.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    pub revision: i64,
    pub value: T,
}

/// The cache. Cheap to clone; clones share what they have.
#[derive(Clone)]
pub struct Cache {
    queue: QueueClient,
    redis: BestEffort,
    here: Arc<Mutex<Here>>,
    lives: Lives,
}

impl Cache {
    /// A cache beside the queues: on their Redis, under their prefix.
    #[must_use]
    pub fn beside(queue: &QueueClient, lives: Lives) -> Self {
        Self { queue: queue.clone(), redis: queue.best_effort("cache"), here: Arc::default(), lives }
    }

    /// The object as it was within its life, loaded where nobody has it. What does not exist is not kept.
    ///
    /// # Errors
    /// Those of `load`.
    pub async fn read<T, E, F>(&self, key: Key<'_>, load: impl FnOnce() -> F) -> Result<Option<T>, E>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<Option<Versioned<T>>, E>>,
    {
        if let Some(value) = self.known(key).await {
            return Ok(Some(value));
        }
        let Some(Versioned { revision, value }) = load().await? else { return Ok(None) };
        if let Ok(json) = serde_json::to_string(&value) {
            let json: Arc<str> = json.into();
            self.here().keep(key, (revision, Some(Arc::clone(&json))), self.ends());
            shared::keep(&self.redis, key, (revision, &json), self.lives.shared).await;
        }
        Ok(Some(value))
    }

    async fn known<T: DeserializeOwned>(&self, key: Key<'_>) -> Option<T> {
        let kept = self.here().get(key, Instant::now());
        if let Some(json) = kept {
            return serde_json::from_str(&json).ok();
        }
        let (revision, json) = shared::get(&self.redis, key).await?;
        // An entry of another version of this program is as good as none.
        let value = serde_json::from_str(&json).ok()?;
        self.here().keep(key, (revision, Some(json.into())), self.ends());
        Some(value)
    }

    /// Lets nobody believe a revision before this one any more: the object has changed.
    pub async fn outdate(&self, key: Key<'_>, revision: i64) {
        self.here().keep(key, (revision, None), self.ends());
        shared::outdate(&self.redis, key, revision, self.lives.shared).await;
    }

    fn ends(&self) -> Instant {
        Instant::now() + self.lives.here
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
