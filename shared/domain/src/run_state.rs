//! The states of a billing run, and the ways from one to the next.

use serde::{Deserialize, Serialize};

use crate::ForbiddenTransition;

/// What a billing run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Customers are being cut into chunks; the first chunks already run.
    Planning,
    /// All chunks exist.
    Running,
    /// Nothing moves until it is resumed.
    Paused,
    /// Every chunk is done.
    Completed,
    /// Nothing more is planned or invoiced; what was invoiced is collected and mailed by itself.
    Cancelled,
    /// Planning met something that no repeat heals; the chunks that exist are carried through.
    Failed,
}

impl RunState {
    /// Every state there is.
    pub const ALL: [Self; 6] =
        [Self::Planning, Self::Running, Self::Paused, Self::Completed, Self::Cancelled, Self::Failed];

    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// The states that this one can become. A run that is over runs again when what failed in it is retried.
    #[must_use]
    pub fn successors(self) -> &'static [Self] {
        match self {
            Self::Planning => &[Self::Running, Self::Paused, Self::Cancelled, Self::Failed],
            Self::Running => &[Self::Paused, Self::Completed, Self::Cancelled],
            Self::Paused | Self::Failed => &[Self::Planning, Self::Running, Self::Cancelled],
            Self::Completed => &[Self::Running],
            Self::Cancelled => &[],
        }
    }

    /// The state `to`, if this one can become it.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] for a change that does not exist.
    pub fn transition_to(self, to: Self) -> Result<Self, ForbiddenTransition> {
        if self.successors().contains(&to) {
            return Ok(to);
        }
        Err(ForbiddenTransition { subject: "a billing run", from: self.as_str(), to: to.as_str() })
    }
}

#[cfg(test)]
mod tests {
    use super::RunState;

    #[test]
    fn a_run_that_was_cancelled_never_moves_again_and_every_other_one_can() {
        for state in RunState::ALL {
            assert_eq!(state.successors().is_empty(), state == RunState::Cancelled, "{state:?}");
            assert!(state.transition_to(state).is_err(), "{state:?}");
        }
        let refused = RunState::Completed.transition_to(RunState::Paused).unwrap_err();
        assert_eq!(refused.to_string(), "a billing run that is completed cannot become paused");
    }
}
