//! The HTTP contract that every resource shares: problems, strict input, lists, request ids,
//! conditional and idempotent headers, the server, and the OpenAPI document.
//!
//! Owns everything that is the same for all routes. Knows no resource, no store and no use case.

mod card_numbers;
pub mod client_address;
mod completion;
mod deserialize;
pub(crate) mod docs;
pub mod headers;
mod inspect;
pub mod json;
pub mod openapi;
pub mod page;
pub mod problem;
pub mod query;
pub mod request_id;
pub mod serve;
pub mod server;

#[cfg(test)]
mod tests;
