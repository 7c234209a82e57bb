//! Bodies: the extractor through which every JSON body enters.
//!
//! Owns the content type, the size, what no body may contain (see [`super::inspect`]), and the
//! strict decoding into the route's DTO. Values past it are typed; rules between them are the
//! domain's. The hash of the bytes as they came is kept for the idempotency layer.

use std::fmt;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    deserialize::{Misfit, decode},
    inspect::{MAX_NESTING, Refusal, Rule, inspect, pointer},
    problem::{FieldError, Problem},
};

/// What an absent body stands for: no fields. A route with required fields then names them.
const NO_FIELDS: &[u8] = b"{}";

/// SHA-256 of a request body, as it came over the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BodyHash([u8; 32]);

impl BodyHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }
}

impl fmt::Display for BodyHash {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A JSON body that fits `T` exactly. An empty body counts as `{}` and needs no content type.
///
/// Rejections: 400 for what cannot be read (`malformed_json`, `invalid_body` with the fields), 413
/// above the route's limit, 415 for anything but plain JSON, 422 `card_data`.
#[derive(Clone, Debug)]
pub struct StrictJson<T> {
    /// The decoded body.
    pub value: T,
    /// Hash of the bytes as they came.
    pub body_hash: BodyHash,
}

impl<S, T> FromRequest<S> for StrictJson<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let plain_json = is_plain_json(request.headers());
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
                _ => Problem::malformed("incomplete_body", "the body could not be read"),
            }
        })?;
        if !body.is_empty() && !plain_json {
            return Err(Problem::not_json());
        }
        let value = parse(&body)?;
        Ok(Self { value, body_hash: BodyHash::of(&body) })
    }
}

/// Reads a body into `T`.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { NO_FIELDS } else { body };
    inspect(body).map_err(refused)?;
    decode(&mut serde_json::Deserializer::from_slice(body)).map_err(misfitting)
}

/// Decodes one part of a body that was taken as it came, for routes that refuse parts and not the whole.
///
/// # Errors
/// What does not fit, with pointers that begin at the part.
pub fn decode_part<T: DeserializeOwned>(part: serde_json::Value) -> Result<T, Vec<FieldError>> {
    let named = |misfit: Misfit| {
        let place = pointer(&misfit.path);
        misfit.at(place)
    };
    decode(part).map_err(|misfits| misfits.into_iter().map(named).collect())
}

/// `application/json`, if with a charset then UTF-8, and not compressed.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let Some(Ok(content_type)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| {
        parameter.is_empty()
            || parameter.eq_ignore_ascii_case("charset=utf-8")
            || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
    });
    is_json && is_utf8 && !headers.contains_key(header::CONTENT_ENCODING)
}

fn refused(refusal: Refusal) -> Problem {
    let (pointer, rule) = match refusal {
        Refusal::Syntax { line, column } => {
            let detail = format!("the body is not JSON; see line {line}, column {column}");
            return Problem::malformed("malformed_json", detail);
        }
        Refusal::Rule { pointer, rule } => (pointer, rule),
    };
    let (code, detail) = match rule {
        Rule::Nesting => ("nesting", format!("objects and arrays nest {MAX_NESTING} deep at most")),
        Rule::DuplicateKey => ("duplicate_field", "the field occurs twice".to_owned()),
        Rule::OperatorKey => ("operator_key", "a key may not begin with $ or contain a dot or NUL".to_owned()),
        Rule::CardNumber => {
            let detail = "card numbers are never accepted; send a payment token";
            return Problem::rule_violated("card_data", detail).at(pointer, "card_data", detail);
        }
    };
    Problem::malformed("invalid_body", "the body is not acceptable").at(pointer, code, detail)
}

fn misfitting(misfits: Vec<Misfit>) -> Problem {
    misfits.into_iter().fold(
        Problem::malformed("invalid_body", "the body does not fit this route"),
        |problem, misfit| {
            let place = pointer(&misfit.path);
            problem.with_error(misfit.at(place))
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
    use serde::Deserialize;

    use super::{BodyHash, is_plain_json, parse};
    use crate::http::problem::Problem;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Price {
        amount_minor: i64,
        currency: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Cycle {
        Month,
        Year,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Plan {
        name: String,
        cycle: Option<Cycle>,
        #[serde(default)]
        prices: Vec<Price>,
        #[serde(default)]
        metadata: BTreeMap<String, String>,
    }

    fn refused(body: &str) -> Problem {
        parse::<Plan>(body.as_bytes()).expect_err(body)
    }

    #[test]
    fn every_misfit_is_named_by_pointer_and_rule() {
        for (body, pointer, code, detail) in [
            (r#"{"name":"x","nmae":1}"#, "/nmae", "unknown_field", "there is no such field"),
            (
                r#"{"name":"x","prices":[{"amount_minor":1},{"amount_minor":1,"a/b":2}]}"#,
                "/prices/1/a~1b",
                "unknown_field",
                "there is no such field",
            ),
            ("{}", "/name", "missing_field", "it is required"),
            (r#"{"name":"x","prices":[{}]}"#, "/prices/0/amount_minor", "missing_field", "it is required"),
            (r#"{"name":7}"#, "/name", "invalid_value", "expected a string"),
            (
                r#"{"name":"x","prices":[{"amount_minor":"12"}]}"#,
                "/prices/0/amount_minor",
                "invalid_value",
                "expected i64",
            ),
            (
                r#"{"name":"x","prices":[{"amount_minor":1.5}]}"#,
                "/prices/0/amount_minor",
                "invalid_value",
                "expected i64",
            ),
            (r#"{"name":"x","cycle":"week"}"#, "/cycle", "invalid_value", "expected `month` or `year`"),
            (r#"[]"#, "", "invalid_value", ""),
            (r#"{"name":"x","metadata":{"k":{"$gt":""}}}"#, "/metadata/k/$gt", "operator_key", ""),
            (r#"{"name":"x","name":"y"}"#, "/name", "duplicate_field", "the field occurs twice"),
        ] {
            let problem = refused(body);
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{body}");
            assert_eq!(problem.code(), "invalid_body", "{body}");
            let [error] = problem.errors() else { panic!("{body}: {problem:?}") };
            assert_eq!((&*error.pointer, &*error.code), (pointer, code), "{body}");
            assert!(detail.is_empty() || error.detail == detail, "{body}: {}", error.detail);
        }
    }

    #[test]
    fn all_unknown_fields_are_named_at_once() {
        let problem = refused(r#"{"a":1,"name":"x","b":{"c":2}}"#);
        let pointers: Vec<_> = problem.errors().iter().map(|error| &*error.pointer).collect();
        assert_eq!(pointers, ["/a", "/b"]);
    }

    #[test]
    fn a_card_number_is_refused_and_not_repeated() {
        let problem = refused(r#"{"name":"4242 4242 4242 4242"}"#);
        assert_eq!((problem.status().as_u16(), problem.code()), (422, "card_data"));
        assert_eq!(problem.errors()[0].pointer, "/name");
        let problem = refused(r#"{"name":"x","metadata":{"4242424242424242":"x"}}"#);
        assert_eq!(problem.errors()[0].pointer, "/metadata");
        assert!(!format!("{problem:?}").contains("4242"));
    }

    #[test]
    fn a_value_in_the_wrong_field_is_not_repeated() {
        let problem = refused(r#"{"name":"x","prices":[{"amount_minor":"hunter2hunter2"}]}"#);
        assert!(!format!("{problem:?}").contains("hunter2"));
    }

    #[test]
    fn malformed_json_is_told_by_line_and_column() {
        let problem = refused("{\n  \"name\" \"x\"}");
        assert_eq!((problem.status().as_u16(), problem.code()), (400, "malformed_json"));
        assert!(format!("{problem:?}").contains("line 2, column 10"), "{problem:?}");
    }

    #[test]
    fn a_fitting_body_is_decoded() {
        let plan: Plan = parse(br#"{"name":"x","cycle":"month","prices":[{"amount_minor":5}]}"#).expect("it fits");
        assert_eq!(plan.cycle, Some(Cycle::Month));
        assert_eq!(plan.prices, [Price { amount_minor: 5, currency: None }]);
    }

    #[test]
    fn only_plain_json_is_read() {
        let accepts = |content_type: &'static str| {
            let value = HeaderValue::from_static(content_type);
            is_plain_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        for accepted in ["application/json", "Application/JSON; charset=UTF-8"] {
            assert!(accepts(accepted), "{accepted}");
        }
        for refused in ["text/json", "application/jsonp", "application/json; charset=utf-16", ""] {
            assert!(!accepts(refused), "{refused}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_bytes() {
        assert_eq!(BodyHash::of(b"{}").to_string(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
