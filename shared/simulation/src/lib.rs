//! Simulation: a story in JSON, told by the billing core on a simulated clock.
//!
//! Owns the scenario format: its reading, with the exact place of every mistake; the order in which things happen; the result
//! as JSON and as text for people. Knows no rule of billing: every amount comes out of [`domain`]. Pure: no clock, no storage,
//! no randomness, so the same story always has the same end.

mod billing;
mod catalog;
mod customer;
mod document;
mod engine;
mod error;
mod events;
mod instant;
mod invoices;
mod late_usage;
mod output;
mod page;
mod references;
mod scenario;
mod text;
mod timeline;

pub use engine::simulate;
pub use error::SimulationError;
pub use output::{
    CreditNoteOutput, CreditedLineOutput, CustomerOutput, InvoiceOutput, LineOutput, Output, SubscriptionOutput,
};
pub use scenario::{MAX_SCENARIO_BYTES, Scenario};
pub use text::{Style, text};
