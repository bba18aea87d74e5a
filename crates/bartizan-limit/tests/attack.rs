//! What callers, stores, operators and the user's own functions may do to a limit: it stays exact, nobody hangs, and nothing is left.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Context as Ambient, Dice, Instant, Refused, registry};
use bartizan_http::Head;
use bartizan_limit::{Address, Ask, Asking, Handle, KeyedHandle, Limit, LimitLayer, Store, Told};
use http::{HeaderName, HeaderValue, Request};
use std::future::ready;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::time::{advance, timeout};
use tower::{BoxError, Layer, Service, ServiceExt};
use tracing::{Event, Metadata, Subscriber, span};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const ONE: Limit = Limit::per_second(1);

type Call = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

fn call<L, Req: Send + 'static>(layer: &L, req: Req) -> Call
where
    L: Layer<Good>,
    L::Service: Service<Req, Response = (), Error = BoxError, Future: Send> + Send + 'static,
{
    Box::pin(layer.layer(Good).oneshot(req))
}

/// A service that answers at once.
#[derive(Clone)]
struct Good;

impl<Req> Service<Req> for Good {
    type Response = ();
    type Error = BoxError;
    type Future = std::future::Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Req) -> Self::Future {
        ready(Ok(()))
    }
}

fn poll(call: &mut Call) -> Poll<Result<(), BoxError>> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn why(out: Result<(), BoxError>) -> &'static str {
    out.unwrap_err().downcast::<Refused>().unwrap().reason()
}

/// A call that nobody polls any more, as in a `select` whose other branch is under way, must not keep those behind it for ever.
#[tokio::test(start_paused = true)]
async fn who_waits_behind_one_that_is_never_polled_is_refused_in_time() {
    let layer = LimitLayer::new(ONE).typed().waiting(3 * SECOND, 9);
    call(&layer, ()).await.unwrap();
    let mut stuck = call(&layer, ());
    assert!(poll(&mut stuck).is_pending());
    let begun = Instant::now();
    let behind = timeout(9 * SECOND, call(&layer, ())).await.unwrap();
    assert_eq!((why(behind), Instant::now() - begun), ("would wait too long", 6 * SECOND));
    let ambient = Ambient::new().with_deadline(Instant::now() + 2 * SECOND);
    let begun = Instant::now();
    let behind = ambient.enter(|| call(&layer, ()));
    let behind = timeout(9 * SECOND, ambient.scope(behind)).await.unwrap();
    assert_eq!((why(behind), Instant::now() - begun), ("would wait too long", 2 * SECOND));
    stuck.await.unwrap();
    assert_eq!(layer.handle().snapshot().waiting, 0);
}

/// While those who wait go, nothing is refused by a limit that is off.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_off_refuses_no_cost_beside_those_who_wait() {
    let layer = LimitLayer::new(ONE).typed().cost(|cost: &u32| *cost).waiting(9 * SECOND, 9);
    call(&layer, 1).await.unwrap();
    let mut waits = call(&layer, 1);
    assert!(poll(&mut waits).is_pending());
    assert_eq!(why(call(&layer, u32::MAX).await), "costs more than the burst");
    layer.handle().update(ONE.enabled(false));
    let mut costly = call(&layer, u32::MAX);
    assert!(poll(&mut costly).is_pending(), "it comes after the other");
    waits.await.unwrap();
    costly.await.unwrap();
}

/// Steers the limit when it goes, as a waker may do anything.
struct Meddler(Handle);

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.0.update(ONE);
        self.0.reset();
    }
}

#[tokio::test(start_paused = true)]
async fn wakers_may_use_the_handle() {
    let layer = LimitLayer::new(ONE).typed().waiting(9 * SECOND, 9);
    call(&layer, ()).await.unwrap();
    let mut waiting: Vec<Call> = (0..3).map(|_| call(&layer, ())).collect();
    for call in &mut waiting {
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Meddler(layer.handle())));
            let _ = call.as_mut().poll(&mut Context::from_waker(&waker));
        }
    }
    drop(waiting);
    assert_eq!(layer.handle().snapshot().waiting, 0);
}

/// A store that tells nonsense.
#[derive(Debug)]
struct Mad(Told);

impl Store for Mad {
    fn ask(&self, _: Ask<'_>) -> Asking {
        Box::pin(ready(Ok(self.0)))
    }
}

/// What it says is done; but it neither opens a limit nor closes it for longer than a drained bucket is.
#[tokio::test(start_paused = true)]
async fn a_store_that_tells_nonsense_does_no_lasting_harm() {
    let limit = Limit::per_second(1).burst(5);
    for debt in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_nanos(u64::MAX - 1)] {
        let told = Told { wait: Duration::ZERO, debt };
        let one = LimitLayer::new(limit).typed().store(Mad(told));
        let keyed = LimitLayer::new(limit).typed().key(|key: &u8| *key).store(Mad(told));
        for _ in 0..3 {
            call(&one, 7_u8).await.unwrap();
            call(&keyed, 7_u8).await.unwrap();
            for _ in 0..3 {
                assert_eq!(why(call(&one, 7_u8).await), "over the limit");
                assert_eq!(why(call(&keyed, 7_u8).await), "over the limit");
            }
            advance(5 * SECOND).await;
        }
        keyed.handle().charge(&7, u32::MAX).await;
        keyed.handle().peek(&7, u32::MAX).await.unwrap_err();
    }
    let silent = Told { wait: Duration::MAX, debt: Duration::ZERO };
    let keyed = LimitLayer::new(limit).typed().key(|key: &u8| *key).store(Mad(silent));
    assert_eq!(why(call(&keyed, 7_u8).await), "over the limit");
    assert_eq!(keyed.handle().here().remaining(&7), 5, "what was not given costs nothing here");
}

/// A key whose hash panics.
struct Brittle(&'static str);

impl Hash for Brittle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert_ne!(self.0, "hash");
        self.0.hash(state);
    }
}

#[tokio::test(start_paused = true)]
async fn functions_that_panic_take_nothing() {
    let layer = LimitLayer::new(ONE)
        .typed()
        .cost(|req: &&'static str| {
            assert_ne!(*req, "cost");
            1
        })
        .exempt(|req: &&'static str| *req == "exempt" && panic!("on purpose"))
        .key(|req: &&'static str| {
            assert_ne!(*req, "key");
            Brittle(req)
        });
    let waiting = layer.clone().waiting(SECOND, 9);
    for place in ["cost", "exempt", "key", "hash"] {
        tokio::spawn(call(&layer, place)).await.unwrap_err();
        tokio::spawn(call(&waiting, place)).await.unwrap_err();
    }
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.keys, snapshot.waiting, snapshot.refused), (0, 0, 0));
    call(&layer, "well").await.unwrap();
    call(&waiting, "well").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn numbers_at_their_ends() {
    let slow = Limit::per(1, Limit::MAX_REFILL);
    let fast = Limit::per(u32::MAX, Duration::from_nanos(1));
    let limits = [slow, fast, slow.enabled(false), fast.shadow(1.0), Limit::per_second(u32::MAX), ONE];
    for max_wait in [Duration::ZERO, SECOND, Duration::MAX] {
        let one = LimitLayer::new(ONE).typed().cost(|cost: &u32| *cost);
        let keyed = one.clone().key(|cost: &u32| *cost % 3).max_keys(NonZeroUsize::MIN);
        let one = one.announce(true).waiting(max_wait, usize::MAX);
        let handles = (one.handle(), keyed.handle());
        let keyed = keyed.waiting(max_wait, usize::MAX);
        for limit in limits.into_iter().chain(limits.into_iter().rev()) {
            handles.0.update(limit);
            handles.1.update(limit);
            let mut calls = Vec::new();
            for cost in [0, 1, u32::MAX, 2, u32::MAX - 1, 1] {
                calls.extend([call(&one, cost), call(&keyed, cost)]);
                handles.0.charge(cost);
                handles.1.charge(&cost, cost);
            }
            calls.iter_mut().for_each(|call| drop(poll(call)));
            advance(SECOND).await;
            let snapshot = handles.0.snapshot();
            assert!(snapshot.remaining <= limit.max_burst() && snapshot.full_in <= Limit::MAX_REFILL);
        }
        assert_eq!((handles.0.snapshot().waiting, handles.1.snapshot().waiting), (0, 0));
    }
}

/// Whatever a stranger writes into the field, what the proxy has added decides.
#[test]
fn what_a_stranger_sends_moves_nobody() {
    const ALPHABET: &[u8] = b",;=\"\\:[]. 019af\xff\t\x80forFOR-_";
    let peer = |head: &Head<'_>| head.extensions.get::<SocketAddr>().copied();
    let dice = Dice::new(Some(7));
    for n in 0..20_000 {
        let forwarded = n % 2 == 0;
        let (name, added) = match forwarded {
            true => ("forwarded", "for=\"[2001:db8::7]:80\";proto=https"),
            false => ("x-forwarded-for", "2001:db8::7"),
        };
        let junk: Vec<u8> =
            (0..n % 40).map(|_| ALPHABET[(dice.unit() * ALPHABET.len() as f64) as usize]).collect();
        let mut req = Request::new(());
        req.extensions_mut().insert(SocketAddr::from(([10, 0, 0, 1], 80)));
        let mut add = |value: &[u8]| {
            req.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        };
        if n % 3 == 0 {
            add(&junk);
            add(added.as_bytes());
        } else {
            add(&[&junk, &b", "[..], added.as_bytes()].concat());
        }
        let of =
            |proxies| Address::new(peer).trusted_proxies(proxies).forwarded(forwarded).of(&Head::of(&req));
        assert_eq!(of(1).to_string(), "2001:db8::", "{junk:?}");
        // Beyond, it may be anything, but is found without a panic.
        let _ = (of(2), of(usize::MAX));
    }
}

/// Sends what it hears somewhere, under the limit that tells it.
struct Exporter(Arc<AtomicUsize>);

type Nobody = fn(&Head<'_>) -> Option<SocketAddr>;

thread_local! {
    static ADDRESS: Address<Nobody> = Address::new(|_: &Head<'_>| None);
}

impl Subscriber for Exporter {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, _: &Event<'_>) {
        ADDRESS.with(|address| address.of(&Head::of(&Request::new(()))));
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
fn who_hears_of_a_request_without_an_address_may_send_one() {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let heard = Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Exporter(heard.clone()), || {
            ADDRESS.with(|address| address.of(&Head::of(&Request::new(()))));
        });
        done.send(heard.load(Relaxed)).unwrap();
    });
    assert_eq!(wait.recv_timeout(30 * SECOND).expect("it hangs"), 1);
}

#[test]
fn limits_that_are_gone_have_left_the_registry() {
    for n in 0..2000 {
        let layer = LimitLayer::new(ONE).named(format!("gone {n}"));
        let keyed = layer.clone().key(|head| head.method.clone()).max_keys(NonZeroUsize::MIN);
        drop((
            layer.handle(),
            keyed.handle(),
            layer.layer(()),
            keyed.clone().layer(()),
            keyed.waiting(MS, 1),
        ));
        drop(KeyedHandle::<str>::new(ONE).named(format!("gone {n}")));
    }
    assert!(!registry::handles().iter().any(|known| known.name().starts_with("gone ")));
}

/// Calls come, wait, and leave on several threads while the limit is steered. Nobody is left in a line, and none of those who wait is
/// forgotten: every call ends.
#[test]
fn everything_at_once_leaves_nothing_behind() {
    let layer = LimitLayer::new(Limit::per_second(1000)).typed().cost(|n: &u64| (*n % 3) as u32);
    let keyed = layer.clone().key(|n: &u64| *n % 5).max_keys(NonZeroUsize::new(3).unwrap());
    let (one, keyed) = (layer.waiting(20 * MS, 64), keyed.waiting(20 * MS, 64));
    let handles = (one.handle(), keyed.handle());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..32 {
            let (one, keyed) = (one.clone(), keyed.clone());
            tasks.spawn(async move {
                let dice = Dice::new(Some(seed));
                for _ in 0..50 {
                    let n = (dice.unit() * 1e9) as u64;
                    let (a, b) = (call(&one, n), call(&keyed, n));
                    if n % 7 == 0 {
                        let _ = timeout(MS, a).await;
                        drop(b);
                    } else {
                        drop((a.await, b.await));
                    }
                }
            });
        }
        let dice = Dice::new(Some(99));
        while !tasks.is_empty() {
            let rate = 1 + (dice.unit() * 3000.0) as u32;
            let limit = Limit::per_second(rate).burst(1 + rate % 7).enabled(rate % 5 != 0);
            let limit = limit.shadow(if rate % 11 == 0 { 0.5 } else { 0.0 });
            handles.0.update(limit);
            handles.1.update(limit);
            match rate % 13 {
                0 => handles.0.drain(),
                1 => handles.1.reset(),
                2 => handles.1.charge(&(u64::from(rate) % 5), 9),
                _ => {}
            }
            tokio::task::yield_now().await;
            while let Some(task) = tasks.try_join_next() {
                task.unwrap();
            }
        }
    });
    assert_eq!((handles.0.snapshot().waiting, handles.1.snapshot().waiting), (0, 0));
    let limit = Limit::per(1, 3600 * SECOND).burst(4);
    handles.0.update(limit);
    handles.0.reset();
    handles.1.update(limit);
    handles.1.reset();
    assert_eq!((0..9).filter(|_| handles.0.check(1).is_ok()).count(), 4);
    assert_eq!((0..9).filter(|_| handles.1.check(&0, 1).is_ok()).count(), 4);
}
