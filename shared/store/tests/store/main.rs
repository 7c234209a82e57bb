//! The store against a real server: what a commit promises, numbers, keys, usage, sweeps and lists, dead letters, and kill -9.

mod commits;
mod dead_letters;
mod durability;
mod idempotency;
mod numbers;
mod records;
mod rows;
mod server;
mod usage;
