//! Form fields in Stripe's notation (`metadata[invoice]=in_1`), read strictly: each at most once,
//! none unknown. Owns the reading; which fields there are is the endpoints' business.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;

use crate::errors::ApiError;

/// Stripe's own limits on metadata.
const MAX_METADATA_ENTRIES: usize = 50;
const MAX_METADATA_KEY_CHARS: usize = 40;
const MAX_METADATA_VALUE_CHARS: usize = 500;

/// The fields of a request body (POST) or query (GET), taken out one by one.
#[derive(Debug, Clone)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let axum::Form(pairs) =
            axum::Form::<Vec<(String, String)>>::from_request(request, state).await.map_err(|rejection| {
                let status = rejection.into_response().status();
                ApiError::malformed(format!("The request's form fields cannot be read ({status})."))
            })?;
        Self::from_pairs(pairs)
    }
}

impl Fields {
    fn from_pairs(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        let mut fields = BTreeMap::new();
        for (name, value) in pairs {
            if fields.contains_key(&name) {
                let message = format!("Received the parameter {name} more than once.");
                return Err(ApiError::parameter("parameter_invalid", &name, message));
            }
            fields.insert(name, value);
        }
        Ok(Self(fields))
    }

    /// One text for all fields, the same whatever order they were sent in: what an idempotency
    /// key is held to.
    pub(crate) fn fingerprint(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name:?}={value:?}")).collect::<Vec<_>>().join("&")
    }

    /// Takes a field that may be absent; an empty one counts as absent, as with Stripe.
    pub(crate) fn optional(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    /// Whether a field was sent.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes a field that must be there.
    pub(crate) fn required(&mut self, name: &str) -> Result<String, ApiError> {
        self.optional(name).ok_or_else(|| {
            let message = format!("Missing required param: {name}.");
            ApiError::parameter("parameter_missing", name, message)
        })
    }

    /// Takes a field whose only value the sandbox knows is `only`.
    pub(crate) fn exactly(&mut self, name: &str, only: &str) -> Result<(), ApiError> {
        let value = self.required(name)?;
        if value == only {
            return Ok(());
        }
        let message = format!("The sandbox only knows {name}={only}.");
        Err(ApiError::parameter("parameter_invalid", name, message))
    }

    /// Takes an integer that may be absent.
    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.optional(name) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| {
            let message = format!("Invalid integer: {value}");
            ApiError::parameter("parameter_invalid_integer", name, message)
        })
    }

    /// Takes all `metadata[key]` fields.
    pub(crate) fn metadata(&mut self) -> Result<BTreeMap<String, String>, ApiError> {
        let is_metadata = |name: &String| name.starts_with("metadata[") && name.ends_with(']');
        let names: Vec<String> = self.0.keys().filter(|name| is_metadata(name)).cloned().collect();
        let mut metadata = BTreeMap::new();
        for name in names {
            let value = self.0.remove(&name).unwrap_or_default();
            let key = &name["metadata[".len()..name.len() - 1];
            let too_long = key.is_empty()
                || key.chars().count() > MAX_METADATA_KEY_CHARS
                || value.chars().count() > MAX_METADATA_VALUE_CHARS;
            if too_long || metadata.len() == MAX_METADATA_ENTRIES {
                let message = format!(
                    "Metadata can have {MAX_METADATA_ENTRIES} keys of 1 to \
                     {MAX_METADATA_KEY_CHARS} characters, and values of up to \
                     {MAX_METADATA_VALUE_CHARS} characters."
                );
                return Err(ApiError::parameter("parameter_invalid", &name, message));
            }
            metadata.insert(key.to_owned(), value);
        }
        Ok(metadata)
    }

    /// Ends the reading: a field nobody took is an error.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                let message = format!("Received unknown parameter: {name}");
                Err(ApiError::parameter("parameter_unknown", &name, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Result<Fields, ApiError> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Fields::from_pairs(pairs.iter().map(owned).collect())
    }

    #[test]
    fn a_repeated_field_is_refused() {
        let error = fields(&[("amount", "1"), ("amount", "2")]).unwrap_err();
        assert_eq!(error.body.param.as_deref(), Some("amount"));
    }

    #[test]
    fn the_fingerprint_ignores_order_and_separates_fields() {
        let one = fields(&[("a", "1"), ("b", "2")]).unwrap().fingerprint();
        let reordered = fields(&[("b", "2"), ("a", "1")]).unwrap().fingerprint();
        let merged = fields(&[("a", "1\"&\"b\"=\"2")]).unwrap().fingerprint();
        assert_eq!(one, reordered);
        assert_ne!(one, merged);
    }

    #[test]
    fn what_nobody_takes_is_named() {
        let mut fields = fields(&[("metadata[a]", "x"), ("colour", "red")]).unwrap();
        assert_eq!(fields.metadata().unwrap()["a"], "x");
        let error = fields.finish().unwrap_err();
        assert_eq!(error.body.code, Some("parameter_unknown"));
        assert_eq!(error.body.param.as_deref(), Some("colour"));
    }
}
