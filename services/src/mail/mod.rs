//! A mail catcher: a real SMTP server that delivers nothing, keeps every mail, and shows them over HTTP.
//!
//! It is our own because those that can be had lose mail under load: `mailtutan` drops the oldest at a cap and serves
//! four connections at a time, `mailcrab` acknowledges what its channel then overwrites. The protocol is the crate
//! `mailin`'s; here are the sockets, the mailbox and the pages. It runs in threads of the process that starts it.
//!
//! **Invariant: what is acknowledged is kept.** A mail is answered with 250 only after it is a file in the mailbox; at
//! its cap the mailbox refuses and never makes room.

mod http;
mod mailbox;
mod page;
mod smtp;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

pub use mailbox::{HeaderAddress, MailSummary};

use http::HttpServer;
use mailbox::Mailbox;
use smtp::SmtpServer;

/// A mail catcher on ports of its own, ended when dropped.
pub struct Mail {
    mailbox: Arc<Mailbox>,
    address: SocketAddr,
    smtp: Option<SmtpServer>,
    http: HttpServer,
}

impl Mail {
    /// Starts a catcher that keeps mails in `folder` and shows those that are there from earlier.
    ///
    /// # Errors
    /// The folder cannot be read or written, or no port can be had.
    pub fn start(folder: &Path) -> Result<Self> {
        let mailbox = Arc::new(Mailbox::open(folder)?);
        let listener = loopback(0).context("starting the mail catcher")?;
        let address = listener.local_addr().context("reading the mail catcher's port")?;
        let http = HttpServer::start(loopback(0)?, Arc::clone(&mailbox))?;
        let smtp = Some(SmtpServer::start(listener, Arc::clone(&mailbox))?);
        Ok(Self { mailbox, address, smtp, http })
    }

    /// `smtp://127.0.0.1:port`, the same after a restart.
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// `http://127.0.0.1:port`: the mails in a browser, and as JSON below `/api`.
    pub fn web_url(&self) -> String {
        format!("http://{}", self.http.address())
    }

    /// How many mails are kept.
    pub fn count(&self) -> usize {
        self.mailbox.count()
    }

    /// Every mail kept, in order of arrival.
    pub fn mails(&self) -> Vec<MailSummary> {
        self.mailbox.page(0, usize::MAX)
    }

    /// Refuses mail from now on and cuts the connections there are, as an outage of the provider would. What is kept
    /// can still be read.
    pub fn stop(&mut self) {
        self.smtp = None;
    }

    /// Takes mail again on the same port.
    ///
    /// # Errors
    /// The port was taken by somebody else meanwhile.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let listener = loopback(self.address.port()).context("starting the mail catcher again")?;
        self.smtp = Some(SmtpServer::start(listener, Arc::clone(&self.mailbox))?);
        Ok(())
    }
}

fn loopback(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests;
