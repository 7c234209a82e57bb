//! Idempotency keys: the stored reply of a write, committed in the same transaction as its effect.

use std::time::Duration;

use bson::doc;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// A claim whose process died is taken over after this long.
const CLAIM_EXPIRES_AFTER: Duration = Duration::from_secs(60);
/// As good as for ever: a thousand years.
const FOR_EVER: Duration = Duration::from_secs(1_000 * 366 * 24 * 60 * 60);
/// How long a stored reply is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What the first request with a key was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReply {
    /// HTTP status.
    pub status: u16,
    /// JSON body, byte for byte.
    pub body: String,
}

/// A key of a client, scoped to tenant, caller and route.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// Scope and key.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    /// SHA-256 of the request body, hexadecimal.
    pub request_hash: String,
    /// Absent while the first request is still running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<StoredReply>,
    /// The payment attempt that it made: the answer is what became of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    #[serde(with = "instant")]
    pub claimed_at: Timestamp,
    /// TTL index; queries check it themselves as well.
    #[serde(with = "instant")]
    pub expires_at: Timestamp,
}
record!(IdempotencyKey, "idempotency_keys", revised);

impl IdempotencyKey {
    /// The key of a payment: bound to its attempt, and kept for ever.
    #[must_use]
    pub fn bound_to(self, attempt: &str) -> Self {
        let expires_at = self.claimed_at.checked_add(FOR_EVER).unwrap_or(Timestamp::MAX);
        Self { charge: Some(attempt.to_owned()), expires_at, ..self }
    }
}

/// A payment's key that has been answered.
#[derive(Clone, Copy, Debug)]
pub struct Charged<'a> {
    pub key: &'a str,
    pub tenant: &'a str,
}

/// What asking for a key gave.
#[derive(Clone, Debug)]
pub enum Claim {
    /// The caller runs the request and commits the reply with its effect.
    Ours(IdempotencyKey),
    /// The request was answered before.
    Replay(StoredReply),
    /// The same key came with another body.
    OtherRequest,
    /// The first request is still running.
    InFlight,
}

impl Store {
    /// Claims a key, or says what became of an earlier claim.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn claim_idempotency_key(
        &self,
        tenant: &str,
        id: &str,
        request_hash: &str,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let fresh = IdempotencyKey {
            id: id.to_owned(),
            tenant: tenant.to_owned(),
            revision: 1,
            request_hash: request_hash.to_owned(),
            reply: None,
            charge: None,
            claimed_at: now,
            expires_at: now + KEPT_FOR,
        };
        match self.collection::<IdempotencyKey>().insert_one(&fresh).await.map_err(StoreError::from) {
            Ok(_) => Ok(Claim::Ours(fresh)),
            Err(StoreError::Duplicate(_)) => self.reclaim(fresh).await,
            Err(error) => Err(error),
        }
    }

    async fn reclaim(&self, fresh: IdempotencyKey) -> Result<Claim, StoreError> {
        let keys = self.collection::<IdempotencyKey>();
        let Some(stored) = keys.find_one(doc! { "_id": &fresh.id, "tenant": &fresh.tenant }).await? else {
            return Ok(Claim::InFlight);
        };
        let now = fresh.claimed_at;
        let expired = stored.expires_at <= now;
        let abandoned = stored.reply.is_none() && stored.claimed_at + CLAIM_EXPIRES_AFTER <= now;
        if !expired && stored.request_hash != fresh.request_hash {
            return Ok(Claim::OtherRequest);
        }
        if !expired && !abandoned {
            return Ok(stored.reply.map_or(Claim::InFlight, Claim::Replay));
        }
        let mut ours = IdempotencyKey { revision: stored.revision + 1, ..fresh };
        if let Some(attempt) = &stored.charge {
            ours = ours.bound_to(attempt);
        }
        let filter = doc! { "_id": &ours.id, "revision": stored.revision };
        let taken_over = keys.replace_one(filter, &ours).await?.matched_count == 1;
        Ok(if taken_over { Claim::Ours(ours) } else { Claim::InFlight })
    }

    /// Lets a payment's key be asked again at once; whoever does resumes its attempt.
    ///
    /// # Errors
    /// `Unavailable`; the claim then expires by itself.
    pub async fn charge_answered(&self, charged: &Charged<'_>) -> Result<(), StoreError> {
        let long_ago = bson::DateTime::from_jiff(Timestamp::UNIX_EPOCH);
        self.collection::<IdempotencyKey>()
            .update_one(
                doc! { "_id": charged.key, "tenant": charged.tenant, "charge": { "$exists": true } },
                doc! { "$set": { "claimed_at": long_ago } },
            )
            .await?;
        Ok(())
    }

    /// Gives a claim back after the request failed without effect, so that the client may try again at once.
    ///
    /// # Errors
    /// `Unavailable`; the claim then expires by itself.
    pub async fn release_idempotency_key(&self, claim: &IdempotencyKey) -> Result<(), StoreError> {
        self.collection::<IdempotencyKey>()
            .delete_one(doc! { "_id": &claim.id, "revision": claim.revision, "reply": { "$exists": false }, "charge": { "$exists": false } })
            .await?;
        Ok(())
    }
}
