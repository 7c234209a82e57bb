//! What the OpenAPI document says of every operation alike: what answers are, which headers they carry, what it is about.
//!
//! Owns nothing of an operation's own. **Invariant:** what it adds is true of every route of the gateway, so nobody has to say it.

use utoipa::openapi::{
    Header, HeaderBuilder, OpenApi, Ref, RefOr,
    path::Operation,
    response::Response,
    schema::{ObjectBuilder, Type},
};

use super::openapi::operations_mut;

/// Headers of every answer, but for those of the orchestrator's probes, which are not counted.
const HEADERS: [(&str, &str, &str); 3] = [
    ("Request-Id", "Names the request in logs, events, audit entries and jobs", "req_0198f3"),
    ("RateLimit", "What is left of the quota, and for how many seconds", "\"default\";r=11988;t=41"),
    ("RateLimit-Policy", "The quota: requests, and seconds", "\"default\";q=12000;w=60"),
];

/// Completes the document of a service.
pub(super) fn complete_all(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations_mut(item) {
            describe(operation);
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response {
                    answer(status, response);
                }
            }
        }
    }
    drop_unused_schemas(document);
}

/// An operation that says nothing besides its summary is described by that.
fn describe(operation: &mut Operation) {
    if operation.description.as_ref().is_none_or(String::is_empty) {
        operation.description = operation.summary.clone();
    }
}

fn answer(status: &str, response: &mut Response) {
    if response.description.is_empty() {
        let words = match status {
            "201" => "Created",
            "202" => "Accepted: the workers carry it out",
            "204" => "Done; there is nothing to say",
            _ => "Done",
        };
        words.clone_into(&mut response.description);
    }
    response.headers.extend(shared_headers());
}

/// The headers that every answer carries.
pub(super) fn shared_headers() -> impl Iterator<Item = (String, RefOr<Header>)> {
    HEADERS.into_iter().map(|(name, description, example)| (name.to_owned(), RefOr::T(header(description, example))))
}

/// A header with one line of text.
pub(super) fn header(description: &str, example: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String).examples([example]).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

/// Schemas that are only written out within others are nobody's.
fn drop_unused_schemas(document: &mut OpenApi) {
    loop {
        let text = document.to_json().unwrap_or_default();
        let Some(components) = &mut document.components else { return };
        let before = components.schemas.len();
        components
            .schemas
            .retain(|name, _| text.contains(&format!("\"{}\"", Ref::from_schema_name(name).ref_location)));
        if components.schemas.len() == before {
            return;
        }
    }
}
