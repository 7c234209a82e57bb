//! Redis, MongoDB, a mail catcher and payment gateways of the test's own, ended with it.

use std::sync::Once;
use std::time::Duration;

use billing::{Billing, jobs::queues};
use gateways::{
    mail::SmtpMailer,
    payment::{PaymentGateways, StripeGateway},
    webhook::{Ports, WebhookRules, WebhookSender},
};
use queue::QueueClient;
use sandbox_gateway::Config;
use services::{Mongo, Redis};
use store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::world::World;

/// How long a call to the gateway may take before it is given up; tests shorten nothing else.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) struct Servers {
    mongo: Mongo,
    redis: Redis,
    pub(crate) mail: services::Mail,
    // Last: fields are dropped in order, and the servers end before their files go.
    _folder: TempDir,
}

/// A payment gateway over real HTTP.
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    _serving: AbortOnDropHandle<()>,
}

impl Servers {
    pub(crate) fn start() -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let folder = TempDir::with_prefix("ratchet-billing-").unwrap();
        let service = |name: &str| {
            let path = folder.path().canonicalize().unwrap().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        Self {
            mongo: Mongo::start(&service("mongo")).unwrap(),
            redis: Redis::start(&service("redis")).unwrap(),
            mail: services::Mail::start(&service("mail")).unwrap(),
            _folder: folder,
        }
    }

    /// An installation of its own: database, key prefix and gateway.
    pub(crate) async fn world(&self, name: &str) -> World {
        let config = StoreConfig { uri: self.mongo.uri(), database: name.to_owned() };
        let store = Store::connect(&config).await.unwrap();
        store.migrate().await.unwrap();
        let gateway = Gateway::start().await;
        let queue = QueueClient::connect(&self.redis.url(), name).await.unwrap();
        let billing = Billing {
            store,
            // One of the queues is split, so that everything here holds for partitions, too.
            queue: queue.with_partitions([(queues::USAGE, 3)]).await.unwrap(),
            payments: PaymentGateways::new(
                StripeGateway::new(&gateway.url, "sk_test".to_owned().into()).unwrap().with_call_timeout(CALL_TIMEOUT),
            ),
            mailer: SmtpMailer::connect(&self.mail.smtp_url()).unwrap(),
            webhooks: WebhookSender::new(webhook_rules()).unwrap(),
            mail_from: "billing@example.com".to_owned(),
            request_id: None,
        };
        let database = mongodb::Client::with_uri_str(self.mongo.uri()).await.unwrap().database(name);
        World { billing, database, gateway }
    }

    /// Throws away everything that Redis holds.
    pub(crate) async fn flush_redis(&self) {
        let client = redis::Client::open(self.redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
    }
}

/// As a deployment that lets webhooks go to this machine.
fn webhook_rules() -> WebhookRules {
    WebhookRules { networks: vec!["127.0.0.0/8".parse().unwrap()], ports: Ports::Any }
}

impl Gateway {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async {
            sandbox_gateway::run(listener, Config::default(), CancellationToken::new()).await.unwrap();
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, http, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        response.error_for_status().unwrap().text().await.unwrap()
    }

    /// What it really charged: "invoice amount" of each successful charge.
    pub(crate) async fn charges(&self) -> Vec<String> {
        let list: serde_json::Value = serde_json::from_str(&self.get("/_sandbox/charges").await).unwrap();
        assert_eq!(list["has_more"], false);
        let text = |charge: &serde_json::Value| {
            format!("{} {}", charge["metadata"]["invoice"].as_str().unwrap(), charge["amount_received"])
        };
        let mut charges: Vec<String> = list["data"].as_array().unwrap().iter().map(text).collect();
        charges.sort();
        charges
    }

    /// Changes its settings; those not named go back to zero.
    pub(crate) async fn behave(&self, settings: &str) {
        self.post("/_sandbox/settings", settings).await;
    }

    /// Moves its clock forward.
    pub(crate) async fn advance_clock(&self, seconds: u64) {
        self.post("/_sandbox/clock/advance", &format!(r#"{{"seconds":{seconds}}}"#)).await;
    }

    pub(crate) async fn post(&self, path: &str, json: &str) {
        let request = self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        request.body(json.to_owned()).send().await.unwrap().error_for_status().unwrap();
    }
}
