//! End-to-end tests: one binary, so that the harness is linked once. A module for each subject.

#![allow(clippy::unwrap_used)]

mod architecture;
mod compose;
mod demo;
mod own_services;
mod walk;
