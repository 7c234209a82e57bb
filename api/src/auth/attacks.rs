//! The attack corpus of access tokens: every token that must not pass, and why the good one does.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jiff::{SignedDuration, Timestamp};
use ring::{hmac, rand::SystemRandom, signature::Ed25519KeyPair};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    role::Role,
    tokens::{Grant, KeyError, Realm, Signer, TokenError, Verifier, generate_signing_key},
};

fn now() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().expect("an instant")
}

fn realm() -> Realm {
    Realm { issuer: "https://auth.test".to_owned(), audience: "ratchet-api".to_owned() }
}

fn grant() -> Grant {
    Grant {
        user: "usr_1".to_owned(),
        tenant: "ten_1".to_owned(),
        role: Role::Owner,
        scopes: "customers:read customers:write".parse().expect("scopes"),
        session: "ses_1".to_owned(),
    }
}

/// A key whose tokens can be bent: what the real signer would never sign.
struct Forge {
    pair: Ed25519KeyPair,
    signer: Signer,
}

impl Forge {
    fn new() -> Self {
        let pem = generate_signing_key(&SystemRandom::new()).expect("a key");
        let body: String = pem.expose_secret().lines().filter(|line| !line.starts_with("--")).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).expect("DER");
        let pair = Ed25519KeyPair::from_pkcs8(&der).expect("a key pair");
        Self { pair, signer: Signer::from_pem(&pem, realm()).expect("a signer") }
    }

    fn kid(&self) -> String {
        self.signer.public_key().kid()
    }

    fn verifier(&self) -> Verifier {
        Verifier::new(&[self.signer.public_key()], &realm())
    }

    fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": self.kid() })
    }

    fn claims() -> Value {
        let iat = now().as_second();
        json!({
            "iss": realm().issuer, "aud": realm().audience, "sub": "usr_1", "tenant": "ten_1",
            "role": "owner", "scope": "customers:read", "iat": iat, "exp": iat + 600, "jti": "j1", "sid": "ses_1",
        })
    }

    /// A token with a good signature over whatever these two texts are.
    fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signature = BASE64.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn refused(&self, header: &Value, claims: &Value) -> TokenError {
        let token = self.sign(&header.to_string(), &claims.to_string());
        self.verifier().verify(&token, now()).expect_err(&format!("{header} {claims}"))
    }
}

/// `base` with one member set, or removed by null.
fn with(base: &Value, member: &str, value: Value) -> Value {
    let mut changed = base.clone();
    let members = changed.as_object_mut().expect("an object");
    if value.is_null() {
        members.remove(member)
    } else {
        members.insert(member.to_owned(), value)
    };
    changed
}

#[test]
fn the_signers_token_passes_and_says_what_was_granted() {
    let forge = Forge::new();
    let issued = forge.signer.issue(&grant(), now(), "j1".to_owned()).expect("a token");
    let claims = forge.verifier().verify(issued.token.expose_secret(), now()).expect("it passes");
    assert_eq!(claims.exp - claims.iat, 600);
    assert_eq!(claims.clone().grant(), grant());
    assert!(!format!("{issued:?}").contains(issued.token.expose_secret()));
}

#[test]
fn the_forges_own_good_token_passes() {
    // Otherwise every refusal below could be for another reason.
    let forge = Forge::new();
    let token = forge.sign(&forge.header().to_string(), &Forge::claims().to_string());
    assert!(forge.verifier().verify(&token, now()).is_ok());
}

#[test]
fn headers_that_choose_anything_are_refused() {
    let forge = Forge::new();
    let header = forge.header();
    let own_key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    for (member, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("refresh+jwt")),
        ("typ", Value::Null),
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("alg", json!("ES256")),
        ("alg", json!("eddsa")),
        ("alg", Value::Null),
        ("kid", Value::Null),
        ("kid", json!(7)),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("jwk", own_key),
        ("jku", json!("https://evil.test/jwks.json")),
        ("x5u", json!("https://evil.test/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("anything", json!(1)),
    ] {
        let refusal = forge.refused(&with(&header, member, value.clone()), &Forge::claims());
        assert_eq!(refusal, TokenError::Header, "{member} {value}");
    }
    for kid in ["", "other", "../../etc/passwd", "' or 1=1"] {
        let refusal = forge.refused(&with(&header, "kid", json!(kid)), &Forge::claims());
        assert_eq!(refusal, TokenError::UnknownKey, "{kid}");
    }
    let prefix = &forge.kid()[..20];
    let refusal = forge.refused(&with(&header, "kid", json!(prefix)), &Forge::claims());
    assert_eq!(refusal, TokenError::UnknownKey);
}

#[test]
fn claims_of_another_purpose_are_refused() {
    let forge = Forge::new();
    for (member, value) in [
        ("iss", json!("https://evil.test")),
        ("iss", json!("https://auth.test/")),
        ("iss", json!(["https://auth.test"])),
        ("iss", Value::Null),
        ("aud", json!("another-api")),
        ("aud", json!(["ratchet-api", "another-api"])),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!(7)),
        ("tenant", Value::Null),
        ("role", json!("root")),
        ("role", Value::Null),
        ("scope", json!(["customers:read"])),
        ("scope", Value::Null),
        ("jti", Value::Null),
        ("iat", Value::Null),
        ("exp", Value::Null),
        ("exp", json!("never")),
        ("exp", json!(-1)),
        ("exp", json!(4_000_000_000.5)),
    ] {
        let refusal = forge.refused(&forge.header(), &with(&Forge::claims(), member, value.clone()));
        assert!(matches!(refusal, TokenError::Invalid(_)), "{member} {value}: {refusal}");
    }
}

#[test]
fn times_count_with_a_leeway_of_thirty_seconds() {
    let forge = Forge::new();
    let token = forge.sign(&forge.header().to_string(), &Forge::claims().to_string());
    let at = |seconds: i64| forge.verifier().verify(&token, now() + SignedDuration::from_secs(seconds));
    assert!(at(-30).is_ok());
    assert_eq!(at(-31), Err(TokenError::WrongTimes));
    assert!(at(629).is_ok());
    assert_eq!(at(630), Err(TokenError::Expired));

    let start = now().as_second();
    for (member, value, refusal) in [
        ("exp", start - 31, TokenError::Expired),
        ("exp", 0, TokenError::Expired),
        ("exp", start + 601, TokenError::WrongTimes),
        ("exp", i64::MAX, TokenError::WrongTimes),
        ("exp", start, TokenError::WrongTimes),
        ("nbf", start + 31, TokenError::WrongTimes),
        ("iat", start + 31, TokenError::WrongTimes),
        ("iat", i64::MIN, TokenError::WrongTimes),
    ] {
        let claims = with(&Forge::claims(), member, json!(value));
        assert_eq!(forge.refused(&forge.header(), &claims), refusal, "{member} {value}");
    }
    let claims = with(&Forge::claims(), "nbf", json!(start + 30)).to_string();
    assert!(forge.verifier().verify(&forge.sign(&forge.header().to_string(), &claims), now()).is_ok());
}

#[test]
fn a_member_that_occurs_twice_is_refused() {
    let forge = Forge::new();
    let (header, claims) = (forge.header().to_string(), Forge::claims().to_string());
    for (member, value) in [
        ("tenant", "\"ten_2\""),
        ("sub", "\"usr_2\""),
        ("role", "\"admin\""),
        ("exp", "4000000000"),
        ("aud", "\"ratchet-api\""),
    ] {
        for twice in [
            claims.replacen('{', &format!("{{\"{member}\":{value},"), 1),
            format!("{},\"{member}\":{value}}}", &claims[..claims.len() - 1]),
        ] {
            let refusal = forge.verifier().verify(&forge.sign(&header, &twice), now());
            assert!(matches!(refusal, Err(TokenError::Invalid(_))), "{twice}: {refusal:?}");
        }
    }
    let twice = header.replacen('{', "{\"alg\":\"EdDSA\",", 1);
    assert_eq!(forge.verifier().verify(&forge.sign(&twice, &claims), now()), Err(TokenError::Header));
}

#[test]
fn only_the_key_that_the_kid_names_counts() {
    let (ours, theirs) = (Forge::new(), Forge::new());
    let both = Verifier::new(&[ours.signer.public_key(), theirs.signer.public_key()], &realm());
    let claims = Forge::claims().to_string();
    // During a rotation both keys count, each under its own name.
    for forge in [&ours, &theirs] {
        assert!(both.verify(&forge.sign(&forge.header().to_string(), &claims), now()).is_ok());
    }
    let swapped = theirs.sign(&ours.header().to_string(), &claims);
    assert!(matches!(both.verify(&swapped, now()), Err(TokenError::Invalid(_))));
    let foreign = theirs.sign(&theirs.header().to_string(), &claims);
    assert_eq!(ours.verifier().verify(&foreign, now()), Err(TokenError::UnknownKey));
}

#[test]
fn signatures_are_checked() {
    let forge = Forge::new();
    let token = forge.sign(&forge.header().to_string(), &Forge::claims().to_string());
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let (header, _) = message.split_once('.').expect("three parts");
    let other_claims = BASE64.encode(with(&Forge::claims(), "tenant", json!("ten_2")).to_string());
    let zeros = BASE64.encode([0_u8; 64]);
    let mut flipped = BASE64.decode(signature).expect("base64");
    flipped[10] ^= 1;
    for bad in [
        format!("{message}."),
        format!("{message}.{zeros}"),
        format!("{message}.{}", BASE64.encode(flipped)),
        format!("{message}.{signature}="),
        format!("{message}.{}", &signature[..80]),
        format!("{header}.{other_claims}.{signature}"),
    ] {
        let refusal = forge.verifier().verify(&bad, now());
        assert!(matches!(refusal, Err(TokenError::Invalid(_))), "{bad}: {refusal:?}");
    }
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let forge = Forge::new();
    let header = with(&forge.header(), "alg", json!("HS256")).to_string();
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(Forge::claims().to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, forge.signer.public_key().as_bytes());
    let signature = BASE64.encode(hmac::sign(&key, message.as_bytes()));
    let refusal = forge.verifier().verify(&format!("{message}.{signature}"), now());
    assert_eq!(refusal, Err(TokenError::Header));
}

#[test]
fn what_is_no_token_is_refused() {
    let forge = Forge::new();
    let good = forge.sign(&forge.header().to_string(), &Forge::claims().to_string());
    let padded = with(&Forge::claims(), "scope", json!("x".repeat(8 * 1024))).to_string();
    for (bad, refusal) in [
        (String::new(), TokenError::Header),
        ("opaque-refresh-token".to_owned(), TokenError::Header),
        ("..".to_owned(), TokenError::Header),
        (format!("{good}.x"), TokenError::Header),
        (format!("{good}.x.y"), TokenError::Header),
        (format!(" {good}"), TokenError::Header),
        (forge.sign("[]", &Forge::claims().to_string()), TokenError::Header),
        ("x".repeat(1024 * 1024), TokenError::TooLarge),
        (forge.sign(&forge.header().to_string(), &padded), TokenError::TooLarge),
    ] {
        assert_eq!(forge.verifier().verify(&bad, now()), Err(refusal), "{:.80}", bad);
    }
    for claims in ["", "[]", "null", "{}", "{\"iss\":"] {
        let token = forge.sign(&forge.header().to_string(), claims);
        let refusal = forge.verifier().verify(&token, now());
        assert!(matches!(refusal, Err(TokenError::Invalid(_))), "{claims}: {refusal:?}");
    }
}

#[test]
fn only_an_ed25519_private_key_signs() {
    // RFC 8410, section 10.3, as OpenSSL writes keys: without the public half.
    let openssl = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    assert!(Signer::from_pem(&openssl.into(), realm()).is_ok());
    let public = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";
    for bad in ["", "secret", public, &openssl[..60]] {
        let refused = Signer::from_pem(&SecretString::from(bad), realm());
        assert_eq!(refused.err(), Some(KeyError::Invalid), "{bad}");
    }
}
