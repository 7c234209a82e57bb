//! What an endpoint wants to hear of: `invoice.paid`, all of `invoice.*`, or everything, `*`.

use crate::{BillingError, EventType};

/// More than there are kinds of events is a mistake.
const MAX_PATTERNS: usize = 50;

/// Passes if every pattern means at least one event of the catalogue.
///
/// # Errors
/// `Rule` at `/events`.
pub(super) fn check_events(patterns: &[String]) -> Result<(), BillingError> {
    let rule = |detail: String| Err(BillingError::rule("invalid_events", "/events", detail));
    if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
        return rule(format!("must have 1 to {MAX_PATTERNS} entries"));
    }
    match patterns.iter().find(|pattern| !means_something(pattern)) {
        Some(pattern) => rule(format!("`{pattern}` is no event, no `object.*` and not `*`")),
        None => Ok(()),
    }
}

fn means_something(pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(object) => object.ends_with('.') && EventType::ALL.iter().any(|event| event.as_str().starts_with(object)),
        None => pattern.parse::<EventType>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_events_objects_or_everything() {
        let check = |pattern: &str| check_events(&[pattern.to_owned()]).is_ok();
        for good in ["*", "invoice.*", "invoice.paid"] {
            assert!(check(good), "{good}");
        }
        for bad in ["", "invoice", "inv*", "invoice.p*", "nothing.*", "invoice.lost", "**", "*.paid"] {
            assert!(!check(bad), "{bad}");
        }
        assert!(check_events(&[]).is_err());
    }
}
