//! The workers' line to Redis: replies on it can be slow, and it can be cut, also after a request has passed and
//! before its reply has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::server::{Place, Redis, dial};

/// Bytes passed on at once.
const PIECE: usize = 64 * 1024;

/// Accepts TCP and forwards to a socket.
pub(crate) struct Wire {
    port: u16,
    /// Counts the cuts.
    cuts: watch::Sender<u64>,
    /// The longest that a reply is held back, in ms.
    delay: Arc<AtomicU64>,
    _task: AbortOnDropHandle<()>,
}

impl Wire {
    pub(crate) async fn to(server: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cuts, cut) = watch::channel(0);
        let delay = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(listener, server.place(), cut, Arc::clone(&delay)));
        Self { port, cuts, delay, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends all connections. New ones are accepted.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Holds each piece of a reply back for up to so long.
    pub(crate) fn hold_back(&self, longest: Duration) {
        self.delay.store(u64::try_from(longest.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, place: Place, cut: watch::Receiver<u64>, delay: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        // While Redis is away there is nowhere to connect to: the client is hung up on.
        let Ok(server) = dial(place.clone()).await else { continue };
        let (mut cut, delay) = (cut.clone(), Arc::clone(&delay));
        cut.mark_unchanged();
        tokio::spawn(async move {
            tokio::select! {
                () = forward(client, server, &delay) => {}
                // Also when the wire is gone.
                _ = cut.changed() => {}
            }
        });
    }
}

async fn forward(client: TcpStream, server: impl AsyncRead + AsyncWrite, delay: &AtomicU64) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let requests = async { tokio::io::copy(&mut from_client, &mut to_server).await.ok() };
    let replies = async {
        let mut piece = vec![0; PIECE];
        loop {
            let read = from_server.read(&mut piece).await.unwrap_or(0);
            let longest = delay.load(Ordering::Relaxed);
            if longest > 0 {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=longest))).await;
            }
            if read == 0 || to_client.write_all(&piece[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = requests => {}
        () = replies => {}
    }
}
