//! A layer over the store: processes share a limit, lose the server, and have it back.

use crate::server::{Mood, Proxy, store, url};
use bartizan_core::Refused;
use bartizan_limit::{KeyedHandle, Limit, LimitLayer, RedisStore, SharedHandle};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const HOUR: Duration = Duration::from_secs(3600);
const FIVE: Limit = Limit::per(5, Duration::from_secs(5 * 3600));

fn process(
    store: RedisStore,
) -> impl Service<&'static str, Response = (), Error = BoxError, Future: Send> + Clone {
    let layer = LimitLayer::new(FIVE).named("shared").typed().key(|req: &&'static str| *req).store(store);
    layer.layer(service_fn(|_: &'static str| async { Ok::<_, BoxError>(()) }))
}

/// Asks so often, and says how often it was let through.
async fn passed<S>(service: &S, key: &'static str, times: usize) -> usize
where
    S: Service<&'static str, Response = (), Error = BoxError> + Clone,
{
    let mut passed = 0;
    for _ in 0..times {
        match service.clone().oneshot(key).await {
            Ok(()) => passed += 1,
            Err(error) => {
                let wait = error.downcast::<Refused>().unwrap().retry_after().unwrap();
                assert!(wait > HOUR / 2 && wait <= HOUR, "{wait:?}");
            }
        }
    }
    passed
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn processes_share_a_limit() {
    let (store, prefix) = store();
    let other = RedisStore::open(&url()).unwrap().prefix(prefix).with_time_out(Duration::from_secs(20));
    let (a, b) = (process(store), process(other));
    assert_eq!(passed(&a, "ada", 3).await, 3);
    assert_eq!(passed(&b, "ada", 3).await, 2);
    assert_eq!(passed(&a, "ada", 3).await, 0);
    assert_eq!(passed(&b, "bob", 9).await, 5);
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn without_the_server_each_limits_for_itself_until_it_is_back() {
    let (_, prefix) = store();
    let proxy = Proxy::start(Mood::Well).await;
    let open = |url: &str| RedisStore::open(url).unwrap().prefix(prefix.as_str());
    let (a, b) =
        (KeyedHandle::<str>::new(FIVE).store(open(&proxy.url)), KeyedHandle::new(FIVE).store(open(&url())));
    let passed = async |limits: &SharedHandle<str>, key: &str| {
        let mut passed = 0;
        for _ in 0..9 {
            passed += usize::from(limits.check(key, 1).await.is_ok());
        }
        passed
    };
    for (mood, [key, another, third]) in [(Mood::Cut, ["a", "b", "c"]), (Mood::Silent, ["d", "e", "f"])] {
        assert_eq!((passed(&a, key).await, passed(&b, key).await), (5, 0));
        proxy.behave(mood);
        assert_eq!((passed(&a, another).await, passed(&b, another).await), (5, 5), "{mood:?}");
        assert!(a.is_alone() && !b.is_alone());
        assert_eq!(passed(&a, key).await, 0, "it knows who was over the limit");

        proxy.behave(Mood::Well);
        let back = async {
            while a.is_alone() {
                let _ = a.peek("anybody", 1).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), back).await.expect("it is asked again");
        assert_eq!((passed(&b, third).await, passed(&a, third).await), (5, 0), "{mood:?}");
    }
}
