//! Sends one webhook as the product does: `send_webhook URL SECRET...`. For judges from outside; it is no part of the product.

use anyhow::{Context, Result, ensure};
use gateways::webhook::{Ports, WebhookRequest, WebhookRules, WebhookSender};
use jiff::Timestamp;

const BODY: &str = r#"{"type":"invoice.paid","timestamp":"2026-08-01T12:00:00Z","data":{"id":"inv_1","name":"Zoë"}}"#;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, secrets) = arguments.split_first().context("which URL?")?;
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    rustls::crypto::ring::default_provider().install_default().ok().context("a TLS provider is installed already")?;
    let rules = WebhookRules { networks: vec!["127.0.0.0/8".parse()?], ports: Ports::Any };
    #[expect(clippy::disallowed_methods, reason = "libraries compare the timestamp with the machine's clock")]
    let at = Timestamp::now();
    let request = WebhookRequest { url, id: "whd_1", at, body: BODY, secrets: &secrets };
    let answer = WebhookSender::new(rules)?.send(request).await?;
    ensure!(answer.status == 204, "it was answered {}", answer.status);
    Ok(())
}
