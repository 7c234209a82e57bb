//! The two commands of MongoDB's wire protocol that starting a server takes: `hello` (may it be written to?) and
//! `replSetInitiate` (a fresh mongod is not yet a replica set, and transactions need one).
//!
//! It speaks OP_MSG with the few BSON types these need, so that the developer commands build without a driver. The
//! product's own access is `store`'s, with the driver.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Message kind OP_MSG, the only one current servers take.
const OP_MSG: i32 = 2013;

/// Length of a message's header: length, request id, response to, kind.
const HEADER: usize = 16;

/// Largest reply read; both replies are below 4 KiB.
const MAX_REPLY: usize = 1 << 20;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Name of the replica set of one that a mongod of ours forms.
pub(crate) const REPLICA_SET: &str = "ratchet";

/// A BSON document being written.
struct Document(Vec<u8>);

impl Document {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn element(mut self, kind: u8, name: &str, value: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend(name.as_bytes());
        self.0.push(0);
        self.0.extend(value);
        self
    }

    fn int(self, name: &str, value: i32) -> Self {
        self.element(0x10, name, &value.to_le_bytes())
    }

    fn string(self, name: &str, value: &str) -> Self {
        let mut bytes = length(value.len() + 1).to_vec();
        bytes.extend(value.as_bytes());
        bytes.push(0);
        self.element(0x02, name, &bytes)
    }

    fn document(self, name: &str, value: Self) -> Self {
        self.element(0x03, name, &value.bytes())
    }

    fn array(self, name: &str, only: Self) -> Self {
        let elements = Self::new().document("0", only);
        self.element(0x04, name, &elements.bytes())
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = length(self.0.len() + 5).to_vec();
        bytes.extend(self.0);
        bytes.push(0);
        bytes
    }
}

fn length(length: usize) -> [u8; 4] {
    // Documents written here are below 200 bytes.
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// Whether the server on `port` of this machine takes writes now.
pub(crate) fn takes_writes(port: u16) -> bool {
    let hello = Document::new().int("hello", 1).string("$db", "admin");
    // A true boolean of this name, as BSON writes it.
    let primary = b"\x08isWritablePrimary\x00\x01";
    call(port, hello).is_ok_and(|reply| reply.windows(primary.len()).any(|bytes| bytes == primary))
}

/// Makes the mongod on `port` a replica set of one. One that is a set already refuses, which is as good: whether it
/// takes writes is asked by [`takes_writes`].
pub(crate) fn initiate_replica_set(port: u16) -> io::Result<()> {
    let member = Document::new().int("_id", 0).string("host", &format!("{}:{port}", Ipv4Addr::LOCALHOST));
    let set = Document::new().string("_id", REPLICA_SET).array("members", member);
    let command = Document::new().document("replSetInitiate", set).string("$db", "admin");
    call(port, command).map(drop)
}

fn call(port: u16, command: Document) -> io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(LIMIT))?;
    connection.set_write_timeout(Some(LIMIT))?;
    connection.write_all(&message(command))?;
    let mut header = [0; HEADER];
    connection.read_exact(&mut header)?;
    let total = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
    if !(HEADER..=MAX_REPLY).contains(&total) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a reply of MongoDB"));
    }
    let mut reply = vec![0; total - HEADER];
    connection.read_exact(&mut reply)?;
    Ok(reply)
}

fn message(command: Document) -> Vec<u8> {
    let body = command.bytes();
    // After the header: four bytes of flags, and one that says that a single document follows.
    let mut message = length(HEADER + 5 + body.len()).to_vec();
    for word in [1, 0, OP_MSG, 0] {
        message.extend(i32::to_le_bytes(word));
    }
    message.push(0);
    message.extend(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_document_as_the_bson_specification_shows_it() {
        // The specification's first example: {"hello": "world"}.
        let expected = b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00";
        assert_eq!(Document::new().string("hello", "world").bytes(), expected);
    }

    #[test]
    fn nests_documents_and_arrays() {
        let document = Document::new().array("a", Document::new().int("b", 7)).bytes();
        let inner = b"\x0c\x00\x00\x00\x10b\x00\x07\x00\x00\x00\x00";
        let array = [b"\x14\x00\x00\x00\x030\x00".as_slice(), inner, b"\x00"].concat();
        let expected = [b"\x1c\x00\x00\x00\x04a\x00".as_slice(), &array, b"\x00"].concat();
        assert_eq!(document, expected);
    }
}
