//! Ctrl-C, SIGTERM and SIGHUP as a condition that waiting code looks at, so that what was started is ended in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

/// Pause between two looks at a condition; below what a person notices.
pub(crate) const POLL: Duration = Duration::from_millis(50);

static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

/// Takes over these signals. Before this call they end the process as usual.
///
/// # Errors
/// They are taken over already.
pub(crate) fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        INTERRUPTS.fetch_add(1, Ordering::SeqCst);
    })
    .context("watching for Ctrl-C")
}

/// How often this process was asked to end.
pub(crate) fn count() -> usize {
    INTERRUPTS.load(Ordering::SeqCst)
}

/// Waits until this process is asked to end.
pub(crate) fn wait() {
    while count() == 0 {
        sleep(POLL);
    }
}
