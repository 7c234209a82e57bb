//! How the gateway misbehaves on request: slowness, failures, rate limiting. Owns the settings and
//! the seeded dice they are thrown with; the endpoints decide when to throw.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::errors::ApiError;

/// Longer than any client waits; more would only keep a test hanging.
const MAX_DELAY_MS: u64 = 10 * 60 * 1000;
const PER_MILLE: u32 = 1000;

/// The gateway's behaviour. All zero is a gateway that answers at once and never fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Milliseconds a charge waits before it is executed
    #[arg(long, default_value_t = 0)]
    pub latency_ms: u64,
    /// Milliseconds a charge waits after it was executed and before it is answered: with a client
    /// that gives up sooner, a time-out after having charged
    #[arg(long, default_value_t = 0)]
    pub answer_delay_ms: u64,
    /// Of a thousand requests, how many end in a 500 before anything was executed
    #[arg(long, default_value_t = 0)]
    pub fail_before_per_mille: u32,
    /// Of a thousand requests, how many are refused with a 429
    #[arg(long, default_value_t = 0)]
    pub rate_limited_per_mille: u32,
    /// Seed of the dice for the two above; setting it again repeats the same throws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

impl Settings {
    /// Says which setting is out of range, if one is.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, value) in [("latency_ms", self.latency_ms), ("answer_delay_ms", self.answer_delay_ms)] {
            if value > MAX_DELAY_MS {
                return Err(format!("{name} must be at most {MAX_DELAY_MS}"));
            }
        }
        for (name, value) in [
            ("fail_before_per_mille", self.fail_before_per_mille),
            ("rate_limited_per_mille", self.rate_limited_per_mille),
        ] {
            if value > PER_MILLE {
                return Err(format!("{name} must be at most {PER_MILLE}"));
            }
        }
        Ok(())
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms)
    }

    pub(crate) fn answer_delay(&self) -> Duration {
        Duration::from_millis(self.answer_delay_ms)
    }
}

/// The settings in force and the dice.
#[derive(Debug)]
pub(crate) struct Behaviour {
    inner: Mutex<(Settings, fastrand::Rng)>,
}

impl Behaviour {
    pub(crate) fn new(settings: Settings) -> Self {
        let dice = fastrand::Rng::with_seed(settings.seed);
        Self { inner: Mutex::new((settings, dice)) }
    }

    pub(crate) fn settings(&self) -> Settings {
        self.locked().0.clone()
    }

    /// Replaces the settings and starts the dice anew from their seed.
    pub(crate) fn replace(&self, settings: Settings) {
        let dice = fastrand::Rng::with_seed(settings.seed);
        *self.locked() = (settings, dice);
    }

    /// Throws the dice for one request to the API, before anything of it is looked at.
    pub(crate) fn admit(&self) -> Result<(), ApiError> {
        let mut guard = self.locked();
        let (settings, dice) = &mut *guard;
        if hits(dice, settings.rate_limited_per_mille) {
            return Err(ApiError::rate_limited());
        }
        if hits(dice, settings.fail_before_per_mille) {
            return Err(ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Ok(())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, (Settings, fastrand::Rng)> {
        crate::gateway::lock(&self.inner)
    }
}

fn hits(dice: &mut fastrand::Rng, per_mille: u32) -> bool {
    per_mille > 0 && dice.u32(0..PER_MILLE) < per_mille
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_failures() {
        let settings = Settings { fail_before_per_mille: 300, seed: 7, ..Settings::default() };
        let behaviour = Behaviour::new(settings.clone());
        let throw = |_| behaviour.admit().is_err();
        let first: Vec<bool> = (0..200).map(throw).collect();
        behaviour.replace(settings);
        let second: Vec<bool> = (0..200).map(throw).collect();
        assert_eq!(first, second);
        let failures = first.iter().filter(|failed| **failed).count();
        assert!((30..90).contains(&failures), "{failures} of 200 failed");
    }

    #[test]
    fn out_of_range_settings_are_named() {
        let settings = Settings { rate_limited_per_mille: 1001, ..Settings::default() };
        assert_eq!(settings.check(), Err("rate_limited_per_mille must be at most 1000".to_owned()));
    }
}
