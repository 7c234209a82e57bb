//! Where a request comes from, as the gateway says.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::http::client_address::FORWARDED_FOR;

/// The client's address. The gateway puts it in, in place of whatever the client claims; nothing else reaches this service.
pub(super) struct ClientAddress(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
        Ok(Self(address.map(ToOwned::to_owned)))
    }
}
