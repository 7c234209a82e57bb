//! The benchmarks, one file each: a function from [`Extent`] to a report. A new one is a file, a variant of
//! [`Benchmark`] and an arm of [`Benchmark::run`].

use std::thread::available_parallelism;

use anyhow::Result;
use clap::ValueEnum;

use crate::report::Report;
use crate::server::Server;

mod pickup;
mod queue;
pub(crate) mod recovery;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// Enqueue and process jobs that do nothing, and what they take of Redis's memory.
    Queue,
    /// From enqueueing a job to the start of its handler, when the worker is idle.
    Pickup,
    /// From kill -9 of a worker with running jobs until another has done them all.
    Recovery,
}

impl Benchmark {
    /// Measures it.
    ///
    /// # Errors
    /// What it needs cannot be started, or fails on the way.
    pub(crate) async fn run(self, extent: Extent) -> Result<Report> {
        match self {
            Self::Queue => queue::run(extent).await,
            Self::Pickup => pickup::run(extent).await,
            Self::Recovery => recovery::run(extent).await,
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Enough for figures that can be kept.
    Full,
    /// Just enough to see that it works.
    Quick,
}

impl Extent {
    /// One of two amounts.
    fn pick(self, full: usize, quick: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// The machine, and how the program was built, in a few words.
async fn machine(server: &mut Server) -> Result<String> {
    let cores = available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { ", build not optimised" } else { "" };
    Ok(format!("{cores} cores for all, Redis {} with its log on{build}", server.version().await?))
}
