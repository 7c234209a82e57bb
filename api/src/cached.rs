//! What the API reads from the cache: the objects that most requests want and that seldom change.
//!
//! Tenants and plan versions are kept, here and in Redis. How users and keys stand is kept by the [`Door`](crate::door) in
//! this process alone, and so are the keys that tokens are checked with: whoever can write to Redis must not be able to
//! make himself an owner. **Invariant:** nothing that decides about money comes from here; use cases read the store.

use std::{sync::Arc, time::Duration};

use app::Shutdown;
use cache::{Key, Lives, Versioned};
use serde::{Serialize, de::DeserializeOwned};
use store::{Announced, Revised, Store, StoreError, Tenant};

use crate::{
    http::problem::Problem,
    state::{Gateway, GatewayState},
};

/// A change is announced within a second; this is how long one lasts whose announcement was lost.
pub(crate) const LIVES: Lives = Lives { here: Duration::from_secs(5), shared: Duration::from_secs(30) };

/// Prefixes of the ids of what is kept.
const KEPT: [&str; 2] = ["ten_", "pln_"];

/// Prefixes of the ids of whatever decides who may come in.
const ACCOUNTS: [&str; 3] = ["usr_", "key_", "ses_"];

/// An object of a tenant, of a kind that is kept.
///
/// # Errors
/// Those of the store.
pub(crate) async fn find<R>(gateway: &Gateway, tenant: &str, id: &str) -> Result<Option<R>, StoreError>
where
    R: Revised + Serialize + DeserializeOwned,
{
    let store: &Store = &gateway.app.billing.store;
    let load = async || {
        let found: Option<R> = store.find(tenant, id).await?;
        Ok(found.map(|record| Versioned { revision: record.revision(), value: record }))
    };
    gateway.cache.read(Key { tenant, id }, load).await
}

/// A caller's tenant.
///
/// # Errors
/// 404 for one that is gone; those of the store.
pub(crate) async fn tenant(gateway: &Gateway, id: &str) -> Result<Tenant, Problem> {
    find(gateway, id, id).await?.ok_or_else(|| Problem::not_found("tenant"))
}

/// Lets nobody believe what was changed here; the others are told by its events.
pub(crate) async fn changed(gateway: &Gateway, announced: &[Announced]) {
    for Announced { tenant, subject, revision } in announced {
        if is_kept(subject) {
            gateway.cache.outdate(Key { tenant, id: subject }, *revision).await;
        }
    }
}

/// Heeds the changes that events announce, until shutdown.
pub(crate) async fn follow(gateway: GatewayState, shutdown: Shutdown) {
    let heeding = Arc::clone(&gateway);
    let keeps = move |key: Key<'_>| {
        if ACCOUNTS.iter().any(|prefix| key.id.starts_with(prefix)) {
            heeding.door.forget();
        }
        is_kept(key.id)
    };
    gateway.cache.follow(keeps, shutdown).await;
}

fn is_kept(id: &str) -> bool {
    KEPT.iter().any(|prefix| id.starts_with(prefix))
}
