//! Pub/sub: [`QueueClient::publish`] and [`QueueClient::listen`]. Only who listens at the moment hears a message.

use futures::{Stream, StreamExt};

use crate::client::QueueClient;
use crate::error::QueueError;

/// Messages per pipeline when publishing.
const MESSAGES_PER_PIPELINE: usize = 500;

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The channel, as it was called when publishing.
    pub channel: String,
    pub payload: String,
}

impl QueueClient {
    /// Publishes messages on a pub/sub channel, in order. Only who listens now hears them.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]; any part of the messages may have been published.
    pub async fn publish(&self, channel: &str, payloads: &[String]) -> Result<(), QueueError> {
        let channel = self.channel(channel);
        for chunk in payloads.chunks(MESSAGES_PER_PIPELINE) {
            let mut pipe = redis::pipe();
            for payload in chunk {
                pipe.publish(&channel, payload).ignore();
            }
            pipe.exec_async(&mut self.connection.clone()).await.map_err(QueueError::redis("publishing"))?;
        }
        Ok(())
    }

    /// Listens to the channels of a pattern (`events:*`), on a connection of its own; whatever is published after the
    /// answer is heard. The stream ends when the connection does; messages between two connections are lost.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn listen(&self, pattern: &str) -> Result<impl Stream<Item = Message> + Send + use<>, QueueError> {
        let mut subscription = self.connection.subscription().await.map_err(QueueError::redis("listening"))?;
        subscription.psubscribe(self.channel(pattern)).await.map_err(QueueError::redis("listening"))?;
        let prefix = self.channel("");
        let heard = subscription.into_on_message().filter_map(move |message| {
            let channel = message.get_channel_name().strip_prefix(&prefix).map(str::to_owned);
            let heard = channel.zip(message.get_payload().ok());
            std::future::ready(heard.map(|(channel, payload)| Message { channel, payload }))
        });
        Ok(heard)
    }

    /// The name in Redis of a channel passed to [`QueueClient::publish`], for other subscribers.
    pub fn channel(&self, name: &str) -> String {
        self.keys.channel(name)
    }
}
