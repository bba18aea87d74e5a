use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use std::net::{IpAddr, Ipv6Addr};

/// Browsers say with it for whose page they ask (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the request names this machine, and nothing but this machine, by a loopback name or address.
///
/// A page of another site whose name resolves to loopback is sent by its browser with that name, and thus told apart.
pub(crate) fn names_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let host = |value: &HeaderValue| value.to_str().ok()?.parse::<Authority>().ok();
    let mut hosts =
        headers.get_all(HOST).iter().map(host).chain(uri.authority().cloned().map(Some)).peekable();
    hosts.peek().is_some() && hosts.all(|host| host.is_some_and(|host| is_loopback(host.host())))
}

/// Whether a browser asks on behalf of a page of another site.
pub(crate) fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get_all(SEC_FETCH_SITE).iter().any(|site| site == "cross-site")
}

/// Whether a browser asks on behalf of a page that did not come from here, be it of the same site: another port is another origin.
pub(crate) fn is_cross_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    let hosts = headers.get_all(HOST).iter().filter_map(|host| host.to_str().ok());
    let hosts: Vec<&str> = hosts.chain(uri.authority().map(Authority::as_str)).collect();
    let is_own = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, origin)| hosts.iter().any(|host| origin.eq_ignore_ascii_case(host)))
    };
    headers.get_all(SEC_FETCH_SITE).iter().any(|site| site != "same-origin")
        || !headers.get_all(ORIGIN).iter().all(is_own)
}

fn is_loopback(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_loopback();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(uri: &str, hosts: &[&str]) -> bool {
        let headers = hosts.iter().map(|host| (HOST, HeaderValue::from_str(host).unwrap())).collect();
        names_loopback(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn loopback_goes_by_many_names() {
        for host in [
            "localhost",
            "LocalHost:8088",
            "localhost.",
            "shop.localhost:1",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]",
            "[::1]:8088",
            "[::ffff:127.0.0.1]:8088",
        ] {
            assert!(named("/layers", &[host]), "{host}");
            assert!(named(&format!("http://{host}/layers"), &[]), "{host}");
        }
    }

    #[test]
    fn what_is_not_loopback_is_foreign() {
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "10.0.0.1",
            "0.0.0.0:8088",
            "[::]",
            "[::ffff:10.0.0.1]",
            "::1",
            "localhost, evil.example",
            "local host",
        ] {
            assert!(!named("/layers", &[host]), "{host}");
        }
        assert!(!named("/layers", &[]), "none");
        assert!(!named("/layers", &["localhost", "evil.example"]), "one of two");
        assert!(!named("http://evil.example/layers", &["localhost"]), "the other of two");
    }

    #[test]
    fn what_writes_is_the_own_page_or_no_browser() {
        let is_cross = |headers: &[(HeaderName, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            is_cross_origin(&Uri::from_static("/layers"), &headers.collect())
        };
        let host = (HOST, "Localhost:8088");
        let origin = |origin| [host.clone(), (ORIGIN, origin)];
        let site = |site| [host.clone(), (SEC_FETCH_SITE, site)];
        assert!(!is_cross(std::slice::from_ref(&host)), "no browser");
        for own in [origin("http://localhost:8088"), origin("https://localhost:8088"), site("same-origin")] {
            assert!(!is_cross(&own), "{own:?}");
        }
        for foreign in
            ["http://localhost:3000", "http://localhost", "http://evil.example", "null", "localhost:8088"]
        {
            assert!(is_cross(&origin(foreign)), "{foreign}");
        }
        for foreign in ["same-site", "cross-site", "none", ""] {
            assert!(is_cross(&site(foreign)), "{foreign}");
        }
        assert!(is_cross(&[
            host.clone(),
            (ORIGIN, "http://localhost:8088"),
            (ORIGIN, "http://evil.example")
        ]));
        let in_uri = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("https://localhost"))]);
        assert!(!is_cross_origin(&Uri::from_static("https://localhost/layers"), &in_uri), "HTTP/2");
    }

    #[test]
    fn browsers_tell_for_whom_they_ask() {
        for (site, cross) in
            [("same-origin", false), ("none", false), ("same-site", false), ("cross-site", true)]
        {
            let headers = HeaderMap::from_iter([(SEC_FETCH_SITE, HeaderValue::from_static(site))]);
            assert_eq!(is_cross_site(&headers), cross, "{site}");
        }
        assert!(!is_cross_site(&HeaderMap::new()));
    }
}
