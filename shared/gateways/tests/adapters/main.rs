//! The adapters against real counterparts: the sandbox gateway over HTTP, an SMTP server, and the
//! rendered mails as snapshots.

mod letter;
mod mail;
mod payment;
mod smtp_server;
mod webhook;
