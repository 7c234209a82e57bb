//! The names of everything in Redis.
//!
//! **Invariant:** all keys of a queue carry the same hash tag `{prefix:queue}`, so that every script
//! touches one Cluster slot.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};

use crate::error::QueueError;

/// Longest key prefix: it is part of every key of every call.
const MAX_PREFIX_BYTES: usize = 64;

/// The keys of one queue that this side of the scripts names itself.
#[derive(Debug)]
pub(crate) struct QueueKeys {
    /// The base of all names, and the one key that scripts are given.
    pub(crate) base: String,
    /// Sorted set of dead ids, scored by time of death in ms.
    pub(crate) dead: String,
    /// Sorted set with one member while work is waiting; idle workers block on it.
    pub(crate) wake: String,
}

impl QueueKeys {
    fn new(prefix: &str, queue: &str) -> Self {
        let base = format!("{{{prefix}:{queue}}}");
        let key = |part: &str| format!("{base}:{part}");
        Self { dead: key("dead"), wake: key("wake"), base }
    }

    /// The key of another part.
    pub(crate) fn part(&self, name: &str) -> String {
        format!("{}:{name}", self.base)
    }
}

/// All names under one prefix, made once each.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
    queues: Mutex<HashMap<String, Arc<QueueKeys>>>,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Result<Self, QueueError> {
        let fits = (1..=MAX_PREFIX_BYTES).contains(&prefix.len());
        if !fits || !prefix.bytes().all(|byte| is_name_byte(byte) || byte == b':') {
            return Err(QueueError::invalid(
                format!("key prefix {prefix:?}"),
                format!("must be 1 to {MAX_PREFIX_BYTES} letters, digits or any of _ - . :"),
            ));
        }
        Ok(Self { prefix: prefix.to_owned(), queues: Mutex::default() })
    }

    /// The keys of a queue. Queue names come from code and configuration, so their number is small.
    pub(crate) fn queue(&self, name: &str) -> Arc<QueueKeys> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = queues.get(name) {
            return Arc::clone(keys);
        }
        let keys = Arc::new(QueueKeys::new(&self.prefix, name));
        queues.insert(name.to_owned(), Arc::clone(&keys));
        keys
    }

    /// Where the random generation id lives, beside the queues.
    pub(crate) fn generation(&self) -> String {
        format!("{}:generation", self.prefix)
    }

    /// Into how many partitions each queue was ever split.
    pub(crate) fn partitions(&self) -> String {
        format!("{}:partitions", self.prefix)
    }

    /// The pub/sub channel of a name.
    pub(crate) fn channel(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Checks the name of a job or a queue.
pub(crate) fn check_name(kind: &str, name: &str) -> Result<(), QueueError> {
    if !name.is_empty() && name.len() <= crate::MAX_KEY_BYTES && name.bytes().all(is_name_byte) {
        return Ok(());
    }
    Err(QueueError::invalid(format!("{kind} name {name:?}"), "must be letters, digits or any of _ - ."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_queue_has_its_hash_tag() {
        let keys = Keys::new("rt").unwrap().queue("payment");
        assert_eq!(keys.dead, "{rt:payment}:dead");
        assert_eq!(keys.part("ready/h"), "{rt:payment}:ready/h");
    }

    #[test]
    fn a_prefix_that_would_break_the_hash_tag_is_refused() {
        for prefix in ["", "a{b", "a}b", "a b", &"x".repeat(65)] {
            assert!(Keys::new(prefix).is_err(), "{prefix:?}");
        }
        assert!(Keys::new("ratchet:test-1").is_ok());
    }
}
