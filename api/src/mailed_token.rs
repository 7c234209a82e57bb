//! The links of account mails: a one-time token behind the address of a page.

use app::App;
use billing::MailedToken;

use crate::{auth::opaque::one_time_token, http::problem::Problem};

/// A new token, and the link to the account page that uses it. The token stands in the fragment, which browsers send to
/// nobody: it is in no log of a server on the way.
///
/// # Errors
/// 500 without randomness.
pub(crate) fn mailed_token(app: &App, page: &str) -> Result<MailedToken, Problem> {
    let (token, hash) = one_time_token()?;
    let base = app.config.public_url.trim_end_matches('/');
    Ok(MailedToken { hash, link: format!("{base}/account/{page}#token={token}").into() })
}
