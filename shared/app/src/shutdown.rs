//! Shutdown: one token that every role watches, cancelled by SIGTERM or Ctrl-C, or when a parent process goes away.

use std::sync::OnceLock;

use tokio::signal::unix::{SignalKind, signal};
pub use tokio_util::sync::CancellationToken as Shutdown;

/// Set once by a process whose parent holds the other end of its standard input.
static STDIN_CLOSED: OnceLock<Shutdown> = OnceLock::new();

/// Makes [`on_signal`] also watch standard input: its end means that the parent wants a shutdown, or is gone.
pub fn follow_stdin() {
    let closed = STDIN_CLOSED.get_or_init(Shutdown::new).clone();
    // A thread of its own: the runtime would wait for a blocked read before it lets the process end.
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        closed.cancel();
    });
}

/// A token that is cancelled on the first SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot listen to signals.
pub fn on_signal() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = shutdown.clone();
    let stdin_closed = STDIN_CLOSED.get().cloned().unwrap_or_default();
    tokio::spawn(async move {
        tokio::select! {
            () = stdin_closed.cancelled() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
        token.cancel();
    });
    Ok(shutdown)
}
