//! The HTTP side of the platform: the API gateway and the auth service.
//!
//! Owns what is on the wire and who is calling. Handlers are thin callers of use cases: nothing
//! about billing is decided here.

pub mod auth;
pub mod http;
