//! The mails as pages for a person: a list, newest first, and one mail with its HTML in a sandboxed frame.

use super::mailbox::{Mail, MailSummary, Mailbox};

/// Mails on a page of the list.
const ON_A_PAGE: usize = 50;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta name=viewport content='width=device-width'><title>Caught mail</title><style>\
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}\
body{max-width:64rem;margin:2rem auto;padding:0 1rem}\
table{width:100%;border-collapse:collapse}\
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid #8884;overflow-wrap:anywhere}\
iframe{width:100%;height:44rem;border:1px solid #8884;border-radius:6px}\
pre{white-space:pre-wrap;padding:1rem;border:1px solid #8884;border-radius:6px}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{opacity:.7}dd{margin:0}\
nav{display:flex;gap:1rem;margin:1rem 0}</style>";

/// The list after the `start` newest mails.
pub(super) fn list(mailbox: &Mailbox, start: usize) -> String {
    let total = mailbox.count();
    let start = start.min(total);
    let shown = ON_A_PAGE.min(total - start);
    let mut mails = mailbox.page(total - start - shown, shown);
    mails.reverse();
    let rows: String = mails.iter().map(row).collect();
    let mut links = String::new();
    if start > 0 {
        links += &format!("<a href='/?start={}'>newer</a>", start.saturating_sub(ON_A_PAGE));
    }
    if start + shown < total {
        links += &format!("<a href='/?start={}'>older</a>", start + shown);
    }
    format!(
        "{HEAD}<h1>{total} caught mails</h1><table><thead><tr><th>Subject<th>To<th>Date</thead>\
         <tbody>{rows}</table><nav>{links}</nav>"
    )
}

fn row(mail: &MailSummary) -> String {
    format!(
        "<tr><td><a href='/mail/{}'>{}</a><td>{}<td>{}",
        mail.id,
        escape(subject(mail)),
        escape(&mail.recipients.join(", ")),
        escape(&mail.created),
    )
}

/// One mail with its headers and both bodies.
pub(super) fn mail(mail: &Mail) -> String {
    let summary = &mail.summary;
    let from = summary.from.as_ref().map(|from| format!("{} <{}>", from.name, from.address));
    let fields = [
        ("From", from.unwrap_or_default()),
        ("To", summary.recipients.join(", ")),
        ("Date", summary.created.clone()),
        ("Message-ID", summary.message_id.clone()),
    ];
    let fields: String = fields.iter().map(|(name, value)| format!("<dt>{name}<dd>{}", escape(value))).collect();
    format!(
        "{HEAD}<nav><a href='/'>all mails</a></nav><h1>{}</h1><dl>{fields}</dl>\
         <iframe sandbox title='HTML' src='/mail/{}/html'></iframe><h2>Text</h2><pre>{}</pre>",
        escape(subject(summary)),
        summary.id,
        escape(&mail.text),
    )
}

fn subject(mail: &MailSummary) -> &str {
    if mail.subject.is_empty() { "(no subject)" } else { &mail.subject }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}
