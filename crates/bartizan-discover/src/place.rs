use bartizan_core::Invalid;
use http::Uri;
use http::uri::{Authority, Scheme};
use std::net::IpAddr;

/// Reads a `Uri` that says where something is: it has a scheme and a host, and its port, if it has one, is one.
pub(crate) fn absolute<U: TryInto<Uri>>(uri: U) -> Option<Uri> {
    let uri = uri.try_into().ok()?;
    let host = uri.host().filter(|host| !host.is_empty())?;
    // A `Uri` with a port above 65535 is read as one without.
    let authority = uri.authority()?.as_str();
    let written = authority.len() > authority.rfind('@').map_or(0, |at| at + 1) + host.len();
    let port = uri.port_u16().filter(|port| *port > 0);
    (uri.scheme().is_some() && (port.is_some() || !written)).then_some(uri)
}

/// Reads it as [`absolute`] does, as the setting `field`.
pub(crate) fn required<U: TryInto<Uri>>(uri: U, invalid: Invalid) -> Result<Uri, Invalid> {
    absolute(uri).ok_or(invalid)
}

/// The host of a `Uri`, an address of IPv6 without its brackets.
pub(crate) fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

/// The port of a `Uri`, or that of its scheme.
pub(crate) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 })
}

/// A host and a port as they stand in a `Uri`. None: the host cannot.
pub(crate) fn authority(host: &str, port: Option<u16>) -> Option<Authority> {
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ if host.is_empty() || host.contains(['@', ':', '/']) => return None,
        _ => String::from(host),
    };
    port.map_or(host.clone(), |port| format!("{host}:{port}")).parse().ok()
}

/// The same under another authority.
pub(crate) fn moved(uri: &Uri, authority: Authority) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(authority);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_has_a_scheme_and_a_host() {
        for good in ["http://a", "https://a:1/b?c", "http://[::1]:8080", "http://u:p@h:1", "http://u:p@h"] {
            assert!(absolute(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a:80",
            "/path",
            "http://",
            "http:///a",
            "http://a:0",
            "http://a:65536",
            "http://a:",
            "http://u@[::1]:99999",
            "http://:80",
        ] {
            assert!(absolute(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn writes_hosts_with_their_ports() {
        let written = |host, port| authority(host, port).map(|written| written.to_string());
        assert_eq!(written("10.0.0.1", Some(80)).as_deref(), Some("10.0.0.1:80"));
        assert_eq!(written("::1", Some(80)).as_deref(), Some("[::1]:80"));
        assert_eq!(written("fe80::1", None).as_deref(), Some("[fe80::1]"));
        assert_eq!(written("a.b", None).as_deref(), Some("a.b"));
        for bad in ["", "a@b", "a:1", "a/b", "a b", "[::1"] {
            assert_eq!(written(bad, Some(1)), None, "{bad}");
        }
        let v6 = Uri::from_static("http://[::1]:8080/x");
        assert_eq!((host(&v6), port(&v6)), ("::1", 8080));
        assert_eq!(
            ["http://a", "https://a", "other://a"].map(|uri| port(&Uri::from_static(uri))),
            [80, 443, 80]
        );
    }
}
