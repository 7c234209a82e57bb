//! Accounts: how somebody becomes a user, proves its address, signs in and goes.
//!
//! Owns users, their one-time tokens and sessions, and API keys. Passwords come hashed and tokens come made: cryptography and
//! throttling are the API's. **Invariant:** a token or key is stored by its hash alone. **Invariant:** what a stranger asks
//! for by e-mail address has the same outcome, to the stranger, whether or not there is such a user: the mail tells.

mod api_keys;
mod invite;
mod members;
mod onboard;
mod one_time;
mod register;
mod sessions;

pub use api_keys::{NewApiKey, create_api_key, revoke_api_key, roll_api_key};
pub use invite::{NewMember, invite_user};
pub use members::{Manager, UserChange, change_user, delete_user};
pub use onboard::{NewAccount, onboard_customer};
pub use one_time::{MailedToken, Request, request_password_reset, resend_verification, reset_password, verify_email};
pub use register::{NewTenant, register_tenant};
pub use sessions::{NewSession, Refreshed, end_session, open_session, refresh_session};
