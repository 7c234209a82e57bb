//! Connections to the mail server: at most a few, reused while fresh.
//!
//! The mail library has a pool of its own. It is not used because it takes a connection back also
//! when the sending of a mail was cancelled half-way (a job's time-out), and the next mail would
//! then be written into the middle of that one; nor does it bound the number of connections.
//!
//! **Invariant:** only a connection whose last exchange ended well is given out again. Whatever is
//! dropped half-way is closed.

use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::MailError;

/// Small servers accept ten connections per client; some room is left for other processes.
const MAX_CONNECTIONS: usize = 8;
/// Servers close idle connections after a minute or more; half of that is safely before.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// A server that does not answer in this time is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The operating system chooses the address we connect from.
const ANY_LOCAL_ADDRESS: Option<IpAddr> = None;
/// What a connection counts as that does not even answer a NOOP in time.
const BROKEN: bool = false;

/// Where and how to connect.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
    /// The name we give in EHLO.
    pub(super) hello_name: ClientId,
}

/// How the connection is protected.
pub(super) enum Security {
    /// Not at all: a mail catcher or a relay on the same machine.
    None,
    /// TLS from the first byte.
    Wrapped(TlsParameters),
    /// STARTTLS, and no mail without it.
    StartTls(TlsParameters),
}

/// The pool.
pub(super) struct Pool {
    server: Server,
    slots: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// A connection in use. Dropping it closes it; [`Pool::give_back`] keeps it.
pub(super) struct Lease<'a> {
    pub(super) connection: AsyncSmtpConnection,
    _slot: SemaphorePermit<'a>,
}

impl Pool {
    pub(super) fn new(server: Server) -> Self {
        Self { server, slots: Semaphore::new(MAX_CONNECTIONS), idle: Mutex::new(Vec::new()) }
    }

    /// A working connection, reused or new; waits while all are in use.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, MailError> {
        let slot = self.slots.acquire().await;
        let slot = slot.map_err(|_| MailError::transient("the mailer is shut down"))?;
        while let Some(mut connection) = self.take_idle() {
            let probe = tokio::time::timeout(CONNECT_TIMEOUT, connection.test_connected());
            if probe.await.unwrap_or(BROKEN) {
                return Ok(Lease { connection, _slot: slot });
            }
        }
        let connection = self.server.connect().await?;
        Ok(Lease { connection, _slot: slot })
    }

    /// Takes back a connection whose exchange ended well.
    pub(super) fn give_back(&self, lease: Lease<'_>) {
        self.idle().push(Idle { connection: lease.connection, since: Instant::now() });
    }

    /// The most recently used idle connection; those idle for too long are closed on the way.
    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.since.elapsed() < MAX_IDLE);
        idle.pop().map(|idle| idle.connection)
    }

    /// The list is whole at every moment, so a panic elsewhere does not spoil it.
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Whatever goes wrong here has nothing to do with the mail: it is always worth another try.
    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.handshake());
        match connecting.await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(MailError::transient(format!("connecting to {}:{}: {error}", self.host, self.port))),
            Err(_) => Err(MailError::transient(format!(
                "{}:{} did not answer within {CONNECT_TIMEOUT:?}",
                self.host, self.port
            ))),
        }
    }

    async fn handshake(&self) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = match &self.security {
            Security::Wrapped(tls) => self.open_wrapped(tls.clone()).await?,
            Security::None => self.open_plain().await?,
            Security::StartTls(tls) => {
                let mut connection = self.open_plain().await?;
                connection.starttls(tls.clone(), &self.hello_name).await?;
                connection
            }
        };
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// The mail library writes the end of a mail apart from the mail. Without `nodelay` every mail
    /// would wait there for the server's delayed acknowledgement, some 40 ms.
    async fn open_plain(&self) -> Result<AsyncSmtpConnection, Failure> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello_name);
        Ok(connecting.await?)
    }

    /// The mail library opens this stream itself, so `nodelay` is out of reach here.
    async fn open_wrapped(&self, tls: TlsParameters) -> Result<AsyncSmtpConnection, Failure> {
        let address = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(CONNECT_TIMEOUT),
            &self.hello_name,
            Some(tls),
            ANY_LOCAL_ADDRESS,
        );
        Ok(connecting.await?)
    }
}

/// Why a connection did not come about: the network or the server.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Network(#[from] io::Error),
    #[error(transparent)]
    Server(#[from] lettre::transport::smtp::Error),
}
