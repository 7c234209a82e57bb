//! A client of the HTTP API, as anybody outside would write one: JSON, bearer token, idempotency keys, patience.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::RwLock;

/// A request is repeated, under its idempotency key, while the service is away or busy.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);
/// Above what any endpoint takes on a slow machine.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest page of a list.
const PAGE: usize = 100;

/// Who signs in.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Credentials {
    pub email: String,
    pub password: String,
}

/// A signed-in client; cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    credentials: Credentials,
    token: Arc<RwLock<String>>,
}

/// What a write was answered.
pub(super) struct Answer<T> {
    pub body: T,
    /// Whether the service had answered this very request before.
    pub replayed: bool,
}

impl Client {
    /// Signs in; registers `organization` first if nobody knows these credentials, and proves their address with the mail in
    /// the catcher.
    pub(super) async fn sign_in(
        base: &str,
        (organization, credentials): (&str, Credentials),
        mail_catcher: Option<&str>,
    ) -> anyhow::Result<Self> {
        let client = Self {
            http: reqwest::Client::builder().timeout(TIMEOUT).build()?,
            base: base.to_owned(),
            credentials,
            token: Arc::default(),
        };
        if client.log_in().await.is_err() {
            client.register(organization).await?;
            client.verify_email(mail_catcher).await?;
            client.log_in().await?;
        }
        Ok(client)
    }

    async fn register(&self, organization: &str) -> anyhow::Result<()> {
        let body = json!({
            "organization": organization, "name": "Demo Owner",
            "email": self.credentials.email, "password": self.credentials.password,
        });
        let answer = self.http.post(self.url("/v1/auth/register")).json(&body).send().await?;
        if !answer.status().is_success() {
            bail!("cannot register: {}", answer.text().await?);
        }
        Ok(())
    }

    /// Follows the link that was mailed, as its reader would.
    async fn verify_email(&self, mail_catcher: Option<&str>) -> anyhow::Result<()> {
        let email = &self.credentials.email;
        let Some(catcher) = mail_catcher else {
            bail!(
                "there is no mail catcher to read: send the token of the mail to {email} to /v1/auth/verify_email, and start again"
            );
        };
        for _ in 0..TRIES {
            if let Some(token) = self.mailed_token(catcher).await? {
                let request = self.http.post(self.url("/v1/auth/verify_email")).json(&json!({ "token": token }));
                request.send().await?.error_for_status()?;
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("no verification mail to {email} has arrived");
    }

    /// The token of the newest verification mail, once there is one.
    async fn mailed_token(&self, catcher: &str) -> anyhow::Result<Option<String>> {
        let list: Value = self.http.get(format!("{catcher}/api/v1/messages?limit=1000")).send().await?.json().await?;
        let messages = list["messages"].as_array().context("the mail catcher gave no messages")?;
        let is_ours = |message: &&Value| message["To"][0]["Address"] == self.credentials.email.as_str();
        let Some(newest) = messages.iter().rfind(is_ours) else { return Ok(None) };
        let url = format!("{catcher}/api/v1/message/{}", newest["ID"]);
        let mail: Value = self.http.get(url).send().await?.json().await?;
        let link = mail["Text"].as_str().and_then(|text| text.split_once("token="));
        Ok(link.and_then(|(_, rest)| rest.split_whitespace().next()).map(ToOwned::to_owned))
    }

    async fn log_in(&self) -> anyhow::Result<()> {
        let answer = self.http.post(self.url("/v1/auth/login")).json(&self.credentials).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        let token = answer["access_token"].as_str().context("the log-in gave no access token")?;
        *self.token.write().await = token.to_owned();
        Ok(())
    }

    /// Reads one object.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        Ok(self.send(Method::GET, path, None).await?.body)
    }

    /// Writes under an idempotency key.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> anyhow::Result<Answer<T>> {
        self.send(Method::POST, path, Some((key, body))).await
    }

    /// Reads a whole list, page by page; `path` may have a query.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let page: Value = self.get(&format!("{path}{separator}limit={PAGE}{cursor}")).await?;
            let data = page["data"].as_array().context("a list without data")?;
            for row in data {
                rows.push(T::deserialize(row)?);
            }
            let last = data.last().and_then(|row| row["id"].as_str());
            match last {
                Some(last) if page["has_more"] == json!(true) => cursor = format!("&starting_after={last}"),
                _ => return Ok(rows),
            }
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        write: Option<(&str, &Value)>,
    ) -> anyhow::Result<Answer<T>> {
        for _ in 0..TRIES {
            let mut request = self.http.request(method.clone(), self.url(path)).bearer_auth(self.token.read().await);
            if let Some((key, body)) = write {
                request = request.header("Idempotency-Key", key).json(body);
            }
            let Ok(answer) = request.send().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            match answer.status() {
                StatusCode::UNAUTHORIZED => self.log_in().await?,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT => {
                    tokio::time::sleep(PAUSE).await;
                }
                status if status.is_success() => {
                    let replayed = answer.headers().contains_key("Idempotent-Replayed");
                    return Ok(Answer { body: answer.json().await?, replayed });
                }
                status => bail!("{method} {path} answered {status}: {}", answer.text().await?),
            }
        }
        bail!("{method} {path} was not answered")
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}
