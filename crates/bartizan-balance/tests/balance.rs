//! The balancer through its public API.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, BalanceService, Change, Choice, Health};
use bartizan_core::{Kind, Refused};
use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tower::{BoxError, Service, ServiceExt};

/// Says who it is, or fails.
#[derive(Clone)]
struct Server {
    name: &'static str,
    ill: Arc<Mutex<Vec<&'static str>>>,
}

impl Service<u32> for Server {
    type Response = &'static str;
    type Error = BoxError;
    type Future = Ready<Result<&'static str, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        let ill = self.ill.lock().unwrap().contains(&self.name);
        ready(if ill { Err("ill".into()) } else { Ok(self.name) })
    }
}

type Set = BalanceService<&'static str, Server, bartizan_balance::Own, bartizan_balance::TypedWay>;

fn set(value: Balance, ill: &Arc<Mutex<Vec<&'static str>>>) -> Set {
    let ill = ill.clone();
    BalanceService::new(value.seed(1), move |name: &&'static str| Server { name, ill: ill.clone() }).typed()
}

async fn calls(set: &Set, n: u32) -> BTreeMap<&'static str, u32> {
    let mut said = BTreeMap::new();
    for i in 0..n {
        let who = set.clone().oneshot(i).await.unwrap_or("error");
        *said.entry(who).or_default() += 1;
    }
    said
}

#[tokio::test(start_paused = true)]
async fn equals_get_equal_shares_under_every_choice() {
    for choice in
        [Choice::latency(), Choice::round_robin(), Choice::random(), Choice::weighted(), Choice::p2c()]
    {
        let set = set(Balance::new().choice(choice), &Arc::default()).members(["a", "b", "c", "d"]);
        let said = calls(&set, 4000).await;
        assert!(said.len() == 4 && said.values().all(|n| (850..1150).contains(n)), "{choice:?}: {said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_fails_is_left_and_comes_back_when_it_is_well() {
    let ill: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let set = set(Balance::new(), &ill).members(["a", "b", "c"]);
    calls(&set, 300).await;
    ill.lock().unwrap().push("b");
    assert!(calls(&set, 1000).await.get("error").copied().unwrap_or_default() <= 2);
    ill.lock().unwrap().clear();
    let mut said = BTreeMap::new();
    for _ in 0..100 {
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        for (who, n) in calls(&set, 10).await {
            *said.entry(who).or_insert(0) += n;
        }
    }
    assert!(said.get("b") > Some(&50), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_a_refusal_at_once() {
    let empty = set(Balance::new(), &Arc::default());
    let error = empty.clone().oneshot(1).await.unwrap_err();
    let refused = bartizan_core::find_cause::<Refused>(&*error).unwrap();
    assert_eq!(
        (refused.layer(), refused.reason(), refused.kind()),
        ("balance", "no endpoints", Kind::Unavailable)
    );
    let handle = empty.handle();
    handle.change(Change::set(["a"]));
    assert_eq!(empty.clone().oneshot(1).await.unwrap(), "a");
    handle.change(Change::Health("a", Health::Down));
    assert_eq!(empty.clone().oneshot(1).await.unwrap(), "a", "in panic all are used");
    assert!(handle.snapshot().panic);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_an_endpoints_own_stack_moves_the_call_on() {
    use bartizan_breaker::{Breaker, BreakerLayer};
    use tower::Layer;
    let breakers: Arc<Mutex<Vec<bartizan_breaker::Handle>>> = Arc::default();
    let made = breakers.clone();
    let set = BalanceService::new(Balance::new().seed(3), move |name: &&'static str| {
        let breaker = BreakerLayer::new(Breaker::new()).typed();
        made.lock().unwrap().push(breaker.handle());
        breaker.layer(Server { name, ill: Arc::default() })
    });
    let set = set.typed().members(["a", "b"]);
    breakers.lock().unwrap()[0].force_open();
    for n in 0..100 {
        assert_eq!(set.clone().oneshot(n).await.unwrap(), "b");
    }
    breakers.lock().unwrap()[1].force_open();
    let error = set.clone().oneshot(0).await.unwrap_err();
    assert_eq!(bartizan_core::find_cause::<Refused>(&*error).unwrap().layer(), "breaker");
}

/// Is ready if it is called so.
#[derive(Clone)]
struct Moody(&'static str);

impl Service<u32> for Moody {
    type Response = &'static str;
    type Error = BoxError;
    type Future = Ready<Result<&'static str, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.0 == "never" { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, _: u32) -> Self::Future {
        ready(Ok(self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_endpoint_hears_of_another() {
    let set =
        BalanceService::new(Balance::new(), |name: &&'static str| Moody(name)).typed().members(["never"]);
    let mut call = tokio_test::task::spawn(set.clone().oneshot(1));
    assert!(call.poll().is_pending());
    set.handle().change(Change::set(["never", "well"]));
    assert!(call.is_woken());
    let Poll::Ready(Ok(who)) = call.poll() else { panic!("somebody is ready") };
    assert_eq!(who, "well");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_made_takes_nobody_along() {
    let make = |name: &&'static str| if *name == "bad" { panic!("as told") } else { Moody(name) };
    let set = BalanceService::new(Balance::new(), make).typed().members(["a", "b"]);
    let handle = set.handle();
    let changed = std::panic::AssertUnwindSafe(|| handle.change(Change::set(["a", "bad"])));
    assert!(std::panic::catch_unwind(changed).is_err());
    assert_eq!(handle.snapshot().endpoints.len(), 2);
    assert!(set.oneshot(1).await.is_ok());
}

/// Answers when it is told to.
#[derive(Clone)]
struct Late(Arc<tokio::sync::Semaphore>);

impl Service<u32> for Late {
    type Response = ();
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        let told = self.0.clone();
        Box::pin(async move {
            let _told = told.acquire().await;
            Err("late".into())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_of_an_endpoint_before_it_began_anew_is_not_held_against_it() {
    let told = Arc::new(tokio::sync::Semaphore::new(0));
    let service = Late(told.clone());
    let set = BalanceService::new(Balance::new(), move |_: &u8| service.clone()).typed().members([1, 2]);
    let calls: Vec<_> = (0..20).map(|n| tokio::spawn(set.clone().oneshot(n))).collect();
    tokio::task::yield_now().await;
    let handle = set.handle();
    for key in [1, 2] {
        handle.eject(&key, std::time::Duration::from_secs(1));
        handle.pardon(&key);
    }
    told.close();
    for call in calls {
        assert!(call.await.unwrap().is_err());
    }
    for endpoint in handle.snapshot().endpoints {
        assert_eq!((endpoint.in_flight, endpoint.failures, endpoint.penalty.is_zero()), (0, 0, true));
    }
    let last = set.oneshot(0).await;
    assert!(last.is_err() && handle.snapshot().endpoints.iter().any(|endpoint| endpoint.failures == 1));
}
