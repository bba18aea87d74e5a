//! Stacks that are changed while they run.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::body::Body;
use bartizan_balance::{Balance, Choice, Ejection};
use bartizan_breaker::{Breaker, Consecutive, Mode, State};
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Budget, Change, Instant, Refused};
use bartizan_deadline::Deadline;
use bartizan_hedge::Hedge;
use bartizan_limit::Limit;
use bartizan_retry::Retry;
use bartizan_shed::Shed;
use bartizan_stack::{ClientLayer, ClientStack, Host, ServerLayer, ServerStack};
use http::{Request, Response, StatusCode, Uri};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// A server that does as the path says, and counts the calls.
#[derive(Clone, Default)]
struct Server(Arc<AtomicUsize>);

impl Server {
    fn calls(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn service<B: Send + 'static>(
        &self,
    ) -> impl Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + use<B> {
        let calls = self.0.clone();
        service_fn(move |request: Request<B>| {
            calls.fetch_add(1, SeqCst);
            async move {
                let status = match request.uri().path() {
                    "/fail" => StatusCode::INTERNAL_SERVER_ERROR,
                    "/hang" => pending().await,
                    _ => StatusCode::OK,
                };
                let mut answer = Response::new(Body::empty());
                *answer.status_mut() = status;
                Ok(answer)
            }
        })
    }
}

fn request(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

fn took(since: Instant) -> Duration {
    Instant::now() - since
}

/// A status, and the layer that refused.
type Told = (u16, Option<&'static str>);

async fn ask<S, B>(service: &S, uri: &str) -> Told
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
{
    let answer = service.clone().oneshot(request(uri)).await.unwrap();
    (answer.status().as_u16(), answer.extensions().get::<Refused>().map(Refused::layer))
}

/// The names of the layers that are registered as this.
fn registered(name: &str) -> Vec<&'static str> {
    let mut layers: Vec<_> = registry::handles()
        .iter()
        .filter(|handle| handle.name() == name || handle.name() == format!("{name}, attempt"))
        .map(|handle| handle.layer())
        .collect();
    layers.sort_unstable();
    layers
}

/// What fails once is enough, and is not made again.
fn strict() -> ClientStack {
    let breaker = Breaker::new().without_evidence().consecutive(Consecutive::new(1));
    ClientStack::new().retry(Retry::new().enabled(false)).hedge(Hedge::new().enabled(false)).breaker(breaker)
}

#[tokio::test(start_paused = true)]
async fn a_name_is_that_of_all_layers_inside() {
    let server = ServerLayer::default().named("names, server");
    assert_eq!(registered("names, server"), ["deadline", "limit", "shed"]);
    let server = server.limit_by(|head| head.uri.path().to_owned());
    assert_eq!(registered("names, server"), ["deadline", "limit", "shed"]);
    assert_eq!(server.handle().name(), Some("names, server"));
    assert_eq!(server.limits().name(), Some("names, server"));

    let client = ClientLayer::default().named("names, client").named("another");
    assert_eq!(
        registered("names, client"),
        ["breaker", "budget", "deadline", "deadline", "hedge", "retry", "stale"]
    );
    let client = client.members([Uri::from_static("http://a")]);
    assert_eq!(
        registered("names, client"),
        ["balance", "breaker", "budget", "deadline", "deadline", "hedge", "retry", "stale"]
    );
    assert_eq!(client.handle().name(), Some("names, client"));
    drop(client);
    assert_eq!(registered("names, client"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_changed_while_it_runs() {
    let server = Server::default();
    let layer = ServerLayer::new(ServerStack::new().limit(Limit::per(3, 3600 * SECOND)));
    let handle = layer.handle();
    // As `axum::serve` does, for each connection anew.
    let service = || layer.layer(server.service());
    assert_eq!(ask(&service(), "/").await, (200, None));
    assert_eq!(ask(&service(), "/").await, (200, None));

    // The bucket keeps the one token that it has.
    let stack = handle.stack();
    handle.update(stack.clone().limit(Limit::per(100, 3600 * SECOND)).deadline(2 * SECOND)).unwrap();
    assert_eq!(ask(&service(), "/").await, (200, None));
    assert_eq!(ask(&service(), "/").await, (429, Some("limit")));
    assert_eq!(handle.limit().unwrap().snapshot().refused, 1);
    handle.update(stack.without_limit().deadline(2 * SECOND)).unwrap();

    // Who is in flight stays, and is counted by a limit that comes later.
    let begun = Instant::now();
    let hangs = tokio::spawn(service().oneshot(request("/hang")));
    tokio::task::yield_now().await;
    assert_eq!(handle.shed().snapshot().in_flight, 1);
    handle.update(handle.stack().shed(Shed::fixed(1))).unwrap();
    assert_eq!(ask(&service(), "/").await, (503, Some("shed")));
    let answer = hangs.await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), took(begun)), (504, 2 * SECOND));
    drop(answer);
    assert_eq!(ask(&service(), "/").await, (200, None));
    assert_eq!(server.calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_changes_nothing() {
    let layer = ServerLayer::default();
    let handle = layer.handle();
    let wrong = ServerStack::new()
        .limit(Limit::per(1, 3600 * SECOND))
        .shed(Shed::new().assumed_deadline(20 * SECOND));
    let misfit = handle.update(wrong.clone()).unwrap_err();
    assert_eq!(misfit.fields(), ["shed.assumed_deadline", "deadline.total"]);
    assert_eq!(handle.stack(), ServerStack::new());
    let service = layer.layer(Server::default().service());
    for _ in 0..3 {
        assert_eq!(ask(&service, "/").await, (200, None));
    }
    assert_eq!(ServerLayer::try_new(wrong).unwrap_err(), misfit);

    let layer = ClientLayer::new(strict());
    let handle = layer.handle();
    let wrong = ClientStack::new().attempt(20 * SECOND);
    let misfit = handle.update(wrong.clone()).unwrap_err();
    assert_eq!(misfit.fields(), ["attempt.total", "deadline.total"]);
    assert_eq!(handle.stack(), strict());
    let service = layer.layer(Server::default().service());
    assert_eq!(ask(&service, "http://a/fail").await, (500, None));
    assert_eq!(ask(&service, "http://a/").await, (503, Some("breaker")));
    assert_eq!(ClientLayer::try_new(wrong).unwrap_err(), misfit);
}

#[test]
#[should_panic(expected = "attempt.total (20 s) is longer than deadline.total (3 s)")]
fn what_does_not_fit_is_no_layer() {
    let _ = ClientLayer::new(ClientStack::new().attempt(20 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn each_host_has_a_breaker_of_its_own() {
    let server = Server::default();
    let layer = ClientLayer::new(strict());
    let service = || layer.layer(server.service());
    assert_eq!(ask(&service(), "http://a/fail").await, (500, None));
    assert_eq!(ask(&service(), "http://a/").await, (503, Some("breaker")));
    assert_eq!(ask(&service(), "http://b/").await, (200, None));
    let breakers = layer.handle().breakers().clone();
    let state =
        |host: &'static str| breakers.get(&Host::of(&Uri::from_static(host))).map(|breaker| breaker.state());
    assert_eq!(
        (state("http://a/x"), state("http://b"), state("http://c")),
        (Some(State::Open), Some(State::Closed), None)
    );
}

#[tokio::test(start_paused = true)]
async fn breakers_change_that_are_and_that_will_be() {
    let server = Server::default();
    let three = Breaker::new().without_evidence().consecutive(Consecutive::new(3));
    let layer = ClientLayer::new(strict().breaker(three));
    let handle = layer.handle();
    let service = layer.layer(server.service());
    for _ in 0..2 {
        assert_eq!(ask(&service, "http://a/fail").await, (500, None));
    }
    // Two failures of `a` are not forgotten.
    handle.update(handle.stack().breaker(three.consecutive(Consecutive::new(2)))).unwrap();
    for host in ["http://a", "http://b"] {
        let mut failures = 0;
        while ask(&service, &format!("{host}/fail")).await == (500, None) {
            failures += 1;
        }
        assert_eq!(failures, if host == "http://a" { 1 } else { 2 });
    }

    // Switched off they let all through, and switched on they are as they were.
    handle.update(handle.stack().breaker(three.enabled(false))).unwrap();
    for host in ["http://a", "http://b", "http://c"] {
        for _ in 0..4 {
            assert_eq!(ask(&service, &format!("{host}/fail")).await, (500, None));
        }
    }
    handle.update(handle.stack().breaker(three)).unwrap();
    assert_eq!(ask(&service, "http://a/").await, (503, Some("breaker")));
    assert_eq!(ask(&service, "http://c/").await, (200, None));

    // What somebody has forced stays so, whatever the file says of other things.
    let a = handle.breakers().get(&Host::of(&Uri::from_static("http://a"))).unwrap();
    a.force_open();
    handle.update(handle.stack().breaker(three.consecutive(Consecutive::new(9)))).unwrap();
    assert_eq!(a.snapshot().mode, Mode::ForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn a_balanced_client_is_changed_while_it_runs() {
    let server = Server::default();
    let layer = ClientLayer::new(strict().balance(Balance::new().choice(Choice::RoundRobin)));
    let layer = layer.named("balanced, changed").members(["http://a", "http://b"].map(Uri::from_static));
    let handle = layer.handle();
    let service = || layer.layer(server.service());
    // A failure each, and nobody is left.
    for _ in 0..2 {
        assert_eq!(ask(&service(), "http://any/fail").await, (500, None));
    }
    assert_eq!(ask(&service(), "http://any/").await, (503, Some("breaker")));
    assert_eq!(server.calls(), 2);

    // One that comes later has the new breaker, and the old ones are as they were.
    let lenient = Breaker::new().without_evidence().consecutive(Consecutive::new(3));
    handle.update(handle.stack().breaker(lenient)).unwrap();
    let balance = handle.balance().unwrap();
    balance.change(Change::set(["http://a", "http://b", "http://c"].map(Uri::from_static)));
    for _ in 0..3 {
        assert_eq!(ask(&service(), "http://any/fail").await, (500, None));
    }
    assert_eq!(ask(&service(), "http://any/").await, (503, Some("breaker")));
    assert_eq!(handle.breakers().all().len(), 3);

    handle.update(handle.stack().balance(Balance::new().choice(Choice::Random))).unwrap();
    let of_us = |seen: &Arc<dyn Observed>| seen.layer() == "balance" && seen.name() == "balanced, changed";
    let seen = registry::handles().into_iter().find(of_us).unwrap();
    assert_eq!(seen.note().as_deref(), Some("random"));
    // Nothing that was learnt of them is lost.
    let failures: u32 = balance.snapshot().endpoints.iter().map(|endpoint| endpoint.failures).sum();
    assert_eq!(failures, 5);
}

#[tokio::test(start_paused = true)]
async fn more_members_than_one_have_breakers_of_endpoints_and_hedges() {
    let layer = ClientLayer::default();
    assert!(!layer.handle().members([Uri::from_static("http://a")]));
    let layer = layer.members([Uri::from_static("http://a")]);
    let handle = layer.handle();
    let shown = || handle.to_string();
    assert!(shown().contains("evidence 25 % to 75 %") && shown().contains("hedge     off"), "{}", shown());
    assert!(handle.members(["http://a", "http://b"].map(Uri::from_static)));
    assert!(
        shown().contains("evidence 5 % to 40 %") && shown().contains("hedge     2 copies"),
        "{}",
        shown()
    );

    // Six failures are enough before an endpoint, where a service would have ten.
    let in_turn = Balance::new().choice(Choice::RoundRobin).ejection(Ejection::new().enabled(false));
    let once = handle.stack().retry(Retry::new().enabled(false)).hedge(Hedge::new().enabled(false));
    handle.update(once.balance(in_turn)).unwrap();
    let service = layer.layer(Server::default().service());
    for _ in 0..12 {
        assert_eq!(ask(&service, "http://any/fail").await, (500, None));
        tokio::time::advance(SECOND / 10).await;
    }
    assert_eq!(ask(&service, "http://any/").await, (503, Some("breaker")));
}

#[tokio::test(start_paused = true)]
async fn times_budgets_and_copies_change() {
    let server = Server::default();
    let layer = ClientLayer::new(ClientStack::new().hedge(Hedge::new().enabled(false)));
    let handle = layer.handle();
    let service = layer.layer(server.service());
    let begun = Instant::now();
    // Three attempts of a second each end with the deadline.
    assert_eq!(ask(&service, "http://a/hang").await, (504, Some("deadline")));
    assert!(server.calls() >= 2 && took(begun) <= 3 * SECOND, "{} {:?}", server.calls(), took(begun));

    let quick = handle.stack().deadline(SECOND / 2).retry(Retry::new().max_retries(0));
    handle.update(quick.budget(Budget::new().min_tokens(50))).unwrap();
    assert_eq!(handle.purse().snapshot().cap, 50.0);
    let (begun, before) = (Instant::now(), server.calls());
    assert_eq!(ask(&service, "http://a/hang").await, (504, Some("deadline")));
    assert_eq!((took(begun), server.calls()), (SECOND / 2, before + 1));

    // Two copies at once beside the first, from purses that are full.
    let hedge = Hedge::new().delay(Duration::ZERO).budget(Budget::new().min_tokens(50));
    handle.update(handle.stack().hedge(hedge)).unwrap();
    for _ in 0..500 {
        handle.purse().deposit();
        handle.hedge().purse().deposit();
    }
    let before = server.calls();
    assert_eq!(ask(&service, "http://a/hang").await.0, 504);
    assert_eq!(server.calls(), before + 3);
}

#[tokio::test(start_paused = true)]
async fn with_all_off_it_is_as_if_nothing_was_there() {
    let off = Deadline::new(Duration::ZERO).enabled(false);
    let server = Server::default();
    let layer = ServerLayer::new(ServerStack::new().deadline(off).shed(Shed::fixed(1).enabled(false)));
    let around = ClientLayer::new(
        ClientStack::new()
            .deadline(off)
            .retry(Retry::new().enabled(false))
            .hedge(Hedge::new().enabled(false))
            .breaker(Breaker::new().consecutive(Consecutive::new(1)).enabled(false))
            .attempt(off),
    );
    let service = around.layer(layer.layer(server.service()));
    for nth in 1..20 {
        assert_eq!(ask(&service, "http://a/fail").await, (500, None));
        assert_eq!(server.calls(), nth);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_asks_functions() {
    let layer = ServerLayer::new(ServerStack::new().limit(Limit::per(1, 3600 * SECOND)))
        .limit_by(|head| head.uri.path().to_owned())
        .exempt(|head| head.uri.path() == "/free")
        .priority(|_| bartizan_core::Priority::SHEDDABLE)
        .named("functions");
    let handle = layer.handle();
    let service = || layer.layer(Server::default().service());
    assert_eq!(ask(&service(), "/a").await, (200, None));
    assert_eq!(ask(&service(), "/a").await, (429, Some("limit")));
    assert_eq!(ask(&service(), "/b").await, (200, None));
    for _ in 0..3 {
        assert_eq!(ask(&service(), "/free").await, (200, None));
    }
    assert_eq!(handle.shed().snapshot().admitted.sheddable, 2);
    assert!(handle.limit().is_none());
    assert_eq!(layer.limits().snapshot().refused, 1);
    handle.update(handle.stack().without_limit()).unwrap();
    assert_eq!(ask(&service(), "/a").await, (200, None));
}

#[tokio::test(start_paused = true)]
async fn the_halves_are_the_whole() {
    let server = Server::default();
    let layer = ClientLayer::new(strict()).named("halves");
    let inner = server.clone();
    let balance =
        layer.balance(move |_| inner.service()).members(["http://a", "http://b"].map(Uri::from_static));
    let service = layer.outer().layer(balance);
    let handle = layer.handle();
    for _ in 0..2 {
        assert_eq!(ask(&service, "/fail").await, (500, None));
    }
    assert_eq!(ask(&service, "/").await, (503, Some("breaker")));
    assert_eq!(handle.balance().unwrap().snapshot().endpoints.len(), 2);
    handle.update(handle.stack().breaker(Breaker::new().enabled(false))).unwrap();
    assert_eq!(ask(&service, "/").await, (200, None));
}

/// Looks at a stack whenever it hears of something.
struct Curious<F>(F, Arc<AtomicUsize>);

impl<F: Fn() -> String + 'static + Send + Sync> tracing::Subscriber for Curious<F> {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        assert!(!(self.0)().is_empty());
        self.1.fetch_add(1, SeqCst);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn who_hears_of_a_change_may_look_at_the_stack() {
    let heard = Arc::new(AtomicUsize::new(0));
    let off = Deadline::new(SECOND).enabled(false);
    let (server, client) = (ServerLayer::default().handle(), ClientLayer::default().handle());
    let (look, looked) = (server.clone(), client.clone());
    let curious = Curious(move || format!("{look}{look:?}{looked}{looked:?}"), heard.clone());
    tracing::subscriber::with_default(curious, || {
        server.update(server.stack().deadline(off).shed(Shed::new().enabled(false))).unwrap();
        assert!(heard.load(SeqCst) > 0);
        let before = heard.load(SeqCst);
        client.update(client.stack().deadline(off).retry(Retry::new().enabled(false))).unwrap();
        assert!(heard.load(SeqCst) > before);
    });
}

#[test]
fn who_hears_of_a_change_may_want_another() {
    let heard = Arc::new(AtomicUsize::new(0));
    let off = Deadline::new(SECOND).enabled(false);
    let (server, client) = (ServerLayer::default().handle(), ClientLayer::default().handle());
    let (other, another, count) = (server.clone(), client.clone(), heard.clone());
    let curious = move || {
        if count.load(SeqCst) == 0 {
            other.update(other.stack().deadline(2 * SECOND)).unwrap();
            another.update(another.stack().deadline(2 * SECOND)).unwrap();
        }
        String::from("once")
    };
    let changed = move || {
        tracing::subscriber::with_default(Curious(curious, heard.clone()), || {
            server.update(server.stack().shed(Shed::new().enabled(false)).deadline(off)).unwrap();
            heard.store(0, SeqCst);
            client.update(client.stack().retry(Retry::new().enabled(false)).deadline(off)).unwrap();
        });
        (server.stack(), client.stack())
    };
    // Whoever waits for himself never comes back.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(Box::new(changed())));
    let (server, client) = *told.recv_timeout(60 * SECOND).unwrap();
    // It was made of what was before, and comes after.
    assert_eq!(
        (server, client),
        (ServerStack::new().deadline(2 * SECOND), ClientStack::new().deadline(2 * SECOND))
    );
}

#[test]
fn types_are_what_servers_and_clients_ask_for() {
    fn is<T: Clone + Send + Sync + 'static>(_: &T) {}
    let (server, client) = (ServerLayer::default(), ClientLayer::default());
    let inner = || Server::default().service::<Body>();
    is(&server);
    is(&server.layer(inner()));
    is(&server.handle());
    is(&client);
    is(&client.layer(Server::default().service::<bartizan_http::Replay<bartizan_http::Replay<Body>>>()));
    is(&client.handle());
    is(&client.each(&Uri::from_static("http://a")));
    is(&client.outer());
    is(&client.clone().members([Uri::from_static("http://a")]));
    let named: bartizan_stack::ServerService<_> = server.layer(inner());
    let _ = BoxCloneSyncService::<Request<Body>, _, Infallible>::new(named);
}
