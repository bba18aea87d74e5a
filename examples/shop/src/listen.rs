//! Where a service that runs alone listens, such as in a container: on loopback, if nobody says otherwise.

use crate::args::At;
use crate::host::{Bound, bind_again};
use crate::parts::config::{CONSUL, Config, Instance, set};
use crate::parts::failure::Failure;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

/// Names the address, or a name of this machine.
const LISTEN: &str = "SHOP_LISTEN";

/// The socket of an instance at the address and port that it is told; none when it is told neither.
///
/// # Errors
///
/// When the address is none of this machine, its port is taken, or nobody else could be told of it.
pub fn bound(config: &Config, instance: Instance, at: &At) -> Result<Option<Bound>, Failure> {
    let host = at.listen.clone().map_or_else(|| set(LISTEN), |host| Ok(Some(host)))?;
    if host.is_none() && at.port.is_none() {
        return Ok(None);
    }
    let port = at.port.unwrap_or_else(|| config.port(instance));
    let address = match host {
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        Some(host) => found(&host, port)?,
    };
    if address.ip().is_unspecified() && config.registry.is_some() {
        return Err(Failure::new(format!(
            "{instance} cannot listen at {}: it is known to others by {CONSUL}, and nobody can be sent there; name \
             one address of this machine.",
            address.ip()
        )));
    }
    if !address.ip().is_loopback() {
        let tls = if config.tls.is_on() { "" } else { ", and SHOP_TLS=1 would hide what is said" };
        tracing::warn!(
            "{instance} listens at {address}, beyond loopback: the services believe who asks them, so keep all \
             but the gateway in a network of their own{tls}"
        );
    }
    let bound = bind_again(instance, address)
        .map_err(|why| Failure::new(format!("{address} of {instance} cannot be opened: {why}.")))?;
    Ok(Some(bound))
}

/// An address, or what a name stands for here.
fn found(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let no = |why: String| Failure::new(format!("{LISTEN} {host:?} is no address of this machine: {why}."));
    let mut found = (host.trim(), port).to_socket_addrs().map_err(|why| no(why.to_string()))?;
    found.next().ok_or_else(|| no("nobody knows it".into()))
}
