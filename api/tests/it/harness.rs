//! Both services in this process, on servers of the test's own, and clients of tenants.
//!
//! **Invariant:** a test shares nothing with another one, and nothing is left when it ends.

use std::collections::BTreeMap;

use api::auth::{
    role::Role,
    tokens::{Grant, Realm, Signer, generate_signing_key},
};
use app::{App, AppConfig, Environment, LogFormat, Shutdown};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use ring::rand::SystemRandom;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use services::{DataFolder, External, Stack};
use store::{ListFilter, PageRequest, Record};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::DropGuard;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// The running platform. Fields are dropped in order: services before servers, servers before their files.
pub(crate) struct Platform {
    pub app: App,
    pub api: String,
    pub auth: String,
    pub http: reqwest::Client,
    mail_catcher: String,
    signer: Signer,
    pub auth_shutdown: Shutdown,
    pub auth_server: JoinHandle<anyhow::Result<()>>,
    shutdown: Shutdown,
    _at_the_end: DropGuard,
    _stack: Stack,
    _folder: TempDir,
}

/// A signed-in user of a tenant.
pub(crate) struct Client<'a> {
    pub platform: &'a Platform,
    pub tenant: String,
    pub token: String,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.expect("an answer")).await
    }

    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("text") }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }

    /// The problem that it must be.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["request_id"], self.header("request-id").expect("an id"));
        body
    }
}

/// Rate limits as configured; by default nobody meets one.
pub(crate) struct Quotas {
    pub tenant: &'static str,
    pub caller: &'static str,
    pub address: &'static str,
    /// Networks of trusted proxies.
    pub trusted: &'static str,
}

impl Default for Quotas {
    fn default() -> Self {
        let plenty = "1000000/60";
        Self { tenant: plenty, caller: plenty, address: plenty, trusted: "" }
    }
}

impl Quotas {
    fn config(&self) -> api::LimitConfig {
        let networks = self.trusted.split(',').filter(|network| !network.is_empty());
        api::LimitConfig {
            rate_limit_tenant: self.tenant.parse().expect("a quota"),
            rate_limit_caller: self.caller.parse().expect("a quota"),
            rate_limit_address: self.address.parse().expect("a quota"),
            trusted_proxies: networks.map(|network| network.parse().expect("a network")).collect(),
        }
    }
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::start_with(&Quotas::default()).await
    }

    /// With a payment gateway of its own, which lives as long as the test.
    pub(crate) async fn paying() -> Self {
        let (listener, url) = listen().await;
        tokio::spawn(sandbox_gateway::run(listener, sandbox_gateway::Config::default(), Shutdown::new()));
        Self::start_at(&Quotas::default(), &url).await
    }

    pub(crate) async fn start_with(quotas: &Quotas) -> Self {
        // Nothing is charged here: the discard port.
        Self::start_at(quotas, "http://127.0.0.1:9").await
    }

    /// Another replica of the gateway, with a connection of its own to Redis; its address.
    pub(crate) async fn replica(&self, quotas: &Quotas) -> String {
        let (listener, url) = listen().await;
        let app = App::connect((*self.app.config).clone()).await.expect("an app");
        let config = gateway_config(&url, &self.auth, quotas);
        tokio::spawn(api::run(listener, app, config, self.shutdown.clone()));
        url
    }

    async fn start_at(quotas: &Quotas, gateway: &str) -> Self {
        // Another test may have installed it first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::with_prefix("ratchet-api-").expect("a folder");
        let claimed = DataFolder::claim(folder.path()).expect("a data folder");
        let stack = Stack::start(claimed, External::default()).expect("services");
        let environment: BTreeMap<_, _> = stack.environment().into_iter().collect();
        let app = App::connect(config(&environment, gateway)).await.expect("an app");
        app.billing.store.migrate().await.expect("indexes");

        let (api_listener, api) = listen().await;
        let (auth_listener, auth) = listen().await;
        let (shutdown, auth_shutdown) = (Shutdown::new(), Shutdown::new());
        let key = generate_signing_key(&SystemRandom::new()).expect("a key");
        let realm = Realm { issuer: "ratchet-auth".to_owned(), audience: "ratchet-api".to_owned() };
        let signer = Signer::from_pem(&key, realm).expect("a signer");
        let auth_config = api::AuthConfig {
            auth_listen: auth.clone(),
            auth_signing_key: Some(key.expose_secret().parse().expect("any text is a secret")),
            auth_signing_key_file: None,
            auth_second_key: None,
            auth_second_key_file: None,
        };
        let api_config = gateway_config(&api, &auth, quotas);
        let auth_server = tokio::spawn(api::run_auth(auth_listener, app.clone(), auth_config, auth_shutdown.clone()));
        tokio::spawn(api::run(api_listener, app.clone(), api_config, shutdown.clone()));
        Self {
            app,
            api,
            auth,
            http: reqwest::Client::new(),
            mail_catcher: environment["MAIL_CATCHER_URL"].clone(),
            signer,
            auth_shutdown,
            auth_server,
            shutdown: shutdown.clone(),
            _at_the_end: shutdown.drop_guard(),
            _stack: stack,
            _folder: folder,
        }
    }

    /// A request to the gateway without credentials.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api))
    }

    pub(crate) async fn register(&self, name: &str) -> Answer {
        let body = json!({
            "organization": format!("{name} Inc."), "name": name, "email": format!("{name}@acme.example"),
            "password": PASSWORD,
        });
        Answer::of(self.request(Method::POST, "/v1/auth/register").json(&body)).await
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        Answer::of(self.request(Method::POST, "/v1/auth/login").json(&body)).await
    }

    /// Sends the mails that wait, as the workers do.
    pub(crate) async fn deliver(&self) {
        let (billing, now) = (&self.app.billing, self.app.clock.now());
        for due in billing.store.due::<store::Notification>(now, None, 1_000).await.expect("a list") {
            // What cannot be sent, such as to a customer that was deleted, waits for a person.
            drop(billing::send_notification(billing, (&due.tenant, &due.id), now).await);
        }
    }

    /// Every mail to an address that has arrived, oldest first: subject and text.
    pub(crate) async fn mails_to(&self, email: &str) -> Vec<(String, String)> {
        self.deliver().await;
        let get = async |path: String| Answer::of(self.http.get(format!("{}{path}", self.mail_catcher))).await.ok();
        let list = get("/api/v1/messages?limit=1000".to_owned()).await;
        let mut mails = Vec::new();
        for summary in list["messages"].as_array().expect("a list") {
            if summary["To"][0]["Address"] == email {
                let mail = get(format!("/api/v1/message/{}", summary["ID"])).await;
                let text = |field: &str| mail[field].as_str().expect("text").to_owned();
                assert!(text("HTML").contains("<html"), "{mail}");
                mails.push((text("Subject"), text("Text")));
            }
        }
        mails
    }

    /// The token in the last mail to an address.
    pub(crate) async fn mailed_token(&self, email: &str) -> String {
        let mails = self.mails_to(email).await;
        let (_, text) = mails.last().expect("a mail");
        let (_, rest) = text.split_once("token=").unwrap_or_else(|| panic!("no link: {text}"));
        rest.split_whitespace().next().expect("a token").to_owned()
    }

    pub(crate) async fn verify_email(&self, token: &str) -> Answer {
        let body = json!({ "token": token });
        Answer::of(self.request(Method::POST, "/v1/auth/verify_email").json(&body)).await
    }

    pub(crate) async fn reset_password(&self, token: &str, password: &str) -> Answer {
        let body = json!({ "token": token, "password": password });
        Answer::of(self.request(Method::POST, "/v1/auth/password/reset").json(&body)).await
    }

    /// Another user of a client's tenant, who was invited by mail in this role.
    pub(crate) async fn member(&self, client: &Client<'_>, role: Role) -> Client<'_> {
        let email = format!("{}@{}.example", role.as_str(), client.tenant.replace('_', "-"));
        client.create("/v1/users", &json!({ "name": role.as_str(), "email": email, "role": role.as_str() })).await;
        self.reset_password(&self.mailed_token(&email).await, PASSWORD).await.ok();
        self.signed_in(&client.tenant, &email).await
    }

    /// A customer that has registered itself with a client's tenant, and its id.
    pub(crate) async fn customer(&self, client: &Client<'_>, name: &str) -> (Client<'_>, String) {
        let email = format!("{name}@customers.example");
        let body = json!({ "tenant": client.tenant, "name": name, "email": email, "password": PASSWORD });
        let onboarded = Answer::of(self.request(Method::POST, "/v1/onboarding/register").json(&body)).await.ok();
        self.verify_email(&self.mailed_token(&email).await).await.ok();
        let customer = onboarded["customer"].as_str().expect("an id").to_owned();
        (self.signed_in(&client.tenant, &email).await, customer)
    }

    async fn signed_in(&self, tenant: &str, email: &str) -> Client<'_> {
        let session = self.log_in(email, PASSWORD).await.ok();
        let token = session["access_token"].as_str().expect("text").to_owned();
        Client { platform: self, tenant: tenant.to_owned(), token }
    }

    /// A token of the same session as a client's that is good for these scopes alone.
    pub(crate) fn narrowed(&self, client: &Client<'_>, scopes: &str) -> String {
        let payload = client.token.split('.').nth(1).expect("three parts");
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON");
        let text = |name: &str| claims[name].as_str().expect("text").to_owned();
        let grant = Grant {
            user: text("sub"),
            tenant: text("tenant"),
            role: text("role").parse().expect("a role"),
            scopes: scopes.parse().expect("scopes"),
            session: text("sid"),
        };
        let issued = self.signer.issue(&grant, self.app.clock.now(), self.app.ids.new_id("jti"));
        issued.expect("a token").token.expose_secret().to_owned()
    }

    /// A new tenant and its owner.
    pub(crate) async fn client(&self, name: &str) -> Client<'_> {
        let (registered, email) = (self.register(name).await.ok(), format!("{name}@acme.example"));
        self.verify_email(&self.mailed_token(&email).await).await.ok();
        self.signed_in(registered["tenant"]["id"].as_str().expect("text"), &email).await
    }

    /// Everything that a tenant has in the database, by collection.
    pub(crate) async fn traces(&self, tenant: &str) -> BTreeMap<&'static str, Vec<Value>> {
        let mut traces = BTreeMap::new();
        self.trace::<store::Customer>(tenant, &mut traces).await;
        self.trace::<store::BalanceEntry>(tenant, &mut traces).await;
        self.trace::<store::WalletRecord>(tenant, &mut traces).await;
        self.trace::<store::CreditNoteRecord>(tenant, &mut traces).await;
        self.trace::<store::MeterRecord>(tenant, &mut traces).await;
        self.trace::<store::PlanRecord>(tenant, &mut traces).await;
        self.trace::<store::PlanVersion>(tenant, &mut traces).await;
        self.trace::<store::TaxRateRecord>(tenant, &mut traces).await;
        self.trace::<store::CouponRecord>(tenant, &mut traces).await;
        self.trace::<store::SubscriptionRecord>(tenant, &mut traces).await;
        self.trace::<store::UsageEvent>(tenant, &mut traces).await;
        self.trace::<store::Invoice>(tenant, &mut traces).await;
        self.trace::<store::PaymentAttempt>(tenant, &mut traces).await;
        self.trace::<store::Refund>(tenant, &mut traces).await;
        self.trace::<store::WebhookEndpoint>(tenant, &mut traces).await;
        self.trace::<store::WebhookDelivery>(tenant, &mut traces).await;
        self.trace::<store::BillingRun>(tenant, &mut traces).await;
        self.trace::<store::Operation>(tenant, &mut traces).await;
        self.trace::<store::TestClock>(tenant, &mut traces).await;
        self.trace::<store::Notification>(tenant, &mut traces).await;
        self.trace::<store::IdempotencyKey>(tenant, &mut traces).await;
        self.trace::<store::AuditEntry>(tenant, &mut traces).await;
        self.trace::<store::Event>(tenant, &mut traces).await;
        self.trace::<store::ApiKey>(tenant, &mut traces).await;
        self.trace::<store::User>(tenant, &mut traces).await;
        self.trace::<store::Tenant>(tenant, &mut traces).await;
        traces
    }

    async fn trace<R: Record>(&self, tenant: &str, traces: &mut BTreeMap<&'static str, Vec<Value>>) {
        let all = PageRequest { limit: 1_000, starting_after: None, ending_before: None };
        let page = self.app.billing.store.list::<R>(tenant, ListFilter::default(), &all).await.expect("a list");
        let rows = page.expect("no cursor").data;
        traces.insert(R::COLLECTION, rows.iter().map(|row| serde_json::to_value(row).expect("JSON")).collect());
    }
}

impl Client<'_> {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.platform.request(method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    /// Creates an object and gives its id.
    pub(crate) async fn create(&self, path: &str, body: &Value) -> String {
        let answer = self.post(path, body).await;
        assert!(answer.status == StatusCode::CREATED || answer.status == StatusCode::ACCEPTED, "{answer:?}");
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn customer(&self, name: &str) -> String {
        self.create("/v1/customers", &json!({ "name": name, "email": format!("{name}@customers.example") })).await
    }

    /// Moves the tenant's test clock on.
    pub(crate) async fn advance(&self, to: &str) {
        let store = &self.platform.app.billing.store;
        let all = PageRequest { limit: 1, starting_after: None, ending_before: None };
        let clocks = store.list::<store::TestClock>(&self.tenant, ListFilter::default(), &all).await.expect("a list");
        let mut clock = clocks.expect("no cursor").data.pop().expect("a clock");
        clock.now = to.parse().expect("an instant");
        let mut unit = store::UnitOfWork::default();
        unit.replace(&mut clock).expect("a document");
        store.commit(unit).await.expect("a commit");
    }

    /// A meter `calls` and a plan `pro`: 20.00 a month in advance, 0.10 a call in arrears.
    pub(crate) async fn catalogue(&self) -> String {
        self.create("/v1/meters", &json!({ "key": "calls", "aggregation": "count" })).await;
        self.create("/v1/plans", &plan()).await
    }
}

pub(crate) fn plan() -> Value {
    json!({
        "key": "pro", "name": "Pro", "currency": "usd", "interval": "month",
        "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "20.00" } },
            { "key": "calls", "kind": "usage", "meter": "calls", "timing": "arrears",
              "model": { "type": "per_unit", "unit_amount": "0.10" } },
        ],
    })
}

/// A gateway that looks again every second whether a session is alive.
pub(crate) fn gateway_config(api: &str, auth: &str, quotas: &Quotas) -> api::ApiConfig {
    api::ApiConfig {
        api_listen: api.to_owned(),
        auth_url: auth.to_owned(),
        access_recheck_seconds: 1,
        limits: quotas.config(),
    }
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

fn config(addresses: &BTreeMap<&str, String>, gateway: &str) -> AppConfig {
    let secret = |name: &str| addresses[name].parse().expect("any text is a secret");
    AppConfig {
        environment: Environment::Development,
        redis_url: secret("REDIS_URL"),
        redis_prefix: "ratchet".to_owned(),
        // Everything here is also told of split queues.
        queue_partitions: vec![("usage".to_owned(), 3)],
        mongodb_uri: secret("MONGODB_URI"),
        mongodb_database: "ratchet".to_owned(),
        smtp_url: secret("SMTP_URL"),
        mail_from: "billing@ratchet.example".to_owned(),
        public_url: "https://ratchet.example".to_owned(),
        stripe_base_url: gateway.to_owned(),
        stripe_secret_key: None,
        stripe_secret_key_file: None,
        stripe_webhook_secret: Some("whsec_test".parse().expect("any text is a secret")),
        stripe_webhook_secret_file: None,
        payment_return_url: "https://ratchet.example/thanks".to_owned(),
        // Webhooks go to receivers on this machine.
        webhook_allowed_networks: "127.0.0.0/8".parse().expect("a network"),
        webhook_any_port: true,
        metrics_listen: String::new(),
        log_format: LogFormat::Text,
    }
}
