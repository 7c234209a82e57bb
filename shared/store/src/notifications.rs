//! Notifications: mails to send, each under a deterministic id that is also its Message-ID.

use bson::{DateTime, doc};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, Message, Store, StoreError, ids::notification_id, instant, record::record};

/// One message to one person about one cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notification {
    /// `ntf_` + cause + kind.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub recipient: Recipient,
    #[serde(flatten)]
    pub message: Message,
    /// The chunk that looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<String>,
    pub state: NotificationState,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Present while it is to be sent and no chunk looks after it.
    #[serde(flatten)]
    pub due: Due,
}
record!(Notification, "notifications");

impl Notification {
    /// The message about `cause`, to be sent as soon as possible.
    #[must_use]
    pub fn new((tenant, cause): (&str, &str), recipient: Recipient, message: Message, wall: Timestamp) -> Self {
        Self {
            id: notification_id(cause, message.kind()),
            tenant: tenant.to_owned(),
            created: wall,
            recipient,
            message,
            chunk: None,
            state: NotificationState::Pending,
            sent_at: None,
            due: Due::at(wall),
        }
    }
}

/// Who gets it, by id: their name and address are read when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    Customer(String),
    User(String),
}

impl Recipient {
    /// The customer's id.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        match self {
            Self::Customer(id) => Some(id),
            Self::User(_) => None,
        }
    }

    /// The user's id.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::User(id) => Some(id),
            Self::Customer(_) => None,
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationState {
    /// To be sent.
    Pending,
    /// The mail server has accepted it.
    Sent,
    /// The mail server refused it for good; its job is a dead letter, and whoever requeues that has it tried again.
    Failed,
    /// What it says was no longer so when it was due; it is never sent.
    Moot,
}

impl Store {
    /// Notifications of a chunk that the chunk still has to send.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn unsent_of_chunk(
        &self,
        tenant: &str,
        chunk: &str,
        limit: i64,
    ) -> Result<Vec<Notification>, StoreError> {
        let filter = doc! { "tenant": tenant, "chunk": chunk, "state": "pending", "due_at": { "$exists": false } };
        Ok(self
            .collection::<Notification>()
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }

    /// Marks notifications as sent, refused ones included, and forgets their secret links; repeating it changes nothing.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn notifications_sent(&self, tenant: &str, ids: &[String], at: Timestamp) -> Result<(), StoreError> {
        let set = doc! { "state": "sent", "sent_at": DateTime::from_jiff(at) };
        let unset = doc! { "due_at": "", "secret_link": "" };
        self.close_notifications((tenant, ids), &["pending", "failed"], (set, unset)).await
    }

    /// Marks notifications as refused for ever.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn notifications_failed(&self, tenant: &str, ids: &[String]) -> Result<(), StoreError> {
        let change = (doc! { "state": "failed" }, doc! { "due_at": "" });
        self.close_notifications((tenant, ids), &["pending"], change).await
    }

    /// Marks notifications as not to be sent any more.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn notifications_moot(&self, tenant: &str, ids: &[String]) -> Result<(), StoreError> {
        let change = (doc! { "state": "moot" }, doc! { "due_at": "" });
        self.close_notifications((tenant, ids), &["pending", "failed"], change).await
    }

    async fn close_notifications(
        &self,
        (tenant, ids): (&str, &[String]),
        from: &[&str],
        (set, unset): (bson::Document, bson::Document),
    ) -> Result<(), StoreError> {
        self.collection::<Notification>()
            .update_many(
                doc! { "_id": { "$in": ids }, "tenant": tenant, "state": { "$in": from } },
                doc! { "$set": set, "$unset": unset },
            )
            .await?;
        Ok(())
    }

    /// Lets pending notifications of a chunk go on alone, so that one refused mail does not hold up the others.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn notifications_go_alone(&self, tenant: &str, ids: &[String], at: Timestamp) -> Result<(), StoreError> {
        self.collection::<Notification>()
            .update_many(
                doc! { "_id": { "$in": ids }, "tenant": tenant, "state": "pending" },
                doc! { "$set": { "due_at": DateTime::from_jiff(at) } },
            )
            .await?;
        Ok(())
    }
}
