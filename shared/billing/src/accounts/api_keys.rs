//! API keys: made, replaced, revoked.

use jiff::Timestamp;
use serde_json::json;
use store::{ApiKey, Store, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// A key that was made, already parsed.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// `key_...`
    pub id: String,
    /// SHA-256 of the key, hexadecimal.
    pub hash: String,
    /// `sk_live_` or `sk_test_`.
    pub prefix: &'static str,
    pub last_four: String,
}

/// Decides that a key of this name, for these scopes, until then, is good from now on.
///
/// # Errors
/// `Store` when it cannot be encoded.
pub fn create_api_key(
    actor: &Actor,
    time: &TenantTime,
    new: NewApiKey,
    (name, scopes, expires_at): (String, String, Option<Timestamp>),
) -> Result<Change<ApiKey>, BillingError> {
    let key = ApiKey {
        id: new.id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        name,
        hash: new.hash,
        prefix: new.prefix.to_owned(),
        last_four: new.last_four,
        scopes,
        created_by: actor.id.clone(),
        expires_at,
        revoked_at: None,
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&key)?;
    let data = json!({ "name": key.name, "scopes": key.scopes });
    actor.record(&mut unit, time.wall, Fact { name: EventType::ApiKeyCreated, subject: &key.id, revision: 1, data })?;
    Ok(Change { result: key, unit, follow_up: Vec::new() })
}

/// Decides that a key is replaced by another one under the same id, at once.
///
/// # Errors
/// `NotFound`; `State` `key_revoked`; store errors.
pub async fn roll_api_key(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    new: NewApiKey,
) -> Result<Change<ApiKey>, BillingError> {
    let mut key = find_good(store, actor, (&new.id, time.wall)).await?;
    key.hash = new.hash;
    new.prefix.clone_into(&mut key.prefix);
    key.last_four = new.last_four;
    write(key, actor, (EventType::ApiKeyRolled, time.wall))
}

/// Decides that a key is good for nothing any more.
///
/// # Errors
/// `NotFound`; `State` `key_revoked`; store errors.
pub async fn revoke_api_key(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<ApiKey>, BillingError> {
    let mut key = find_good(store, actor, (id, time.wall)).await?;
    key.revoked_at = Some(time.wall);
    write(key, actor, (EventType::ApiKeyRevoked, time.wall))
}

async fn find_good(store: &Store, actor: &Actor, (id, wall): (&str, Timestamp)) -> Result<ApiKey, BillingError> {
    let key: Option<ApiKey> = store.find(&actor.tenant, id).await?;
    let key = key.ok_or_else(|| BillingError::not_found("api_key", id))?;
    if key.is_good(wall) {
        return Ok(key);
    }
    let detail = "the key is revoked or has expired".to_owned();
    Err(BillingError::State { code: "key_revoked", detail })
}

fn write(mut key: ApiKey, actor: &Actor, (name, wall): (EventType, Timestamp)) -> Result<Change<ApiKey>, BillingError> {
    let mut unit = UnitOfWork::default();
    unit.replace(&mut key)?;
    let data = json!({ "name": key.name });
    actor.record(&mut unit, wall, Fact { name, subject: &key.id, revision: key.revision, data })?;
    Ok(Change { result: key, unit, follow_up: Vec::new() })
}
