//! Registers an organisation and its first user, who owns it.

use domain::DunningPolicy;
use serde_json::json;
use store::{Brand, Message, Store, Tenant, TokenPurpose, UnitOfWork, User};

use super::one_time::{MailedToken, Request, mail, mail_token};
use crate::{BillingError, Change, EventType, actor::Fact};

/// An organisation to register, already parsed.
#[derive(Clone)]
pub struct NewTenant {
    /// `ten_...`
    pub tenant_id: String,
    /// `usr_...`
    pub user_id: String,
    pub organization: String,
    pub name: String,
    /// Lower case.
    pub email: String,
    /// PHC string.
    pub password_hash: String,
    /// Proves the address.
    pub token: MailedToken,
}

/// Decides the registration. The tenant starts in test mode; its owner signs in once the address is proved.
///
/// Where the address is taken the result looks the same, nothing is registered, and the mail says so to the user it is of.
///
/// # Errors
/// Store errors.
pub async fn register_tenant(
    store: &Store,
    new: NewTenant,
    request: &Request,
) -> Result<Change<(Tenant, User)>, BillingError> {
    let (tenant, user) = (tenant(&new, request), owner(&new, request));
    if let Some(known) = store.user_by_email(&new.email).await? {
        let Change { unit, follow_up, .. } = tell_known(&known, &new.token, request)?;
        return Ok(Change { result: (tenant, user), unit, follow_up });
    }
    let mut unit = UnitOfWork::default();
    unit.insert(&tenant)?;
    let message = Message::VerifyEmail { secret_link: new.token.link };
    let letter = mail_token(&mut unit, (&user, TokenPurpose::VerifyEmail), (&new.token.hash, message), request.wall)?;
    unit.insert(&user)?;
    let actor = request.by(&user);
    let data = json!({ "organization": tenant.name });
    actor.record(
        &mut unit,
        request.wall,
        Fact { name: EventType::TenantCreated, subject: &tenant.id, revision: 1, data },
    )?;
    let data = json!({ "role": user.role });
    actor.record(
        &mut unit,
        request.wall,
        Fact { name: EventType::UserCreated, subject: &user.id, revision: 1, data },
    )?;
    Ok(Change { result: (tenant, user), unit, follow_up: vec![letter] })
}

/// Tells the user of an address that somebody, probably the same person, signs up with it again.
pub(super) fn tell_known(known: &User, token: &MailedToken, request: &Request) -> Result<Change<()>, BillingError> {
    let mut change = Change::default();
    let letter = if known.email_verified_at.is_none() && !known.password_hash.is_empty() {
        let message = Message::VerifyEmail { secret_link: token.link.clone() };
        mail_token(&mut change.unit, (known, TokenPurpose::VerifyEmail), (&token.hash, message), request.wall)?
    } else {
        mail(&mut change.unit, (known, &token.hash), Message::AlreadyRegistered, request.wall)?
    };
    change.follow_up.push(letter);
    Ok(change)
}

fn tenant(new: &NewTenant, request: &Request) -> Tenant {
    Tenant {
        id: new.tenant_id.clone(),
        tenant: new.tenant_id.clone(),
        revision: 1,
        created: request.wall,
        name: new.organization.clone(),
        livemode: false,
        test_clock: None,
        default_plan: None,
        dunning: DunningPolicy::default(),
        brand: Brand::default(),
        has_webhooks: false,
    }
}

fn owner(new: &NewTenant, request: &Request) -> User {
    User {
        id: new.user_id.clone(),
        tenant: new.tenant_id.clone(),
        revision: 1,
        created: request.wall,
        name: new.name.clone(),
        email: new.email.clone(),
        password_hash: new.password_hash.clone(),
        role: "owner".to_owned(),
        customer: None,
        email_verified_at: None,
        disabled_at: None,
    }
}
