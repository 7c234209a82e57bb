//! Sessions: begun by a log-in, renewed by their refresh tokens, ended by a log-out, a reuse, or what happens to the user.

use jiff::{SignedDuration, Timestamp};
use store::{Session, Store, UnitOfWork, User};

use super::one_time::Request;
use crate::{BillingError, Change};

/// How long a session lives that is not used: a month, so that who comes back for the monthly bill is still signed in.
const IDLE_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a session lives at most, however much it is used.
const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A session to begin; its refresh token was made by the caller.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// `ses_...`
    pub id: String,
    /// SHA-256 of the token's half that names the family, hexadecimal.
    pub family_hash: String,
    /// SHA-256 of the other half, hexadecimal.
    pub token_hash: String,
}

/// Begins a session of a user.
///
/// # Errors
/// `Store` when it cannot be encoded.
pub fn open_session(user: &User, new: NewSession, wall: Timestamp) -> Result<Change<Session>, BillingError> {
    let session = Session {
        id: new.id,
        tenant: user.tenant.clone(),
        revision: 1,
        created: wall,
        user: user.id.clone(),
        family_hash: new.family_hash,
        token_hash: new.token_hash,
        ended_at: None,
        expires_at: wall + IDLE_LIFE,
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&session)?;
    Ok(Change { result: session, unit, follow_up: Vec::new() })
}

/// What bringing a refresh token gave.
#[derive(Debug, Default)]
pub enum Refreshed {
    /// No such session, or one that is over.
    #[default]
    Refused,
    /// The token was used before: somebody else has it. The session is over.
    Reused,
    /// The session goes on, under the new token.
    Renewed(Box<(Session, User)>),
}

/// Uses a refresh token: (hash of its family, hash of its other half), and the hash of the half that follows.
///
/// # Errors
/// Store errors.
pub async fn refresh_session(
    store: &Store,
    (family_hash, token_hash): (&str, &str),
    next_hash: &str,
    request: &Request,
) -> Result<Change<Refreshed>, BillingError> {
    let wall = request.wall;
    let found = store.session_of_family(family_hash).await?.filter(|session| session.is_alive(wall));
    let Some(mut session) = found else { return Ok(Change::default()) };
    let user: Option<User> = store.find(&session.tenant, &session.user).await?;
    let Some(user) = user.filter(|user| user.disabled_at.is_none()) else { return Ok(Change::default()) };
    let mut unit = UnitOfWork::default();
    if session.token_hash != token_hash {
        session.ended_at = Some(wall);
        unit.replace(&mut session)?;
        return Ok(Change { result: Refreshed::Reused, unit, follow_up: Vec::new() });
    }
    next_hash.clone_into(&mut session.token_hash);
    session.expires_at = (wall + IDLE_LIFE).min(session.created + LIFE);
    unit.replace(&mut session)?;
    Ok(Change { result: Refreshed::Renewed(Box::new((session, user))), unit, follow_up: Vec::new() })
}

/// Ends a session.
///
/// # Errors
/// Store errors.
pub async fn end_session(
    store: &Store,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Change<()>, BillingError> {
    let mut change = Change::default();
    if let Some(mut session) = store.find::<Session>(tenant, id).await?.filter(|session| session.ended_at.is_none()) {
        session.ended_at = Some(wall);
        change.unit.replace(&mut session)?;
    }
    Ok(change)
}

/// Ends all sessions of a user with the unit.
pub(super) async fn end_all(
    store: &Store,
    unit: &mut UnitOfWork,
    user: &User,
    wall: Timestamp,
) -> Result<(), BillingError> {
    for mut session in store.open_sessions(&user.tenant, &user.id).await? {
        session.ended_at = Some(wall);
        unit.replace(&mut session)?;
    }
    Ok(())
}
