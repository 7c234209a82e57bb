//! The Redis that benchmarks measure on: a server of their own, set up as in production, ended with its value.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use redis::aio::MultiplexedConnection;
use services::Redis;
use tempfile::TempDir;

use crate::sides::Place;

/// Pause between two looks at the server.
const POLL: Duration = Duration::from_millis(1);

/// How long anything that is waited for may take; everything here takes a moment unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Prefix of all keys.
const PREFIX: &str = "bench";

/// A running server and a connection to look at it.
pub(crate) struct Server {
    // Ended before its folder is removed: fields are dropped in their order.
    redis: Redis,
    _folder: TempDir,
    connection: MultiplexedConnection,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// There is no Redis, it cannot be installed, or it does not start.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a data folder")?;
        let path = folder.path().canonicalize().context("finding the data folder")?;
        let redis = Redis::start(&path)?;
        let client = redis::Client::open(redis.url()).context("reading the address of Redis")?;
        let connection = client.get_multiplexed_async_connection().await.context("connecting to Redis")?;
        let mut server = Self { redis, _folder: folder, connection };
        // Rewriting the log takes a core for seconds, whenever it happens to come: noise for whoever is measured then.
        server.ask::<()>(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "0"]).await?;
        Ok(server)
    }

    /// Where sides find it.
    pub(crate) fn place(&self) -> Place {
        Place { url: self.redis.url(), prefix: PREFIX.to_owned() }
    }

    /// Throws all keys away.
    ///
    /// # Errors
    /// Redis fails.
    pub(crate) async fn clear(&mut self) -> Result<()> {
        self.ask(&["FLUSHALL", "SYNC"]).await
    }

    /// Bytes that it uses when nobody else is connected: keys and what belongs to them, no buffers of connections.
    ///
    /// # Errors
    /// Redis fails, or somebody stays connected.
    pub(crate) async fn memory(&mut self) -> Result<u64> {
        self.until("all others hang up", async |server| Ok(server.info::<u64>("connected_clients").await? == 1))
            .await?;
        self.info("used_memory").await
    }

    /// Waits until a connection blocks, as that of an idle worker does.
    ///
    /// # Errors
    /// Redis fails, or nobody blocks.
    pub(crate) async fn until_a_worker_idles(&mut self) -> Result<()> {
        self.until("a worker is idle", async |server| Ok(server.info::<u64>("blocked_clients").await? > 0)).await
    }

    /// Its version, for the report.
    ///
    /// # Errors
    /// Redis fails.
    pub(crate) async fn version(&mut self) -> Result<String> {
        self.info("redis_version").await
    }

    /// The time of one round trip.
    ///
    /// # Errors
    /// Redis fails.
    pub(crate) async fn round_trip(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.ask::<()>(&["PING"]).await?;
        Ok(began.elapsed())
    }

    /// Runs one command.
    ///
    /// # Errors
    /// Redis fails, or answers something else.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> Result<T> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut self.connection).await.with_context(|| format!("asking Redis for {}", words.join(" ")))
    }

    async fn info<T: redis::FromRedisValue>(&mut self, field: &str) -> Result<T> {
        let info: redis::InfoDict = self.ask(&["INFO"]).await?;
        info.get(field).with_context(|| format!("Redis says nothing of its {field}"))
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    /// It fails, or does not hold in good time.
    pub(crate) async fn until(&mut self, what: &str, holds: impl AsyncFn(&mut Self) -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !holds(self).await? {
            if began.elapsed() > PATIENCE {
                bail!("waited {} s in vain until {what}", PATIENCE.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}
