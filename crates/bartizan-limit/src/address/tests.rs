use super::*;
use http::Request;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tracing::{Event, Metadata, Subscriber, span};

/// The key of a request from `peer` with these header fields.
fn key(
    address: &Address<fn(&Head<'_>) -> Option<SocketAddr>>,
    peer: &str,
    fields: &[(&str, &str)],
) -> String {
    let mut req = Request::new(());
    for (name, value) in fields {
        let name: http::HeaderName = name.parse().expect("a name");
        req.headers_mut().append(name, value.parse().expect("a value"));
    }
    if !peer.is_empty() {
        req.extensions_mut().insert(SocketAddr::new(peer.parse().expect("an address"), 4711));
    }
    address.of(&Head::of(&req)).to_string()
}

fn address() -> Address<fn(&Head<'_>) -> Option<SocketAddr>> {
    Address::new(|head| head.extensions.get::<SocketAddr>().copied())
}

/// A request over a proxy at 10.0.0.1.
fn check(proxies: usize, fields: &[&str], expected: &str) {
    let fields: Vec<(&str, &str)> = fields.iter().map(|value| ("x-forwarded-for", *value)).collect();
    assert_eq!(key(&address().trusted_proxies(proxies), "10.0.0.1", &fields), expected, "{fields:?}");
}

#[test]
fn who_is_behind_a_proxy_counts_and_what_it_invents_does_not() {
    check(1, &["6.6.6.6, 1.2.3.4"], "1.2.3.4");
    check(1, &["6.6.6.6", "1.2.3.4"], "1.2.3.4");
    check(2, &["6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4");
    check(2, &["6.6.6.6, 1.2.3.4", "10.0.0.2"], "1.2.3.4");
    // The outer proxy was gone round.
    check(2, &["1.2.3.4"], "1.2.3.4");
    check(0, &["1.2.3.4"], "10.0.0.1");
    check(1, &[], "10.0.0.1");
}

#[test]
fn a_stranger_is_not_believed() {
    let forged = [("x-forwarded-for", "6.6.6.6, 1.2.3.4"), ("forwarded", "for=1.2.3.4")];
    for forwarded in [false, true] {
        let address = address().trusted_proxies(1).forwarded(forwarded);
        for stranger in ["5.5.5.5", "2001:db8::", "172.32.0.1", "100.128.0.1", "11.0.0.1"] {
            assert_eq!(key(&address, stranger, &forged), stranger);
        }
        for near in [
            "10.1.2.3",
            "127.0.0.1",
            "::1",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(key(&address, near, &forged), "1.2.3.4");
        }
        let address = address.proxies_at(|peer| peer == IpAddr::from([5, 5, 5, 5]));
        assert_eq!(key(&address, "5.5.5.5", &forged), "1.2.3.4");
        assert_eq!(key(&address, "10.0.0.1", &forged), "10.0.0.1");
    }
}

#[test]
fn ports_brackets_and_empty_elements_are_read() {
    for value in
        ["1.2.3.4:5678", " 1.2.3.4 ", "1.2.3.4,", "1.2.3.4, ,", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80"]
    {
        check(1, &[value], "1.2.3.4");
    }
    for value in ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:443"] {
        check(1, &[value], "2001:db8::");
    }
}

#[test]
fn what_cannot_be_read_leaves_the_peer() {
    for value in [
        "",
        ",",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4:99999",
        "[1.2.3.4]",
        "é",
        "1.2.3.4, x",
        "\"1.2.3.4\"",
    ] {
        check(1, &[value], "10.0.0.1");
    }
    check(1, &["1.2.3.4, unknown"], "10.0.0.1");
    let opaque = http::HeaderValue::from_bytes(b"\xff\xfe").expect("opaque bytes are a value");
    let mut req = Request::new(());
    req.headers_mut().insert("x-forwarded-for", opaque);
    req.extensions_mut().insert(SocketAddr::from(([10, 0, 0, 1], 1)));
    assert_eq!(address().trusted_proxies(1).of(&Head::of(&req)).to_string(), "10.0.0.1");
}

#[test]
fn forwarded_is_read_as_its_rfc_says() {
    let check = |proxies, values: &[&str], expected: &str| {
        let fields: Vec<(&str, &str)> = values.iter().map(|value| ("forwarded", *value)).collect();
        let address = address().trusted_proxies(proxies).forwarded(true);
        assert_eq!(key(&address, "10.0.0.1", &fields), expected, "{values:?}");
    };
    check(1, &["for=6.6.6.6, for=1.2.3.4"], "1.2.3.4");
    check(1, &["for=6.6.6.6", "For=1.2.3.4;proto=https;by=10.0.0.1"], "1.2.3.4");
    check(1, &[r#"proto=http; FOR="1.2.3.4:80" ; host="a;b,c""#], "1.2.3.4");
    check(2, &[r#"for="[2001:db8:cafe::17]:4711", for="10.0.0.2""#], "2001:db8:cafe::");
    // What a stranger leaves open does not reach over what the proxy adds.
    check(1, &[r#"for="6.6.6.6, for=1.2.3.4"#], "1.2.3.4");
    check(1, &[r#"for="6.6.6.6, for="[2001:db8:1::1]""#], "2001:db8:1::");
    check(1, &[r#"host="\", for=1.2.3.4"#], "1.2.3.4");
    check(1, &[r#"for=6.6.6.6, for=1.2.3.4;host="a\",for=7.7.7.7""#], "1.2.3.4");
    for unreadable in
        ["for=unknown", "for=_hidden", "for", "by=1.2.3.4", "1.2.3.4", "for=\"1.2.3.4", "", "=", ";;"]
    {
        check(1, &[unreadable], "10.0.0.1");
    }
    // The other field is not looked at.
    let address = address().trusted_proxies(1).forwarded(true);
    assert_eq!(key(&address, "10.0.0.1", &[("x-forwarded-for", "1.2.3.4")]), "10.0.0.1");
}

#[test]
fn a_family_of_ipv6_is_one_client() {
    let of = |bits: u8, text: &str| address().ipv6_prefix(bits).subnet(text.parse().expect("an address"));
    let family: Vec<Subnet> = (0..10).map(|n| of(64, &format!("2001:db8:0:1::{n:x}"))).collect();
    assert!(family.iter().all(|subnet| *subnet == family[0]));
    assert_ne!(of(64, "2001:db8:0:2::1"), family[0]);
    assert_eq!(of(56, "2001:db8:0:ff::1"), of(56, "2001:db8::"));
    assert_ne!(of(128, "2001:db8::1"), of(128, "2001:db8::2"));
    // IPv4 counts whole, also where it is mapped, and is nobody else's.
    assert_eq!(of(1, "::ffff:1.2.3.4"), of(64, "1.2.3.4"));
    assert_ne!(of(1, "1.2.3.4"), of(1, "1.2.3.5"));
    assert_ne!(of(96, "::ffff:0:0"), of(96, "::"));
    for bits in [0, 129] {
        assert_eq!(address().try_ipv6_prefix(bits).unwrap_err().field(), "ipv6_prefix");
    }
}

#[test]
fn without_an_address_all_are_one() {
    let address = address().trusted_proxies(1);
    assert_eq!(key(&address, "", &[("x-forwarded-for", "1.2.3.4")]), "unknown");
    assert_eq!(Subnet::UNKNOWN.ip(), None);
    assert_eq!(address.subnet(IpAddr::from([1, 2, 3, 4])).ip(), Some(IpAddr::from([1, 2, 3, 4])));
}

/// Counts the events of a thread.
struct Counter(Arc<AtomicU32>);

impl Subscriber for Counter {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Relaxed);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn that_no_address_is_known_is_told_once() {
    let told = Arc::new(AtomicU32::new(0));
    tracing::subscriber::with_default(Counter(told.clone()), || {
        let address = address();
        assert_eq!(key(&address, "1.2.3.4", &[]), "1.2.3.4");
        assert_eq!(told.load(Relaxed), 0);
        for _ in 0..3 {
            assert_eq!(key(&address.clone(), "", &[]), "unknown");
        }
    });
    assert_eq!(told.load(Relaxed), 1);
}
