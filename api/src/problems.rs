//! Which failure of a use case is which problem.
//!
//! **Invariant:** what a client caused is told to it with the rule; what we caused is logged here and not told.

use billing::BillingError;
use domain::SpecError;
use store::StoreError;

use crate::http::problem::Problem;

/// The code of a rule that has none of its own.
const RULE_VIOLATED: &str = "rule_violated";

impl From<BillingError> for Problem {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::NotFound { object, .. } => Self::not_found(object),
            BillingError::Rule { code, pointer: "", detail } => Self::rule_violated(code, detail),
            BillingError::Rule { code, pointer, detail } => {
                Self::rule_violated(code, detail.clone()).at(pointer, code, detail)
            }
            BillingError::Spec { code, error } => spec_problem("", code, &error),
            BillingError::State { code, detail } => Self::conflict(code, detail),
            BillingError::Stale => Self::precondition_failed(),
            BillingError::Store(error) => error.into(),
            BillingError::Mail(error) => {
                tracing::warn!(%error, "the mail server failed a request");
                Self::unavailable("mail_unavailable", "mail cannot be sent now")
            }
            BillingError::Queue(error) => {
                tracing::warn!(%error, "the queue failed a request");
                Self::unavailable("queue_unavailable", "the queue does not answer now")
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) | StoreError::Duplicate(_) => {
                tracing::info!(%error, "a request lost every race against concurrent ones");
                Self::conflict("concurrent_change", "concurrent requests changed the same objects; try again")
            }
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "the database failed a request");
                Self::unavailable("database_unavailable", "the database does not answer now")
            }
            StoreError::Corrupt(_) => {
                tracing::error!(%error, "stored data cannot be read");
                Self::internal()
            }
        }
    }
}

/// The 422 for a body that breaks a rule of the domain; `parent` is the JSON pointer of the body's part that the rule is
/// about, empty for all of it.
pub(crate) fn rule_of_spec(parent: &str, error: &SpecError) -> Problem {
    spec_problem(parent, RULE_VIOLATED, error)
}

fn spec_problem(parent: &str, code: &str, error: &SpecError) -> Problem {
    let pointer = format!("{parent}{}", pointer(&error.path));
    let at_the_field = if code == RULE_VIOLATED { "invalid_value" } else { code };
    Problem::rule_violated(code, error.to_string()).at(pointer, at_the_field, error.rule.clone())
}

/// `prices[1].model.tiers[2].up_to` as the JSON pointer `/prices/1/model/tiers/2/up_to`. A client's own key, which may stand
/// after a dot (`quantities.a/b`), is escaped (RFC 6901); it has no dot, since no body's key does.
pub(crate) fn pointer(path: &str) -> String {
    let segments = path.split(['.', '[']).map(|segment| segment.trim_end_matches(']'));
    segments.map(|segment| format!("/{}", segment.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests {
    use billing::BillingError;
    use store::StoreError;

    use super::pointer;
    use crate::http::problem::Problem;

    #[test]
    fn paths_become_pointers() {
        assert_eq!(pointer("prices[1].model.tiers[2].up_to"), "/prices/1/model/tiers/2/up_to");
        assert_eq!(pointer("key"), "/key");
        assert_eq!(pointer("quantities.a/b"), "/quantities/a~1b");
    }

    #[test]
    fn each_class_of_error_has_its_status() {
        let detail = String::new;
        for (error, status) in [
            (BillingError::NotFound { object: "customer", id: detail() }, 404),
            (BillingError::Rule { code: "c", pointer: "/p", detail: detail() }, 422),
            (domain::SpecError::new("lines[0].line", "is named twice").into(), 422),
            (BillingError::State { code: "c", detail: detail() }, 409),
            (BillingError::Stale, 412),
            (BillingError::Store(StoreError::Conflict(detail())), 409),
            (BillingError::Store(StoreError::Duplicate(detail())), 409),
            (BillingError::Store(StoreError::Unavailable(detail())), 503),
            (BillingError::Store(StoreError::Corrupt("secret".to_owned())), 500),
        ] {
            let shown = error.to_string();
            let problem = Problem::from(error);
            assert_eq!(problem.status(), status, "{shown}");
            assert!(!format!("{problem:?}").contains("secret"));
        }
    }
}
