//! The listening side: accepts connections, limits them, and drains them on shutdown.
//!
//! Owns sockets and HTTP/1 framing. Written on hyper rather than `axum::serve`, which has no limit
//! on connections, on the time a head may take, or on its size.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Most connections at once; more wait in the kernel's backlog. Far above what one replica serves,
/// far below where sockets or memory run out.
const MAX_CONNECTIONS: usize = 2_048;

/// Longest time for the head of a request, and longest idle time of a connection.
const HEAD_TIME_LIMIT: Duration = Duration::from_secs(30);

/// Largest head of a request. Above a megabyte so that an absurd token is answered like any other
/// bad token (401) and not cut off; memory is only taken by heads that are that large.
const MAX_HEAD_BYTES: usize = 1_280 * 1024;

/// How long open requests may go on after shutdown began: more than the longest request, less than
/// the 30 s after which an orchestrator kills.
const DRAIN_LIMIT: Duration = Duration::from_secs(25);

/// Pause after a failed accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown`; then no connection is accepted, idle ones are
/// closed, and open requests are finished within [`DRAIN_LIMIT`]. Returns when all is done.
/// Handlers may extract `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    serve_within(listener, router, HEAD_TIME_LIMIT, shutdown).await;
}

/// [`serve`] with a time limit of its own for heads.
pub(super) async fn serve_within(
    listener: TcpListener,
    router: Router,
    head_time_limit: Duration,
    shutdown: CancellationToken,
) {
    let open = GracefulShutdown::new();
    // Ends what is left when the drain takes too long, and when this future is dropped.
    let abort = CancellationToken::new();
    let _abort_at_end = abort.clone().drop_guard();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));

    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            next = next => next,
        };
        let Some(stream) = usable(accepted).await else { continue };
        let connection = Connection { stream, router: router.clone(), head_time_limit, open: open.watcher() };
        let aborted = abort.clone();
        tokio::spawn(async move {
            aborted.run_until_cancelled(connection.run()).await;
            drop(place);
        });
    }

    drop(listener);
    if tokio::time::timeout(DRAIN_LIMIT, open.shutdown()).await.is_err() {
        tracing::warn!(limit = ?DRAIN_LIMIT, "requests still open after the drain are aborted");
    }
}

/// The accepted stream; a failure is logged and waited out.
async fn usable(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            None
        }
    }
}

struct Connection {
    stream: (TcpStream, SocketAddr),
    router: Router,
    head_time_limit: Duration,
    open: Watcher,
}

impl Connection {
    async fn run(self) {
        let Self { stream: (stream, peer), router, head_time_limit, open } = self;
        // Without it small answers wait for the client's acknowledgement; failing is harmless.
        let _ = stream.set_nodelay(true);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_time_limit)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = open.watch(connection).await {
            tracing::debug!(%error, %peer, "a connection ended early");
        }
    }
}
