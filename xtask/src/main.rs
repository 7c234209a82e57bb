//! Developer commands, run as `cargo xtask <command>`: the services to develop against, the demo, the tests and what
//! CI does. It composes cargo, the binary `ratchet` and the crate `services`; it decides nothing of the product.
//!
//! **Invariant:** a command that fails says why in its last line and exits non-zero; whatever it started has ended by
//! then.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod cargo;
mod child;
mod ci;
mod conformance;
mod demo;
mod down;
mod interrupt;
mod running;
mod test;
mod up;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of Ratchet.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Provide Redis, MongoDB and a mail catcher, and print where they are.
    ///
    /// What REDIS_URL, MONGODB_URI and SMTP_URL name is used as it is; what is missing on this machine is installed
    /// once, into the user's cache. Runs until Ctrl-C or `cargo xtask down`.
    Up {
        /// Leave the services running in the background.
        #[arg(long)]
        detach: bool,
        /// Data folder [default: .ratchet/up].
        #[arg(long)]
        data: Option<PathBuf>,
    },
    /// End what `up` or `demo` left running. The data stay.
    Down {
        /// Data folder [default: .ratchet/up and .ratchet/demo].
        #[arg(long)]
        data: Option<PathBuf>,
    },
    /// Bill nineteen months of real usage through the whole product, and show what happened.
    ///
    /// The data stay in .ratchet/demo, so that running it again shows that nothing happens twice.
    Demo {
        /// End after the table instead of serving on.
        #[arg(long)]
        once: bool,
        /// Build the product optimised: longer to build, faster to run.
        #[arg(long)]
        release: bool,
        /// Data folder [default: .ratchet/demo].
        #[arg(long)]
        data: Option<PathBuf>,
        /// Further arguments for `ratchet demo`, after the ones above.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Build everything and run every test.
    Test {
        /// Further arguments for the test runner, such as the name of a test.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Measure: everything, or what is named (queue, pickup, recovery).
    ///
    /// Prints a table each and writes JSON and a chart into bench/results.
    Bench {
        /// Arguments for the benchmarks: names, `--quick`, `--out <folder>`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Hold the product against independent implementations: all suites, or those named (access_tokens,
    /// standard_webhooks).
    ///
    /// They are installed once, into the user's cache; Python 3 and Node have to be there.
    Conformance {
        /// Names of suites.
        suites: Vec<String>,
    },
    /// Everything that has to pass before a change lands: format, lints, generated files, tests.
    Ci,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Up { detach: true, data } => up::detached(data),
        Command::Up { detach: false, data } => up::until_interrupted(data),
        Command::Down { data } => down::run(data),
        Command::Demo { once, release, data, rest } => demo::run(demo::Options { once, release, data, rest }),
        Command::Test { rest } => test::run(&rest),
        Command::Bench { rest } => bench::run(&rest),
        Command::Conformance { suites } => conformance::run(&suites).map(|()| ExitCode::SUCCESS),
        Command::Ci => ci::run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
