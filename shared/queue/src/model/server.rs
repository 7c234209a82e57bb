//! A Redis for the random steps, on a socket in a folder of its own; it ends with its owner.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

/// How long a server may take to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(25);

pub(super) struct Server {
    dir: TempDir,
    child: Child,
}

impl Server {
    /// Starts one that keeps nothing.
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(dir.path().join("redis.sock"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is on the PATH");
        let server = Self { dir, child };
        let began = Instant::now();
        while server.try_raw().await.is_err() {
            assert!(began.elapsed() < PATIENCE, "redis-server does not answer");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        server
    }

    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("redis.sock").display())
    }

    async fn try_raw(&self) -> redis::RedisResult<MultiplexedConnection> {
        redis::Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    /// A connection past the crate under test.
    pub(super) async fn raw(&self) -> MultiplexedConnection {
        self.try_raw().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; nothing else can be done about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
