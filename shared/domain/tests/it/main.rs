//! Tests of the billing core as its users see it: conventions, laws for any input, the rules of bodies.

mod cadence_laws;
mod cadences;
mod changes;
mod commitment;
mod interleavings;
mod laws;
mod limits;
mod models;
mod moves;
mod pauses;
mod plan_bodies;
mod proration;
mod rating_laws;
mod states;
mod story;
mod subscriptions;
mod timing;
mod totals_laws;
mod trials;
mod zones;
