//! One-time tokens: mailed, and used once for what they are for.

use jiff::{SignedDuration, Timestamp};
use queue::NewJob;
use serde_json::json;
use store::{
    Message, Notification, OneTimeToken, Recipient, SecretText, Store, TokenPurpose, UnitOfWork, User, notification_id,
};

use super::sessions::end_all;
use crate::{Actor, BillingError, Change, EventType, actor::Fact, jobs::SendNotification};

/// Most tokens of a user that are waiting for one purpose: who asks for more gets no further mail until one expires or is used.
const MAX_WAITING: usize = 5;

/// A token made for this request: its hash, and the link that carries it.
#[derive(Clone, Debug)]
pub struct MailedToken {
    /// SHA-256, hexadecimal.
    pub hash: String,
    /// The address to follow, with the token.
    pub link: SecretText,
}

/// When somebody without a token asks, and by which request.
#[derive(Clone, Debug)]
pub struct Request {
    pub wall: Timestamp,
    pub request_id: Option<String>,
}

impl Request {
    /// The user, acting on itself.
    pub(super) fn by(&self, user: &User) -> Actor {
        Actor { tenant: user.tenant.clone(), id: user.id.clone(), request_id: self.request_id.clone() }
    }
}

/// How long a token is good. A password is worth more to a thief of mails than a confirmed address.
fn life(purpose: TokenPurpose) -> SignedDuration {
    match purpose {
        TokenPurpose::VerifyEmail => SignedDuration::from_hours(24),
        TokenPurpose::AcceptInvitation => SignedDuration::from_hours(7 * 24),
        TokenPurpose::ResetPassword => SignedDuration::from_mins(30),
    }
}

/// Adds a token and its mail to the unit, and gives the job that sends it.
pub(super) fn mail_token(
    unit: &mut UnitOfWork,
    (user, purpose): (&User, TokenPurpose),
    (hash, message): (&str, Message),
    wall: Timestamp,
) -> Result<NewJob, BillingError> {
    unit.insert(&OneTimeToken {
        id: hash.to_owned(),
        tenant: user.tenant.clone(),
        user: user.id.clone(),
        purpose,
        created: wall,
        expires_at: wall + life(purpose),
    })?;
    mail(unit, (user, hash), message, wall)
}

/// Adds a mail to a user about `cause` to the unit, and gives the job that sends it.
pub(super) fn mail(
    unit: &mut UnitOfWork,
    (user, cause): (&User, &str),
    message: Message,
    wall: Timestamp,
) -> Result<NewJob, BillingError> {
    let (tenant, notification) = (user.tenant.clone(), notification_id(cause, message.kind()));
    unit.insert(&Notification::new((&tenant, cause), Recipient::User(user.id.clone()), message, wall))?;
    Ok(NewJob::of(&SendNotification::Notification { tenant, notification })?)
}

/// Mails another verification link to whoever signed up with this address and has not proved it.
///
/// # Errors
/// Store errors.
pub async fn resend_verification(
    store: &Store,
    email: &str,
    token: &MailedToken,
    request: &Request,
) -> Result<Change<()>, BillingError> {
    let waits = |user: &User| user.email_verified_at.is_none() && !user.password_hash.is_empty();
    let Some(user) = store.user_by_email(email).await?.filter(waits) else { return Ok(Change::default()) };
    let message = Message::VerifyEmail { secret_link: token.link.clone() };
    mail_if_few_wait(store, (&user, TokenPurpose::VerifyEmail), (&token.hash, message), request.wall).await
}

/// Mails a link to choose another password to the user of this address.
///
/// # Errors
/// Store errors.
pub async fn request_password_reset(
    store: &Store,
    email: &str,
    token: &MailedToken,
    request: &Request,
) -> Result<Change<()>, BillingError> {
    let may = |user: &User| user.disabled_at.is_none();
    let Some(user) = store.user_by_email(email).await?.filter(may) else { return Ok(Change::default()) };
    let message = Message::PasswordReset { secret_link: token.link.clone() };
    mail_if_few_wait(store, (&user, TokenPurpose::ResetPassword), (&token.hash, message), request.wall).await
}

async fn mail_if_few_wait(
    store: &Store,
    (user, purpose): (&User, TokenPurpose),
    (hash, message): (&str, Message),
    wall: Timestamp,
) -> Result<Change<()>, BillingError> {
    let waiting = store.one_time_tokens_of(&user.tenant, &user.id).await?;
    if waiting.iter().filter(|token| token.purpose == purpose && wall < token.expires_at).count() >= MAX_WAITING {
        tracing::info!(user = user.id, "no further mail: the last ones have not been followed");
        return Ok(Change::default());
    }
    let mut change = Change::default();
    change.follow_up.push(mail_token(&mut change.unit, (user, purpose), (hash, message), wall)?);
    Ok(change)
}

/// Uses a token that proves the address. Its result is the user.
///
/// # Errors
/// `Rule` `invalid_token`; store errors.
pub async fn verify_email(store: &Store, hash: &str, request: &Request) -> Result<Change<User>, BillingError> {
    let (mut user, tokens) = used(store, hash, &[TokenPurpose::VerifyEmail], request.wall).await?;
    let mut unit = UnitOfWork::default();
    for token in tokens.iter().filter(|token| token.purpose == TokenPurpose::VerifyEmail) {
        unit.delete::<OneTimeToken>(&token.id);
    }
    user.email_verified_at = Some(request.wall);
    unit.replace(&mut user)?;
    let fact = Fact { name: EventType::UserVerified, subject: &user.id, revision: user.revision, data: json!({}) };
    request.by(&user).record(&mut unit, request.wall, fact)?;
    Ok(Change { result: user, unit, follow_up: Vec::new() })
}

/// Uses a token to set another password, or an invited user's first one: the address is proved by that, sessions end, and
/// other tokens are good for nothing any more. Its result is the user.
///
/// # Errors
/// `Rule` `invalid_token`; store errors.
pub async fn reset_password(
    store: &Store,
    (hash, password_hash): (&str, &str),
    request: &Request,
) -> Result<Change<User>, BillingError> {
    let purposes = [TokenPurpose::ResetPassword, TokenPurpose::AcceptInvitation];
    let (mut user, tokens) = used(store, hash, &purposes, request.wall).await?;
    let mut unit = UnitOfWork::default();
    for token in &tokens {
        unit.delete::<OneTimeToken>(&token.id);
    }
    password_hash.clone_into(&mut user.password_hash);
    user.email_verified_at = user.email_verified_at.or(Some(request.wall));
    unit.replace(&mut user)?;
    end_all(store, &mut unit, &user, request.wall).await?;
    let fact =
        Fact { name: EventType::UserPasswordChanged, subject: &user.id, revision: user.revision, data: json!({}) };
    request.by(&user).record(&mut unit, request.wall, fact)?;
    Ok(Change { result: user, unit, follow_up: Vec::new() })
}

/// The user whose token of one of these purposes this is, and all of its tokens.
async fn used(
    store: &Store,
    hash: &str,
    purposes: &[TokenPurpose],
    wall: Timestamp,
) -> Result<(User, Vec<OneTimeToken>), BillingError> {
    let refused = || BillingError::Rule {
        code: "invalid_token",
        pointer: "/token",
        detail: "the token is unknown, used or expired".to_owned(),
    };
    let found = store.one_time_token(hash, wall).await?;
    let token = found.filter(|token| purposes.contains(&token.purpose)).ok_or_else(refused)?;
    let user: Option<User> = store.find(&token.tenant, &token.user).await?;
    let user = user.filter(|user| user.disabled_at.is_none()).ok_or_else(refused)?;
    // Read after the user: whoever has used it meanwhile has also written the user at a later revision than this one.
    let tokens = store.one_time_tokens_of(&token.tenant, &token.user).await?;
    if tokens.iter().all(|left| left.id != token.id) {
        return Err(refused());
    }
    Ok((user, tokens))
}
