//! Handing mails to an SMTP server. Owns the reading of its URL, the time limit of an exchange and
//! the classification of what the server says.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::TlsParameters;
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use url::Url;

use super::error::{MailError, MailSetUpError};
use super::message::Mail;
use super::pool::{Pool, Security, Server};

/// Servers may check a mail before they accept it; RFC 5321 allows minutes, a worker has none.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The registered ports: relay, submission over TLS, submission with STARTTLS.
const SMTP_PORT: u16 = 25;
const SMTPS_PORT: u16 = 465;
const SUBMISSION_PORT: u16 = 587;

/// A mail server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct SmtpMailer {
    pool: Arc<Pool>,
}

impl SmtpMailer {
    /// Prepares for the server at `url`; the first mail connects.
    ///
    /// `smtp://host:port` is unprotected (a relay or catcher on the same machine),
    /// `smtps://user:password@host` is TLS, `smtp://...?tls=required` is STARTTLS or nothing. User
    /// and password are percent-encoded.
    ///
    /// # Errors
    /// [`MailSetUpError`] for a URL that is none of these.
    pub fn connect(url: &str) -> Result<Self, MailSetUpError> {
        let server = server(url)?;
        Ok(Self { pool: Arc::new(Pool::new(server)) })
    }

    /// Hands one mail to the server, dated `date`. When this returns `Ok` the server has accepted
    /// responsibility for it. Waits while all connections are in use: bounding that is the
    /// caller's (its job's time-out); being cancelled is safe.
    ///
    /// # Errors
    /// [`MailError`] says whether to try again. After [`MailError::Transient`] the server may have
    /// accepted the mail all the same, if the connection broke before its answer.
    pub async fn send(&self, mail: &Mail, date: Timestamp) -> Result<(), MailError> {
        let message = mail.message(date)?;
        let started = Instant::now();
        let mut lease = self.pool.lease().await?;
        let envelope = message.envelope().clone();
        let bytes = message.formatted();
        let exchange = lease.connection.send(&envelope, &bytes);
        let result = match tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await {
            Ok(Ok(_)) => {
                self.pool.give_back(lease);
                Ok(())
            }
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => {
                let detail = format!("the server did not answer within {EXCHANGE_TIMEOUT:?}");
                Err(MailError::transient(detail))
            }
        };
        let outcome = match &result {
            Ok(()) => "sent",
            Err(MailError::Transient { .. }) => "transient",
            Err(MailError::Permanent { .. }) => "permanent",
        };
        metrics::histogram!("mail_send_seconds", "outcome" => outcome).record(started.elapsed());
        result
    }
}

impl fmt::Debug for SmtpMailer {
    /// Without the server's settings: they hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").finish_non_exhaustive()
    }
}

/// What an answer during an exchange means for the mail. A 5xx is about the mail unless it is
/// about the conversation (500, 502 to 504) or our account (530 to 539); a client error is a mail
/// this server cannot take (an address that needs SMTPUTF8); everything else is the server's or
/// the network's trouble.
fn classify(error: &Error) -> MailError {
    let status = error.status().map(u16::from);
    let about_us = matches!(status, Some(500 | 502..=504 | 530..=539));
    if (error.is_permanent() && !about_us) || error.is_client() {
        MailError::permanent(error.to_string())
    } else {
        MailError::transient(error.to_string())
    }
}

fn server(url: &str) -> Result<Server, MailSetUpError> {
    let bad = |reason| MailSetUpError::Url { reason };
    let url = Url::parse(url).map_err(|_| bad("it is not a URL"))?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| bad("it names no host"))?.to_owned();
    let parameters = || TlsParameters::new(host.clone()).map_err(MailSetUpError::Tls);
    let tls = url.query_pairs().find(|(name, _)| name == "tls");
    let (security, port) = match (url.scheme(), tls.as_ref().map(|(_, value)| value.as_ref())) {
        ("smtps", None) => (Security::Wrapped(parameters()?), SMTPS_PORT),
        ("smtp", Some("required")) => (Security::StartTls(parameters()?), SUBMISSION_PORT),
        ("smtp", None) => (Security::None, SMTP_PORT),
        ("smtp" | "smtps", Some(_)) => return Err(bad("the only value of tls is `required`")),
        _ => return Err(bad("its scheme is neither smtp nor smtps")),
    };
    Ok(Server {
        port: url.port().unwrap_or(port),
        security,
        credentials: credentials(&url)?,
        hello_name: ClientId::default(),
        host,
    })
}

fn credentials(url: &Url) -> Result<Option<Credentials>, MailSetUpError> {
    let Some(password) = url.password() else {
        return Ok(None);
    };
    let decode = |text| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(String::from).map_err(|_| MailSetUpError::Url { reason: "its user or password is not UTF-8" })
    };
    Ok(Some(Credentials::new(decode(url.username())?, decode(password)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides_protection_and_port() {
        let cases = [
            ("smtp://127.0.0.1:1025", "None", 1025),
            ("smtp://mail.example", "None", 25),
            ("smtps://u:p@mail.example", "Wrapped", 465),
            ("smtp://u:p@mail.example?tls=required", "StartTls", 587),
        ];
        for (url, protection, port) in cases {
            let server = server(url).unwrap();
            let found = match server.security {
                Security::None => "None",
                Security::Wrapped(_) => "Wrapped",
                Security::StartTls(_) => "StartTls",
            };
            assert_eq!(found, protection, "{url}");
            assert_eq!(server.port, port, "{url}");
        }
    }

    #[test]
    fn a_bad_url_is_refused_without_showing_its_password() {
        for url in [
            "mail.example:25",
            "http://u:hunter2@mail.example",
            "smtp://u:hunter2@mail.example?tls=opportunistic",
            "smtps://",
        ] {
            let error = SmtpMailer::connect(url).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{url}");
        }
    }
}
