//! Chaos: worker processes and Redis are killed, stopped, cut off and slowed down while thousands of jobs run; in the
//! end every job is accounted for.
//!
//! The conductor is this program; so are its workers, which it starts as processes of their own. Therefore it brings
//! its own `main` and understands as much of a test's command line as `cargo test` uses.
//!
//! The seed that is printed decides on the jobs and the order of the troubles. What they hit depends on the machine, so
//! the same seed is a similar run, not the same one.

mod account;
mod conductor;
#[allow(dead_code, reason = "shared with a larger set of stories")]
#[path = "../it/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the random steps in the crate")]
#[path = "../../src/model/picture.rs"]
mod picture;
mod plan;
#[allow(dead_code, reason = "shared with a larger set of stories")]
#[path = "../it/server.rs"]
mod server;
mod wire;
mod worker;

use std::time::Instant;

/// The name of the one test there is.
const NAME: &str = "every_job_is_accounted_for_after_chaos";

/// Set it to a printed seed to have similar trouble again.
const SEED: &str = "QUEUE_CHAOS_SEED";

/// Options of a test's command line that are followed by a value.
const VALUED: [&str; 6] = ["--format", "--color", "--logfile", "--test-threads", "--shuffle-seed", "-Z"];

/// What the command line asks for.
enum Asked {
    Run,
    List,
    /// Other tests.
    Nothing,
    /// A list of other tests, for which even a heading would be an entry.
    EmptyList,
}

fn read(arguments: &[String]) -> Asked {
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let (mut filters, mut skipped) = (Vec::new(), false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--skip" => skipped |= rest.next().is_some_and(|name| NAME.contains(name.as_str())),
            option if VALUED.contains(&option) => drop(rest.next()),
            option if option.starts_with('-') => {}
            filter => filters.push(filter),
        }
    }
    let fits = |filter: &&str| if has("--exact") { NAME == *filter } else { NAME.contains(*filter) };
    // There are no ignored tests and no benchmarks here.
    let others = skipped || has("--ignored") || has("--bench") || !(filters.is_empty() || filters.iter().any(fits));
    match (others, has("--list")) {
        (true, true) => Asked::EmptyList,
        (true, false) => Asked::Nothing,
        (false, true) => Asked::List,
        (false, false) => Asked::Run,
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, redis, records] = &arguments[..]
        && mode == worker::MODE
    {
        worker::main(redis, records);
        return;
    }
    match read(&arguments) {
        Asked::List => println!("{NAME}: test"),
        Asked::EmptyList => {}
        Asked::Nothing => println!("\nrunning 0 tests\n"),
        Asked::Run => {
            let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
            println!("\nrunning 1 test\n{SEED}={seed}");
            let began = Instant::now();
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            // A failed assertion ends the program with an error, and everything it started with it.
            runtime.block_on(conductor::conduct(seed));
            println!("test {NAME} ... ok\n\nfinished in {:.1?}", began.elapsed());
        }
    }
}
