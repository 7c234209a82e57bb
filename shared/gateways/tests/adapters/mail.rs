//! The mailer against an SMTP server.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use gateways::mail::{Mail, MailAddress, MailError, SmtpMailer};
use jiff::Timestamp;
use tokio::net::TcpStream;

use crate::letter::invoice;
use crate::smtp_server::SmtpServer;

/// A server that has not got so far by then is not going to.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon(condition: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, condition).await.expect("it never came about");
}

fn date() -> Timestamp {
    Timestamp::from_second(1_785_585_600).unwrap()
}

fn mail(id: &str, to: &str) -> Mail {
    let rendered = invoice().render().unwrap();
    Mail {
        id: id.to_owned(),
        from: MailAddress {
            name: Some("Northwind Developer Tools".to_owned()),
            email: "billing@northwind.example".to_owned(),
        },
        to: MailAddress { name: Some("Zoë Lindqvist".to_owned()), email: to.to_owned() },
        subject: rendered.subject,
        text: rendered.text,
        html: rendered.html,
    }
}

fn plain(server: &SmtpServer) -> SmtpMailer {
    SmtpMailer::connect(&format!("smtp://{}", server.address)).unwrap()
}

#[tokio::test]
async fn a_mail_arrives_whole_and_twice_sent_is_the_same_bytes() {
    let server = SmtpServer::start().await;
    let mailer = plain(&server);
    let mail = mail("ntf_1", "zoe@example.com");
    mailer.send(&mail, date()).await.unwrap();
    mailer.send(&mail, date()).await.unwrap();
    let mails = server.mails();
    assert_eq!(mails[0], mails[1]);
    assert_eq!(server.connections(), 1, "the connection is used again");
    insta::assert_snapshot!(mails[0].replace('\r', ""));
    assert!(mails[0].lines().all(|line| line.len() <= 76), "RFC 2045");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let server = SmtpServer::start().await;
    let mailer = plain(&server);
    for (to, permanent) in [
        ("nobody@example.com", true),
        ("full@example.com", false),
        ("closing@example.com", false),
        ("account@example.com", false),
        ("ünicode@example.com", true),
        ("no address", true),
    ] {
        let error = mailer.send(&mail("ntf_1", to), date()).await.unwrap_err();
        let is_permanent = matches!(error, MailError::Permanent { .. });
        assert_eq!(is_permanent, permanent, "{to}: {error}");
    }
    mailer.send(&mail("ntf_2", "zoe@example.com"), date()).await.unwrap();
    assert_eq!(server.mails().len(), 1, "a refusal does not harm the next mail");
}

#[tokio::test]
async fn a_mail_cancelled_half_way_does_not_harm_the_next_one() {
    let server = SmtpServer::start().await;
    let mailer = plain(&server);
    mailer.send(&mail("ntf_1", "zoe@example.com"), date()).await.unwrap();
    let cancelled = {
        let (mailer, mail) = (mailer.clone(), mail("ntf_2", "stuck@example.com"));
        tokio::spawn(async move { mailer.send(&mail, date()).await })
    };
    soon(async {
        while server.stuck() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());

    mailer.send(&mail("ntf_3", "zoe@example.com"), date()).await.unwrap();
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    assert!(mails[1].contains("<ntf_3@northwind.example>"));
    assert_eq!(server.connections(), 2, "the half-used connection is not used again");
}

#[tokio::test]
async fn many_at_once_share_a_few_connections() {
    let server = SmtpServer::start().await;
    let mailer = plain(&server);
    let mails: Vec<_> = (0..200).map(|n| mail(&format!("ntf_{n}"), "zoe@example.com")).collect();
    for sent in join_all(mails.iter().map(|mail| mailer.send(mail, date()))).await {
        sent.unwrap();
    }
    let message_id = |mail: &String| mail.lines().find(|line| line.starts_with("Message-ID:")).map(str::to_owned);
    let received: HashSet<_> = server.mails().iter().map(message_id).collect();
    assert_eq!((server.mails().len(), received.len()), (200, 200), "each arrives, and once");
    assert!(server.connections() <= 8, "{} connections", server.connections());
}

#[tokio::test]
async fn credentials_are_decoded_and_a_wrong_password_is_not_the_mails_fault() {
    let server = SmtpServer::with_account().await;
    let connect = |user_info: &str| SmtpMailer::connect(&format!("smtp://{user_info}@{}", server.address)).unwrap();
    let mail = mail("ntf_1", "zoe@example.com");
    let right = connect("billing%40acme:p%3Aw%2Fd");
    right.send(&mail, date()).await.unwrap();
    assert_eq!((server.logins(), server.mails().len()), (1, 1));
    let wrong = connect("billing%40acme:guess").send(&mail, date()).await;
    assert!(matches!(wrong, Err(MailError::Transient { .. })), "{wrong:?}");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn without_the_tls_asked_for_nothing_is_sent() {
    let server = SmtpServer::start().await;
    let mail = mail("ntf_1", "zoe@example.com");
    for url in [format!("smtp://{}?tls=required", server.address), format!("smtps://{}", server.address)] {
        let sent = SmtpMailer::connect(&url).unwrap().send(&mail, date()).await;
        assert!(matches!(sent, Err(MailError::Transient { .. })), "{url}: {sent:?}");
    }
    assert_eq!(server.mails().len(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_transient() {
    let server = SmtpServer::start().await;
    let mailer = plain(&server);
    let address = server.address.clone();
    drop(server);
    soon(async { while TcpStream::connect(&address).await.is_ok() {} }).await;
    let sent = mailer.send(&mail("ntf_1", "zoe@example.com"), date()).await;
    assert!(matches!(sent, Err(MailError::Transient { .. })), "{sent:?}");
}
