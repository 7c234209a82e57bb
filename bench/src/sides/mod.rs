//! The sides of the queue benchmark: Ratchet, a minimal hand-written loop as the floor, and stock apalis-redis. Each
//! enqueues and works on the same jobs, a handler that does nothing with a payload of 100 bytes.
//!
//! **Invariant: equal conditions.** One process, one Redis, the same runtime. A side's clock starts when it is
//! connected and stops when Redis has all that the side has to tell it.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub(crate) mod floor;
pub(crate) mod ratchet;
pub(crate) mod stock;

/// Bytes of a job's payload in JSON.
pub(crate) const PAYLOAD_BYTES: usize = 100;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ratchet,
    Floor,
    Stock,
}

impl Side {
    /// All of them, in the order of the columns.
    pub(crate) const ALL: [Self; 3] = [Self::Ratchet, Self::Floor, Self::Stock];

    /// Enqueues so many jobs and says how long that took.
    ///
    /// # Errors
    /// Redis fails.
    pub(crate) async fn enqueue(self, place: &Place, jobs: usize) -> Result<Duration> {
        match self {
            Self::Ratchet => ratchet::enqueue(place, jobs).await,
            Self::Floor => floor::enqueue(place, jobs).await,
            Self::Stock => stock::enqueue(place, jobs).await,
        }
    }

    /// What has to be done to enqueued jobs before this side can work on them; nobody's time is measured.
    ///
    /// # Errors
    /// Redis fails.
    pub(crate) async fn prepare(self, place: &Place) -> Result<()> {
        match self {
            Self::Ratchet | Self::Floor => Ok(()),
            Self::Stock => stock::promote(place).await,
        }
    }

    /// Works until so many jobs are done, `concurrency` at a time, and says how long that took.
    ///
    /// # Errors
    /// Redis fails.
    pub(crate) async fn work(self, place: &Place, load: Load) -> Result<Duration> {
        match self {
            Self::Ratchet => ratchet::work(place, load).await.map(|worked| worked.took),
            Self::Floor => floor::work(place, load).await,
            Self::Stock => stock::work(place, load).await,
        }
    }
}

/// Where the jobs are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) url: String,
    /// Prefix of all keys.
    pub(crate) prefix: String,
}

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) jobs: usize,
    /// Jobs that may run at once.
    pub(crate) concurrency: usize,
}

/// The job: nothing to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Noop {
    pad: String,
}

impl Noop {
    pub(crate) fn new() -> Self {
        const FRAME: &str = r#"{"pad":""}"#;
        Self { pad: "x".repeat(PAYLOAD_BYTES - FRAME.len()) }
    }

    /// The work itself, which the compiler must not drop.
    pub(crate) fn run(&self) {
        black_box(&self.pad);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_exactly_the_bytes_that_the_benchmark_names() {
        assert_eq!(serde_json::to_string(&Noop::new()).unwrap().len(), PAYLOAD_BYTES);
    }
}
