//! Stories over real TCP: what a client sees of a small router behind all layers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::StatusCode,
    routing::{get, post},
};
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, Response};
use ring::rand::SystemRandom;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    headers::{ETag, IdempotencyKey, IfMatch},
    json::StrictJson,
    openapi::{PublicProblems, ReadProblems, WriteProblems, gaps, with_document},
    page::{List, PageParams},
    problem::Problem,
    query::{ListQuery, NoFilter},
    request_id::RequestId,
    serve::serve_within,
    server::{assemble_within, complete, usage_batch_limit},
};
use crate::access::{Allowed, CreateCustomer, ListCustomers};
use crate::auth::{
    caller::{AccessTokens, Authenticates, Caller, Reach},
    role::Role,
    tokens::{Grant, Realm, Signer, Verifier, generate_signing_key},
};

/// Longer than any request of a test takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(60);

/// All that a caller here can need.
const BOTH: &str = "customers:read customers:write";

#[derive(Debug, Deserialize, ToSchema)]
struct NewCustomer {
    name: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Customer {
    id: String,
    name: String,
}

struct Shop {
    access_tokens: AccessTokens,
    now: Timestamp,
    entered: Notify,
    leave: Notify,
}

impl Authenticates for Shop {
    async fn authenticate(&self, token: &str) -> Result<Caller, Problem> {
        let Grant { user, tenant, role, scopes, session } = self.access_tokens.verify(token, self.now).await?.grant();
        Ok(Caller { tenant, id: user, role: Some(role), session: Some(session), scopes, reach: Reach::Tenant })
    }
}

/// Lists customers.
#[utoipa::path(get, path = "/v1/customers", tag = "customers", params(PageParams),
    responses((status = 200, body = List<Customer>), ReadProblems))]
async fn list_customers(caller: Allowed<ListCustomers>, query: ListQuery<NoFilter>) -> Json<List<Customer>> {
    let id = format!("{}-{}", caller.tenant, query.page.limit());
    let customer = Customer { id, name: caller.id.clone() };
    Json(List::new("/v1/customers", false, vec![customer]))
}

/// Creates a customer.
#[utoipa::path(post, path = "/v1/customers", tag = "customers", request_body = NewCustomer,
    responses((status = 201, body = Customer), WriteProblems))]
async fn create_customer(
    _: Allowed<CreateCustomer>,
    key: Option<IdempotencyKey>,
    body: StrictJson<NewCustomer>,
) -> Result<(StatusCode, ETag, Json<Customer>), Problem> {
    let id = key.map_or(body.body_hash.to_string(), |key| key.as_str().to_owned());
    Ok((StatusCode::CREATED, ETag::of_revision(1), Json(Customer { id, name: body.value.name })))
}

/// Deletes a customer.
#[utoipa::path(delete, path = "/v1/customers/{id}", tag = "customers", params(("id" = String, Path)),
    responses((status = 204), WriteProblems))]
async fn delete_customer(_: Allowed<CreateCustomer>, condition: IfMatch) -> Result<StatusCode, Problem> {
    condition.check(ETag::of_revision(2)).map(|()| StatusCode::NO_CONTENT)
}

/// Says who asks.
#[utoipa::path(get, path = "/whoami", tag = "operations", security(()),
    responses((status = 200, body = String), PublicProblems))]
async fn who_am_i(ConnectInfo(peer): ConnectInfo<SocketAddr>, id: RequestId) -> String {
    format!("{} {id}", peer.ip())
}

async fn wait_at_the_door(State(shop): State<Arc<Shop>>) -> &'static str {
    shop.entered.notify_one();
    shop.leave.notified().await;
    "served"
}

struct Running {
    url: String,
    signer: Signer,
    shop: Arc<Shop>,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
    http: Client,
    _at_the_end: DropGuard,
}

impl Running {
    async fn start() -> Self {
        Self::start_within(PATIENT, PATIENT).await
    }

    async fn start_within(time_limit: Duration, head_time_limit: Duration) -> Self {
        // An error means that another test installed it first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let realm = Realm { issuer: "auth".to_owned(), audience: "api".to_owned() };
        let key = generate_signing_key(&SystemRandom::new()).expect("a key");
        let signer = Signer::from_pem(&key, realm.clone()).expect("a signer");
        let verifier = Verifier::new(&[signer.public_key()], &realm);
        let shop = Arc::new(Shop {
            access_tokens: AccessTokens::Local(Arc::new(verifier)),
            now: "2026-08-01T12:00:00Z".parse().expect("an instant"),
            entered: Notify::new(),
            leave: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = CancellationToken::new();
        let router = assemble_within(complete(routes(&shop)), time_limit);
        let server = tokio::spawn(serve_within(listener, router, head_time_limit, shutdown.clone()));
        let _at_the_end = shutdown.clone().drop_guard();
        Self { url, signer, shop, shutdown, server, http: Client::new(), _at_the_end }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    fn token(&self, scopes: &str) -> String {
        let grant = Grant {
            user: "usr_1".to_owned(),
            tenant: "ten_1".to_owned(),
            role: Role::Owner,
            scopes: scopes.parse().expect("scopes"),
            session: "ses_1".to_owned(),
        };
        let issued = self.signer.issue(&grant, self.shop.now, "j1".to_owned()).expect("a token");
        issued.token.expose_secret().to_owned()
    }

    fn post(&self, body: &str) -> RequestBuilder {
        self.request(Method::POST, "/v1/customers")
            .bearer_auth(self.token("customers:write"))
            .header("content-type", "application/json")
            .body(body.to_owned())
    }
}

fn routes(shop: &Arc<Shop>) -> Router {
    let documented = OpenApiRouter::new()
        .routes(routes!(list_customers, create_customer))
        .routes(routes!(delete_customer))
        .routes(routes!(who_am_i))
        .with_state(Arc::clone(shop));
    let (router, _) = with_document(documented);
    let usage = post(async |body: StrictJson<Value>| body.body_hash.to_string());
    let rough = Router::new()
        .route("/panic", get(async || -> &'static str { panic!("the secret is hunter2") }))
        .route("/door", get(wait_at_the_door))
        .route("/text", get(async || (StatusCode::IM_A_TEAPOT, "a teapot")))
        .route("/broken", get(async || (StatusCode::BAD_GATEWAY, "stack trace")))
        .route("/usage", usage.layer(usage_batch_limit()))
        .with_state(Arc::clone(shop));
    router.merge(rough)
}

/// Checks what holds for every problem, and gives its body.
async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(response.status().as_u16(), status, "{response:?}");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let (id, path) = (response.headers()["request-id"].clone(), response.url().path().to_owned());
    let body: Value = response.json().await.expect("a problem is JSON");
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["type"], format!("urn:ratchet:problem:{code}"));
    assert_eq!(body["request_id"], id.to_str().expect("an id"));
    assert_eq!(body["instance"], path);
    assert!(body["title"].is_string() && body["detail"].is_string() && body["errors"].is_array());
    body
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn a_caller_is_served_with_its_own_tenant() {
    let running = Running::start().await;
    let request = running.request(Method::GET, "/v1/customers?limit=7");
    let response = send(request.bearer_auth(running.token(BOTH))).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers()["request-id"].to_str().expect("an id").starts_with("req_"));
    let expected = json!({
        "object": "list", "url": "/v1/customers", "has_more": false,
        "data": [{ "id": "ten_1-7", "name": "usr_1" }],
    });
    assert_eq!(response.json::<Value>().await.expect("JSON"), expected);
}

#[tokio::test]
async fn credentials_that_are_missing_or_bad_are_told_apart() {
    let running = Running::start().await;
    let request = || running.request(Method::GET, "/v1/customers");
    let response = send(request()).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"ratchet\"");
    problem(response, 401, "unauthenticated").await;

    let good = running.token(BOTH);
    let huge = "x".repeat(1024 * 1024);
    for authorization in [
        "Bearer nonsense".to_owned(),
        "Bearer ".to_owned(),
        "Bearer".to_owned(),
        format!("Basic {good}"),
        good.clone(),
        format!("Bearer {good}x"),
        format!("Bearer {huge}"),
    ] {
        let response = send(request().header("authorization", authorization)).await;
        let challenge = response.headers()["www-authenticate"].to_str().expect("text");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        problem(response, 401, "invalid_token").await;
    }
    let twice = request().bearer_auth(&good).header("authorization", "Bearer x");
    problem(send(twice).await, 401, "invalid_token").await;
    let lower_case = request().header("authorization", format!("bearer {good}"));
    assert_eq!(send(lower_case).await.status(), 200);
}

#[tokio::test]
async fn a_token_without_the_scope_is_forbidden() {
    let running = Running::start().await;
    let request = running.request(Method::POST, "/v1/customers").json(&json!({ "name": "x" }));
    let response = send(request.bearer_auth(running.token("customers:read"))).await;
    problem(response, 403, "missing_scope").await;
}

#[tokio::test]
async fn a_body_is_taken_exactly_or_not_at_all() {
    let running = Running::start().await;
    let response = send(running.post(r#"{"name":"x"}"#).header("idempotency-key", "\"k1\"")).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["etag"], "\"r1\"");
    assert_eq!(response.json::<Value>().await.expect("JSON"), json!({ "id": "k1", "name": "x" }));

    let body = problem(send(running.post(r#"{"name":"x","$set":{}}"#)).await, 400, "invalid_body").await;
    assert_eq!(body["errors"][0]["pointer"], "/$set");
    let body = problem(send(running.post(r#"{"name":"x","nam":1}"#)).await, 400, "invalid_body").await;
    assert_eq!(
        body["errors"],
        json!([{ "pointer": "/nam", "code": "unknown_field", "detail": "there is no such field" }])
    );
    let body = problem(send(running.post("")).await, 400, "invalid_body").await;
    assert_eq!(body["errors"][0]["pointer"], "/name");
    problem(send(running.post("{")).await, 400, "malformed_json").await;
    problem(send(running.post(r#"{"name":"4242-4242-4242-4242"}"#)).await, 422, "card_data").await;
    let key = running.post(r#"{"name":"x"}"#).header("idempotency-key", "\"open");
    problem(send(key).await, 400, "invalid_header").await;
    let text = running.post("name=x").header("content-type", "text/plain");
    problem(send(text).await, 400, "malformed_json").await;
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let running = Running::start().await;
    let request = || running.request(Method::POST, "/v1/customers").bearer_auth(running.token("customers:write"));
    let form = request().form(&[("name", "x")]);
    problem(send(form).await, 415, "unsupported_media_type").await;
    problem(send(request().body(r#"{"name":"x"}"#)).await, 415, "unsupported_media_type").await;
    let zipped = request().header("content-encoding", "gzip").json(&json!({ "name": "x" }));
    problem(send(zipped).await, 415, "unsupported_media_type").await;
}

#[tokio::test]
async fn bodies_are_limited_by_route() {
    let running = Running::start().await;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(1024 * 1024));
    problem(send(running.post(&large)).await, 413, "body_too_large").await;
    let usage = |body: String| {
        let request = running.request(Method::POST, "/usage").header("content-type", "application/json");
        request.body(body)
    };
    assert_eq!(send(usage(large.clone())).await.status(), 200);
    let larger = format!(r#"{{"name":"{}"}}"#, "x".repeat(5 * 1024 * 1024));
    problem(send(usage(larger)).await, 413, "body_too_large").await;
}

#[tokio::test]
async fn unknown_parameters_routes_and_methods_are_named() {
    let running = Running::start().await;
    let list = running.request(Method::GET, "/v1/customers?limt=3").bearer_auth(running.token(BOTH));
    let body = problem(send(list).await, 400, "invalid_query").await;
    assert_eq!(body["errors"][0]["pointer"], "limt");
    problem(send(running.request(Method::GET, "/v1/nothing")).await, 404, "route_not_found").await;
    let response = send(running.request(Method::PUT, "/v1/customers")).await;
    let allow = response.headers()["allow"].to_str().expect("text").to_owned();
    let mut allowed: Vec<_> = allow.split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    problem(response, 405, "method_not_allowed").await;
}

#[tokio::test]
async fn a_changed_object_is_not_deleted() {
    let running = Running::start().await;
    let delete = |tag: &str| {
        let request = running.request(Method::DELETE, "/v1/customers/cus_1");
        request.bearer_auth(running.token(BOTH)).header("if-match", tag.to_owned())
    };
    problem(send(delete("\"r1\"")).await, 412, "precondition_failed").await;
    problem(send(delete("r2")).await, 400, "invalid_header").await;
    assert_eq!(send(delete("\"r2\"")).await.status(), 204);
}

#[tokio::test]
async fn what_breaks_inside_stays_inside() {
    let running = Running::start().await;
    let body = problem(send(running.request(Method::GET, "/panic")).await, 500, "internal_error").await;
    assert!(!body.to_string().contains("hunter2"), "{body}");
    let body = problem(send(running.request(Method::GET, "/broken")).await, 502, "internal_error").await;
    assert!(!body.to_string().contains("stack"), "{body}");
    problem(send(running.request(Method::GET, "/text")).await, 418, "bad_request").await;
}

#[tokio::test]
async fn a_request_that_hangs_is_ended() {
    let running = Running::start_within(Duration::from_millis(50), PATIENT).await;
    let response = send(running.request(Method::GET, "/door")).await;
    assert!(response.headers().contains_key("retry-after"));
    problem(response, 503, "time_limit").await;
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_replaced() {
    let running = Running::start().await;
    let request = |id: &str| running.request(Method::GET, "/whoami").header("request-id", id.to_owned());
    let response = send(request("client-1.2_3")).await;
    assert_eq!(response.headers()["request-id"], "client-1.2_3");
    assert_eq!(response.text().await.expect("text"), "127.0.0.1 client-1.2_3");
    let too_long = "x".repeat(65);
    for bad in ["", "two words", "a\"b", "{}", &*too_long] {
        let response = send(request(bad)).await;
        let id = response.headers()["request-id"].to_str().expect("an id").to_owned();
        assert!(id.starts_with("req_") && id.len() == 36, "{bad}: {id}");
    }
}

#[tokio::test]
async fn the_document_lists_the_routes_and_has_no_gaps() {
    let running = Running::start().await;
    let served: Value = send(running.request(Method::GET, "/openapi.json")).await.json().await.expect("JSON");
    assert_eq!(served["openapi"], "3.1.0");
    let create = &served["paths"]["/v1/customers"]["post"];
    assert_eq!(create["operationId"], "create_customer");
    assert_eq!(create["security"], json!([{ "bearer": [] }]));
    assert_eq!(create["parameters"][0]["name"], "Idempotency-Key");
    assert_eq!(create["responses"]["422"]["$ref"], "#/components/responses/Problem422");
    assert_eq!(served["paths"]["/v1/customers/{id}"]["delete"]["parameters"][1]["name"], "If-Match");
    assert_eq!(served["paths"]["/whoami"]["get"]["security"], json!([{}]));
    let shared = &served["components"]["responses"]["Problem422"]["content"];
    assert_eq!(shared["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem");
    let properties = served["components"]["schemas"]["Problem"]["properties"].as_object();
    let mut names: Vec<_> = properties.expect("a schema").keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = ["code", "detail", "errors", "instance", "request_id", "status", "title", "type"];
    assert_eq!(names, expected);
    assert_eq!(served["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");

    let complete = OpenApiRouter::new().routes(routes!(who_am_i));
    assert_eq!(gaps(&with_document(complete).1), Vec::<String>::new());
    let incomplete = OpenApiRouter::new().routes(routes!(bare));
    let expected = ["no known tag", "no success response", "no problem responses"];
    assert_eq!(gaps(&with_document(incomplete).1), expected.map(|gap| format!("get /bare: {gap}")));
}

#[utoipa::path(get, path = "/bare")]
async fn bare() {}

#[tokio::test]
async fn shutdown_finishes_what_is_open_and_takes_nothing_new() {
    let running = Running::start().await;
    // An idle connection must not hold the server up.
    let address = running.url.trim_start_matches("http://").to_owned();
    let mut idle = TcpStream::connect(&address).await.expect("a connection");
    let open = tokio::spawn(running.request(Method::GET, "/door").send());
    running.shop.entered.notified().await;
    running.shutdown.cancel();
    running.shop.leave.notify_one();
    let response = open.await.expect("no panic").expect("an answer");
    assert_eq!(response.text().await.expect("text"), "served");
    running.server.await.expect("no panic");
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0, "the idle connection is closed");
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn a_broken_head_is_refused_and_the_server_lives_on() {
    let running = Running::start().await;
    let address = running.url.trim_start_matches("http://").to_owned();
    for head in ["GET / HTTP/9.9\r\n\r\n", "\0\0\0\0\r\n\r\n", "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"] {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("closed by the server");
        assert!(answer.starts_with("HTTP/1.1 400"), "{head:?}: {answer}");
    }
    assert_eq!(send(running.request(Method::GET, "/whoami")).await.status(), 200);
}

#[tokio::test]
async fn whoever_sends_a_byte_now_and_then_is_not_waited_for() {
    let soon = Duration::from_millis(100);
    let running = Running::start_within(soon, soon).await;
    let address = running.url.trim_start_matches("http://").to_owned();
    let head = "POST /v1/customers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let token = running.token("customers:write");
    // A head that never ends; one that has not begun; a body of which the rest never comes.
    let body = format!("{head}authorization: Bearer {token}\r\ncontent-length: 100\r\n\r\n{{");
    for (sent, answered) in [(head, ""), ("", ""), (&*body, "HTTP/1.1 503")] {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(sent.as_bytes()).await.expect("written");
        let mut answer = String::new();
        let _reset_is_fine = tokio::time::timeout(PATIENT, stream.read_to_string(&mut answer)).await.expect("hung up");
        assert!(answer.starts_with(answered), "{sent:?}: {answer}");
    }
    assert_eq!(send(running.request(Method::GET, "/whoami")).await.status(), 200);
}
