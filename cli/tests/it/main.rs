//! Stories of the operators' commands: the real binary on a real Redis.

mod dead_letters;
mod harness;
mod jobs;
mod queues;
mod runs;
mod simulate;
