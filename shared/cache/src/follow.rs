//! Follows the events of all tenants, and outdates what they say has changed.

use std::time::Duration;

use futures::StreamExt;
use queue::Message;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{Cache, Key};

/// The channels that events are published on, one a tenant.
const CHANNELS: &str = "events:";

/// Pause before listening is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is read of an event.
#[derive(Deserialize)]
struct Announced {
    subject: String,
    revision: i64,
}

impl Cache {
    /// Listens until shutdown, and says of every object that it has changed; `keeps` answers whether it may be in the cache.
    pub async fn follow(&self, keeps: impl Fn(Key<'_>) -> bool, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            shutdown.run_until_cancelled(self.listen(&keeps)).await;
            shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
    }

    /// Listens until the connection ends.
    async fn listen(&self, keeps: &impl Fn(Key<'_>) -> bool) {
        let messages = match self.queue.listen(&format!("{CHANNELS}*")).await {
            Ok(messages) => messages,
            Err(error) => return tracing::debug!(%error, "events cannot be heard; entries live to their end"),
        };
        // What was announced while nobody listened is unknown.
        self.here().clear();
        let mut messages = std::pin::pin!(messages);
        while let Some(message) = messages.next().await {
            self.heed(keeps, &message).await;
        }
        tracing::debug!("the connection that events are heard on has ended");
    }

    async fn heed(&self, keeps: &impl Fn(Key<'_>) -> bool, Message { channel, payload }: &Message) {
        let Some(tenant) = channel.strip_prefix(CHANNELS) else { return };
        let Ok(Announced { subject, revision }) = serde_json::from_str(payload) else { return };
        let key = Key { tenant, id: &subject };
        if keeps(key) {
            self.outdate(key, revision).await;
        }
    }
}
