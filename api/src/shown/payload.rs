//! Payloads as they are shown and edited: fields that hold secrets are hidden, and stay what they were when a payload
//! comes back with them still hidden.
//!
//! **Invariant:** showing a payload and sending back what was shown changes nothing.

use serde_json::Value;

/// Stands for a secret.
pub const HIDDEN: &str = "***";

/// Fields whose value is a secret; also as the last words of a name, as in `refresh_token`.
const SECRETS: [&str; 4] = ["token", "secret", "password", "payment_method"];

/// A hidden field of an edited payload for which there is nothing to be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer} is hidden (***) and was no secret of this payload; say its value")]
pub struct UnknownSecret {
    /// JSON pointer into the payload.
    pub pointer: String,
}

/// A stored payload without its secrets. What is no JSON is shown as text.
#[must_use]
pub fn shown(stored: &str) -> Value {
    let mut payload = read(stored);
    hide(&mut payload);
    payload
}

/// An edited payload with the secrets of the stored one where it still hides them.
///
/// # Errors
/// A hidden field that is no secret of the stored payload.
pub fn restored(mut edited: Value, stored: &str) -> Result<Value, UnknownSecret> {
    restore(&mut edited, Some(&read(stored)), &mut String::new())?;
    Ok(edited)
}

fn read(stored: &str) -> Value {
    serde_json::from_str(stored).unwrap_or_else(|_| Value::String(stored.to_owned()))
}

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| name.strip_suffix(secret).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if !is_secret(name) {
                    hide(value);
                } else if !value.is_null() {
                    *value = Value::from(HIDDEN);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

fn restore(edited: &mut Value, stored: Option<&Value>, pointer: &mut String) -> Result<(), UnknownSecret> {
    match edited {
        Value::Object(fields) => {
            for (name, value) in fields {
                let kept = stored.and_then(|stored| stored.get(name));
                within(pointer, name, |pointer| {
                    if !is_secret(name) || *value != HIDDEN {
                        return restore(value, kept, pointer);
                    }
                    let kept = kept.filter(|kept| !kept.is_null());
                    *value = kept.ok_or_else(|| UnknownSecret { pointer: pointer.clone() })?.clone();
                    Ok(())
                })?;
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let kept = stored.and_then(|stored| stored.get(index));
                within(pointer, &index.to_string(), |pointer| restore(item, kept, pointer))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Does something one step further down.
fn within<T>(pointer: &mut String, step: &str, act: impl FnOnce(&mut String) -> T) -> T {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    let outcome = act(pointer);
    pointer.truncate(length);
    outcome
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{restored, shown};

    fn stored() -> String {
        json!({
            "customer": "cus_1", "payment_method": "pm_1", "password": null, "tokens": 3,
            "mail": { "refresh_token": { "a": 1 }, "to": ["x", { "client_secret": "s" }] },
        })
        .to_string()
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let hidden = json!({
            "customer": "cus_1", "payment_method": "***", "password": null, "tokens": 3,
            "mail": { "refresh_token": "***", "to": ["x", { "client_secret": "***" }] },
        });
        assert_eq!(shown(&stored()), hidden);
        assert_eq!(shown("no JSON"), json!("no JSON"));
    }

    #[test]
    fn what_is_sent_back_as_shown_changes_nothing() {
        let stored = stored();
        let same = restored(shown(&stored), &stored).expect("every secret is known");
        assert_eq!(same, serde_json::from_str::<Value>(&stored).expect("JSON"));
    }

    #[test]
    fn an_edit_changes_what_it_names() {
        let mut edited = shown(&stored());
        edited["customer"] = json!("cus_2");
        edited["payment_method"] = json!("pm_2");
        let edited = restored(edited, &stored()).expect("every secret is known");
        assert_eq!((&edited["customer"], &edited["payment_method"]), (&json!("cus_2"), &json!("pm_2")));
        assert_eq!(edited["mail"]["refresh_token"], json!({ "a": 1 }));
    }

    #[test]
    fn a_secret_that_is_not_known_cannot_be_kept() {
        for (edited, pointer) in [
            (json!({ "token": "***" }), "/token"),
            (json!({ "password": "***" }), "/password"),
            (json!({ "mail": { "to": [{ "a/b": [{ "client_secret": "***" }] }] } }), "/mail/to/0/a~1b/0/client_secret"),
        ] {
            assert_eq!(restored(edited, &stored()).expect_err(pointer).pointer, pointer);
        }
    }
}
