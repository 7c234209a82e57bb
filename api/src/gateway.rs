//! The API gateway: every route that clients know, behind one door.
//!
//! Owns how the routes are put together, and their document. The routes themselves are the resources'.

use std::sync::Arc;

use app::{App, Shutdown};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    ApiConfig, access, auth_service, cached, forward, health,
    http::{
        docs,
        openapi::{document, with_document},
        serve::serve,
        server::{assemble, complete},
    },
    limits::limit,
    resources,
    state::{Gateway, GatewayState},
};

/// Serves the API until shutdown.
///
/// # Errors
/// When the client of the auth service cannot be built.
pub async fn run(listener: TcpListener, app: App, config: ApiConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let gateway = Arc::new(Gateway::new(app, &config)?);
    tracing::info!(address = config.api_listen, auth = config.auth_url, "the API is served");
    tokio::spawn(cached::follow(Arc::clone(&gateway), shutdown.clone()));
    let limits = middleware::from_fn_with_state(Arc::clone(&gateway), limit);
    serve(listener, assemble(complete(router(gateway)).layer(limits)), shutdown).await;
    Ok(())
}

/// The OpenAPI document of the gateway, with the routes that it forwards to the auth service; pretty-printed JSON.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn openapi_json() -> anyhow::Result<String> {
    Ok(document(routes().into_openapi()).to_pretty_json()?)
}

fn router(gateway: GatewayState) -> Router {
    let forwarded = forward::routes(&auth_document()).with_state(Arc::clone(&gateway));
    let (router, _) = with_document(routes().with_state(gateway));
    router.merge(forwarded).merge(docs::routes())
}

/// The gateway's own routes; the document names the forwarded ones as well.
fn routes() -> OpenApiRouter<GatewayState> {
    let mut routes = health::routes().merge(resources::routes());
    let document = routes.get_openapi_mut();
    document.merge(auth_document());
    access::annotate(document);
    routes
}

fn auth_document() -> OpenApi {
    auth_service::routes().into_openapi()
}
