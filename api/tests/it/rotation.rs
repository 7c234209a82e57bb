//! The signing key is rotated while requests go on, and none of them fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use api::auth::{jwks::PublicKey, tokens::generate_signing_key};
use app::{Secret, Shutdown};
use reqwest::Method;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{sync::RwLock, task::JoinHandle};

use crate::harness::{Answer, PASSWORD, Platform, Quotas, gateway_config, listen};

/// A gateway with an auth service of its own: one of two replicas.
struct Replica {
    url: String,
    shutdown: Shutdown,
    servers: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Replica {
    async fn start(platform: &Platform, (signing, second): (&SecretString, Option<&SecretString>)) -> Self {
        let ((auth_listener, auth_url), (api_listener, url)) = (listen().await, listen().await);
        let secret = |key: &SecretString| key.expose_secret().parse::<Secret>().expect("any text is a secret");
        let auth = api::AuthConfig {
            auth_listen: auth_url.clone(),
            auth_signing_key: Some(secret(signing)),
            auth_signing_key_file: None,
            auth_second_key: second.map(secret),
            auth_second_key_file: None,
        };
        let api = gateway_config(&url, &auth_url, &Quotas::default());
        let (app, shutdown) = (platform.app.clone(), Shutdown::new());
        let servers = vec![
            tokio::spawn(api::run_auth(auth_listener, app.clone(), auth, shutdown.clone())),
            tokio::spawn(api::run(api_listener, app, api, shutdown.clone())),
        ];
        Self { url, shutdown, servers }
    }

    /// Answers what is under way, and ends.
    async fn drain(self) {
        self.shutdown.cancel();
        for server in self.servers {
            server.await.expect("no panic").expect("a clean end");
        }
    }
}

/// A client that refreshes its tokens and reads, by whichever replica is there, until it is told to stop.
async fn work(
    (http, urls): (reqwest::Client, Arc<RwLock<Vec<String>>>),
    mut session: Value,
    (stop, done): (Arc<AtomicBool>, Arc<AtomicU64>),
) {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        // Held until the answer is there, as a load balancer does that drains.
        let urls = urls.read().await;
        let url = &urls[turn % urls.len()];
        if turn % 7 == 0 {
            let body = json!({ "refresh_token": session["refresh_token"] });
            session = Answer::of(http.post(format!("{url}/v1/auth/refresh")).json(&body)).await.ok();
        }
        let token = session["access_token"].as_str().expect("a token");
        for path in ["/v1/customers", "/v1/auth/me"] {
            Answer::of(http.request(Method::GET, format!("{url}{path}")).bearer_auth(token)).await.ok();
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn the_signing_key_is_rotated_without_a_failed_request() {
    let platform = Platform::start().await;
    platform.client("ada").await;
    let key = || generate_signing_key(&SystemRandom::new()).expect("a key");
    let (old, new) = (key(), key());
    let public = |key: &SecretString| PublicKey::from_pem(key).expect("a key").kid();

    let mut replicas = Vec::new();
    for _ in 0..2 {
        replicas.push(Replica::start(&platform, (&old, None)).await);
    }
    let urls = Arc::new(RwLock::new(replicas.iter().map(|replica| replica.url.clone()).collect::<Vec<_>>()));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut workers = Vec::new();
    for _ in 0..3 {
        let body = json!({ "email": "ada@acme.example", "password": PASSWORD });
        let log_in = platform.http.post(format!("{}/v1/auth/login", replicas[0].url)).json(&body);
        let session = Answer::of(log_in).await.ok();
        let (http, urls, stop, done) = (platform.http.clone(), urls.clone(), stop.clone(), done.clone());
        workers.push(tokio::spawn(work((http, urls), session, (stop, done))));
    }
    // Announce the new key everywhere, then sign with it everywhere, then forget the old one.
    for (signing, second) in [(&old, Some(&new)), (&new, Some(&old))] {
        for (place, running) in replicas.iter_mut().enumerate() {
            let replica = Replica::start(&platform, (signing, second)).await;
            urls.write().await[place].clone_from(&replica.url);
            std::mem::replace(running, replica).drain().await;
            let before = done.load(Ordering::Relaxed);
            while done.load(Ordering::Relaxed) < before + 20 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert!(workers.iter().all(|worker| !worker.is_finished()), "a request failed");
            }
        }
    }
    let jwks = Answer::of(platform.http.get(format!("{}/.well-known/jwks.json", replicas[0].url))).await.ok();
    let kids: Vec<_> = jwks["keys"].as_array().expect("keys").iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(kids, [json!(public(&new)), json!(public(&old))]);
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("no request failed");
    }
    for replica in replicas {
        replica.drain().await;
    }
}
