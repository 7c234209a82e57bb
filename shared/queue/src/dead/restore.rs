//! The way back for dead letters that Redis has lost: [`QueueClient::restore_dead`].

use std::sync::LazyLock;

use redis::Script;

use super::letter::StoredDeadLetter;
use crate::client::QueueClient;
use crate::error::QueueError;
use crate::keys::QueueKeys;

/// Most letters of one call, well within what Redis does in some milliseconds.
const LETTERS_PER_CALL: usize = 200;

/// A call is closed past this, so that full payloads make no giant of it.
const BYTES_PER_CALL: usize = 4 * 1024 * 1024;

/// No `allow-oom`: with memory full it is refused, and its caller tries again later.
static RESTORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!("#!lua\n", include_str!("../lua/lines.lua"), include_str!("../lua/restore_dead.lua")))
});

impl QueueClient {
    /// Puts dead letters back after Redis has lost its data, as they were kept elsewhere; those that are there, dead or
    /// at work again, stay as they are. Returns how many were missing. The journal does not tell of it.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]: any part of them may be back; repeating it is safe.
    pub async fn restore_dead(&self, queue: &str, letters: Vec<StoredDeadLetter>) -> Result<usize, QueueError> {
        let keys = self.keys.queue(queue);
        let mut restored = 0;
        let mut rest = &letters[..];
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(chunk_length(rest));
            restored += self.restore_chunk(&keys, chunk).await?;
            rest = others;
        }
        Ok(restored)
    }

    async fn restore_chunk(&self, keys: &QueueKeys, letters: &[StoredDeadLetter]) -> Result<usize, QueueError> {
        let mut call = RESTORE.prepare_invoke();
        call.key(&keys.base);
        for letter in letters {
            call.arg(&letter.id).arg(letter.died_at_ms).arg(letter.index_line()).arg(&letter.entry);
        }
        call.invoke_async(&mut self.connection.clone()).await.map_err(QueueError::redis("restoring dead letters"))
    }
}

/// How many letters go into the next call; at least one.
fn chunk_length(letters: &[StoredDeadLetter]) -> usize {
    let mut bytes = 0;
    let fits = letters.iter().take(LETTERS_PER_CALL).take_while(|letter| {
        let fits = bytes < BYTES_PER_CALL;
        bytes += letter.entry.len();
        fits
    });
    fits.count()
}
