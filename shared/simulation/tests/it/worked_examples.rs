//! Worked examples from the documentation and test suites of other billing systems, told as scenarios.
//!
//! Each test is named by its example. Where the other system's convention is not ours, the test shows what we do, and its
//! comment says which convention differs.

mod invoices;
mod prices;
mod proration;
mod schedule;
