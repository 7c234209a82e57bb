//! Tests of the billing core as its users see it: scenarios with snapshots, laws for any input, the rules of bodies.

mod laws;
mod plan_bodies;
mod scenarios;
mod simulation;
mod subscriptions;
