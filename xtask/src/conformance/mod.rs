//! `cargo xtask conformance`: the product against independent implementations of the standards that it follows.
//!
//! One file per suite. The implementations are installed from their registries into the user's cache, never into the tree, and
//! are no part of `cargo xtask test`.

mod access_tokens;
mod platform;
mod standard_webhooks;
mod tools;

use anyhow::{Context, Result, bail};

use crate::interrupt;

/// A suite, by its name on the command line.
struct Suite {
    name: &'static str,
    /// Says what it found in a few lines; fails where the product does not conform.
    run: fn() -> Result<()>,
}

const SUITES: [Suite; 2] = [
    Suite { name: "access_tokens", run: access_tokens::run_suite },
    Suite { name: "standard_webhooks", run: standard_webhooks::run_suite },
];

/// Runs the named suites, or all.
///
/// # Errors
/// A suite of that name does not exist, cannot be run, or found something.
pub(crate) fn run(names: &[String]) -> Result<()> {
    interrupt::watch()?;
    if let Some(unknown) = names.iter().find(|name| SUITES.iter().all(|suite| suite.name != name.as_str())) {
        let known: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("there is no suite {unknown:?}; there are {}", known.join(", "));
    }
    for suite in &SUITES {
        if names.is_empty() || names.iter().any(|name| name == suite.name) {
            println!("{}", suite.name);
            (suite.run)().with_context(|| format!("conformance of {}", suite.name))?;
        }
    }
    Ok(())
}
