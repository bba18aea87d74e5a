use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or the leading bits of an IPv6 address: what counts as one client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet(u128);

impl Subnet {
    /// Of all whose address is not known. It is nobody's: a multicast address.
    pub(crate) const UNKNOWN: Self = Self(u128::MAX);

    pub(crate) fn new(address: IpAddr, ipv6_prefix: u8) -> Self {
        Self(match address.to_canonical() {
            // As it is mapped into IPv6, where no other address of that range is left.
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits() & (u128::MAX << (128 - u32::from(ipv6_prefix))),
        })
    }

    /// The address, or the first one of the network.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        (*self != Self::UNKNOWN).then(|| Ipv6Addr::from_bits(self.0).to_canonical())
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(ip) => ip.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl fmt::Debug for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
