//! The client against a real server whose keys, answers and presence the test controls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, sync::RwLock};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{JwksClient, Pace, VerifyError};
use crate::{
    auth::{
        jwks::Jwks,
        role::{Role, Scopes},
        tokens::{Grant, Realm, Signer, TokenError, generate_signing_key},
    },
    http::serve::serve,
};

/// Fetches whenever it is asked to.
const EAGER: Pace = Pace { at_most_every: Duration::ZERO, ..Pace::STEADY };

fn now() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().expect("an instant")
}

fn realm() -> Realm {
    Realm { issuer: "auth".to_owned(), audience: "api".to_owned() }
}

fn signer() -> Signer {
    let key = generate_signing_key(&SystemRandom::new()).expect("a key");
    Signer::from_pem(&key, realm()).expect("a signer")
}

fn token(signer: &Signer) -> String {
    let grant = Grant {
        user: "usr_1".to_owned(),
        tenant: "ten_1".to_owned(),
        role: Role::Owner,
        scopes: Scopes::default(),
        session: "ses_1".to_owned(),
    };
    let issued = signer.issue(&grant, now(), "j1".to_owned()).expect("a token");
    issued.token.expose_secret().to_owned()
}

fn document(signers: &[&Signer]) -> (StatusCode, String) {
    let keys: Vec<_> = signers.iter().map(|signer| signer.public_key()).collect();
    (StatusCode::OK, serde_json::to_string(&Jwks::of(&keys)).expect("a document"))
}

struct AuthService {
    url: String,
    answer: Arc<RwLock<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
    _running: DropGuard,
}

impl AuthService {
    async fn start(answer: (StatusCode, String)) -> Self {
        let (answer, asked) = (Arc::new(RwLock::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (answers, counter) = (Arc::clone(&answer), Arc::clone(&asked));
        let handler = async move || {
            counter.fetch_add(1, Ordering::SeqCst);
            answers.read().await.clone().into_response()
        };
        let router = Router::new().route("/.well-known/jwks.json", get(handler));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(listener, router, shutdown.clone()));
        Self { url, answer, asked, _running: shutdown.drop_guard() }
    }

    fn client(&self, pace: Pace) -> JwksClient {
        client(&self.url, pace)
    }

    async fn answers(&self, answer: (StatusCode, String)) {
        *self.answer.write().await = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn client(url: &str, pace: Pace) -> JwksClient {
    // An error means that another test installed it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    JwksClient::new(reqwest::Client::new(), url, realm(), pace)
}

#[tokio::test]
async fn keys_are_fetched_once_also_by_many_at_once() {
    let signer = signer();
    let auth = AuthService::start(document(&[&signer])).await;
    let client = auth.client(Pace::STEADY);
    let token = token(&signer);
    let checks = (0..20).map(|_| {
        let (client, token) = (client.clone(), token.clone());
        tokio::spawn(async move { client.verify(&token, now()).await.map(|claims| claims.tenant) })
    });
    for check in checks.collect::<Vec<_>>() {
        assert_eq!(check.await.expect("no panic").expect("it passes"), "ten_1");
    }
    assert_eq!(auth.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_learnt_and_a_withdrawn_one_forgotten() {
    let (old, new) = (signer(), signer());
    let auth = AuthService::start(document(&[&old])).await;
    let client = auth.client(EAGER);
    client.verify(&token(&old), now()).await.expect("the old key is there");
    auth.answers(document(&[&old, &new])).await;
    client.verify(&token(&new), now()).await.expect("the new key is learnt");
    client.verify(&token(&old), now()).await.expect("the old key is still there");
    auth.answers(document(&[&new])).await;
    let impatient = Pace { refreshed_after: Duration::ZERO, ..EAGER };
    let client = auth.client(impatient);
    client.verify(&token(&new), now()).await.expect("the new key is there");
    let refused = client.verify(&token(&old), now()).await;
    assert!(matches!(refused, Err(VerifyError::Refused(TokenError::UnknownKey))), "{refused:?}");
}

#[tokio::test]
async fn invented_kids_cause_no_more_fetches_than_the_pace_allows() {
    let (ours, theirs) = (signer(), signer());
    let auth = AuthService::start(document(&[&ours])).await;
    let client = auth.client(Pace { at_most_every: Duration::from_secs(3_600), ..Pace::STEADY });
    for _ in 0..20 {
        let refused = client.verify(&token(&theirs), now()).await;
        assert!(matches!(refused, Err(VerifyError::Refused(TokenError::UnknownKey))), "{refused:?}");
    }
    client.verify(&token(&ours), now()).await.expect("a good token passes all the same");
    assert_eq!(auth.asked(), 1);
}

#[tokio::test]
async fn what_no_key_could_mend_causes_no_fetch() {
    let auth = AuthService::start(document(&[&signer()])).await;
    let refused = auth.client(EAGER).verify("not.a.token", now()).await;
    assert!(matches!(refused, Err(VerifyError::Refused(TokenError::Header))), "{refused:?}");
    assert_eq!(auth.asked(), 0);
}

#[tokio::test]
async fn without_an_answer_known_keys_go_on_and_others_are_unavailable() {
    let (known, unknown) = (signer(), signer());
    let auth = AuthService::start(document(&[&known])).await;
    let client = auth.client(Pace { refreshed_after: Duration::ZERO, ..EAGER });
    client.verify(&token(&known), now()).await.expect("the key is there");
    for answer in [
        (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        (StatusCode::OK, "<html>".to_owned()),
        (StatusCode::OK, r#"{"keys":[]}"#.to_owned()),
        (StatusCode::OK, " ".repeat(65 * 1024)),
        (StatusCode::NO_CONTENT, String::new()),
    ] {
        auth.answers(answer.clone()).await;
        client.verify(&token(&known), now()).await.expect("the kept key counts");
        let refused = client.verify(&token(&unknown), now()).await;
        assert!(matches!(refused, Err(VerifyError::Unavailable)), "{answer:?}: {refused:?}");
    }
    assert!(client.is_ready().await);
}

#[tokio::test]
async fn keys_are_not_trusted_for_ever() {
    let signer = signer();
    let auth = AuthService::start(document(&[&signer])).await;
    let distrustful = Pace { trusted_for: Duration::ZERO, ..Pace::STEADY };
    let refused = auth.client(distrustful).verify(&token(&signer), now()).await;
    assert!(matches!(refused, Err(VerifyError::Unavailable)), "{refused:?}");
}

#[tokio::test]
async fn without_the_auth_service_nothing_can_be_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let client = client(&url, EAGER);
    let refused = client.verify(&token(&signer()), now()).await;
    assert!(matches!(refused, Err(VerifyError::Unavailable)), "{refused:?}");
    assert!(!client.is_ready().await);
}
