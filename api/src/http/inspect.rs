//! Inspection of a JSON body before it is decoded: what no body may contain, whatever its type.
//!
//! One pass over the bytes without building a tree. Knows no DTO; unknown fields and wrong types
//! are [`super::deserialize`]'s.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::card_numbers::contains_card_number;

/// Deepest nesting of objects and arrays. The deepest DTO (a plan's tiers) needs five levels.
pub(super) const MAX_NESTING: usize = 16;

/// Why a body is refused before it is decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not JSON. Line and column count from 1.
    Syntax {
        /// Line of the first offence.
        line: usize,
        /// Column of the first offence.
        column: usize,
    },
    /// JSON, but against a rule that holds for every body.
    Rule {
        /// JSON pointer to the offence; to the object around it where the offence is a key that
        /// must not be repeated.
        pointer: String,
        /// The broken rule.
        rule: Rule,
    },
}

/// What no body may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nested deeper than [`MAX_NESTING`].
    Nesting,
    /// A key twice in one object: readers disagree on which one counts.
    DuplicateKey,
    /// A key that a database could take for an operator or a path (`$where`, `a.b`).
    OperatorKey,
    /// A card number: card data never enters.
    CardNumber,
}

/// Reads a whole body.
///
/// # Errors
/// The first offence.
pub(super) fn inspect(body: &[u8]) -> Result<(), Refusal> {
    let mut inspection = Inspection::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Node(&mut inspection).deserialize(&mut deserializer);
    match read.and_then(|()| deserializer.end()) {
        Ok(()) => Ok(()),
        Err(error) => Err(match inspection.broken {
            Some(rule) => Refusal::Rule { pointer: pointer(&inspection.path), rule },
            None => Refusal::Syntax { line: error.line(), column: error.column() },
        }),
    }
}

/// The JSON pointer (RFC 6901) of a path.
pub(super) fn pointer<'a>(segments: impl IntoIterator<Item = &'a String>) -> String {
    let escape = |segment: &String| format!("/{}", segment.replace('~', "~0").replace('/', "~1"));
    segments.into_iter().map(escape).collect()
}

#[derive(Default)]
struct Inspection {
    /// Where the reader stands; left standing at the offence.
    path: Vec<String>,
    broken: Option<Rule>,
}

impl Inspection {
    fn refuse<E: Error>(&mut self, rule: Rule) -> E {
        self.broken = Some(rule);
        E::custom("refused")
    }

    fn enter<E: Error>(&mut self, segment: String) -> Result<(), E> {
        self.path.push(segment);
        if self.path.len() > MAX_NESTING { Err(self.refuse(Rule::Nesting)) } else { Ok(()) }
    }

    fn text<E: Error>(&mut self, text: &str) -> Result<(), E> {
        if contains_card_number(text) { Err(self.refuse(Rule::CardNumber)) } else { Ok(()) }
    }
}

/// Reads one value, of whatever type.
struct Node<'a>(&'a mut Inspection);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.text(&value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.text(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        // Printed without fraction and exponent, so `4.242e15` cannot hide one; both ways, since
        // the parser may be off by the last bit.
        self.0.text(&format!("{:.0} / {:.0}", value.floor(), value.ceil()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.0.text(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            self.0.enter(index.to_string())?;
            if items.next_element_seed(Node(self.0))?.is_none() {
                self.0.path.pop();
                break;
            }
            self.0.path.pop();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            // Before it is entered, so that the pointer does not repeat it.
            self.0.text(&key)?;
            self.0.enter(key.clone())?;
            if key.starts_with('$') || key.contains(['.', '\0']) {
                return Err(self.0.refuse(Rule::OperatorKey));
            }
            if !seen.insert(key) {
                return Err(self.0.refuse(Rule::DuplicateKey));
            }
            entries.next_value_seed(Node(self.0))?;
            self.0.path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NESTING, Refusal, Rule, inspect};

    fn refused(body: &str) -> (String, Rule) {
        match inspect(body.as_bytes()) {
            Err(Refusal::Rule { pointer, rule }) => (pointer, rule),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn every_rule_names_its_place() {
        for (body, pointer, rule) in [
            (r#"{"metadata":{"$where":"1"}}"#, "/metadata/$where", Rule::OperatorKey),
            (r#"[{"a.b":1}]"#, "/0/a.b", Rule::OperatorKey),
            (r#"{"a/b":{"$c~":1}}"#, "/a~1b/$c~0", Rule::OperatorKey),
            (r#"{"\u0024ne":1}"#, "/$ne", Rule::OperatorKey),
            (r#"{"a":1,"b":2,"a":3}"#, "/a", Rule::DuplicateKey),
            (r#"{"a":["x","4242424242424242"]}"#, "/a/1", Rule::CardNumber),
            (r#"{"a":4242424242424242}"#, "/a", Rule::CardNumber),
            (r#"{"a":4242424242424242.0}"#, "/a", Rule::CardNumber),
            (r#"{"a":4.242424242424242e15}"#, "/a", Rule::CardNumber),
            (r#"{"a":"\u0034242424242424242"}"#, "/a", Rule::CardNumber),
            (r#"{"a":{"4242424242424242":0}}"#, "/a", Rule::CardNumber),
            (r#"{"$4242424242424242":0}"#, "", Rule::CardNumber),
        ] {
            assert_eq!(refused(body), (pointer.to_owned(), rule), "{body}");
        }
    }

    #[test]
    fn nesting_is_bounded_exactly() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(inspect(nested(MAX_NESTING).as_bytes()), Ok(()));
        assert_eq!(refused(&nested(MAX_NESTING + 1)).1, Rule::Nesting);
        assert!(inspect(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for body in ["", "{", "{'a':1}", "{\"a\":NaN}", "{\"a\":1} x", "{\"a\":1,}", "\u{feff}{}"] {
            assert!(matches!(inspect(body.as_bytes()), Err(Refusal::Syntax { .. })), "{body}");
        }
        assert_eq!(inspect(b"{\n  x"), Err(Refusal::Syntax { line: 2, column: 3 }));
        assert!(matches!(inspect(b"\"\xff\""), Err(Refusal::Syntax { .. })));
    }

    #[test]
    fn an_ordinary_body_passes() {
        let body = r#"{"a":[1,-2,3.5,true,null,"x"],"b":{"c":{}},"d":[]}"#;
        assert_eq!(inspect(body.as_bytes()), Ok(()));
    }
}
