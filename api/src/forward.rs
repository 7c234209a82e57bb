//! Forwards the auth service's routes: clients know one address, the gateway's.
//!
//! Owns which headers pass and how long it waits. Looks into no body. **Invariant:** only routes of the auth service's own
//! document are forwarded, so nothing else of it can be reached from outside.

use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::any,
};
use utoipa::openapi::OpenApi;

use crate::{http::problem::Problem, state::GatewayState};

/// Largest answer that is passed on: a token or a key set has a few kilobytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Headers that are about one connection and not about the message (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The routes of a document, forwarded with every method: which ones there are is for the auth service to say.
pub(crate) fn routes(document: &OpenApi) -> Router<GatewayState> {
    document.paths.paths.keys().fold(Router::new(), |router, path| router.route(path, any(forward)))
}

async fn forward(
    State(gateway): State<GatewayState>,
    OriginalUri(uri): OriginalUri,
    (method, headers): (Method, HeaderMap),
    body: Bytes,
) -> Result<Response, Problem> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut passed = end_to_end(&headers);
    // Both follow from the forwarded request.
    passed.remove(header::HOST);
    passed.remove(header::CONTENT_LENGTH);
    let request = gateway.http.request(method, format!("{}{path}", gateway.auth_url)).headers(passed).body(body);
    let answer = request.send().await.map_err(|error| away(&error))?;
    let (status, mut headers) = (answer.status(), end_to_end(answer.headers()));
    headers.remove(header::CONTENT_LENGTH);
    Ok((status, headers, read(answer).await?).into_response())
}

async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| away(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            tracing::error!("the auth service's answer is too large to be passed on");
            return Err(Problem::internal());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn away(error: &reqwest::Error) -> Problem {
    tracing::warn!(%error, "the auth service does not answer");
    Problem::unavailable("auth_unavailable", "the auth service does not answer now")
}

/// The headers that are about the message: all but those of the connection, and those that `Connection` names.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers.get_all(header::CONNECTION).iter().flat_map(options).collect();
    let mut passed = headers.clone();
    for name in HOP_BY_HOP {
        passed.remove(name);
    }
    for name in named {
        passed.remove(name.as_str());
    }
    passed
}

/// The names in a `Connection` header.
fn options(value: &HeaderValue) -> Vec<String> {
    let text = value.to_str().unwrap_or_default();
    text.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::end_to_end;

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let headers: HeaderMap = [
            ("authorization", "Bearer x"),
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
            ("request-id", "req_1"),
        ]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
        let mut passed: Vec<_> = end_to_end(&headers).keys().map(ToString::to_string).collect();
        passed.sort_unstable();
        assert_eq!(passed, ["authorization", "request-id"]);
    }
}
