//! A line to Redis that a test can cut: to everybody else a worker behind a cut line is a worker that
//! was killed, or stopped, or partitioned away.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::server::{Place, Redis, dial};

/// Accepts TCP and forwards to a server.
pub(crate) struct Proxy {
    port: u16,
    /// Where new connections lead.
    place: Arc<Mutex<Place>>,
    line: watch::Sender<Line>,
    /// Cut the connection instead of delivering a reply with these bytes; once.
    trap: Arc<Mutex<Option<Vec<u8>>>>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Line {
    Up,
    Cut,
}

impl Proxy {
    pub(crate) async fn to(server: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (line, state) = watch::channel(Line::Up);
        let trap = Arc::new(Mutex::new(None));
        let place = Arc::new(Mutex::new(server.place()));
        let wire = Wire { place: Arc::clone(&place), state, trap: Arc::clone(&trap) };
        let task = tokio::spawn(accept(listener, wire));
        Self { port, place, line, trap, _task: AbortOnDropHandle::new(task) }
    }

    /// Leads new connections to another server; those that are there stay.
    pub(crate) fn lead_to(&self, server: &Redis) {
        *self.place.lock().unwrap() = server.place();
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends all connections and refuses new ones.
    pub(crate) fn cut(&self) {
        self.line.send_replace(Line::Cut);
    }

    pub(crate) fn heal(&self) {
        self.line.send_replace(Line::Up);
    }

    /// The next reply with these bytes is lost, and its connection with it.
    pub(crate) fn lose_reply_with(&self, bytes: &str) {
        *self.trap.lock().unwrap() = Some(bytes.as_bytes().to_vec());
    }

    pub(crate) fn lost_it(&self) -> bool {
        self.trap.lock().unwrap().is_none()
    }
}

#[derive(Clone)]
struct Wire {
    place: Arc<Mutex<Place>>,
    state: watch::Receiver<Line>,
    trap: Arc<Mutex<Option<Vec<u8>>>>,
}

async fn accept(listener: TcpListener, wire: Wire) {
    while let Ok((client, _)) = listener.accept().await {
        let mut state = wire.state.clone();
        if *state.borrow() == Line::Cut {
            continue;
        }
        let wire = wire.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = forward(client, wire) => {}
                // An error means that the test is over.
                _ = state.wait_for(|line| *line == Line::Cut) => {}
            }
        });
    }
}

/// Forwards until either side ends or the trap snaps.
async fn forward(client: TcpStream, wire: Wire) {
    let place = wire.place.lock().unwrap().clone();
    let Ok(server) = dial(place).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async { tokio::io::copy(&mut from_client, &mut to_server).await.ok() };
    let replies = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_server.read(&mut buffer).await.unwrap_or(0);
            if read == 0 || wire.snaps(&buffer[..read]) {
                return;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = requests => {}
        () = replies => {}
    }
}

impl Wire {
    fn snaps(&self, reply: &[u8]) -> bool {
        let mut trap = self.trap.lock().unwrap();
        let hit = trap.as_ref().is_some_and(|bytes| reply.windows(bytes.len()).any(|window| window == bytes));
        if hit {
            *trap = None;
        }
        hit
    }
}
