mod hops;
mod subnet;

pub use subnet::Subnet;

use crate::admit::{Keyed, Limiting, Single};
use crate::event;
use crate::layer::LimitLayer;
use bartizan_core::Invalid;
use bartizan_http::{Head, Http};
use hops::{Hops, is_near};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whose request it is, by its address: what a limit for each client goes by.
///
/// The address of the other end of the connection is the one thing that a stranger cannot choose. Where proxies stand in front, it is
/// theirs, and they write their client's into a header field; what else stands there was sent by that client, and may be invented. So it is
/// to be said how many proxies there are ([`trusted_proxies`](Self::trusted_proxies)), as many addresses are counted from the right, and
/// only a peer that is such a proxy is believed ([`proxies_at`](Self::proxies_at)). A field that is missing or cannot be read leaves the
/// peer's address.
///
/// An IPv6 client mostly has a whole /64 to itself, and counts as one ([`ipv6_prefix`](Self::ipv6_prefix)). An IPv4 address mapped into IPv6
/// is the IPv4 address. Requests of which no address is known count as one client, and the first of them is reported as an event: it is
/// what comes of a server that was not told to keep the address.
///
/// The peer's address is found by a function, as every server keeps it in a type of its own. With axum:
///
/// ```
/// use axum::extract::ConnectInfo;
/// use bartizan_limit::{Address, Limit, LimitLayer};
/// use std::net::SocketAddr;
///
/// // Serve it with `into_make_service_with_connect_info::<SocketAddr>()`.
/// let peer = Address::new(|head| head.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0));
/// let layer = LimitLayer::new(Limit::per_second(50)).address(peer.trusted_proxies(1));
/// ```
///
/// With tonic it is `head.extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr)`, of `tonic::transport::server`.
#[derive(Clone)]
pub struct Address<F> {
    peer: F,
    hops: Hops,
    ipv6_prefix: u8,
    proxies_at: Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>,
    /// Whether a request of unknown address was reported.
    unknown: Arc<AtomicBool>,
}

/// The part of an IPv6 address that counts as one client, if not said otherwise: 64 bits.
pub const DEFAULT_IPV6_PREFIX: u8 = 64;

impl<F> Address<F> {
    /// Creates the address of the peer that a function finds. No proxies are trusted.
    #[must_use]
    pub fn new(peer: F) -> Self
    where
        F: Fn(&Head<'_>) -> Option<SocketAddr>,
    {
        Self {
            peer,
            hops: Hops::NONE,
            ipv6_prefix: DEFAULT_IPV6_PREFIX,
            proxies_at: None,
            unknown: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Sets how many proxies of yours a request passes, each of which adds its client's address to `X-Forwarded-For`. Where fewer
    /// addresses are found, the first of them counts. Default: 0, and the field is ignored.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: usize) -> Self {
        self.hops.count = proxies;
        self
    }

    /// Reads `Forwarded` (RFC 7239) in place of `X-Forwarded-For`. Never both: your proxies write one of them, and leave the other as
    /// strangers sent it. Default: false.
    #[must_use]
    pub fn forwarded(mut self, forwarded: bool) -> Self {
        self.hops.forwarded = forwarded;
        self
    }

    /// Sets which peers are your proxies. Default: those at loopback, private, shared (RFC 6598), link-local and unique local addresses.
    #[must_use]
    pub fn proxies_at(mut self, is_proxy: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.proxies_at = Some(Arc::new(is_proxy));
        self
    }

    /// Sets how many leading bits of an IPv6 address count. Default: [`DEFAULT_IPV6_PREFIX`].
    ///
    /// # Panics
    ///
    /// If it is not within 1 and 128.
    #[must_use]
    #[track_caller]
    pub fn ipv6_prefix(self, bits: u8) -> Self {
        match self.try_ipv6_prefix(bits) {
            Ok(address) => address,
            Err(invalid) => panic!("{invalid}"),
        }
    }

    /// As [`ipv6_prefix`](Self::ipv6_prefix), for a number from a file.
    ///
    /// # Errors
    ///
    /// Where [`ipv6_prefix`](Self::ipv6_prefix) panics.
    pub fn try_ipv6_prefix(mut self, bits: u8) -> Result<Self, Invalid> {
        if bits == 0 || bits > 128 {
            return Err(Invalid::new("ipv6_prefix", "ipv6_prefix must be within 1..=128"));
        }
        self.ipv6_prefix = bits;
        Ok(self)
    }

    /// The client of a request, for keys of which it is a part, as in `|head| (tenant(head), address.of(head))`.
    #[must_use]
    pub fn of(&self, head: &Head<'_>) -> Subnet
    where
        F: Fn(&Head<'_>) -> Option<SocketAddr>,
    {
        let Some(peer) = (self.peer)(head) else {
            if !self.unknown.load(Relaxed) && !self.unknown.swap(true, Relaxed) {
                event::tell_unknown();
            }
            return Subnet::UNKNOWN;
        };
        let peer = peer.ip().to_canonical();
        let is_believed = || match &self.proxies_at {
            Some(is_proxy) => is_proxy(peer),
            None => is_near(peer),
        };
        let client = if self.hops.count > 0 && is_believed() { self.hops.client(head.headers) } else { None };
        self.subnet(client.unwrap_or(peer))
    }

    /// The client that an address belongs to, to ask a handle about it.
    #[must_use]
    pub fn subnet(&self, address: IpAddr) -> Subnet {
        Subnet::new(address, self.ipv6_prefix)
    }
}

impl<P, C> LimitLayer<Limiting<Single, P>, C, Http> {
    /// Gives each client a bucket of its own, by its [`Address`]. As [`key`](Self::key) does, it holds [`DEFAULT_MAX_KEYS`] of them.
    ///
    /// [`DEFAULT_MAX_KEYS`]: crate::DEFAULT_MAX_KEYS
    #[must_use]
    #[allow(clippy::type_complexity, reason = "an alias cannot hold a closure's type")]
    pub fn address<F>(
        self,
        address: Address<F>,
    ) -> LimitLayer<
        Limiting<Keyed<Subnet, impl Fn(&Head<'_>) -> Subnet + Clone + Send + Sync + 'static, Http>, P>,
        C,
        Http,
    >
    where
        F: Fn(&Head<'_>) -> Option<SocketAddr> + Clone + Send + Sync + 'static,
    {
        self.key(move |head: &Head<'_>| address.of(head))
    }
}

impl<F> fmt::Debug for Address<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("hops", &self.hops)
            .field("ipv6_prefix", &self.ipv6_prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
