//! The mails that were caught: one file each, as mail programs store them (`.eml`), and a summary of each in memory.
//!
//! **Invariant:** a file that ends in `.eml` is a whole mail: it is written under another name and renamed. Numbers
//! are never given twice, also over restarts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use mail_parser::{Address, Message, MessageParser};
use serde::Serialize;

/// Mails kept at most, about 30 times what the largest run sends. Beyond it the catcher refuses: a test that fails
/// tells more than a full disk or a mail silently gone.
const MAX_MAILS: usize = 400_000;

const SUFFIX: &str = "eml";
const DELIVERED_TO: &str = "Delivered-To";

/// A mail as SMTP handed it over.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Address in MAIL FROM, empty for a bounce.
    pub(super) sender: String,
    /// Addresses in RCPT TO.
    pub(super) recipients: Vec<String>,
    /// Headers and bodies, unchanged.
    pub(super) source: Vec<u8>,
}

/// An address in a header of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HeaderAddress {
    /// Display name, empty if there is none.
    pub name: String,
    /// `local@domain`.
    pub address: String,
}

/// What a list shows of a mail; in JSON under the names that mailpit uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MailSummary {
    /// Number of the mail in its catcher, from 1, in order of arrival.
    #[serde(rename = "ID")]
    pub id: u64,
    /// Message-ID without the angle brackets, empty if there is none.
    #[serde(rename = "MessageID")]
    pub message_id: String,
    /// From header.
    pub from: Option<HeaderAddress>,
    /// To header.
    pub to: Vec<HeaderAddress>,
    /// Recipients that SMTP named; these are whom it would have been delivered to.
    pub recipients: Vec<String>,
    /// Subject, decoded.
    pub subject: String,
    /// Date header as RFC 3339, empty if there is none.
    pub created: String,
    /// Bytes of the file.
    pub size: usize,
}

/// A whole mail.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mail {
    #[serde(flatten)]
    pub(super) summary: MailSummary,
    /// Plain text body, decoded.
    pub(super) text: String,
    /// HTML body, decoded.
    #[serde(rename = "HTML")]
    pub(super) html: String,
}

/// The caught mails.
#[derive(Debug)]
pub(super) struct Mailbox {
    folder: PathBuf,
    last_id: AtomicU64,
    summaries: Mutex<Vec<MailSummary>>,
}

impl Mailbox {
    /// Opens the mailbox in `folder` and reads what is there.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut summaries = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry.context("reading the mailbox")?.path();
            if let Some(id) = id_of(&path) {
                let file = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
                summaries.push(summary_of(id, &file, headers(&file).as_ref()));
            }
        }
        summaries.sort_unstable_by_key(|summary| summary.id);
        let last_id = summaries.last().map_or(0, |summary| summary.id);
        Ok(Self { folder: folder.to_owned(), last_id: AtomicU64::new(last_id), summaries: Mutex::new(summaries) })
    }

    /// Keeps a mail. When it returns, the mail is a file.
    ///
    /// # Errors
    /// The mailbox is full or the file cannot be written; the mail is not kept.
    pub(super) fn keep(&self, received: &Received) -> Result<()> {
        if self.count() >= MAX_MAILS {
            bail!("the mailbox is full: it holds {MAX_MAILS} mails");
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let file = file_of(received);
        let path = self.path(id);
        let unfinished = path.with_extension("part");
        fs::write(&unfinished, &file).context("writing a mail")?;
        fs::rename(&unfinished, &path).context("keeping a mail")?;
        let summary = summary_of(id, &file, headers(&file).as_ref());
        self.lock().push(summary);
        Ok(())
    }

    /// How many mails there are.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// At most `limit` summaries after the first `start`, in order of arrival.
    pub(super) fn page(&self, start: usize, limit: usize) -> Vec<MailSummary> {
        self.lock().iter().skip(start).take(limit).cloned().collect()
    }

    /// The mail with this number, if there is one.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub(super) fn mail(&self, id: u64) -> Result<Option<Mail>> {
        let path = self.path(id);
        if !path.is_file() {
            return Ok(None);
        }
        let file = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let message = MessageParser::default().parse(&file);
        let body = |body: Option<std::borrow::Cow<'_, str>>| body.unwrap_or_default().into_owned();
        Ok(Some(Mail {
            summary: summary_of(id, &file, message.as_ref()),
            text: body(message.as_ref().and_then(|message| message.body_text(0))),
            html: body(message.as_ref().and_then(|message| message.body_html(0))),
        }))
    }

    fn path(&self, id: u64) -> PathBuf {
        self.folder.join(format!("{id:08}.{SUFFIX}"))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<MailSummary>> {
        // The list is whole at every instant, also after a panic of a thread that held it.
        self.summaries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id_of(path: &Path) -> Option<u64> {
    if path.extension()? != SUFFIX {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

/// The mail with its envelope in the headers that a delivery adds, as a mail server would store it.
fn file_of(received: &Received) -> Vec<u8> {
    let mut file = format!("Return-Path: <{}>\r\n", received.sender).into_bytes();
    for recipient in &received.recipients {
        file.extend(format!("{DELIVERED_TO}: {recipient}\r\n").into_bytes());
    }
    file.extend(&received.source);
    file
}

/// The headers alone: a summary takes no more, and bodies are most of the work.
fn headers(file: &[u8]) -> Option<Message<'_>> {
    MessageParser::default().parse_headers(file)
}

fn summary_of(id: u64, file: &[u8], message: Option<&Message<'_>>) -> MailSummary {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    MailSummary {
        id,
        message_id: text(message.and_then(|message| message.message_id())),
        from: addresses(message.and_then(Message::from)).into_iter().next(),
        to: addresses(message.and_then(Message::to)),
        recipients: message.map(recipients).unwrap_or_default(),
        subject: text(message.and_then(|message| message.subject())),
        created: message.and_then(Message::date).map(|date| date.to_rfc3339()).unwrap_or_default(),
        size: file.len(),
    }
}

fn addresses(header: Option<&Address<'_>>) -> Vec<HeaderAddress> {
    header
        .into_iter()
        .flat_map(|header| header.iter())
        .map(|address| HeaderAddress {
            name: address.name().unwrap_or_default().to_owned(),
            address: address.address().unwrap_or_default().to_owned(),
        })
        .collect()
}

fn recipients(message: &Message<'_>) -> Vec<String> {
    message
        .headers_raw()
        .take_while(|(name, _)| *name == DELIVERED_TO || *name == "Return-Path")
        .filter(|(name, _)| *name == DELIVERED_TO)
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}
