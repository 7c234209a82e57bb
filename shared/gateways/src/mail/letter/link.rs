//! Links in mails.

use std::fmt;

use url::Url;

/// An absolute web address, percent-encoded: it has neither spaces nor quotes, and its scheme runs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(Url);

impl Link {
    /// Reads a link; none when it is not `http` or `https`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).map(Self)
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Link;

    #[test]
    fn a_link_leads_into_the_web_and_cannot_break_its_line() {
        for bad in ["javascript:alert(1)", "data:text/html,x", "/relative", "mailto:a@example.com", ""] {
            assert_eq!(Link::parse(bad), None, "{bad}");
        }
        let link = Link::parse("https://app.example/verify?token=a b\"\r\n<x>").unwrap();
        assert_eq!(link.as_str(), "https://app.example/verify?token=a%20b%22%3Cx%3E");
    }
}
