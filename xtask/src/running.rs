//! The record of a running stack in its data folder: who holds it and where its services are.
//!
//! **Invariant:** the record is written when everything answers, and is removed first when it ends. A process that was
//! killed leaves a stale one, so it counts only while the folder is held.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use services::{DataFolder, Owner, Stack};

const FILE: &str = "running.json";

/// A stack that answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Process that holds the stack.
    pub(crate) process: u32,
    /// Its addresses as environment variables.
    pub(crate) environment: Vec<(String, String)>,
}

impl Running {
    /// Records that this process runs `stack`.
    ///
    /// # Errors
    /// The record cannot be written.
    pub(crate) fn record(stack: &Stack) -> Result<Self> {
        let environment = stack.environment();
        let running = Self {
            process: std::process::id(),
            environment: environment.into_iter().map(|(name, address)| (name.to_owned(), address)).collect(),
        };
        let file = stack.folder().path().join(FILE);
        // Renamed into place, so that nobody reads half of it.
        let unfinished = file.with_extension("part");
        let text = serde_json::to_string_pretty(&running).context("writing down what runs")?;
        fs::write(&unfinished, text)
            .and_then(|()| fs::rename(&unfinished, &file))
            .with_context(|| format!("writing {}", file.display()))?;
        Ok(running)
    }

    /// What runs in `folder` now, if anything does and answers.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        if DataFolder::owner_of(folder) == Owner::Nobody {
            return None;
        }
        let text = fs::read_to_string(folder.join(FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Removes the record of `folder`, if there is one.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget(folder: &Path) -> Result<()> {
        match fs::remove_file(folder.join(FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("removing the record of what runs")
            }
            _ => Ok(()),
        }
    }

    /// Prints the addresses as lines that a shell or an env file takes.
    pub(crate) fn print(&self) {
        for (name, address) in &self.environment {
            println!("{name}={address}");
        }
    }
}
