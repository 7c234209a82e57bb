//! Onboards a customer: it registers itself with a tenant, as a customer and as the user who signs in for it.

use serde_json::json;
use store::{Customer, Message, Store, TokenPurpose, User};

use super::{
    one_time::{MailedToken, Request, mail_token},
    register::tell_known,
};
use crate::{BillingError, Change, EventType, NewCustomer, TenantTime, actor::Fact, create_customer};

/// A customer that registers itself, already parsed.
#[derive(Clone)]
pub struct NewAccount {
    /// `ten_...`
    pub tenant: String,
    /// `cus_...`
    pub customer_id: String,
    /// `usr_...`
    pub user_id: String,
    /// Its e-mail address, in lower case, also signs in.
    pub customer: NewCustomer,
    /// PHC string.
    pub password_hash: String,
    /// Proves the address.
    pub token: MailedToken,
}

/// Decides the registration; the user signs in once the address is proved.
///
/// Where the address is taken the result looks the same, nothing is registered, and the mail says so to the user it is of.
///
/// # Errors
/// `NotFound` for an unknown tenant; store errors.
pub async fn onboard_customer(
    store: &Store,
    new: NewAccount,
    request: &Request,
) -> Result<Change<(Customer, User)>, BillingError> {
    let time = TenantTime::read(store, &new.tenant, request.wall).await?;
    let user = User {
        id: new.user_id,
        tenant: new.tenant,
        revision: 1,
        created: request.wall,
        name: new.customer.name.clone(),
        email: new.customer.email.clone(),
        password_hash: new.password_hash,
        role: "customer".to_owned(),
        customer: Some(new.customer_id.clone()),
        email_verified_at: None,
        disabled_at: None,
    };
    let actor = request.by(&user);
    let Change { result: customer, mut unit, mut follow_up } =
        create_customer(&actor, &time, new.customer_id, new.customer)?;
    if let Some(known) = store.user_by_email(&user.email).await? {
        let Change { unit, follow_up, .. } = tell_known(&known, &new.token, request)?;
        return Ok(Change { result: (customer, user), unit, follow_up });
    }
    unit.insert(&user)?;
    let data = json!({ "role": user.role, "customer": customer.id });
    actor.record(
        &mut unit,
        request.wall,
        Fact { name: EventType::UserCreated, subject: &user.id, revision: 1, data },
    )?;
    let message = Message::VerifyEmail { secret_link: new.token.link };
    let purpose = (&user, TokenPurpose::VerifyEmail);
    follow_up.push(mail_token(&mut unit, purpose, (&new.token.hash, message), request.wall)?);
    Ok(Change { result: (customer, user), unit, follow_up })
}
