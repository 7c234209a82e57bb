//! Tests of the billing core as its users see it: laws for any input, the rules of bodies.

mod laws;
mod models;
mod plan_bodies;
mod rating_laws;
mod subscriptions;
mod totals_laws;
