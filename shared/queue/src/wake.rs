//! Waiting for work without polling: [`Wake`] blocks in Redis on a connection of its own.
//!
//! Producers leave one marker when work arrives; popping it wakes one idle worker, whose turn leaves it
//! again if work remains. A worker that has become full meanwhile takes that turn all the same. A marker that
//! dies with a worker is made good by [`BLOCK`].

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::connection::{Connection, RESPONSE_TIMEOUT};
use crate::keys::QueueKeys;
use crate::worker::WorkerConfig;

/// How long one blocking call lasts. Then the worker looks for itself, which bounds the harm of a lost
/// marker; well below the promised recovery time.
const BLOCK: Duration = Duration::from_secs(5);

/// An idle worker learns of a lease before it expires, and is there when it does.
const _: () = assert!(BLOCK.as_secs() < WorkerConfig::DEFAULT_LEASE.as_secs());

/// Pause after a failed call, so that an unreachable Redis is not hammered.
const FAILURE_PAUSE: Duration = Duration::from_millis(250);

/// A pending wait for work. Kept over many selects: dropping it could lose a popped marker.
pub(crate) struct Wake {
    /// Shared with the driver, whose turns learn which node of a cluster has the queue.
    way: Connection,
    keys: Arc<QueueKeys>,
    pending: Option<BoxFuture<'static, Option<MultiplexedConnection>>>,
    connection: Option<MultiplexedConnection>,
}

impl Wake {
    pub(crate) fn new(way: Connection, keys: Arc<QueueKeys>) -> Self {
        Self { way, keys, pending: None, connection: None }
    }

    /// Resolves when there may be work: a marker was popped, the block ran out, or Redis failed.
    /// Cancel-safe.
    pub(crate) async fn popped(&mut self) {
        let connection = &mut self.connection;
        let pending = self.pending.get_or_insert_with(|| {
            let (way, keys) = (self.way.clone(), Arc::clone(&self.keys));
            let connection = connection.take();
            async move { block(way, keys, connection).await }.boxed()
        });
        let connection = pending.await;
        self.pending = None;
        self.connection = connection;
    }

    /// Whether a wait has begun that may still take a marker.
    pub(crate) fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    /// Stops waiting and hangs up.
    pub(crate) fn stop(&mut self) {
        self.pending = None;
        self.connection = None;
    }
}

/// One blocking call; answers with the connection if it is still good.
async fn block(
    way: Connection,
    keys: Arc<QueueKeys>,
    connection: Option<MultiplexedConnection>,
) -> Option<MultiplexedConnection> {
    let attempt = tokio::time::timeout(BLOCK + RESPONSE_TIMEOUT, async {
        let mut connection = match connection {
            Some(connection) => connection,
            None => way.dedicated(&keys.wake).await?,
        };
        let _marker: Value =
            redis::cmd("BZPOPMIN").arg(&keys.wake).arg(BLOCK.as_secs()).query_async(&mut connection).await?;
        RedisResult::Ok(connection)
    });
    match attempt.await {
        Ok(Ok(connection)) => Some(connection),
        // Not logged: the turn that follows meets the same trouble and reports it.
        Ok(Err(_)) | Err(_) => {
            tokio::time::sleep(FAILURE_PAUSE).await;
            None
        }
    }
}
