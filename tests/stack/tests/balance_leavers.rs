//! Callers that leave, members that break, and streams of discovery that end: nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, BalanceLayer, BalanceService, Change, Choice, Handle, Own, TypedWay};
use bartizan_client::{Body, Client, Error};
use bartizan_core::{Refused, find_cause};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response, StatusCode, Uri};
use stack::echo::{EchoClient, lazy};
use stack::{Mood, Replica, boxed, clients, soon, until};
use std::convert::Infallible;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower::limit::ConcurrencyLimit;
use tower::{BoxError, Service, ServiceExt};

const HOUR: Duration = Duration::from_secs(3600);

fn in_flight<K: Clone + Eq + std::hash::Hash + fmt::Debug + Send + Sync + 'static>(
    handle: &Handle<K>,
) -> u32 {
    handle.snapshot().endpoints.iter().map(|one| one.in_flight).sum()
}

#[tokio::test]
async fn calls_that_are_dropped() {
    let fleet = Replica::several(2).await;
    let layer = BalanceLayer::new(Balance::new().max_in_flight(4)).members(fleet.iter().map(Replica::uri));
    let handle = layer.handle();
    for (name, client) in clients!(layer) {
        fleet.iter().for_each(|replica| replica.behave(Mood::Hung));
        for _ in 0..5 {
            let calls: Vec<_> = (0..4).map(|_| tokio::spawn(client.get("http://fleet/").send())).collect();
            until(|| fleet.iter().map(Replica::running).sum::<usize>() == 4).await;
            assert_eq!(in_flight(&handle), 4, "{name}");
            let full = soon(client.get("http://fleet/").send()).await.unwrap_err();
            assert!(
                matches!(&full, Error::Refused(full) if full.reason() == "too many calls in flight"),
                "{full:?}"
            );
            for call in calls {
                call.abort();
                assert!(call.await.unwrap_err().is_cancelled());
            }
            assert_eq!(in_flight(&handle), 0, "{name}");
            until(|| fleet.iter().map(Replica::running).sum::<usize>() == 0).await;
        }
        fleet.iter().for_each(|replica| replica.behave(Mood::Well));
        assert_eq!(soon(client.get("http://fleet/").send()).await.unwrap().status(), StatusCode::OK);
    }
    let snapshot = handle.snapshot();
    let failed = snapshot.endpoints.iter().map(|one| one.failures + one.unanswered).sum::<u32>();
    assert_eq!((failed, snapshot.ejections.total()), (0, 0), "to be left is no failure");
}

#[tokio::test]
async fn bodies_that_are_dropped() {
    let fleet = Replica::several(2).await;
    fleet.iter().for_each(|replica| replica.behave(Mood::Dripping));
    let layer = BalanceLayer::new(Balance::new()).members(fleet.iter().map(Replica::uri));
    let handle = layer.handle();
    for (name, client) in clients!(layer) {
        let mut held = Vec::new();
        for at in 1..=4 {
            let mut answer = soon(client.get("http://fleet/").send()).await.unwrap();
            assert!(soon(answer.chunk()).await.unwrap().is_some());
            held.push(answer);
            assert_eq!(in_flight(&handle), at, "{name}");
        }
        drop(held);
        assert_eq!(in_flight(&handle), 0, "{name}");
    }

    let fleet = Replica::several_of_grpc(2).await;
    let set = BalanceService::new(Balance::new(), lazy).members(fleet.iter().map(Replica::uri));
    let (handle, mut client) = (set.handle(), EchoClient::new(set));
    let mut answers = soon(client.server_stream("one hang")).await.unwrap().into_inner();
    assert_eq!(soon(answers.message()).await.unwrap().unwrap().text, "one");
    assert_eq!(in_flight(&handle), 1);
    drop(answers);
    assert_eq!(in_flight(&handle), 0);
}

#[tokio::test]
async fn who_waits_for_endpoints_and_leaves() {
    let layer = BalanceLayer::new(Balance::new().wait_for_endpoints(HOUR).max_in_flight(1));
    let handle = layer.handle();
    let client = Client::new(boxed!(&layer, stack::reqwest(false)));
    for _ in 0..3 {
        let mut call = Box::pin(client.get("http://fleet/").send());
        assert!(call.as_mut().now_or_never().is_none());
    }
    let replica = Replica::start().await;
    handle.change(Change::set([replica.uri()]));
    assert_eq!(in_flight(&handle), 0);
    assert_eq!(soon(client.get("http://fleet/").send()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(replica.calls(), 1);
}

// Services of one's own.

/// What a member does, by its name.
#[derive(Clone, Debug)]
struct Odd(&'static str, Arc<AtomicUsize>);

impl Service<&'static str> for Odd {
    type Response = &'static str;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<&'static str, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.0 {
            "never ready" | "never ready either" => Poll::Pending,
            "broken" => Poll::Ready(Err("broken".into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, said: &'static str) -> Self::Future {
        self.1.fetch_add(1, SeqCst);
        match (self.0, said) {
            // Without the noise of a panic.
            ("panics at once", _) => resume_unwind(Box::new("at once")),
            ("panics later", _) => Box::pin(async {
                tokio::task::yield_now().await;
                resume_unwind(Box::new("later"))
            }),
            (_, "hang") => Box::pin(std::future::pending()),
            (name, _) => Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                Ok(name)
            }),
        }
    }
}

type Set<S> = BalanceService<&'static str, S, Own, TypedWay>;

fn odd(value: Balance, calls: &Arc<AtomicUsize>) -> Set<Odd> {
    let calls = calls.clone();
    BalanceService::new(value.seed(7), move |name: &&'static str| Odd(name, calls.clone())).typed()
}

#[tokio::test]
async fn who_waits_for_a_member_to_be_ready_and_leaves() {
    let calls = Arc::<AtomicUsize>::default();
    let set: Set<ConcurrencyLimit<Odd>> = {
        let calls = calls.clone();
        BalanceService::new(Balance::new(), move |name: &&'static str| {
            ConcurrencyLimit::new(Odd(name, calls.clone()), 1)
        })
        .typed()
    };
    // `make` is called once for a member, so that its clones share the limit.
    let set = set.members(["one"]);
    let handle = set.handle();
    let mut first = Box::pin(set.clone().oneshot("hang"));
    assert!(first.as_mut().now_or_never().is_none());
    for _ in 0..3 {
        let mut waiting = Box::pin(set.clone().oneshot("leave"));
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    let waiting = tokio::spawn(set.clone().oneshot("stay"));
    tokio::task::yield_now().await;
    assert_eq!((in_flight(&handle), calls.load(SeqCst)), (1, 1));
    drop(first);
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "one");
    assert_eq!((in_flight(&handle), calls.load(SeqCst)), (0, 2));
}

#[tokio::test]
async fn members_that_are_never_ready_are_passed_by() {
    for choice in [Choice::latency(), Choice::round_robin(), Choice::random(), Choice::p2c()] {
        let set = odd(Balance::new().choice(choice), &Arc::default());
        let set = set.members(["never ready", "never ready either", "well", "broken"]);
        for _ in 0..50 {
            assert_eq!(soon(set.clone().oneshot("hello")).await.unwrap(), "well", "{choice:?}");
        }
    }
}

#[tokio::test]
async fn members_that_panic_have_failed() {
    for ill in ["panics at once", "panics later"] {
        let calls = Arc::<AtomicUsize>::default();
        let set = odd(Balance::new(), &calls).members([ill, "well"]);
        let handle = set.handle();
        let mut panicked = 0;
        for _ in 0..200 {
            // As a task has it.
            match tokio::spawn(set.clone().oneshot("hello")).await {
                Ok(said) => assert_eq!(said.unwrap(), "well"),
                Err(error) => {
                    assert!(error.is_panic());
                    panicked += 1;
                }
            }
        }
        assert_eq!(in_flight(&handle), 0);
        let seen = &handle.snapshot().endpoints[0];
        assert!(panicked <= 2, "{ill}: {panicked} of 200, {seen:?}");
        assert_eq!(seen.failures + seen.unanswered, panicked, "{ill}");
    }
}

/// Hears of its end.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[tokio::test]
async fn a_stream_of_discovery_that_errs_and_ends_leaves_what_was_told_last() {
    let fleet = Replica::several(3).await;
    let (tell, told) = mpsc::unbounded_channel::<Result<Change<Uri>, &str>>();
    let layer = BalanceLayer::new(Balance::new()).discover(UnboundedReceiverStream::new(told));
    let handle = layer.handle();
    let client = Client::new(boxed!(&layer, stack::reqwest(true)));
    let keys = || handle.snapshot().endpoints.into_iter().map(|one| one.key).collect::<Vec<_>>();
    tell.send(Err("not yet")).unwrap();
    tell.send(Ok(Change::set([fleet[0].uri(), fleet[1].uri()]))).unwrap();
    until(|| keys() == [fleet[0].uri(), fleet[1].uri()]).await;
    for _ in 0..3 {
        tell.send(Err("down")).unwrap();
    }
    tell.send(Ok(Change::Insert(fleet[2].uri().into()))).unwrap();
    until(|| keys().len() == 3).await;
    tell.send(Ok(Change::Remove(fleet[0].uri()))).unwrap();
    tell.send(Err("down again")).unwrap();
    drop(tell);
    until(|| keys() == [fleet[1].uri(), fleet[2].uri()]).await;
    for _ in 0..20 {
        assert_eq!(soon(client.get("http://fleet/").send()).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(fleet[0].calls(), 0);
    assert_eq!(fleet[1].calls() + fleet[2].calls(), 20);
}

#[tokio::test]
async fn the_task_of_discovery_ends_with_the_balancer() {
    let ended = Arc::<AtomicBool>::default();
    let guard = Ended(ended.clone());
    let discovery =
        stream::iter([Ok::<_, Infallible>(Change::set([Uri::from_static("http://127.0.0.1:1")]))])
            .chain(stream::pending())
            .map(move |change| {
                let _held = &guard;
                change
            });
    let layer = BalanceLayer::new(Balance::new()).discover(discovery);
    let service = tower::Layer::layer(&layer, stack::hyper(false));
    drop(layer);
    let handle = service.handle();
    until(|| handle.snapshot().endpoints.len() == 1).await;
    drop(service);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!ended.load(SeqCst), "whoever has a handle may still ask");
    drop(handle);
    until(|| ended.load(SeqCst)).await;
}

#[tokio::test]
async fn a_call_of_a_balancer_that_is_gone_is_answered() {
    let replica = Replica::start().await;
    let layer = BalanceLayer::new(Balance::new()).members([replica.uri()]);
    let service = tower::Layer::layer(&layer, stack::hyper(false));
    drop(layer);
    replica.behave(Mood::Slow);
    let call = service.oneshot(Request::get("http://fleet/").body(Body::empty()).unwrap());
    let answer: Response<_> = soon(call).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let said = soon(http_body_util::BodyExt::collect(answer.into_body())).await.unwrap().to_bytes();
    assert_eq!(said, replica.uri().authority().unwrap().as_str());
}

#[tokio::test]
async fn a_typed_call_to_nobody_is_an_error_of_its_service() {
    let error = odd(Balance::new(), &Arc::default()).oneshot("hello").await.unwrap_err();
    assert_eq!(find_cause::<Refused>(&*error).unwrap().reason(), "no endpoints");
    let all_broken = odd(Balance::new(), &Arc::default()).members(["broken"]);
    assert_eq!(soon(all_broken.oneshot("hello")).await.unwrap_err().to_string(), "broken");
}
