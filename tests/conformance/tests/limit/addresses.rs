//! Rows L12 and L13: whose request it is.

use crate::{count, passes};
use bartizan_limit::{Address, KeyedHandle, Limit, LimitLayer, Subnet};
use conformance::crowd::{Asked, Crowd, Visit, in_a_crowd_http};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tower::Layer;

/// Two in a time that is not over.
const TWO: Limit = Limit::per(2, Duration::from_secs(3600));

/// By their keys: a proxy of ours, two strangers, and then neighbours of IPv6.
fn peer(key: u64) -> IpAddr {
    match key {
        PROXY => [10, 0, 0, 1].into(),
        STRANGER => [203, 0, 113, 9].into(),
        BYSTANDER => [203, 0, 113, 10].into(),
        near => Ipv6Addr::from_bits(NET | u128::from(near)).into(),
    }
}

const PROXY: u64 = 1;
const STRANGER: u64 = 2;
const BYSTANDER: u64 = 3;
const NET: u128 = 0x2001_0db8 << 96;

/// The peer of a request, by its key.
fn peers() -> Address<impl Fn(&bartizan_http::Head<'_>) -> Option<SocketAddr> + Clone + Send + Sync + 'static>
{
    Address::new(|head| Some(SocketAddr::new(peer(Asked::of(head).key), 443)))
}

fn limited<F>(address: Address<F>) -> Crowd<KeyedHandle<Subnet>>
where
    F: Fn(&bartizan_http::Head<'_>) -> Option<SocketAddr> + Clone + Send + Sync + 'static,
{
    let layer = LimitLayer::new(TWO).address(address);
    Crowd::http(layer.handle(), |desk| layer.layer(desk)).with_bystanders(Visit::new().key(BYSTANDER))
}

fn left(crowd: &Crowd<KeyedHandle<Subnet>>, address: &str) -> u32 {
    crowd.handle().remaining(&peers().subnet(address.parse().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn l12_who_is_asking() {
    in_a_crowd_http(
        || limited(peers().trusted_proxies(1)),
        async |crowd| {
            let forged = |key, said: &str| Visit::new().key(key).header("x-forwarded-for", said);
            assert_eq!(count(crowd, 5, || forged(PROXY, "6.6.6.6, 1.2.3.4")), 2);
            assert_eq!((left(crowd, "1.2.3.4"), left(crowd, "6.6.6.6"), left(crowd, "10.0.0.1")), (0, 2, 2));
            for said in
                ["7.7.7.7, 1.2.3.4", "1.2.3.4", "a lie, 8.8.8.8,1.2.3.4", "10.0.0.1, 127.0.0.1, 1.2.3.4"]
            {
                assert!(!passes(crowd, forged(PROXY, said)), "who invents addresses gains nothing: {said}");
            }
            assert!(passes(crowd, forged(PROXY, "1.2.3.4, 6.6.6.6")), "and harms nobody");

            // A stranger that comes past the proxy is himself, whatever he says.
            for n in 0..5 {
                assert_eq!(passes(crowd, forged(STRANGER, &format!("6.6.6.{n}, 5.5.5.{n}"))), n < 2);
            }
            assert_eq!((left(crowd, "203.0.113.9"), left(crowd, "5.5.5.0")), (0, 2));
        },
    )
    .await;
}

/// Where no proxy was declared, nobody is believed.
#[tokio::test(start_paused = true)]
async fn l12_who_is_asking_without_proxies() {
    in_a_crowd_http(
        || limited(peers()),
        async |crowd| {
            for n in 0..5 {
                let said = format!("6.6.6.{n}");
                assert_eq!(passes(crowd, Visit::new().key(PROXY).header("x-forwarded-for", &said)), n < 2);
            }
            assert_eq!(left(crowd, "10.0.0.1"), 0);
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn l13_ipv6_family() {
    // Ten neighbours, in five networks of two each if all but the last bit count, and all alone if all do.
    for (prefix, families) in [(None, 1), (Some(64), 1), (Some(127), 5), (Some(128), 10), (Some(1), 1)] {
        let address = || match prefix {
            Some(bits) => peers().ipv6_prefix(bits),
            None => peers(),
        };
        in_a_crowd_http(
            || limited(address()),
            async |crowd| {
                let admitted: usize = (0..3)
                    .map(|_| (100..110).map(|key| count(crowd, 1, || Visit::new().key(key))).sum::<usize>())
                    .sum();
                assert_eq!(admitted, 2 * families, "{prefix:?}");
            },
        )
        .await;
    }
    // Those of another /64 are another family.
    in_a_crowd_http(
        || limited(peers()),
        async |crowd| {
            assert_eq!(count(crowd, 5, || Visit::new().key(100)), 2);
            assert_eq!((left(crowd, "2001:db8::ffff"), left(crowd, "2001:db8:0:1::100")), (0, 2));
        },
    )
    .await;
}
