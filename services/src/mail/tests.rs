//! The catcher over real sockets: nothing is lost, whoever sends and however many.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use serde_json::Value;

use super::*;

/// A client that speaks as a sending mail server does, and checks each answer's code.
struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn connect(mail: &Mail) -> Self {
        let stream = TcpStream::connect(mail.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { reader: BufReader::new(stream) };
        assert_eq!(client.code(), "220");
        client.say("EHLO client.test", "250");
        client
    }

    fn say(&mut self, line: &str, code: &str) {
        self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        assert_eq!(self.code(), code, "to {line:?}");
    }

    fn code(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.chars().take(3).collect();
            }
        }
    }

    fn send(&mut self, number: usize) {
        self.say("MAIL FROM:<billing@ratchet.test>", "250");
        self.say(&format!("RCPT TO:<c{number}@example.test>"), "250");
        self.say("DATA", "354");
        let mail = format!(
            "From: Ratchet <billing@ratchet.test>\r\nTo: C <c{number}@example.test>\r\n\
             Message-ID: <ntf_{number}@ratchet.test>\r\nDate: Sat, 01 Aug 2026 12:00:00 +0000\r\n\
             Subject: =?utf-8?q?Invoice_f=C3=BCr_{number}?=\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n..a line with a dot\r\n."
        );
        self.say(&mail, "250");
    }
}

fn get(mail: &Mail, path: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(mail.http.address()).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    connection.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

fn get_json(mail: &Mail, path: &str) -> Value {
    serde_json::from_str(&get(mail, path).1).unwrap()
}

#[test]
fn keeps_every_mail_of_many_connections_and_lists_them_all() {
    const CONNECTIONS: usize = 12;
    const EACH: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let mail = Mail::start(folder.path()).unwrap();
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let mail = &mail;
            scope.spawn(move || {
                let mut client = Client::connect(mail);
                for number in 0..EACH {
                    client.send(connection * EACH + number);
                }
                client.say("QUIT", "221");
            });
        }
    });

    let mut seen = HashSet::new();
    let mut start = 0;
    loop {
        let page = get_json(&mail, &format!("/api/v1/messages?start={start}&limit=500"));
        assert_eq!(page["total"], CONNECTIONS * EACH);
        let mails = page["messages"].as_array().unwrap();
        if mails.is_empty() {
            break;
        }
        start += mails.len();
        for mail in mails {
            let number = mail["MessageID"].as_str().unwrap();
            let number = number.strip_prefix("ntf_").unwrap().strip_suffix("@ratchet.test").unwrap();
            assert_eq!(mail["Recipients"][0], format!("c{number}@example.test"));
            assert_eq!(mail["To"][0]["Address"], format!("c{number}@example.test"));
            assert_eq!(mail["Subject"], format!("Invoice für {number}"));
            assert_eq!(mail["Created"], "2026-08-01T12:00:00Z");
            assert!(seen.insert(number.to_owned()), "{number} twice");
        }
    }
    assert_eq!(seen.len(), CONNECTIONS * EACH);
    assert_eq!(get_json(&mail, "/api/count")["count"], CONNECTIONS * EACH);
}

#[test]
fn shows_what_an_earlier_run_caught_and_numbers_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = Mail::start(folder.path()).unwrap();
    Client::connect(&first).send(1);
    let before = first.mails();
    drop(first);

    let second = Mail::start(folder.path()).unwrap();
    assert_eq!(second.mails(), before);
    Client::connect(&second).send(2);
    let ids: Vec<u64> = second.mails().iter().map(|mail| mail.id).collect();
    assert_eq!(ids, [1, 2]);
}

#[test]
fn refuses_mail_while_stopped_and_takes_it_again_on_the_same_port() {
    let folder = tempfile::tempdir().unwrap();
    let mut mail = Mail::start(folder.path()).unwrap();
    let url = mail.smtp_url();
    let mut client = Client::connect(&mail);
    client.send(1);

    mail.stop();
    let mut rest = Vec::new();
    assert_eq!(client.reader.read_to_end(&mut rest).unwrap_or_default(), 0, "the connection is cut");
    assert!(TcpStream::connect(mail.address).is_err());
    assert_eq!(get_json(&mail, "/api/count")["count"], 1);

    mail.restart().unwrap();
    assert_eq!(mail.smtp_url(), url);
    Client::connect(&mail).send(2);
    assert_eq!(mail.count(), 2);
}

#[test]
fn shows_a_mail_unstuffed_and_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let mail = Mail::start(folder.path()).unwrap();
    let mut client = Client::connect(&mail);
    client.say("MAIL FROM:<a@b.test>", "250");
    client.say("RCPT TO:<c@d.test>", "250");
    client.say("DATA", "354");
    client.say("Subject: <script>alert(1)</script>\r\n\r\n..dot & more\r\n.", "250");

    let whole = get_json(&mail, "/api/v1/message/1");
    assert_eq!(whole["Text"], ".dot & more\r\n");
    for path in ["/", "/mail/1"] {
        let (status, page) = get(&mail, path);
        assert_eq!(status, 200);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
        assert!(!page.contains("<script>"), "{page}");
    }
    for missing in ["/mail/2", "/mail/x", "/api/v1/message/0", "/nowhere"] {
        assert_eq!(get(&mail, missing).0, 404, "{missing}");
    }
}

#[test]
fn a_mail_above_the_limit_is_refused_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mail = Mail::start(folder.path()).unwrap();
    let mut client = Client::connect(&mail);
    client.say("MAIL FROM:<a@b.test>", "250");
    client.say("RCPT TO:<c@d.test>", "250");
    client.say("DATA", "354");
    let line = format!("{}\r\n", "x".repeat(998));
    let enough = (26 << 20) / line.len();
    let stream = client.reader.get_mut();
    stream.write_all(line.repeat(enough).as_bytes()).unwrap();
    client.say(".", "552");
    assert_eq!(mail.count(), 0);
    Client::connect(&mail).send(1);
    assert_eq!(mail.count(), 1);
}

#[test]
fn listens_on_the_loopback_interface_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mail = Mail::start(folder.path()).unwrap();
    let addresses: [SocketAddr; 2] = [mail.address, mail.http.address()];
    assert!(addresses.iter().all(|address| address.ip().is_loopback()));
}
