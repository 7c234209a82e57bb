//! A gateway of the test's own on a free port, and a client for it.

use std::sync::Once;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use sandbox_gateway::{Config, Settings};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far beyond what any machine needs for what the tests wait for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends with the test: dropping it stops the server.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) client: Client,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// An answer, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) replayed: bool,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        Self {
            status: response.status(),
            replayed: response.headers().get("idempotent-replayed").is_some_and(|value| value == "true"),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json()
    }

    /// The code of a refusal.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()["error"]["code"].clone()
    }
}

/// Waits for a condition that must come about; a defect fails the test instead of hanging it.
pub(crate) async fn soon<T>(condition: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, condition).await.expect("it never came about")
}

pub(crate) fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
    Client::builder().no_proxy().build().unwrap()
}

/// The form fields of a good charge.
pub(crate) fn charge(token: &str) -> Vec<(&'static str, String)> {
    [
        ("amount", "1250"),
        ("currency", "usd"),
        ("customer", "cus_1"),
        ("payment_method", token),
        ("payment_method_types[]", "card"),
        ("confirm", "true"),
        ("off_session", "true"),
        ("description", "Invoice A-1"),
        ("metadata[attempt]", "pay_1"),
        ("metadata[invoice]", "in_1"),
        ("metadata[tenant]", "ten_1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// The same charge with one field changed.
pub(crate) fn with(token: &str, name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let mut fields = charge(token);
    fields.retain(|(existing, _)| *existing != name);
    fields.push((name, value.to_owned()));
    fields
}

impl Server {
    pub(crate) async fn start(config: Config) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let misbehaviour = config.settings.clone();
        let config = Config { settings: Settings::default(), ..config };
        let task = tokio::spawn(sandbox_gateway::run(listener, config, shutdown.clone()));
        let server = Self { url, client: client(), shutdown, task };
        // Whatever the gateway does later: those who pay are there.
        for customer in ["cus_1", "cus_2"] {
            server.post("/v1/customers", &[("id", customer)]).await.ok();
        }
        server.admin("/settings", serde_json::to_value(misbehaviour).unwrap()).await;
        server
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }

    pub(crate) fn create(&self, fields: &[(&str, String)]) -> RequestBuilder {
        self.client.post(format!("{}/v1/payment_intents", self.url)).bearer_auth("sk_test_sandbox").form(fields)
    }

    /// Charges under a key.
    pub(crate) async fn charge(&self, key: &str, fields: &[(&str, String)]) -> Answer {
        let request = self.create(fields).header("Idempotency-Key", key);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Posts a form with the secret key, without an idempotency key.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth("sk_test_sandbox").form(fields);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Reads a path with the secret key.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.url));
        let response = request.bearer_auth("sk_test_sandbox").send().await.unwrap();
        Answer::of(response).await
    }

    pub(crate) async fn admin(&self, path: &str, body: Value) -> Answer {
        let request = self.client.post(format!("{}/_sandbox{path}", self.url));
        Answer::of(request.json(&body).send().await.unwrap()).await
    }

    pub(crate) async fn ledger(&self) -> Value {
        self.get("/_sandbox/ledger").await.json()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.task.abort();
    }
}
