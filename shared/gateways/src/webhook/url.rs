//! The address of an endpoint, as far as it can be judged without asking for its name.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

use super::rules::{Refusal, WebhookRules};

/// Longer ones are no addresses, and would not fit the logs.
const MAX_CHARS: usize = 2_048;
/// Names that lead back to the machine or into its network, wherever that is.
const INNER_NAMES: [&str; 4] = ["localhost", "local", "internal", "localdomain"];

/// An address that webhooks may go to, unless its name resolves to one that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Reads an address under the deployment's rules. A host written as a number in any base is an address, and judged as one.
    ///
    /// # Errors
    /// [`Refusal`] says what is wrong with it.
    pub fn parse(text: &str, rules: &WebhookRules) -> Result<Self, Refusal> {
        if text.chars().count() > MAX_CHARS {
            return Err(Refusal::TooLong(MAX_CHARS));
        }
        let url = Url::parse(text).map_err(|_| Refusal::NoWebAddress)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::NoWebAddress);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        rules.check_port(url.port_or_known_default().ok_or(Refusal::NoWebAddress)?)?;
        match url.host().ok_or(Refusal::NoWebAddress)? {
            Host::Ipv4(address) => rules.check_address(IpAddr::V4(address))?,
            Host::Ipv6(address) => rules.check_address(IpAddr::V6(address))?,
            Host::Domain(name) if leads_inside(name) && rules.networks.is_empty() => return Err(Refusal::Address),
            Host::Domain(_) => {}
        }
        Ok(Self(url))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }
}

fn leads_inside(name: &str) -> bool {
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or(name);
    INNER_NAMES.contains(&last)
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What attackers write to get behind the wall.
    const HOSTILE: [(&str, Refusal); 33] = [
        ("http://127.0.0.1/", Refusal::Address),
        ("http://127.1/", Refusal::Address),
        ("http://2130706433/", Refusal::Address),
        ("http://0x7f000001/", Refusal::Address),
        ("http://0x7f.1/", Refusal::Address),
        ("http://017700000001/", Refusal::Address),
        ("http://0177.0.0.1/", Refusal::Address),
        ("http://0/", Refusal::Address),
        ("http://127.0.0.1./", Refusal::Address),
        ("http://１２７.０.０.１/", Refusal::Address),
        ("http://①②⑦.0.0.1/", Refusal::Address),
        ("http://127。0。0。1/", Refusal::Address),
        ("http://%31%32%37.0.0.1/", Refusal::Address),
        ("http://[::1]/", Refusal::Address),
        ("http://[::]/", Refusal::Address),
        ("http://[::ffff:127.0.0.1]/", Refusal::Address),
        ("http://[::ffff:7f00:1]/", Refusal::Address),
        ("http://[0:0:0:0:0:ffff:169.254.169.254]/", Refusal::Address),
        ("http://[64:ff9b::a9fe:a9fe]/", Refusal::Address),
        ("http://[fd00:ec2::254]/", Refusal::Address),
        ("http://169.254.169.254/latest/meta-data/", Refusal::Address),
        ("http://192.168.0.1/", Refusal::Address),
        ("http://LOCALHOST/", Refusal::Address),
        ("http://localhost./", Refusal::Address),
        ("http://a.localhost/", Refusal::Address),
        ("http://metadata.google.internal/", Refusal::Address),
        ("http://user@hooks.example/", Refusal::UserInfo),
        ("http://hooks.example:secret@127.0.0.1/", Refusal::UserInfo),
        ("https://hooks.example:22/", Refusal::Port(22)),
        ("ftp://hooks.example/", Refusal::NoWebAddress),
        ("file:///etc/passwd", Refusal::NoWebAddress),
        ("gopher://127.0.0.1:6379/_FLUSHALL", Refusal::NoWebAddress),
        ("/relative", Refusal::NoWebAddress),
    ];

    #[test]
    fn hostile_addresses_are_refused() {
        let rules = WebhookRules::default();
        for (text, refusal) in HOSTILE {
            assert_eq!(WebhookUrl::parse(text, &rules), Err(refusal), "{text}");
        }
        let long = format!("https://hooks.example/{}", "x".repeat(MAX_CHARS));
        assert_eq!(WebhookUrl::parse(&long, &rules), Err(Refusal::TooLong(MAX_CHARS)));
    }

    #[test]
    fn ordinary_addresses_are_taken_as_they_are() {
        let rules = WebhookRules::default();
        for text in ["https://hooks.example/billing?tenant=1", "http://hooks.example:8080/", "https://1.1.1.1/"] {
            assert_eq!(WebhookUrl::parse(text, &rules).unwrap().as_str(), text);
        }
    }
}
