//! The SMTP side: sockets and threads around the protocol of the crate `mailin`.
//!
//! **Invariant: a refused mail ends its connection.** After an error at the end of DATA the protocol machine would
//! take the next command for more of the mail, so the connection is closed, and the client starts afresh.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use mailin::response::{INTERNAL_ERROR, NO_SERVICE, NO_STORAGE, OK};
use mailin::{Action, Handler, Response, Session, SessionBuilder};

use super::mailbox::{Mailbox, Received};

/// Connections at once. Each is a thread; mail workers hold a pool of some ten each.
const MAX_CONNECTIONS: usize = 256;

/// Longest line taken. RFC 5321 allows 1,000 bytes; senders that break the rule with a long HTML line are let through.
const MAX_LINE: u64 = 1 << 20;

/// Largest mail taken, as common providers have it.
const MAX_MAIL: usize = 25 << 20;

/// How long a client may be silent before its connection is closed, by RFC 5321 (4.5.3.2).
const IDLE_LIMIT: Duration = Duration::from_secs(300);

/// A running SMTP server; cuts its connections when dropped.
pub(super) struct SmtpServer {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

struct State {
    mailbox: Arc<Mailbox>,
    stopping: AtomicBool,
    connections: Mutex<HashMap<u64, TcpStream>>,
}

impl State {
    fn connections(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        // The map is whole at every instant, also after a panic of a thread that held it.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SmtpServer {
    /// Takes mail for `mailbox` on `listener`.
    ///
    /// # Errors
    /// The listener has no address.
    pub(super) fn start(listener: TcpListener, mailbox: Arc<Mailbox>) -> Result<Self> {
        let address = listener.local_addr().context("reading the SMTP server's port")?;
        let state = Arc::new(State { mailbox, stopping: AtomicBool::new(false), connections: Mutex::default() });
        let accepting = Arc::clone(&state);
        let acceptor = Some(thread::spawn(move || accept(&listener, &accepting)));
        Ok(Self { address, state, acceptor })
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then sees that it is to stop. If nothing listens any more, it has ended already.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for (_, connection) in self.state.connections().drain() {
            // One that the client has closed is as good as cut.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for (number, connection) in (0_u64..).zip(listener.incoming()) {
        if state.stopping.load(Ordering::SeqCst) {
            return;
        }
        // A client that is gone before it is accepted is no concern of the others.
        let Ok(connection) = connection else { continue };
        let Ok(to_cut) = connection.try_clone() else { continue };
        if state.connections().len() >= MAX_CONNECTIONS {
            let _ = NO_SERVICE.write_to(&mut &connection);
            continue;
        }
        state.connections().insert(number, to_cut);
        let state = Arc::clone(state);
        thread::spawn(move || {
            // A connection that breaks is the client's to notice and to try again.
            let _ = converse(connection, &state);
            state.connections().remove(&number);
        });
    }
}

fn converse(connection: TcpStream, state: &State) -> std::io::Result<()> {
    connection.set_read_timeout(Some(IDLE_LIMIT))?;
    // Replies are a line each: waiting for more to send would add 40 ms to every one of them.
    connection.set_nodelay(true)?;
    let client = connection.peer_addr()?.ip();
    let catcher = Catcher { mailbox: &state.mailbox, received: Received::default(), too_large: false };
    let mut session = SessionBuilder::new("ratchet-mail-catcher").build(client, catcher);
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    write(&mut writer, &session.greeting())?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 || !line.ends_with(b"\n") {
            return Ok(());
        }
        if answer(&mut session, &line, &mut writer)? == Next::Close {
            return Ok(());
        }
    }
}

#[derive(PartialEq)]
enum Next {
    Continue,
    Close,
}

fn answer(session: &mut Session<Catcher<'_>>, line: &[u8], writer: &mut TcpStream) -> std::io::Result<Next> {
    let response = session.process(line);
    if response.action == Action::NoReply {
        return Ok(Next::Continue);
    }
    write(writer, &response)?;
    let refused_mail = response.is_error && line == b".\r\n";
    let closes = response.action == Action::Close;
    Ok(if closes || refused_mail { Next::Close } else { Next::Continue })
}

fn write(writer: &mut TcpStream, response: &Response) -> std::io::Result<()> {
    writer.write_all(&response.buffer()?)
}

/// What one connection has received of the mail under way.
struct Catcher<'a> {
    mailbox: &'a Mailbox,
    received: Received,
    too_large: bool,
}

impl Handler for Catcher<'_> {
    fn data_start(&mut self, _domain: &str, from: &str, _is8bit: bool, to: &[String]) -> Response {
        self.too_large = false;
        self.received = Received { sender: from.to_owned(), recipients: to.to_vec(), source: Vec::new() };
        OK
    }

    fn data(&mut self, line: &[u8]) -> std::io::Result<()> {
        // An error here would be answered in the middle of the mail; the answer is due at its end.
        self.too_large |= self.received.source.len() + line.len() > MAX_MAIL;
        if !self.too_large {
            self.received.source.extend(line);
        }
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        if self.too_large {
            return NO_STORAGE;
        }
        match self.mailbox.keep(&self.received) {
            Ok(()) => OK,
            Err(error) => {
                eprintln!("mail catcher: a mail was refused: {error:#}");
                INTERNAL_ERROR
            }
        }
    }
}
