//! Where Redis is: the servers that a URL names.
//!
//! Owns the forms of the URL. Connecting is the business of `connection`.
//!
//! **Invariant:** there is at least one server, and several of them are reached over the network, with the same
//! credentials.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::error::QueueError;

/// Says that the URL lists nodes of a cluster; the list says so as well.
const CLUSTER_MARK: &str = "+cluster://";

/// Reads `redis://`, `rediss://` or `unix://`, or nodes of a cluster separated by commas. A node after the first may
/// be `host:port` alone. A comma in a password is written `%2C`.
pub(crate) fn read_url(url: &str) -> Result<Vec<ConnectionInfo>, QueueError> {
    let url = url.replacen(CLUSTER_MARK, "://", 1);
    let is_path = url.contains("unix://");
    let mut parts = if is_path { vec![url.as_str()] } else { url.split(',').collect() }.into_iter();
    let reading = || QueueError::redis("reading the Redis URL");
    let first = parts.next().unwrap_or_default().into_connection_info().map_err(reading())?;
    let mut servers = vec![first.clone()];
    for part in parts {
        let server =
            if part.contains("://") { part.into_connection_info().map_err(reading())? } else { beside(&first, part)? };
        let same = server.redis_settings().username() == first.redis_settings().username()
            && server.redis_settings().password() == first.redis_settings().password();
        if !same {
            return Err(QueueError::invalid("Redis URL", "must have the same user and password for all nodes"));
        }
        servers.push(server);
    }
    if servers.iter().any(is_encrypted) {
        // Whoever installed a provider before has chosen.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
    }
    Ok(servers)
}

/// Another node of the same cluster. `place` is `host:port`, or `:port` where the host is the same.
pub(crate) fn beside(node: &ConnectionInfo, place: &str) -> Result<ConnectionInfo, QueueError> {
    let unreadable = || QueueError::invalid(format!("Redis node {place:?}"), "must be host:port");
    let (host, port) = place.rsplit_once(':').ok_or_else(unreadable)?;
    let port = port.parse().map_err(|_| unreadable())?;
    let same_host = |own: &str| if host.is_empty() { own.to_owned() } else { host.trim_matches(['[', ']']).to_owned() };
    let addr = match node.addr() {
        ConnectionAddr::Tcp(own, _) => ConnectionAddr::Tcp(same_host(own), port),
        ConnectionAddr::TcpTls { host: own, insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host: same_host(own), port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => return Err(unreadable()),
    };
    Ok(node.clone().set_addr(addr))
}

fn is_encrypted(server: &ConnectionInfo) -> bool {
    matches!(server.addr(), ConnectionAddr::TcpTls { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> Vec<String> {
        read_url(url).unwrap().iter().map(|server| server.addr().to_string()).collect()
    }

    #[test]
    fn a_list_names_the_nodes_of_a_cluster() {
        assert_eq!(addresses("redis://one:7000"), ["one:7000"]);
        assert_eq!(addresses("redis://one:7000,redis://two:7001"), ["one:7000", "two:7001"]);
        assert_eq!(addresses("redis+cluster://one:7000,two:7001,[::1]:7002"), ["one:7000", "two:7001", "::1:7002"]);
        assert_eq!(addresses("unix:///run/a,b.sock"), ["/run/a,b.sock"]);
    }

    #[test]
    fn nodes_share_credentials_and_encryption() {
        let servers = read_url("rediss://user:p%2Cw@one:7000,two:7001").unwrap();
        for server in &servers {
            assert!(is_encrypted(server));
            let settings = server.redis_settings();
            assert_eq!((settings.username(), settings.password()), (Some("user"), Some("p,w")));
        }
        assert!(read_url("redis://:a@one:7000,redis://:b@two:7001").is_err());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in
            ["", "http://one", "redis://one,", "redis://one,two", "redis://one,two:x", "redis://one,unix:///run/x"]
        {
            assert!(read_url(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn a_redirection_may_leave_the_host_out() {
        let node = &read_url("redis://one:7000").unwrap()[0];
        assert_eq!(beside(node, ":7001").unwrap().addr().to_string(), "one:7001");
        assert_eq!(beside(node, "2001:db8::1:7001").unwrap().addr().to_string(), "2001:db8::1:7001");
    }
}
