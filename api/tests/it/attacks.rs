//! Attacks on the surface: every route of the document with bodies, paths and headers that were not meant. Nothing gets
//! through, nothing breaks, and every refusal is a problem.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    contract::operations,
    harness::{Answer, Client, Platform},
    writes::{Write, concrete, writes},
};

/// Largest body of an ordinary route and of a usage batch.
const MAX_BODY: usize = 1024 * 1024;
const MAX_USAGE_BODY: usize = 5 * MAX_BODY;

/// What the product knows of objects and no client may set.
const OURS: [(&str, &str); 8] = [
    ("_id", "cus_1"),
    ("id", "cus_1"),
    ("tenant", "ten_1"),
    ("revision", "1"),
    ("livemode", "true"),
    ("created", "2020-01-01T00:00:00Z"),
    ("due_at", "2020-01-01T00:00:00Z"),
    ("role", "owner"),
];

async fn send(client: &Client<'_>, write: &Write, body: impl Into<reqwest::Body>) -> Answer {
    let request = client.request(write.method.clone(), &concrete(write.path));
    Answer::of(request.header("content-type", "application/json").body(body)).await
}

/// Sends bytes as they are and reads until the server hangs up.
async fn raw(platform: &Platform, request: &[u8]) -> String {
    let address: SocketAddr = platform.api.trim_start_matches("http://").parse().expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // The server may hang up before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn nobody_sets_what_is_ours() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let traces = platform.traces(&client.tenant).await;
    for write in writes("cus_none") {
        for (field, value) in OURS {
            let mut body = write.body.clone();
            // A body that has such a field of its own means something else by it.
            if body.get(field).is_some() || (write.path == "/v1/usage_events" && field == "id") {
                continue;
            }
            body[field] = json!(value);
            let answer = send(&client, &write, body.to_string()).await;
            let refused = answer.problem(400, "invalid_body");
            assert_eq!(
                refused["errors"][0]["pointer"],
                format!("/{field}"),
                "{} {}: {answer:?}",
                write.method,
                write.path
            );
        }
    }
    assert_eq!(platform.traces(&client.tenant).await, traces);
}

#[tokio::test]
async fn bodies_that_are_too_large_too_deep_or_say_things_twice_are_refused_everywhere() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let traces = platform.traces(&client.tenant).await;
    let deep = format!("{{\"metadata\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    for write in writes("cus_none") {
        let limit = if write.path == "/v1/usage_events" { MAX_USAGE_BODY } else { MAX_BODY };
        send(&client, &write, " ".repeat(limit + 1)).await.problem(413, "body_too_large");
        send(&client, &write, deep.clone()).await.problem(400, "invalid_body");
        let fields: Map<String, Value> = write.body.as_object().expect("an object").clone();
        let Some((name, value)) = fields.iter().next() else { continue };
        let twice = format!("{{\"{name}\":{value},\"{name}\":{value}}}");
        send(&client, &write, twice).await.problem(400, "invalid_body");
        let operator = json!({ name.as_str(): { "$ne": null } });
        send(&client, &write, operator.to_string()).await.problem(400, "invalid_body");
    }
    assert_eq!(platform.traces(&client.tenant).await, traces);
}

#[tokio::test]
async fn paths_and_queries_that_mean_something_elsewhere_mean_nothing_here() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    let tricks = [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "%00",
        "%24ne",
        "%7B%22%24ne%22%3A1%7D",
        "cus_1%0d%0aX-Injected:%201",
        "'%20or%201=1",
        "%F0%28%8C%28",
        "*",
        &format!("{customer}%00"),
        &format!("{customer};admin"),
        &format!("{customer}%2fbalance"),
        &customer.to_uppercase(),
        &"x".repeat(8_000),
    ]
    .map(ToOwned::to_owned);
    for operation in operations().into_iter().filter(|operation| operation.of_the_gateway()) {
        if operation.names_an_object() {
            for trick in &tricks {
                let path = operation.path.replace("{name}", "payments").replace("{id}", trick);
                let request = client.request(operation.method.clone(), &path);
                let answer = Answer::of(if operation.takes_body { request.json(&json!({})) } else { request }).await;
                assert!((400..500).contains(&answer.status), "{} {path}: {answer:?}", operation.method);
                assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}: {answer:?}");
                assert_eq!(answer.header("x-injected"), None);
            }
        } else if operation.method == Method::GET {
            for query in ["customer[$ne]=x", "$where=1", "tenant=ten_1", "limit[$gt]=1", "starting_after[$ne]=x"] {
                let answer = client.get(&format!("{}?{query}", concrete(&operation.path))).await;
                answer.problem(400, "invalid_query");
            }
        }
    }
}

#[tokio::test]
async fn a_route_has_one_name() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let ask = async |target: &str| {
        let head = format!(
            "GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            client.token
        );
        raw(&platform, head.as_bytes()).await
    };
    assert_eq!(status(&ask("/v1/customers").await), 200);
    for target in [
        "/v1/customers/",
        "//v1/customers",
        "/v1//customers",
        "/v1/./customers",
        "/v1/x/../customers",
        "/v1/%2e%2e/v1/customers",
        "/V1/customers",
        "/v1/customers%2f",
        "/v1\\customers",
        "/v1/auth/../customers",
        "/.well-known/../v1/customers",
    ] {
        let answer = ask(target).await;
        assert!([400, 404].contains(&status(&answer)), "{target}: {answer}");
        assert!(!answer.contains("\"list\""), "{target}: {answer}");
    }
}

#[tokio::test]
async fn headers_change_neither_method_nor_tenant_nor_length() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let bob = platform.client("bob").await;
    let customer = ada.customer("ada").await;
    for (name, value) in [
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/v1/queues"),
        ("x-rewrite-url", "/v1/queues"),
        ("x-tenant", ada.tenant.as_str()),
        ("x-forwarded-host", "evil.example"),
        ("host", "evil.example"),
    ] {
        let path = format!("/v1/customers/{customer}");
        let answer = Answer::of(bob.request(Method::GET, &path).header(name, value)).await;
        answer.problem(404, "not_found");
        assert!(!answer.text.contains("evil"), "{answer:?}");
    }
    let two = ada.request(Method::GET, "/v1/customers").header("authorization", "Bearer x");
    Answer::of(two).await.problem(401, "invalid_token");

    // Two lengths, or a length beside chunks: the second request must not be seen as one.
    let smuggled = "GET /v1/queues HTTP/1.1\r\nhost: x\r\n\r\n";
    for framing in [
        format!("content-length: 2\r\ncontent-length: {}\r\n\r\n{{}}{smuggled}", 2 + smuggled.len()),
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n", smuggled.len()),
        "transfer-encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_owned(),
        "content-length: -1\r\n\r\n{}".to_owned(),
        "content-length: 0x2\r\n\r\n{}".to_owned(),
    ] {
        let head = "POST /v1/customers HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        let answer = raw(&platform, format!("{head}{framing}").as_bytes()).await;
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{framing:?}: {answer}");
        assert!([0, 400, 401, 501].contains(&status(&answer)), "{framing:?}: {answer}");
    }
    ada.get("/v1/customers").await.ok();
}
