//! Whose address a request comes from: the peer's, or what trusted proxies say of it.
//!
//! **Invariant:** what a client writes into `X-Forwarded-For` counts for nothing: the header is read from its end, and only
//! as far as trusted proxies wrote it.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap, HeaderName},
};

/// The header in which proxies say whom they forward for.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address part of a network: one customer of a provider has a /64 of IPv6, and changes within it at will.
const V6_NETWORK: u32 = 64;

/// A network in CIDR notation, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                one.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                one.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is no network: expected an address, or one with a prefix, as 10.0.0.0/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.parse().map_err(|_| expected()))?;
        if prefix <= longest { Ok(Self { address, prefix }) } else { Err(expected()) }
    }
}

/// The address of whoever sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address of a request's client. `None` on a router that is not behind [`super::serve::serve`].
    #[must_use]
    pub fn of(extensions: &Extensions, headers: &HeaderMap, trusted: &[Network]) -> Option<Self> {
        let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut client = peer.ip().to_canonical();
        // A line of its own is a later hop; within a line the last is.
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            let Some(named) = is_trusted(client).then(|| address(hop)).flatten() else { break };
            client = named;
        }
        Some(Self(client))
    }
}

/// An address as a proxy writes it: with a port or without.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

impl fmt::Display for ClientAddress {
    /// The address, or the network that is one customer's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - V6_NETWORK)));
                write!(f, "{network}/{V6_NETWORK}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::{
        extract::ConnectInfo,
        http::{Extensions, HeaderMap, HeaderValue},
    };

    use super::{ClientAddress, FORWARDED_FOR, Network};

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().expect("an address")));
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).expect("a value"));
        }
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().expect("a network")).collect();
        ClientAddress::of(&extensions, &headers, &trusted).expect("a peer").to_string()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let peer = "10.0.0.7:1234";
        assert_eq!(client(peer, &["203.0.113.9"], &[]), "10.0.0.7", "nobody is trusted");
        assert_eq!(client(peer, &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(
            client(peer, &["1.1.1.1, 203.0.113.9"], &["10.0.0.0/8"]),
            "203.0.113.9",
            "the client wrote the first"
        );
        assert_eq!(client(peer, &["1.1.1.1", "203.0.113.9, 10.1.1.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client(peer, &["203.0.113.9:80"], &["10.0.0.7"]), "203.0.113.9");
        assert_eq!(client(peer, &["nonsense"], &["10.0.0.0/8"]), "10.0.0.7");
        assert_eq!(client(peer, &[], &["0.0.0.0/0"]), "10.0.0.7");
        assert_eq!(client("8.8.8.8:1", &["203.0.113.9"], &["10.0.0.0/8"]), "8.8.8.8");
    }

    #[test]
    fn a_customer_of_a_provider_is_one_network() {
        assert_eq!(client("[2001:db8:1:2:3:4:5:6]:1", &[], &[]), "2001:db8:1:2::/64");
        assert_eq!(client("[::ffff:8.8.8.8]:1", &[], &[]), "8.8.8.8");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "10.0.0.0/x"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        assert!("::/0".parse::<Network>().is_ok());
    }
}
