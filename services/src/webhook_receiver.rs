//! An endpoint for webhooks that remembers what it gets and answers as it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use tiny_http::{Header, Request, Response, Server};

/// Requests answered at once: one that is kept waiting must not hold up the others.
const THREADS: usize = 8;

/// A request that has come.
#[derive(Clone, Debug)]
pub struct ReceivedWebhook {
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl ReceivedWebhook {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// How requests are answered.
#[derive(Clone, Debug)]
pub struct WebhookReply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl WebhookReply {
    /// A status and nothing else.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// The same with a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[derive(Debug)]
struct State {
    received: Vec<ReceivedWebhook>,
    /// None keeps whoever asks waiting.
    reply: Option<WebhookReply>,
    ended: bool,
}

/// A running endpoint on 127.0.0.1; ends when dropped.
pub struct WebhookReceiver {
    address: SocketAddr,
    server: Arc<Server>,
    shared: Arc<(Mutex<State>, Condvar)>,
    answering: Vec<JoinHandle<()>>,
}

impl WebhookReceiver {
    /// Starts one on a free port; it answers 204.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> Result<Self> {
        let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("starting a webhook receiver: {error}"))?;
        let address = server.server_addr().to_ip().context("a webhook receiver has no port")?;
        let state = State { received: Vec::new(), reply: Some(WebhookReply::status(204)), ended: false };
        let (server, shared) = (Arc::new(server), Arc::new((Mutex::new(state), Condvar::new())));
        let answer = |_| {
            let (server, shared) = (Arc::clone(&server), Arc::clone(&shared));
            thread::spawn(move || server.incoming_requests().for_each(|request| answer(request, &shared)))
        };
        let answering = (0..THREADS).map(answer).collect();
        Ok(Self { address, server, shared, answering })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// Answers so from now on.
    pub fn answer(&self, reply: WebhookReply) {
        self.change(|state| state.reply = Some(reply));
    }

    /// Answers nothing from now on, until it is told how.
    pub fn keep_waiting(&self) {
        self.change(|state| state.reply = None);
    }

    /// What has come so far, in order.
    pub fn received(&self) -> Vec<ReceivedWebhook> {
        lock(&self.shared.0).received.clone()
    }

    /// Waits until so many requests have come; whether they have, within the time given.
    pub fn wait_for(&self, count: usize, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = lock(&self.shared.0);
        while state.received.len() < count {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.shared.0));
        self.shared.1.notify_all();
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.change(|state| state.ended = true);
        for _ in &self.answering {
            self.server.unblock();
        }
        for thread in self.answering.drain(..) {
            // One that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

fn answer(mut request: Request, shared: &(Mutex<State>, Condvar)) {
    let mut body = String::new();
    if request.as_reader().read_to_string(&mut body).is_err() {
        return;
    }
    let name = |header: &Header| header.field.as_str().as_str().to_ascii_lowercase();
    let headers = request.headers().iter().map(|header| (name(header), header.value.to_string())).collect();
    let mut state = lock(&shared.0);
    state.received.push(ReceivedWebhook { path: request.url().to_owned(), headers, body });
    shared.1.notify_all();
    let reply = loop {
        match &state.reply {
            Some(reply) => break reply.clone(),
            None if state.ended => return,
            None => state = shared.1.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    };
    drop(state);
    let mut response = Response::from_string(reply.body).with_status_code(reply.status);
    for (name, value) in reply.headers {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    // A sender that has given up needs no answer.
    let _ = request.respond(response);
}

/// The state is whole at every moment, so a panic elsewhere does not spoil it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
