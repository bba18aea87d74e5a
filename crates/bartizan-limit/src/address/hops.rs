use http::header::{FORWARDED, HeaderMap, HeaderName};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where the client's address stands in the head of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hops {
    /// How many addresses from the right.
    pub(crate) count: usize,
    /// In `Forwarded`, and not in `X-Forwarded-For`.
    pub(crate) forwarded: bool,
}

impl Hops {
    pub(crate) const NONE: Self = Self { count: 0, forwarded: false };

    /// The client's address, if it stands where it should.
    ///
    /// It is read from the right, and no further than asked for: what a stranger has sent stands on the left of what proxies have added,
    /// and whatever it is, it changes nothing.
    pub(crate) fn client(self, headers: &HeaderMap) -> Option<IpAddr> {
        let name = if self.forwarded { FORWARDED } else { X_FORWARDED_FOR };
        let mut left = self.count;
        let mut found = None;
        // Fields of one name are one list, in their order (RFC 9110, section 5.3).
        for value in headers.get_all(name).iter().rev() {
            let mut rest = Some(value.as_bytes());
            while let Some(list) = rest.filter(|_| left > 0) {
                let (before, element) = split_last(list, b',', self.forwarded);
                rest = before;
                let element = element.trim_ascii();
                // Empty elements of a list do not count (RFC 9110, section 5.6.1).
                if !element.is_empty() {
                    found = Some(element);
                    left -= 1;
                }
            }
        }
        let element = found?;
        let node = if self.forwarded { node_of(element)? } else { element };
        address(std::str::from_utf8(node).ok()?)
    }
}

/// Splits a list before its last element. Separators in quotes are none.
fn split_last(list: &[u8], separator: u8, quotes: bool) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (at, &byte) in list.iter().enumerate().rev() {
        match byte {
            b'"' if quotes && !is_escaped(list, at) => quoted = !quoted,
            byte if byte == separator && !quoted => return (Some(&list[..at]), &list[at + 1..]),
            _ => {}
        }
    }
    (None, list)
}

fn is_escaped(list: &[u8], at: usize) -> bool {
    list[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The value of `for` in an element of `Forwarded`.
fn node_of(element: &[u8]) -> Option<&[u8]> {
    let mut rest = Some(element);
    while let Some(pairs) = rest {
        let (before, pair) = split_last(pairs, b';', true);
        rest = before;
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (halves.next()?.trim_ascii(), halves.next().map(<[u8]>::trim_ascii));
        if name.eq_ignore_ascii_case(b"for") {
            let value = value?;
            let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            return Some(unquoted.unwrap_or(value));
        }
    }
    None
}

/// Reads an address, with or without a port, an IPv6 address with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().map(|socket| socket.ip()).ok();
    let in_brackets = || {
        let text = text.strip_prefix('[')?.strip_suffix(']')?;
        text.parse::<Ipv6Addr>().map(IpAddr::V6).ok()
    };
    bare().or_else(with_port).or_else(in_brackets)
}

/// Whether a peer is in a network that strangers do not send from.
pub(crate) fn is_near(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0b1100_0000 == 0b0100_0000;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
