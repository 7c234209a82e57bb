//! An SMTP server on a real protocol state machine (crate `mailin`) that keeps what it accepts.
//! The local part of a recipient decides what happens to a mail.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mailin::response::{
    AUTH_OK, AUTHENTICATION_REQUIRED, INVALID_CREDENTIALS, NO_MAILBOX, NO_SERVICE, OK, OUT_OF_SPACE,
};
use mailin::{Action, AuthMechanism, Handler, Response, SessionBuilder};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The account the server knows.
pub(crate) const USER: &str = "billing@acme";
pub(crate) const PASSWORD: &str = "p:w/d";

/// A server of the test's own on a free port; it ends with the test.
pub(crate) struct SmtpServer {
    pub(crate) address: String,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    mails: Mutex<Vec<String>>,
    connections: AtomicUsize,
    logins: AtomicUsize,
    /// Exchanges that reached their end and got no answer.
    stuck: AtomicUsize,
}

struct Session {
    seen: Arc<Seen>,
    recipient: String,
    data: Vec<u8>,
}

impl SmtpServer {
    /// A server that takes mail from anyone.
    pub(crate) async fn start() -> Self {
        Self::listen(SessionBuilder::new("mail.test")).await
    }

    /// A server that takes mail only from [`USER`].
    pub(crate) async fn with_account() -> Self {
        let mut sessions = SessionBuilder::new("mail.test");
        sessions.insecure_enable_plaintext_auth();
        sessions.enable_auth(AuthMechanism::Plain);
        Self::listen(sessions).await
    }

    async fn listen(sessions: SessionBuilder) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, sessions, Arc::clone(&seen)));
        Self { address, seen, task }
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        self.seen.mails.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn logins(&self) -> usize {
        self.seen.logins.load(Ordering::SeqCst)
    }

    pub(crate) fn stuck(&self) -> usize {
        self.seen.stuck.load(Ordering::SeqCst)
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, sessions: SessionBuilder, seen: Arc<Seen>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, sessions.clone(), Arc::clone(&seen)));
    }
}

async fn serve(stream: TcpStream, sessions: SessionBuilder, seen: Arc<Seen>) -> io::Result<()> {
    let handler = Session { seen: Arc::clone(&seen), recipient: String::new(), data: Vec::new() };
    let remote = stream.peer_addr()?.ip();
    let mut session = sessions.build(remote, handler);
    let mut stream = BufReader::new(stream);
    stream.write_all(&session.greeting().buffer()?).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let before = seen.stuck.load(Ordering::SeqCst);
        let response = session.process(&line);
        if seen.stuck.load(Ordering::SeqCst) > before {
            return std::future::pending().await;
        }
        if response.action != Action::NoReply {
            stream.write_all(&response.buffer()?).await?;
        }
        if response.action == Action::Close {
            return Ok(());
        }
    }
}

impl Handler for Session {
    fn mail(&mut self, _: IpAddr, _: &str, _: &str) -> Response {
        self.data.clear();
        OK
    }

    fn rcpt(&mut self, to: &str) -> Response {
        self.recipient = to.to_owned();
        match to.split('@').next() {
            Some("nobody") => NO_MAILBOX,
            Some("full") => OUT_OF_SPACE,
            Some("closing") => NO_SERVICE,
            Some("account") => AUTHENTICATION_REQUIRED,
            _ => OK,
        }
    }

    fn data(&mut self, buf: &[u8]) -> io::Result<()> {
        self.data.extend_from_slice(buf);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        if self.recipient.starts_with("stuck@") {
            self.seen.stuck.fetch_add(1, Ordering::SeqCst);
            return OK;
        }
        let mail = String::from_utf8(std::mem::take(&mut self.data)).unwrap();
        self.seen.mails.lock().unwrap().push(mail);
        OK
    }

    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        if (user, password) == (USER, PASSWORD) {
            self.seen.logins.fetch_add(1, Ordering::SeqCst);
            AUTH_OK
        } else {
            INVALID_CREDENTIALS
        }
    }
}
