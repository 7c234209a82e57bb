//! Invites somebody to join a tenant's users.

use serde_json::json;
use store::{Message, Store, TokenPurpose, UnitOfWork, User};

use super::{
    members::Manager,
    one_time::{MailedToken, mail_token},
};
use crate::{BillingError, Change, EventType, TenantTime, actor::Fact};

/// Somebody to invite, already parsed.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// `usr_...`
    pub id: String,
    pub name: String,
    /// Lower case.
    pub email: String,
    pub role: &'static str,
    /// Lets the invited choose a password.
    pub token: MailedToken,
}

/// Decides the invitation: a user without a password, and a mail with a link to choose one.
///
/// # Errors
/// `State` `owners_only`, or `email_taken`: whoever invites works for the tenant and is told; store errors.
pub async fn invite_user(
    store: &Store,
    manager: &Manager<'_>,
    time: &TenantTime,
    new: NewMember,
) -> Result<Change<User>, BillingError> {
    let actor = manager.actor;
    manager.may_manage(new.role)?;
    if store.user_by_email(&new.email).await?.is_some() {
        let detail = "this e-mail address signs in already".to_owned();
        return Err(BillingError::State { code: "email_taken", detail });
    }
    let by =
        store.find::<User>(&actor.tenant, &actor.id).await?.map_or_else(|| "Somebody".to_owned(), |user| user.name);
    let user = User {
        id: new.id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        name: new.name,
        email: new.email,
        password_hash: String::new(),
        role: new.role.to_owned(),
        customer: None,
        email_verified_at: None,
        disabled_at: None,
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&user)?;
    let message = Message::Invitation { by, secret_link: new.token.link };
    let purpose = (&user, TokenPurpose::AcceptInvitation);
    let letter = mail_token(&mut unit, purpose, (&new.token.hash, message), time.wall)?;
    let data = json!({ "role": user.role });
    actor.record(&mut unit, time.wall, Fact { name: EventType::UserCreated, subject: &user.id, revision: 1, data })?;
    Ok(Change { result: user, unit, follow_up: vec![letter] })
}
