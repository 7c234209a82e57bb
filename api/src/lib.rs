//! The HTTP side of the platform: the API gateway and the auth service.
//!
//! Owns what is on the wire and who is calling. Handlers are thin callers of use cases: nothing about billing is decided
//! here. [`run`] is the gateway, the one door for clients; [`run_auth`] is the auth service behind it, which alone can sign
//! tokens.

pub mod access;
mod acts;
pub mod auth;
mod auth_service;
mod cached;
mod charge;
mod config;
mod door;
mod forward;
mod gateway;
mod health;
pub mod http;
mod limits;
mod mailed_token;
mod problems;
mod reach;
mod read;
mod resources;
pub mod shown;
mod state;
mod turns;
mod write;

pub use auth_service::run as run_auth;
pub use config::{ApiConfig, AuthConfig};
pub use gateway::{openapi_json, run};
pub use limits::LimitConfig;
