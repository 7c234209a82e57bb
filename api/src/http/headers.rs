//! Headers with a syntax of their own: entity tags, `If-Match` and `Idempotency-Key`.
//!
//! Owns how they are read and written. What an idempotency key does is the store's and the
//! resources'.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};

use super::problem::Problem;

/// Header of the idempotency key (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Header that marks a stored reply.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Header that says which quota of requests there is (draft-ietf-httpapi-ratelimit-headers).
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Header that says what is left of it.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Longest idempotency key in characters: part of a document's key, so it must not grow freely.
const MAX_IDEMPOTENCY_KEY_CHARS: usize = 255;

/// Most tags of an `If-Match`; a client that knows more revisions of one object is no client.
const MAX_TAGS: usize = 16;

/// The entity tag of a single object (RFC 9110, 8.8.3): strong, from the object's revision. As a
/// part of a response it sets `ETag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag(i64);

impl ETag {
    /// The tag of an object at this revision.
    #[must_use]
    pub fn of_revision(revision: i64) -> Self {
        Self(revision)
    }
}

impl std::fmt::Display for ETag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"r{}\"", self.0)
    }
}

impl IntoResponseParts for ETag {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        // A quoted number is always a header value.
        if let Ok(value) = HeaderValue::from_str(&self.to_string()) {
            response.headers_mut().insert(header::ETAG, value);
        }
        Ok(response)
    }
}

/// The condition of a PATCH or DELETE. Rejection: 400 `invalid_header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// No `If-Match`, or `*`: whatever revision there is.
    Any,
    /// One of these tags, as they stand in the header.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// Whether an object with this tag may be changed. Strong comparison: a weak tag matches none.
    ///
    /// # Errors
    /// 412.
    pub fn check(&self, current: ETag) -> Result<(), Problem> {
        match self {
            Self::Any => Ok(()),
            Self::OneOf(tags) if tags.contains(&current.to_string()) => Ok(()),
            Self::OneOf(_) => Err(Problem::precondition_failed()),
        }
    }

    /// The revisions that it names; none for whatever revision there is.
    #[must_use]
    pub fn revisions(&self) -> Option<Vec<i64>> {
        let revision = |tag: &String| tag.strip_prefix("\"r")?.strip_suffix('"')?.parse().ok();
        match self {
            Self::Any => None,
            Self::OneOf(tags) => Some(tags.iter().filter_map(revision).collect()),
        }
    }

    fn of_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        let detail = "expected * or a list of quoted entity tags";
        let Some(text) = single(headers, &header::IF_MATCH, detail)? else { return Ok(Self::Any) };
        if text == "*" {
            return Ok(Self::Any);
        }
        let tags: Vec<String> = text.split(',').map(|tag| tag.trim().to_owned()).collect();
        let fits = tags.len() <= MAX_TAGS && tags.iter().all(|tag| is_entity_tag(tag));
        if fits { Ok(Self::OneOf(tags)) } else { Err(invalid(&header::IF_MATCH, detail)) }
    }
}

fn is_entity_tag(text: &str) -> bool {
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let inner = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'))
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of_headers(&parts.headers)
    }
}

/// A client's name for one attempt to write: 1 to 255 printable ASCII characters. Quoted or bare,
/// it is the same key. A handler takes an `Option` of it. Rejection: 400 `invalid_header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key, without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_headers(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let detail = "expected 1 to 255 printable ASCII characters, quoted or bare";
        let Some(text) = single(headers, &IDEMPOTENCY_KEY, detail)? else { return Ok(None) };
        let key = if text.starts_with('"') { unquoted(text) } else { Some(text.to_owned()) };
        key.filter(|key| (1..=MAX_IDEMPOTENCY_KEY_CHARS).contains(&key.len()))
            .map(|key| Some(Self(key)))
            .ok_or_else(|| invalid(&IDEMPOTENCY_KEY, detail))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::of_headers(&parts.headers)
    }
}

/// The content of a quoted string (RFC 8941, 3.3.3).
fn unquoted(text: &str) -> Option<String> {
    let mut content = String::new();
    let mut characters = text.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => content.push(characters.next().filter(|next| matches!(next, '"' | '\\'))?),
            character => content.push(character),
        }
    }
    characters.next().is_none().then_some(content)
}

/// The one value of a header in printable ASCII, trimmed.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName, detail: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // `to_str` lets a tab through.
    let text = value.to_str().ok().filter(|text| !text.contains('\t') && values.next().is_none());
    text.map(|text| Some(text.trim())).ok_or_else(|| invalid(name, detail))
}

fn invalid(name: &HeaderName, detail: &str) -> Problem {
    let title = format!("the {name} header cannot be read");
    Problem::malformed("invalid_header", title).at(name.as_str(), "invalid_value", detail)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

    use super::{ETag, IDEMPOTENCY_KEY, IdempotencyKey, IfMatch};

    fn headers(name: &HeaderName, values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value).expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_key_is_the_same_quoted_or_bare() {
        let longest = "k".repeat(255);
        for (written, key) in [
            ("order-1", "order-1"),
            ("\"order-1\"", "order-1"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            ("two words", "two words"),
            (&*longest, &*longest),
        ] {
            let read = IdempotencyKey::of_headers(&headers(&IDEMPOTENCY_KEY, &[written.as_bytes()]));
            assert_eq!(read.expect(written).expect(written).as_str(), key);
        }
        let none = IdempotencyKey::of_headers(&HeaderMap::new()).expect("no header is no error");
        assert_eq!(none, None);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let too_long = "k".repeat(256);
        for written in [
            vec![&b""[..]],
            vec![b"  "],
            vec![b"\"\""],
            vec![b"\"open"],
            vec![b"\"a\"b"],
            vec![b"\"a\\x\""],
            vec![b"caf\xc3\xa9"],
            vec![b"a\tb"],
            vec![b"one", b"two"],
            vec![too_long.as_bytes()],
        ] {
            let read = IdempotencyKey::of_headers(&headers(&IDEMPOTENCY_KEY, &written));
            let problem = read.expect_err(&format!("{written:?}"));
            assert_eq!((problem.status().as_u16(), problem.code()), (400, "invalid_header"));
        }
    }

    #[test]
    fn if_match_compares_strongly() {
        let current = ETag::of_revision(7);
        for (written, allowed) in
            [("\"r7\"", true), ("\"r1\", \"r7\"", true), ("*", true), ("\"r8\"", false), ("W/\"r7\"", false)]
        {
            let condition = headers(&header::IF_MATCH, &[written.as_bytes()]);
            let condition = IfMatch::of_headers(&condition).expect(written);
            assert_eq!(condition.check(current).is_ok(), allowed, "{written}");
            assert_eq!(condition.revisions().is_none_or(|revisions| revisions.contains(&7)), allowed, "{written}");
        }
        let none = IfMatch::of_headers(&HeaderMap::new()).expect("no header is no error");
        assert!(none.check(current).is_ok());
    }

    #[test]
    fn a_broken_if_match_is_refused() {
        for written in ["r7", "\"r7", "", "\"a\",", "\"a b\"", "*, \"r7\""] {
            let read = IfMatch::of_headers(&headers(&header::IF_MATCH, &[written.as_bytes()]));
            assert_eq!(read.expect_err(written).status().as_u16(), 400, "{written}");
        }
    }
}
