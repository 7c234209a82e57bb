//! Where webhooks may go: public addresses on the usual ports, and what the deployment allows beside.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::LazyLock,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// Where web servers are.
const USUAL_PORTS: [u16; 4] = [80, 443, 8080, 8443];

/// IPv4 addresses that are not public: IANA's special-purpose registry, multicast, and what answers for a cloud's platform on
/// a public address.
static REFUSED_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    parsed(&[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    ])
});
/// The part of IPv6 that is routed in public; loopback, link-local, private, multicast and translated addresses are outside.
static PUBLIC_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| parsed(&["2000::/3"]));
/// What is special within it: protocol assignments with Teredo, documentation, and 6to4, which carries an IPv4 address.
static REFUSED_V6: LazyLock<Vec<Ipv6Net>> =
    LazyLock::new(|| parsed(&["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]));

fn parsed<T: FromStr>(networks: &[&str]) -> Vec<T> {
    networks.iter().filter_map(|network| network.parse().ok()).collect()
}

/// What the deployment allows. The default is public addresses and usual ports.
#[derive(Clone, Debug, Default)]
pub struct WebhookRules {
    /// Networks that are allowed although they are not public.
    pub networks: Vec<IpNet>,
    pub ports: Ports,
}

/// Which ports are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// 80, 443, 8080 and 8443.
    #[default]
    Usual,
    Any,
}

/// Why a webhook must not go somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("must be an absolute http or https URL")]
    NoWebAddress,
    #[error("must not name a user or a password")]
    UserInfo,
    #[error("must not be longer than {0} characters")]
    TooLong(usize),
    #[error("the port {0} is not allowed; use one of 80, 443, 8080 and 8443")]
    Port(u16),
    #[error("the host leads to an address that is not public")]
    Address,
}

impl WebhookRules {
    /// Passes if webhooks may go to this port.
    ///
    /// # Errors
    /// [`Refusal::Port`].
    pub fn check_port(&self, port: u16) -> Result<(), Refusal> {
        if self.ports == Ports::Any || USUAL_PORTS.contains(&port) { Ok(()) } else { Err(Refusal::Port(port)) }
    }

    /// Passes if webhooks may go to this address. An IPv4 address within an IPv6 one is read as what it is.
    ///
    /// # Errors
    /// [`Refusal::Address`].
    pub fn check_address(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = match address {
            IpAddr::V6(v6) => embedded(v6).unwrap_or(address),
            IpAddr::V4(_) => address,
        };
        let allowed = self.networks.iter().any(|network| network.contains(&address));
        if allowed || is_public(address) { Ok(()) } else { Err(Refusal::Address) }
    }
}

/// The IPv4 address that an IPv4-mapped address stands for.
fn embedded(address: Ipv6Addr) -> Option<IpAddr> {
    address.to_ipv4_mapped().map(IpAddr::V4)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !REFUSED_V4.iter().any(|network| network.contains(&v4)),
        IpAddr::V6(v6) => {
            let within = |networks: &[Ipv6Net]| networks.iter().any(|network| network.contains(&v6));
            within(&PUBLIC_V6) && !within(&REFUSED_V6)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        assert_eq!((REFUSED_V4.len(), PUBLIC_V6.len(), REFUSED_V6.len()), (15, 1, 4));
    }

    #[test]
    fn only_public_addresses_pass() {
        let rules = WebhookRules::default();
        for refused in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ] {
            assert_eq!(rules.check_address(refused.parse().unwrap()), Err(Refusal::Address), "{refused}");
        }
        for public in ["1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "2606:4700::1111", "::ffff:1.1.1.1"]
        {
            assert_eq!(rules.check_address(public.parse().unwrap()), Ok(()), "{public}");
        }
    }

    #[test]
    fn a_deployment_may_allow_a_network_and_only_that() {
        let rules = WebhookRules { networks: vec!["127.0.0.0/8".parse().unwrap()], ports: Ports::Any };
        for allowed in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert_eq!(rules.check_address(allowed.parse().unwrap()), Ok(()), "{allowed}");
        }
        assert!(rules.check_address("169.254.169.254".parse().unwrap()).is_err());
        assert_eq!((rules.check_port(9), WebhookRules::default().check_port(9)), (Ok(()), Err(Refusal::Port(9))));
    }
}
