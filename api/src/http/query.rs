//! Queries: unknown, repeated and oversized parameters are refused by name.
//!
//! Owns the way from the query string to a route's DTO. The parameters that every list has are
//! [`super::page`]'s.

use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::{
    deserialize::{Misfit, decode},
    page::Page,
    problem::{FieldError, Problem},
};

/// Longest value of a parameter in bytes: no id, filter or instant of ours comes near it.
const MAX_VALUE_BYTES: usize = 255;

/// Most parameters of a request; the longest list filter has fewer than ten.
const MAX_PARAMETERS: usize = 32;

/// Query parameters that fit `T` exactly. Rejection: 400 `invalid_query` with the names.
#[derive(Clone, Debug)]
pub struct StrictQuery<T>(pub T);

/// The query of a list: its page, and the filters of the route. Rejection as [`StrictQuery`].
#[derive(Clone, Debug)]
pub struct ListQuery<F> {
    /// The part of the list that is wanted.
    pub page: Page,
    /// The route's own parameters.
    pub filter: F,
}

/// The filters of a list that has none, and the query of a route without parameters.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
pub struct NoFilter {}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(fit(&parameters(&parts.uri)?)?))
    }
}

impl<S: Sync, F: DeserializeOwned> FromRequestParts<S> for ListQuery<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let (page, filter): (Vec<_>, Vec<_>) =
            parameters(&parts.uri)?.into_iter().partition(|(name, _)| Page::names(name));
        let page = Page::of_parameters(&page).map_err(|error| invalid().with_error(error))?;
        Ok(Self { page, filter: fit(&filter)? })
    }
}

fn invalid() -> Problem {
    Problem::malformed("invalid_query", "the query does not fit this route")
}

/// The decoded pairs of a query string, each name once.
fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let broken = if pairs.len() == MAX_PARAMETERS {
            Some(("too_many_parameters", "too many parameters"))
        } else if pairs.iter().any(|(known, _)| *known == name) {
            Some(("duplicate_parameter", "the parameter occurs twice"))
        } else if value.len() > MAX_VALUE_BYTES {
            Some(("invalid_value", "the value is longer than 255 bytes"))
        } else {
            None
        };
        if let Some((code, detail)) = broken {
            return Err(invalid().at(shortened(&name), code, detail));
        }
        pairs.push((name.into_owned(), value.into_owned()));
    }
    Ok(pairs)
}

fn fit<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, Problem> {
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(encoded.as_bytes()));
    decode(deserializer).map_err(|misfits| misfits.into_iter().map(named).fold(invalid(), Problem::with_error))
}

fn named(misfit: Misfit) -> FieldError {
    let name = shortened(&misfit.path.join("."));
    let mut error = misfit.at(name);
    if error.code == "unknown_field" {
        "unknown_parameter".clone_into(&mut error.code);
        "there is no such parameter".clone_into(&mut error.detail);
    }
    error
}

/// A client's name for a parameter, cut to a length that may be repeated.
fn shortened(name: &str) -> String {
    name.chars().take(MAX_VALUE_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use axum::{
        extract::FromRequestParts,
        http::{Request, StatusCode},
    };
    use serde::Deserialize;

    use super::{ListQuery, NoFilter, StrictQuery};
    use crate::http::{page::Cursor, problem::Problem};

    #[derive(Debug, Deserialize)]
    struct Filter {
        customer: Option<String>,
        version: Option<u32>,
    }

    async fn extract<E: FromRequestParts<(), Rejection = Problem>>(query: &str) -> Result<E, Problem> {
        let uri = format!("/v1/things{query}");
        let (mut parts, ()) = Request::get(uri).body(()).expect("a request").into_parts();
        E::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn filters_and_page_are_told_apart() {
        let query = "?limit=5&customer=cus_1&starting_after=cus_0&created%5Bgte%5D=2026-08-01T00:00:00Z&version=3";
        let query: ListQuery<Filter> = extract(query).await.expect("it fits");
        assert_eq!(query.page.limit(), 5);
        assert_eq!(*query.page.cursor(), Cursor::After("cus_0".to_owned()));
        assert_eq!(query.filter.customer.as_deref(), Some("cus_1"));
        assert_eq!(query.page.created().from, "2026-08-01T00:00:00Z".parse().ok());
        assert_eq!(query.filter.version, Some(3));
    }

    #[tokio::test]
    async fn a_list_without_query_is_the_newest_twenty() {
        let query: ListQuery<NoFilter> = extract("").await.expect("it fits");
        assert_eq!((query.page.limit(), query.page.cursor()), (20, &Cursor::Newest));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_by_name() {
        let long = format!("?customer={}", "x".repeat(256));
        let many = format!("?{}", (0..33).map(|n| format!("p{n}=1&")).collect::<String>());
        for (query, name, code) in [
            ("?customr=cus_1", "customr", "unknown_parameter"),
            ("?customer%5B%24ne%5D=x", "customer[$ne]", "unknown_parameter"),
            ("?version=x", "version", "invalid_value"),
            ("?version=-1", "version", "invalid_value"),
            ("?customer=a&customer=b", "customer", "duplicate_parameter"),
            ("?limit=1&limit=2", "limit", "duplicate_parameter"),
            ("?limit=0", "limit", "invalid_value"),
            ("?limit=101", "limit", "invalid_value"),
            ("?limit=ten", "limit", "invalid_value"),
            ("?limit=", "limit", "invalid_value"),
            ("?starting_after=", "starting_after", "invalid_value"),
            ("?starting_after=a&ending_before=b", "ending_before", "invalid_value"),
            (&*long, "customer", "invalid_value"),
            (&*many, "p32", "too_many_parameters"),
        ] {
            let refused = extract::<ListQuery<Filter>>(query).await;
            let problem = refused.expect_err(query);
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
            assert_eq!(problem.code(), "invalid_query");
            let [error] = problem.errors() else { panic!("{query}: {problem:?}") };
            assert_eq!((&*error.pointer, &*error.code), (name, code), "{query}");
        }
    }

    #[tokio::test]
    async fn a_single_object_has_no_page() {
        let query: StrictQuery<Filter> = extract("?version=2").await.expect("it fits");
        assert_eq!(query.0.version, Some(2));
        let problem = extract::<StrictQuery<Filter>>("?limit=2").await.expect_err("no page");
        assert_eq!(problem.errors()[0].pointer, "limit");
    }
}
