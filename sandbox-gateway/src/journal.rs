//! The append-only file that lets the books survive a `kill -9`: one JSON line per event, handed
//! to the operating system before the answer leaves. It is not synced: it outlives the process,
//! not the machine.
//!
//! **Invariant:** a line is whole or the last one; a torn last line was never answered and is cut
//! off on opening. Damage anywhere else is an error, never skipped.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::idempotency::StoredKey;
use crate::objects::{Event, Object};

const FILE_NAME: &str = "journal.jsonl";

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// An execution: what it made or changed, what happened by it and, if it had one, its
    /// idempotency key with the answer. Together in one line, so that none exists without the
    /// others.
    Executed { objects: Vec<Object>, events: Vec<Event>, key: Option<StoredKey> },
    /// The clock was moved forward.
    ClockAdvanced { seconds: u64 },
}

/// The open file, locked against a second gateway; or nothing, when the books are in memory only.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Option<File>,
}

impl Journal {
    /// A journal that keeps nothing.
    pub(crate) fn in_memory() -> Self {
        Self { file: None }
    }

    /// Opens or creates the journal in `dir` and hands every entry of it to `replay`, in order.
    pub(crate) fn open(dir: &Path, mut replay: impl FnMut(Entry)) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        let path = dir.join(FILE_NAME);
        let name = path.display();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .with_context(|| format!("opening {name}"))?;
        if file.try_lock().is_err() {
            bail!("{name} is in use by another sandbox gateway");
        }
        let whole = replay_lines(&file, &mut replay).with_context(|| format!("reading {name}"))?;
        file.set_len(whole).with_context(|| format!("cutting a torn line off {name}"))?;
        Ok(Self { file: Some(file) })
    }

    /// Writes one entry; it is in the operating system's hands when this returns.
    pub(crate) fn append(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(entry).context("encoding a journal entry")?;
        line.push(b'\n');
        let before = file.metadata().context("measuring the journal")?.len();
        if let Err(error) = file.write_all(&line) {
            // Half a line in the middle would make the whole journal unreadable.
            file.set_len(before).context("cutting off a half-written entry")?;
            return Err(error).context("writing to the journal");
        }
        Ok(())
    }
}

/// Returns the length in bytes of all whole lines.
fn replay_lines(file: &File, replay: &mut impl FnMut(Entry)) -> anyhow::Result<u64> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut whole = 0;
    for number in 1_u64.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let entry = serde_json::from_slice(&line).with_context(|| format!("line {number}"))?;
        replay(entry);
        whole += read as u64;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advances(dir: &Path) -> anyhow::Result<Vec<u64>> {
        let mut seen = Vec::new();
        Journal::open(dir, |entry| match entry {
            Entry::ClockAdvanced { seconds } => seen.push(seconds),
            Entry::Executed { .. } => unreachable!("the tests write advances only"),
        })?;
        Ok(seen)
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_writing_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), |_| {}).unwrap();
        journal.append(&Entry::ClockAdvanced { seconds: 1 }).unwrap();
        drop(journal);
        let path = dir.path().join(FILE_NAME);
        let mut torn = fs::read(&path).unwrap();
        torn.extend_from_slice(br#"{"clock_adv"#);
        fs::write(&path, torn).unwrap();

        let mut journal = Journal::open(dir.path(), |_| {}).unwrap();
        journal.append(&Entry::ClockAdvanced { seconds: 2 }).unwrap();
        drop(journal);
        assert_eq!(advances(dir.path()).unwrap(), [1, 2]);
    }

    #[test]
    fn damage_in_the_middle_is_an_error_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let lines = "{\"clock_advanced\":{\"seconds\":1}}\nnonsense\n";
        fs::write(dir.path().join(FILE_NAME), lines).unwrap();
        let error = advances(dir.path()).unwrap_err();
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
    }

    #[test]
    fn a_second_gateway_on_the_same_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _held = Journal::open(dir.path(), |_| {}).unwrap();
        let error = advances(dir.path()).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
    }
}
