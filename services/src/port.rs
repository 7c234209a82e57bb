//! Free TCP ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// How often a server is started anew on another port because somebody else took the one it was given. A port is
/// free when it is looked up, not yet when the server binds it; three unlucky draws in a row do not happen.
const PORT_DRAWS: u32 = 3;

/// Starts a server on a free port, on another one if that fails, and returns it with its port.
///
/// # Errors
/// It starts on none of them; the last error is returned.
pub(crate) fn on_free_port<T>(start: impl Fn(u16) -> Result<T>) -> Result<(T, u16)> {
    let mut draw = 1;
    loop {
        let port = free_port()?;
        match start(port) {
            Ok(started) => return Ok((started, port)),
            Err(error) if draw == PORT_DRAWS => return Err(error),
            Err(_) => draw += 1,
        }
    }
}

/// A port on 127.0.0.1 that nothing listens on at this moment.
///
/// # Errors
/// The system has no port left.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("reading the free port")?.port())
}
