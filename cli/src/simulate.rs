//! `ratchet simulate`: the invoices of a story, without any server.

use std::{
    fmt,
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use simulation::{MAX_SCENARIO_BYTES, Scenario, simulate, text};

use crate::terminal::{print_json, say, style};

/// The file name that stands for standard input.
const STANDARD_INPUT: &str = "-";

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The scenario, JSON; `-` for standard input.
    file: PathBuf,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A document for programs.
    Json,
    /// Invoices for people.
    Text,
}

/// A scenario that cannot be read or simulated: the caller's mistake.
#[derive(Debug)]
pub(crate) struct BadScenario(String);

impl fmt::Display for BadScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadScenario {}

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let json = read(&args.file)?;
    let told = Scenario::parse(&json).and_then(|scenario| simulate(&scenario));
    let output = told.map_err(|error| BadScenario(format!("{}: {error}", name(&args.file))))?;
    match args.format {
        Format::Json => print_json(&output),
        // A line of output is ended where it is printed.
        Format::Text => say(text(&output, style()).trim_end()),
    }
}

fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == STANDARD_INPUT
}

fn name(file: &Path) -> String {
    if is_standard_input(file) { "standard input".to_owned() } else { file.display().to_string() }
}

/// Reads a file, as far as a scenario may go and one byte further, by which one that is too long is known.
fn read(file: &Path) -> Result<Vec<u8>, BadScenario> {
    let limit = MAX_SCENARIO_BYTES as u64 + 1;
    let mut json = Vec::new();
    let read = if is_standard_input(file) {
        if io::stdin().is_terminal() {
            // Whoever waits for an answer should know that it waits for them.
            eprintln!("ratchet: reading the scenario from the terminal; end it with Ctrl-D");
        }
        io::stdin().lock().take(limit).read_to_end(&mut json)
    } else {
        File::open(file).and_then(|file| file.take(limit).read_to_end(&mut json))
    };
    read.map_err(|error| BadScenario(format!("{}: cannot be read: {error}", name(file))))?;
    Ok(json)
}
