//! Commands whose process ends with the one that started it, even when that one is killed with SIGKILL.
//!
//! Linux offers this as PR_SET_PDEATHSIG, which has to be asked for between fork and exec. That takes unsafe code,
//! so it is left to `setpriv` of util-linux; where that is missing (macOS, some slim images) a killed parent leaves
//! its children to [`crate::DataFolder`], which ends them when the folder is next used.
//!
//! **Invariant:** the kernel sends the signal when the *thread* that forked ends, so every command made here is to
//! be spawned from a thread that lives as long as the process: the main thread or [`spawn_lasting`].

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, OnceLock};
use std::thread;

/// What the kernel sends to the child when its parent is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathSignal {
    /// Ends it at once: for a server whose data survives that.
    Kill,
    /// Asks it to end: for a program that has children of its own to see off.
    Terminate,
}

impl DeathSignal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
        }
    }
}

static SETPRIV_WORKS: LazyLock<bool> = LazyLock::new(|| {
    // busybox has a setpriv without this option, so presence alone does not tell.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
});

/// A command for `program` that receives `signal` when the thread that spawns it ends. The process id is the
/// program's own, because `setpriv` replaces itself by it.
pub fn tied_to_parent(program: impl AsRef<OsStr>, signal: DeathSignal) -> Command {
    if !*SETPRIV_WORKS {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal.name(), "--"]).arg(program);
    command
}

type Order = (Command, Sender<io::Result<Child>>);

/// Spawns `command` from a thread that lives until this process ends. A test runs in a thread of its own; what it
/// starts for all tests must not die with it.
///
/// # Errors
/// The program cannot be started.
pub(crate) fn spawn_lasting(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in received {
                // A failed send means that the asker is gone, and dropping the child is all that can be done.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, child) = channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner.send((command, reply)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
