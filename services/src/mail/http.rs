//! The HTTP side: the mails as JSON, under the paths and names of mailpit where both have them, and as pages.
//!
//! | path | answer |
//! |---|---|
//! | `GET /api/v1/messages?start=0&limit=50`, also `/api/messages` | `{total, count, start, messages: [MailSummary]}`, oldest first |
//! | `GET /api/v1/message/{ID}` | a summary with `Text` and `HTML` |
//! | `GET /api/count` | `{count}` |
//! | `GET /`, `GET /mail/{ID}`, `GET /mail/{ID}/html` | the list, a mail, its HTML body alone |

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

use super::mailbox::Mailbox;
use super::page;

/// Mails in a page of JSON when the request does not say.
const DEFAULT_LIMIT: usize = 50;

/// Mails in a page of JSON at most, about 300 kB.
const MAX_LIMIT: usize = 1_000;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// A mail is written by whoever sends it, so its page may load and run nothing.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'";

/// A running HTTP server; ends when dropped.
pub(super) struct HttpServer {
    address: SocketAddr,
    server: Arc<Server>,
    answering: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Shows `mailbox` on `listener`.
    ///
    /// # Errors
    /// The server cannot be started on the listener.
    pub(super) fn start(listener: TcpListener, mailbox: Arc<Mailbox>) -> Result<Self> {
        let address = listener.local_addr().context("reading the web server's port")?;
        let server = Server::from_listener(listener, None)
            .map_err(|error| anyhow!("starting the mail catcher's web server: {error}"))?;
        let server = Arc::new(server);
        let requests = Arc::clone(&server);
        let answering = thread::spawn(move || {
            for request in requests.incoming_requests() {
                let reply = route(&mailbox, &request);
                // A reader that is gone needs no answer.
                let _ = request.respond(reply.into_response());
            }
        });
        Ok(Self { address, server, answering: Some(answering) })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(answering) = self.answering.take() {
            let _ = answering.join();
        }
    }
}

struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Reply {
    fn json(value: &Value) -> Self {
        Self { status: 200, content_type: JSON, body: value.to_string() }
    }

    fn html(body: String) -> Self {
        Self { status: 200, content_type: HTML, body }
    }

    fn error(status: u16, error: &str) -> Self {
        Self { status, content_type: JSON, body: json!({ "error": error }).to_string() }
    }

    fn into_response(self) -> Response<std::io::Cursor<Vec<u8>>> {
        // The length is known, so a reader is spared the chunked encoding.
        let mut response =
            Response::from_string(self.body).with_status_code(self.status).with_chunked_threshold(usize::MAX);
        let headers = [("Content-Type", self.content_type), ("Content-Security-Policy", CONTENT_POLICY)];
        for (name, value) in headers {
            // Both are constants of ASCII, which is all that can go wrong.
            if let Ok(header) = Header::from_bytes(name, value) {
                response.add_header(header);
            }
        }
        response
    }
}

fn route(mailbox: &Mailbox, request: &Request) -> Reply {
    if *request.method() != Method::Get {
        return Reply::error(405, "only GET is answered here");
    }
    let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    match path {
        "/" => Reply::html(page::list(mailbox, number(query, "start").unwrap_or_default())),
        "/api/count" => Reply::json(&json!({ "count": mailbox.count() })),
        "/api/messages" | "/api/v1/messages" => messages(mailbox, query),
        _ => one_mail(mailbox, path),
    }
}

fn messages(mailbox: &Mailbox, query: &str) -> Reply {
    let start = number(query, "start").unwrap_or_default();
    let limit = number(query, "limit").unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let page = mailbox.page(start, limit);
    Reply::json(&json!({
        "total": mailbox.count(),
        "count": page.len(),
        "start": start,
        "messages": page,
    }))
}

/// How one mail is shown.
enum View {
    Json,
    Page,
    HtmlBody,
}

fn one_mail(mailbox: &Mailbox, path: &str) -> Reply {
    let Some((id, view)) = view_of(path) else {
        return Reply::error(404, "there is no such page");
    };
    match (id.parse().map(|id| mailbox.mail(id)), view) {
        (Ok(Ok(Some(mail))), View::Json) => Reply::json(&json!(mail)),
        (Ok(Ok(Some(mail))), View::Page) => Reply::html(page::mail(&mail)),
        (Ok(Ok(Some(mail))), View::HtmlBody) => Reply::html(mail.html),
        (Ok(Err(error)), _) => Reply::error(500, &format!("{error:#}")),
        (Ok(Ok(None)) | Err(_), _) => Reply::error(404, "there is no such mail"),
    }
}

fn view_of(path: &str) -> Option<(&str, View)> {
    if let Some(id) = path.strip_prefix("/api/v1/message/") {
        return Some((id, View::Json));
    }
    let rest = path.strip_prefix("/mail/")?;
    Some(match rest.strip_suffix("/html") {
        Some(id) => (id, View::HtmlBody),
        None => (rest, View::Page),
    })
}

fn number(query: &str, name: &str) -> Option<usize> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.parse().ok())
}
