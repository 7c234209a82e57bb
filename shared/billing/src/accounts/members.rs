//! Changes the users of a tenant: their role, whether they may sign in, whether they are there.
//!
//! **Invariant:** a tenant keeps an owner who can sign in. All its owners are written with a change that could leave none, so
//! two such changes at once see each other.

use serde_json::{Value, json};
use store::{OneTimeToken, Store, UnitOfWork, User};

use super::sessions::end_all;
use crate::{Actor, BillingError, Change, EventType, Target, TenantTime, actor::Fact};

/// Whoever manages users.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    pub actor: &'a Actor,
    /// Only an owner makes owners, changes one or removes one: else an admin would make itself one.
    pub is_owner: bool,
}

impl Manager<'_> {
    pub(super) fn may_manage(&self, role: &str) -> Result<(), BillingError> {
        if self.is_owner || role != OWNER {
            return Ok(());
        }
        let detail = "only an owner manages owners".to_owned();
        Err(BillingError::State { code: "owners_only", detail })
    }
}

/// What is to be changed about a user; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    pub name: Option<String>,
    pub role: Option<&'static str>,
    pub disabled: Option<bool>,
}

const OWNER: &str = "owner";

/// Decides a change. A user that is disabled loses its sessions.
///
/// # Errors
/// `NotFound`; `Stale`; `State` `owners_only`, `last_owner`, `customer_role`; store errors.
pub async fn change_user(
    store: &Store,
    manager: &Manager<'_>,
    time: &TenantTime,
    (target, change): (&Target, &UserChange),
) -> Result<Change<User>, BillingError> {
    let actor = manager.actor;
    let mut user = find(store, actor, target).await?;
    manager.may_manage(&user.role)?;
    let before = facts(&user);
    let mut unit = UnitOfWork::default();
    if let Some(name) = &change.name {
        name.clone_into(&mut user.name);
    }
    if let Some(role) = change.role {
        if user.customer.is_some() {
            let detail = "a customer's user has no other role".to_owned();
            return Err(BillingError::State { code: "customer_role", detail });
        }
        manager.may_manage(role)?;
        role.clone_into(&mut user.role);
    }
    match change.disabled {
        Some(true) => user.disabled_at = user.disabled_at.or(Some(time.wall)),
        Some(false) => user.disabled_at = None,
        None => {}
    }
    if user.disabled_at.is_some() {
        end_all(store, &mut unit, &user, time.wall).await?;
    }
    if user.role != OWNER || user.disabled_at.is_some() {
        keep_an_owner(store, &mut unit, &user).await?;
    }
    unit.replace(&mut user)?;
    let fact = Fact { name: EventType::UserUpdated, subject: &user.id, revision: user.revision, data: facts(&user) };
    actor.record_change(&mut unit, time.wall, (before, fact))?;
    Ok(Change { result: user, unit, follow_up: Vec::new() })
}

/// Decides that a user is removed, with its sessions and tokens.
///
/// # Errors
/// `NotFound`; `Stale`; `State` `owners_only`, `last_owner`; store errors.
pub async fn delete_user(
    store: &Store,
    manager: &Manager<'_>,
    time: &TenantTime,
    target: &Target,
) -> Result<Change<User>, BillingError> {
    let actor = manager.actor;
    let mut user = find(store, actor, target).await?;
    manager.may_manage(&user.role)?;
    let mut unit = UnitOfWork::default();
    keep_an_owner(store, &mut unit, &user).await?;
    end_all(store, &mut unit, &user, time.wall).await?;
    for token in store.one_time_tokens_of(&user.tenant, &user.id).await? {
        unit.delete::<OneTimeToken>(&token.id);
    }
    // Compared by revision first: a change at the same time comes before or finds no user.
    unit.replace(&mut user)?;
    unit.delete::<User>(&user.id);
    let fact = Fact { name: EventType::UserDeleted, subject: &user.id, revision: user.revision, data: facts(&user) };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: user, unit, follow_up: Vec::new() })
}

async fn find(store: &Store, actor: &Actor, target: &Target) -> Result<User, BillingError> {
    let user: Option<User> = store.find(&actor.tenant, &target.id).await?;
    let user = user.ok_or_else(|| BillingError::not_found("user", &target.id))?;
    target.check(user.revision)?;
    Ok(user)
}

fn facts(user: &User) -> Value {
    json!({ "name": user.name, "role": user.role, "disabled": user.disabled_at.is_some() })
}

/// Refuses to let the last owner go, and writes the others with the unit.
async fn keep_an_owner(store: &Store, unit: &mut UnitOfWork, going: &User) -> Result<(), BillingError> {
    let owners = store.owners(&going.tenant).await?;
    if owners.iter().all(|owner| owner.id != going.id) {
        return Ok(());
    }
    let can_sign_in = |owner: &User| owner.email_verified_at.is_some() && owner.disabled_at.is_none();
    let mut others: Vec<_> = owners.into_iter().filter(|owner| owner.id != going.id && can_sign_in(owner)).collect();
    if others.is_empty() {
        let detail = "a tenant keeps an owner who can sign in".to_owned();
        return Err(BillingError::State { code: "last_owner", detail });
    }
    others.iter_mut().try_for_each(|owner| unit.replace(owner))?;
    Ok(())
}
