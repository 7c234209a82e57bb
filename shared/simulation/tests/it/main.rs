//! Scenarios, good and bad, through the crate's public face.

mod bad_scenarios;
mod scenarios;
mod stories;
mod text;
