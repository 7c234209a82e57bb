//! The lease protocol, checked in every reachable state: two workers, one and two jobs, crashes, leases that expire
//! at any moment, requests and replies that are lost or come late, and a Redis that loses its data.
//!
//! A model that cannot fail proves nothing, so each rule is also broken once, and the checker must find what that
//! does.

mod redis;
mod system;

use std::thread::available_parallelism;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::redis::{Count, Fence, RULES, Rules, Token};
use crate::system::{ATTEMPTS_BOUNDED, Budget, OWN_OUTCOME, State, System, TOKENS_GROW};

const NO_TROUBLE: Budget = Budget { crashes: 0, stalls: 0, give_ups: 0, releases: 0, saves: 0, losses: 0 };

fn reachable(name: &'static str, situation: fn(&System, &State) -> bool) -> Property<System> {
    Property::sometimes(name, situation)
}

fn a_zombie_hands_in() -> Property<System> {
    reachable("an outcome comes too late", |_, state| state.has_zombie())
}

fn a_loss_is_noticed() -> Property<System> {
    reachable("a worker learns that its lease is gone", |_, state| state.has_warned())
}

fn a_job_runs_twice() -> Property<System> {
    reachable("two workers run the same job", |_, state| state.runs_twice())
}

/// Visits every state of a system of so many jobs, of which a worker holds so many, under the real rules.
fn holds_in_every_state((jobs, room): (usize, usize), budget: Budget, reachable: Vec<Property<System>>) {
    let system = System { jobs, room, rules: RULES, budget, reachable };
    let threads = available_parallelism().map_or(1, usize::from);
    let checker = system.checker().threads(threads).spawn_bfs().join();
    checker.assert_properties();
    println!("{jobs} jobs, {budget:?}: {} states", checker.unique_state_count());
}

/// Searches until one job in one pair of hands is found to break the law.
fn is_found_to_break(law: &'static str, rules: Rules, budget: Budget) {
    let system = System { jobs: 1, room: 1, rules, budget, reachable: Vec::new() };
    let found = HasDiscoveries::AnyOf([law].into());
    system.checker().finish_when(found).spawn_bfs().join().assert_any_discovery(law);
}

#[test]
fn one_job_is_settled_once_whatever_happens_to_its_workers() {
    let situations = vec![a_zombie_hands_in(), a_loss_is_noticed(), a_job_runs_twice()];
    let budget = Budget { crashes: 2, stalls: 1, give_ups: 1, releases: 1, ..NO_TROUBLE };
    holds_in_every_state((1, 1), budget, situations.clone());
    holds_in_every_state((1, 1), Budget { crashes: 1, stalls: 1, give_ups: 2, ..NO_TROUBLE }, situations);
}

#[test]
fn two_jobs_do_not_mix_up_their_claims() {
    let situations = vec![a_zombie_hands_in(), a_loss_is_noticed(), a_job_runs_twice()];
    holds_in_every_state((2, 2), Budget { crashes: 1, stalls: 1, ..NO_TROUBLE }, situations.clone());
    holds_in_every_state((2, 2), Budget { stalls: 1, give_ups: 1, ..NO_TROUBLE }, situations);
    holds_in_every_state((2, 2), Budget { crashes: 1, give_ups: 1, ..NO_TROUBLE }, Vec::new());
}

#[test]
fn a_redis_that_loses_its_data_takes_no_outcome_from_before() {
    let recovered = reachable("all is done although data was lost", |_, state| state.recovered());
    let situations = vec![a_zombie_hands_in(), a_loss_is_noticed(), a_job_runs_twice(), recovered];
    let loss = Budget { saves: 1, losses: 1, ..NO_TROUBLE };
    holds_in_every_state((1, 1), Budget { crashes: 1, stalls: 1, ..loss }, situations.clone());
    holds_in_every_state((1, 1), Budget { stalls: 1, give_ups: 1, ..loss }, situations.clone());
    holds_in_every_state((1, 1), Budget { crashes: 1, give_ups: 1, ..loss }, situations);
}

#[test]
fn without_fencing_a_zombie_ends_the_run_of_another() {
    let rules = Rules { fence: Fence::Job, ..RULES };
    is_found_to_break(OWN_OUTCOME, rules, Budget { stalls: 1, ..NO_TROUBLE });
}

#[test]
fn with_tokens_that_only_count_a_loss_of_data_revives_old_claims() {
    let rules = Rules { token: Token::Counter, ..RULES };
    is_found_to_break(TOKENS_GROW, rules, Budget { losses: 1, ..NO_TROUBLE });
    is_found_to_break(OWN_OUTCOME, rules, Budget { losses: 1, give_ups: 1, ..NO_TROUBLE });
}

#[test]
fn with_attempts_counted_by_outcomes_a_job_that_kills_its_worker_never_ends() {
    let rules = Rules { count: Count::AtOutcome, ..RULES };
    is_found_to_break(ATTEMPTS_BOUNDED, rules, Budget { crashes: 3, ..NO_TROUBLE });
}
