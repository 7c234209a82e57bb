//! The hash that chains a tenant's audit entries: of everything an entry says, its number, and the hash before it.
//!
//! **Invariant:** it does not depend on the order in which fields of `before` and `after` are kept, which no database and
//! no version of ours has to keep.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::AuditEntry;

/// The hash of the entry that follows `previous` under this number; lower-case hexadecimal.
pub(crate) fn link(previous: &str, number: i64, entry: &AuditEntry) -> String {
    let said = json!([
        previous,
        number,
        entry.id,
        entry.tenant,
        entry.created.as_millisecond(),
        entry.actor,
        entry.action,
        entry.subject,
        entry.request_id,
        entry.before,
        entry.after,
    ]);
    let mut text = String::new();
    write(&said, &mut text);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON without spaces, the keys of every object in order.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => enclose(text, ['[', ']'], items.iter(), write),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            enclose(text, ['{', '}'], fields.into_iter(), |(name, value), text| {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, text);
            });
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn enclose<T>(
    text: &mut String,
    [open, close]: [char; 2],
    items: impl Iterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    text.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(item, text);
    }
    text.push(close);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use store::{AuditEntry, Due};

    use super::{link, write};

    fn entry(after: Value) -> AuditEntry {
        AuditEntry {
            id: "aud_1".to_owned(),
            tenant: "ten_1".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            actor: "usr_1".to_owned(),
            action: "customer.created".to_owned(),
            subject: "cus_1".to_owned(),
            request_id: None,
            before: None,
            after,
            seal: None,
            due: Due::never(),
        }
    }

    #[test]
    fn objects_are_written_in_the_order_of_their_keys() {
        let mut text = String::new();
        write(&json!({ "b": [1, "x\"", null], "a": { "d": 1.5, "c": true } }), &mut text);
        assert_eq!(text, r#"{"a":{"c":true,"d":1.5},"b":[1,"x\"",null]}"#);
    }

    #[test]
    fn everything_counts() {
        let first = link("", 1, &entry(json!({ "a": 1 })));
        assert_eq!(first, link("", 1, &entry(json!({ "a": 1 }))));
        assert_eq!(first.len(), 64);
        let another = AuditEntry { actor: "usr_2".to_owned(), ..entry(json!({ "a": 1 })) };
        let others = [
            link("", 2, &entry(json!({ "a": 1 }))),
            link(&first, 1, &entry(json!({ "a": 1 }))),
            link("", 1, &entry(json!({ "a": "1" }))),
            link("", 1, &another),
        ];
        assert!(others.iter().all(|other| *other != first), "{others:?}");
    }
}
