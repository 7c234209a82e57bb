//! Benchmarks of Ratchet, run by `cargo xtask bench [name]`: each starts the servers it needs, prints a table with the
//! product's figure, a floor measured in the same run and their ratio, and writes JSON and a chart.
//!
//! It also offers the queue's two sides as commands (`enqueue`, `work`) for whoever wants to measure them beside
//! something else.
//!
//! **Invariant:** whatever was started has ended when this process ends, also when it was interrupted.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod benchmarks;
mod chart;
mod report;
mod server;
mod sides;
mod statistics;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::benchmarks::{Benchmark, Extent, recovery};
use crate::sides::{Load, Place, ratchet};

/// The allocator of the product, here of all sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of Ratchet. Without a command it runs them all.
#[derive(Debug, Parser)]
#[command(name = "ratchet-bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    measure: Measure,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Measure {
    /// What to measure [default: everything].
    #[arg(value_enum)]
    names: Vec<Benchmark>,
    /// Only see that it works: small amounts, figures not worth keeping.
    #[arg(long)]
    quick: bool,
    /// Folder for JSON and charts [default: bench/results; none if quick].
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enqueue so many jobs that do nothing; the last line says how long it took.
    Enqueue {
        jobs: usize,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Work on them until so many are done; the last line says how long it took and how many there were.
    Work {
        jobs: usize,
        concurrency: usize,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// A worker of the benchmark `recovery`.
    #[command(hide = true)]
    RecoveryWorker {
        part: recovery::Part,
        #[command(flatten)]
        place: PlaceArguments,
    },
}

#[derive(Debug, Args)]
struct PlaceArguments {
    /// Where Redis is.
    #[arg(long, env = "REDIS_URL", default_value = "redis://127.0.0.1:6379")]
    redis_url: String,
    /// Prefix of all keys.
    #[arg(long, env = "REDIS_PREFIX", default_value = "bench")]
    prefix: String,
}

impl From<PlaceArguments> for Place {
    fn from(arguments: PlaceArguments) -> Self {
        Self { url: arguments.redis_url, prefix: arguments.prefix }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whichever ends first; the other is dropped, and with it all that it has started.
    let result = tokio::select! {
        result = run(arguments) => result,
        result = interrupted() => result,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        None => measure(arguments.measure).await,
        Some(Command::Enqueue { jobs, place }) => {
            let took = ratchet::enqueue(&place.into(), jobs).await?;
            println!("{}", seconds(took));
            Ok(())
        }
        Some(Command::Work { jobs: 0, .. }) => bail!("there has to be at least one job to do"),
        Some(Command::Work { jobs, concurrency, place }) => {
            let worked = ratchet::work(&place.into(), Load { jobs, concurrency }).await?;
            println!("{} {} jobs", seconds(worked.took), worked.jobs);
            Ok(())
        }
        Some(Command::RecoveryWorker { part, place }) => recovery::work(&place.into(), part).await,
    }
}

async fn measure(measure: Measure) -> Result<()> {
    let extent = if measure.quick { Extent::Quick } else { Extent::Full };
    let kept = || (extent == Extent::Full).then(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("results"));
    let folder = measure.out.or_else(kept);
    let names = if measure.names.is_empty() { Benchmark::value_variants() } else { &measure.names };
    for benchmark in names {
        let report = benchmark.run(extent).await?;
        report.print();
        if let Some(folder) = &folder {
            report.write(folder)?;
        }
    }
    Ok(())
}

fn seconds(took: Duration) -> String {
    format!("{:.3} s", took.as_secs_f64())
}

async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("watching for SIGTERM")?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt.context("watching for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    bail!("interrupted")
}
