//! `queue`: bulk enqueueing and processing of jobs that do nothing, and the memory that they take. Measures the way
//! through the queue and nothing else.
//!
//! Sides take turns within each round, so that whatever else the machine does falls on all of them; the figures are
//! medians over the rounds.

use anyhow::Result;

use super::{Extent, machine};
use crate::report::{Report, Row, Target, Unit, grouped};
use crate::server::Server;
use crate::sides::{Load, PAYLOAD_BYTES, Side};
use crate::statistics::median;

/// Jobs per cycle, and rounds of cycles.
const JOBS: usize = 100_000;
const ROUNDS: usize = 5;
const QUICK_JOBS: usize = 2_000;
const QUICK_ROUNDS: usize = 1;

/// How many jobs run at once.
const CONCURRENCIES: [usize; 2] = [10, 50];

/// Jobs that go through before memory is looked at for the first time: what a queue keeps for itself, such as its
/// counters and the server its scripts, is not a job's.
const WARM_UP: Load = Load { jobs: 200, concurrency: 10 };

/// What one side's figures were, round by round.
#[derive(Debug, Default)]
struct Samples {
    enqueued_per_second: Vec<f64>,
    /// For each of [`CONCURRENCIES`].
    processed_per_second: [Vec<f64>; CONCURRENCIES.len()],
    bytes_waiting: Vec<f64>,
    bytes_finished: Vec<f64>,
}

/// Measures it.
///
/// # Errors
/// Redis cannot be started or fails.
pub(crate) async fn run(extent: Extent) -> Result<Report> {
    let (jobs, rounds) = (extent.pick(JOBS, QUICK_JOBS), extent.pick(ROUNDS, QUICK_ROUNDS));
    let mut server = Server::start().await?;
    let mut samples = Side::ALL.map(|_| Samples::default());
    for round in 1..=rounds {
        for at in 0..CONCURRENCIES.len() {
            for (side, samples) in Side::ALL.into_iter().zip(&mut samples) {
                cycle(&mut server, (side, samples), (at, jobs)).await?;
            }
        }
        eprintln!("queue: round {round} of {rounds} is done");
    }
    let setting = format!(
        "{} jobs of {PAYLOAD_BYTES} bytes that do nothing, {}; {}",
        grouped(jobs as f64),
        if rounds == 1 { "one round".to_owned() } else { format!("medians of {rounds} rounds") },
        machine(&mut server).await?
    );
    Ok(report(samples, setting))
}

/// Takes jobs through one side once: enqueue, look, process, look.
async fn cycle(server: &mut Server, (side, samples): (Side, &mut Samples), (at, jobs): (usize, usize)) -> Result<()> {
    let place = server.place();
    server.clear().await?;
    side.enqueue(&place, WARM_UP.jobs).await?;
    side.prepare(&place).await?;
    side.work(&place, WARM_UP).await?;
    let before = server.memory().await?;

    let enqueueing = side.enqueue(&place, jobs).await?;
    let waiting = server.memory().await?;
    side.prepare(&place).await?;
    let working = side.work(&place, Load { jobs, concurrency: CONCURRENCIES[at] }).await?;
    let finished = server.memory().await?;

    let count = jobs as f64;
    samples.enqueued_per_second.push(count / enqueueing.as_secs_f64());
    samples.processed_per_second[at].push(count / working.as_secs_f64());
    samples.bytes_waiting.push((waiting as f64 - before as f64) / count);
    samples.bytes_finished.push((finished as f64 - before as f64) / count);
    Ok(())
}

fn report(samples: [Samples; 3], setting: String) -> Report {
    let medians = samples.map(|side| {
        let [ten, fifty] = side.processed_per_second;
        [side.enqueued_per_second, ten, fifty, side.bytes_waiting, side.bytes_finished].map(median)
    });
    let [ten, fifty] = CONCURRENCIES.map(|concurrency| format!("process, {concurrency} at once"));
    let kinds = [
        ("enqueue in bulk".to_owned(), Unit::JobsPerSecond, Target::TimesFloor(3.0)),
        (ten, Unit::JobsPerSecond, Target::TimesFloor(1.5)),
        (fifty, Unit::JobsPerSecond, Target::TimesFloor(1.5)),
        ("a waiting job".to_owned(), Unit::BytesPerJob, Target::AtMost(250.0)),
        ("a finished job".to_owned(), Unit::BytesPerJob, Target::AtMost(0.0)),
    ];
    let rows = kinds.into_iter().enumerate().map(|(at, (name, unit, target))| {
        let [ratchet, floor, stock] = medians.map(|side| side[at]);
        Row { name, unit, ratchet, floor: Some(floor), stock: Some(stock), target }
    });
    Report {
        benchmark: "queue",
        title: "Ratchet's queue beside the least that Redis allows",
        setting,
        rows: rows.collect(),
        notes: vec![
            "The floor is a hand-written loop on a Redis stream: one connection, one round trip per 500 jobs to \
             acknowledge, remove and read, the next batch on its way while one runs. It has no leases, retries, delays \
             or priorities.",
            "apalis-redis 1.0.0 runs at its best settings: batches of 500, no task locks, no events, handlers as tasks.",
            "Its pushed jobs are moved to its ready list by the benchmark, outside of the time measured: by itself it \
             stops for good at 8,000 due jobs.",
        ],
    }
}
