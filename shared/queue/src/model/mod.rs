//! Random steps against a real Redis and against a simple model of what a queue is.
//!
//! Owns the steps (enqueue, turns with every kind of end, lost replies, crashes, leases that run out, pauses, limits,
//! dead letters, loss of all data), the model they are compared with, and a recount of everything in Redis after each
//! step. It lives inside of the crate because it takes the driver's part: it calls `turn.lua` through
//! [`crate::turn::Seat`], as any number of workers.
//!
//! **Invariant:** time never decides. Leases, delays and rates last longer than any run; a step makes them pass by
//! changing their scores.

mod compare;
mod expected;
mod fairness;
mod picture;
mod server;
mod stage;
mod step;

use std::time::Duration;

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use self::server::Server;
use self::stage::Stage;
use self::step::{Step, steps};

/// Longer than any run of this test.
const LATER: Duration = Duration::from_secs(60 * 60);
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sequences of steps, and the longest of them: some thousand steps.
const SEQUENCES: u32 = 60;
const STEPS: usize = 80;

/// How many shorter sequences are tried when one has failed.
const SHRINKS: u32 = 2_000;

/// Set it to a printed seed to see the same steps again.
const SEED: &str = "QUEUE_MODEL_SEED";

/// Seed bytes of the generator, of which the first eight are ours.
const SEED_BYTES: usize = 32;

fn generator(seed: u64) -> TestRng {
    let mut bytes = [0; SEED_BYTES];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

async fn run(server: &Server, steps: &[Step]) {
    let mut stage = Stage::new(server).await;
    for step in steps {
        stage.take(step).await;
    }
    stage.finish().await;
}

#[test]
fn a_queue_does_what_a_simple_model_of_it_does() {
    let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start());
    let config = Config { cases: SEQUENCES, max_shrink_iters: SHRINKS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, generator(seed));
    let outcome = runner.run(&steps(STEPS), |steps| {
        runtime.block_on(run(&server, &steps));
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => {
            panic!("{reason}\nafter {} steps, with {SEED}={seed}: {steps:?}", steps.len())
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
