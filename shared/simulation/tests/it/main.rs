//! Scenarios, good and bad, through the crate's public face.

mod bad_scenarios;
mod conventions;
mod examples;
mod fuzz;
mod late_usage;
mod laws;
mod random;
mod scenarios;
mod stories;
mod story;
mod text;
mod worked_examples;
