//! The OpenAPI document: registered with the routes, completed in one place.
//!
//! A resource builds an [`OpenApiRouter`] with `routes!(handler, ...)`, which registers route and
//! document at once; [`document`] merges in what is the same for all operations. Owns the head of
//! the document, the security scheme, the tags and the shared problem responses.

use std::collections::{BTreeMap, HashSet};

use axum::{Json, Router, routing::get};
use utoipa::{
    IntoResponses, PartialSchema,
    openapi::{
        ComponentsBuilder, ContactBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
        PathItem, Ref, RefOr, Required, ResponseBuilder,
        path::{Operation, ParameterBuilder, ParameterIn},
        response::Response,
        schema::{ObjectBuilder, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
        server::ServerBuilder,
        tag::TagBuilder,
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::completion::{self, header, shared_headers};
use super::problem::{FieldError, PROBLEM_JSON, ProblemDocument};

/// Name of the security scheme: an access token in the Authorization header.
pub const BEARER: &str = "bearer";

/// The tags: name and what stands below it. An operation has one of them.
pub const TAGS: [(&str, &str); 9] = [
    ("auth", "Signing in, and who is signed in"),
    ("catalogue", "Meters and plans: what is sold"),
    ("customers", "Who is billed"),
    ("subscriptions", "Who buys what, from when to when"),
    ("usage", "Events that meters count"),
    ("invoices", "What was billed"),
    ("billing_runs", "Billing everything that is due"),
    ("operations", "Queues, jobs, dead letters, test clocks and plumbing"),
    ("webhooks", "Where a tenant hears of its events, and what was sent there"),
];

/// The shared problem responses: status and description.
const PROBLEMS: [(&str, &str); 12] = [
    ("400", "The request cannot be read; `errors` names the parts"),
    ("401", "No credentials, or credentials that are not accepted; see `WWW-Authenticate`"),
    ("403", "The caller may not do this"),
    ("404", "No such object in the caller's tenant"),
    ("409", "The state of the object, or a request in flight with the same key, forbids it"),
    ("412", "`If-Match` names another revision"),
    ("413", "The body is too large"),
    ("415", "The body is not plain JSON"),
    ("422", "The request breaks a rule; `errors` names the parts"),
    ("429", "Too many requests; see `Retry-After`"),
    ("500", "The request failed on our side"),
    ("503", "A part is away; see `Retry-After`"),
];

/// Problem responses of an operation that reads.
#[derive(Debug)]
pub struct ReadProblems;

/// Problem responses of an operation that writes.
#[derive(Debug)]
pub struct WriteProblems;

/// Problem responses of an operation that anyone may call without credentials and without a body.
#[derive(Debug)]
pub struct PublicProblems;

/// Problem responses of an operation that anyone may call without credentials, with a body.
#[derive(Debug)]
pub struct PublicWriteProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&["400", "401", "403", "404", "429", "500", "503"])
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&PROBLEMS.map(|(status, _)| status))
    }
}

impl IntoResponses for PublicProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&["429", "500", "503"])
    }
}

impl IntoResponses for PublicWriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&["400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503"])
    }
}

fn problems(statuses: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let reference = |status: &&str| {
        let name = response_name(status);
        ((*status).to_owned(), RefOr::Ref(Ref::from_response_name(name)))
    };
    statuses.iter().map(reference).collect()
}

fn response_name(status: &str) -> String {
    format!("Problem{status}")
}

/// Splits the routes of a service from their document and serves the document, completed, at
/// `/openapi.json`.
pub fn with_document(routes: OpenApiRouter) -> (Router, OpenApi) {
    let (router, collected) = routes.split_for_parts();
    let document = document(collected);
    let served = document.clone();
    // Serialised per request: the document is asked for by people and build steps.
    let router = router.route("/openapi.json", get(async move || Json(served)));
    (router, document)
}

/// The whole document, from what the routes registered.
#[must_use]
pub fn document(collected: OpenApi) -> OpenApi {
    let mut document = base().merge_from(collected);
    for item in document.paths.paths.values_mut() {
        for (method, operation) in operations_mut(item) {
            complete(method, operation);
        }
    }
    completion::complete_all(&mut document);
    document
}

fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Ratchet")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("SaaS billing: plans, usage, subscriptions, invoices, payments."))
        .contact(Some(ContactBuilder::new().name(Some("The operators of this deployment")).build()))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let bearer = SecurityScheme::Http(
        Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "Access token from `POST /v1/auth/login`: a JWT by the best current practices of RFC8725 (one algorithm, typed, \
                 short-lived, audience and issuer checked), or an API key",
            ))
            .build(),
    );
    let mut components = ComponentsBuilder::new()
        .schema("Problem", ProblemDocument::schema())
        .schema("FieldError", FieldError::schema())
        .security_scheme(BEARER, bearer);
    for (status, description) in PROBLEMS {
        components = components.response(response_name(status), problem_response((status, description)));
    }
    let tags = TAGS.map(|(name, what)| TagBuilder::new().name(name).description(Some(what)).build());
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new()
            .url("/")
            .description(Some("The address that this document was read from"))
            .build()]))
        .components(Some(components.build()))
        .tags(Some(tags))
        .build()
}

/// The header that problems of a status have by themselves.
fn own_header(status: &str) -> Option<(&'static str, &'static str, &'static str)> {
    match status {
        "401" => {
            Some(("WWW-Authenticate", "The scheme, and what is wrong with the credentials", "Bearer realm=\"ratchet\""))
        }
        "429" | "503" => Some(("Retry-After", "Seconds after which to ask again", "2")),
        _ => None,
    }
}

fn problem_response((status, description): (&str, &str)) -> Response {
    let schema = RefOr::from(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut response = ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build();
    response.headers.extend(shared_headers());
    if let Some((name, words, example)) = own_header(status) {
        response.headers.insert(name.to_owned(), RefOr::T(header(words, example)));
    }
    response
}

/// Adds to an operation what follows from its method and its security: unless it says
/// `security(())` it needs a bearer token, and a protected write takes the shared headers.
fn complete(method: &str, operation: &mut Operation) {
    let bearer = || vec![SecurityRequirement::new(BEARER, Vec::<String>::new())];
    let security = operation.security.get_or_insert_with(bearer);
    let public = security.iter().any(|requirement| *requirement == SecurityRequirement::default());
    let header = match method {
        "post" if !public => {
            Some(("Idempotency-Key", "Quoted or bare; the same key and body answer the same again for 24 hours"))
        }
        "patch" | "delete" if !public => Some(("If-Match", "Entity tag that the object must have")),
        _ => None,
    };
    if let Some((name, description)) = header {
        operation.parameters.get_or_insert_default().push(RefOr::T(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(description))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build(),
        ));
    }
}

/// What the document lacks, one line each; empty when every operation has a unique operationId, a
/// known tag, its security, and a success and its problem responses.
#[must_use]
pub fn gaps(document: &OpenApi) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut ids = HashSet::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let mut gap = |what: &str| gaps.push(format!("{method} {path}: {what}"));
            if !operation.operation_id.as_ref().is_some_and(|id| ids.insert(id.clone())) {
                gap("no operationId of its own");
            }
            if !operation.tags.iter().flatten().any(|tag| TAGS.iter().any(|(name, _)| tag == name)) {
                gap("no known tag");
            }
            if operation.security.is_none() {
                gap("no security");
            }
            let has = |class: char| operation.responses.responses.keys().any(|s| s.starts_with(class));
            if !has('2') {
                gap("no success response");
            }
            if !has('5') {
                gap("no problem responses");
            }
        }
    }
    gaps
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    let methods = [
        ("get", &item.get),
        ("put", &item.put),
        ("post", &item.post),
        ("delete", &item.delete),
        ("patch", &item.patch),
    ];
    methods.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// The operations of a path, to complete them.
pub(crate) fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let methods = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ];
    methods.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
