//! Who is calling: access tokens, their keys, passwords, and the verified caller of a request.
//!
//! Owns cryptography and its limits. Users, sessions and what a role may do are not here.

pub mod caller;
pub mod crypto;
pub mod jwks;
pub mod jwks_client;
pub(crate) mod opaque;
pub mod passwords;
pub mod role;
pub mod tokens;

#[cfg(test)]
mod attacks;
