//! Which dead letters are meant: [`DeadFilter`], and the [`Line`] of the index that it looks at.

/// Stands for nothing in an index line.
pub(super) const NONE: &str = "-";

/// Which dead letters are meant: all conditions must hold, so the default means all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadFilter {
    /// Wire name of the job.
    pub job: Option<String>,
    /// The tenant it worked for.
    pub tenant: Option<String>,
    /// Stable code of the failure that it died of.
    pub code: Option<String>,
    /// Those of one [`crate::DeadGroup`].
    pub fingerprint: Option<String>,
    /// Died at this time or later: by Redis's clock, in milliseconds since 1970.
    pub died_from_ms: Option<i64>,
    /// Died before this time.
    pub died_until_ms: Option<i64>,
}

/// A dead letter in the index: what it can be found and grouped by without reading its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) died_at_ms: i64,
    /// `<fingerprint> <job> <tenant|-> <code>`; of what was never a job, `-` for all but the code.
    pub(super) words: String,
}

/// The words of a [`Line`], `-` where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Words<'a> {
    pub(super) fingerprint: &'a str,
    pub(super) job: &'a str,
    pub(super) tenant: &'a str,
    pub(super) code: &'a str,
}

impl Line {
    pub(super) fn words(&self) -> Words<'_> {
        let mut words = self.words.splitn(4, ' ');
        let mut next = || words.next().filter(|word| !word.is_empty()).unwrap_or(NONE);
        Words { fingerprint: next(), job: next(), tenant: next(), code: next() }
    }
}

impl Words<'_> {
    /// As the index holds them.
    pub(super) fn line(&self) -> String {
        let [fingerprint, job, tenant, code] = [self.fingerprint, self.job, self.tenant, self.code].map(word);
        format!("{fingerprint} {job} {tenant} {code}")
    }
}

/// A text as one word of a line.
fn word(text: &str) -> &str {
    if text.is_empty() || text.contains(char::is_whitespace) { NONE } else { text }
}

impl DeadFilter {
    /// Whether what the index says of a letter fits. The time is the walk's to keep.
    pub(super) fn means(&self, line: &Line) -> bool {
        let words = line.words();
        let fits = |wanted: &Option<String>, word: &str| wanted.as_deref().is_none_or(|wanted| wanted == word);
        fits(&self.job, words.job)
            && fits(&self.tenant, words.tenant)
            && fits(&self.code, words.code)
            && fits(&self.fingerprint, words.fingerprint)
    }

    /// The bounds of time as Redis reads them, if there are no other conditions.
    pub(super) fn only_times(&self) -> Option<(String, String)> {
        let others = [&self.job, &self.tenant, &self.code, &self.fingerprint];
        if others.iter().any(|other| other.is_some()) {
            return None;
        }
        let from = self.died_from_ms.map_or_else(|| "-inf".to_owned(), |at| at.to_string());
        let until = self.died_until_ms.map_or_else(|| "+inf".to_owned(), |at| format!("({at}"));
        Some((from, until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Line {
        Line { id: "one".to_owned(), died_at_ms: 5, words: words.to_owned() }
    }

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let words = Words { fingerprint: "0a1b", job: "act", tenant: "acme", code: "hopeless" };
        assert_eq!(words.line(), "0a1b act acme hopeless");
        assert_eq!(line(&words.line()).words(), words);
        let odd = Words { fingerprint: "", job: "two words", tenant: "a\nb", code: "c" };
        assert_eq!(odd.line(), "- - - c");
        assert_eq!(line("").words(), Words { fingerprint: "-", job: "-", tenant: "-", code: "-" });
    }

    #[test]
    fn all_conditions_must_hold() {
        let letter = line("0a1b act acme hopeless");
        let some = |text: &str| Some(text.to_owned());
        let all = DeadFilter {
            job: some("act"),
            tenant: some("acme"),
            code: some("hopeless"),
            fingerprint: some("0a1b"),
            ..DeadFilter::default()
        };
        assert!(DeadFilter::default().means(&letter) && all.means(&letter));
        let others = [
            DeadFilter { job: some("acts"), ..all.clone() },
            DeadFilter { tenant: some("-"), ..all.clone() },
            DeadFilter { code: some("hope"), ..all.clone() },
            DeadFilter { fingerprint: some("0a1c"), ..all },
        ];
        assert!(others.iter().all(|other| !other.means(&letter)));
    }
}
