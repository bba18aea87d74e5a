//! Row C01: each layer alone keeps tower's contract, whatever its callers do.

use crate::policy::Limit;
use bartizan_balance::Balance;
use bartizan_breaker::{Breaker, BreakerLayer, Consecutive, State};
use bartizan_deadline::{Deadline, DeadlineLayer, Upload};
use bartizan_fallback::stale::{Stale, StaleLayer};
use bartizan_fallback::{Fallback, FallbackLayer};
use bartizan_guard::GuardLayer;
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_http::Replay;
use bartizan_limit::LimitLayer;
use bartizan_retry::{Budget, Purse, Retry, RetryLayer};
use bartizan_shed::{Backlog, Shed, ShedLayer, Throttle, ThrottleLayer};
use bartizan_stack::{ClientLayer, ClientStack, ServerLayer, ServerStack};
use bytes::Bytes;
use conformance::{Call, F, HttpAnswer, HttpProbe, I, P, Probe, REFERENCE, S, T, Tally, TypedProbe, secs};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceExt};

/// A service whose readiness changes, for all its clones at once.
#[derive(Clone)]
struct Moody<S> {
    inner: S,
    mood: Arc<AtomicU8>,
}

const READY: u8 = 0;
const PENDING: u8 = 1;
const BROKEN: u8 = 2;
const MOODS: [u8; 6] = [READY, READY, READY, READY, PENDING, BROKEN];

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

impl<S, Req> Service<Req> for Moody<S>
where
    S: Service<Req, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.mood.load(SeqCst) {
            PENDING => Poll::Pending,
            BROKEN => Poll::Ready(Err(Broken.into())),
            _ => self.inner.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let called = self.inner.call(req);
        Box::pin(async { called.await.map_err(Into::into) })
    }
}

/// Of the steps. Another one must do as well.
const SEED: u64 = 0xc01;

/// What surrounds a layered service: its innermost part, and whether its policy refuses everything now.
struct Surroundings<R> {
    tally: Arc<Tally>,
    mood: Arc<AtomicU8>,
    refusing: R,
    /// Calls that come before readiness are refused. Where they are not, none are made: that is the caller's fault.
    guarded: bool,
    /// How many copies of a call may be under way at once.
    copies: u64,
}

/// Steps at random on clones: ready, call, poll, drop, clone, time. The probe panics if an instance is called that is not ready.
async fn keeps_the_contract<S, Req>(
    service: S,
    around: &Surroundings<impl Fn() -> bool>,
    request: impl Fn(Call) -> Req,
) where
    S: Service<Req, Error = BoxError> + Clone,
{
    println!("seed {SEED:#x}");
    let mut dice = fastrand::Rng::with_seed(SEED);
    let cx = &mut Context::from_waker(Waker::noop());
    let (mut instances, mut calls, mut answers) = (vec![(service, false)], Vec::new(), Vec::new());
    for _ in 0..10_000 {
        let at = dice.usize(0..instances.len());
        match dice.u8(0..100) {
            0..10 if instances.len() < 8 => instances.push((instances[at].0.clone(), false)),
            10..18 if instances.len() > 1 => drop(instances.swap_remove(at)),
            18..22 => around.mood.store(*dice.choice(&MOODS).unwrap(), SeqCst),
            22..50 => {
                let mood = around.mood.load(SeqCst);
                let (instance, ready) = &mut instances[at];
                *ready = match instance.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        assert!(
                            mood == READY || (around.refusing)(),
                            "it hides that the inner service is not ready"
                        );
                        true
                    }
                    Poll::Ready(Err(error)) => {
                        assert!(mood == BROKEN && error.is::<Broken>(), "{error}");
                        false
                    }
                    Poll::Pending => {
                        assert_eq!(mood, PENDING);
                        false
                    }
                };
            }
            50..66 => {
                let ready = instances.iter().position(|(_, ready)| *ready).filter(|_| dice.u8(0..5) > 0);
                let (instance, ready) = &mut instances[ready.unwrap_or(at)];
                let was_ready = std::mem::take(ready);
                if was_ready || around.guarded {
                    let reached = around.tally.calls();
                    let call = *dice.choice(&[S, S, S, F, I, T, P]).unwrap();
                    let lasts = Duration::from_millis(dice.u64(0..2) * dice.u64(0..3000));
                    calls.push(Box::pin(instance.call(request(call.lasting(lasts)))));
                    assert!(was_ready || around.tally.calls() == reached, "called before it was ready");
                }
            }
            66..86 if !calls.is_empty() => {
                let at = dice.usize(0..calls.len());
                match catch_unwind(AssertUnwindSafe(|| calls[at].as_mut().poll(cx))) {
                    Ok(Poll::Pending) => {}
                    Ok(Poll::Ready(answer)) => {
                        drop(calls.swap_remove(at));
                        answers.extend(answer.ok());
                    }
                    Err(_) => drop(calls.swap_remove(at)),
                }
            }
            86..90 if !calls.is_empty() => drop(calls.swap_remove(dice.usize(0..calls.len()))),
            90..97 if !answers.is_empty() => drop(answers.swap_remove(dice.usize(0..answers.len()))),
            97.. => advance(Duration::from_millis(dice.u64(0..3000))).await,
            _ => {}
        }
        if answers.len() > 3 {
            answers.swap_remove(dice.usize(0..4));
        }
        assert!(
            around.tally.running() <= calls.len() as u64 * around.copies,
            "it keeps what its caller dropped"
        );
    }
    let reached = around.tally.calls();
    assert!(reached > 100, "only {reached} calls reached the probe");
    drop((calls, answers));
    assert_eq!(around.tally.running(), 0);

    // Whatever happened, it recovers.
    around.mood.store(READY, SeqCst);
    for _ in 0..100 {
        advance(secs(61.0)).await;
        let _ = instances[0].0.clone().oneshot(request(S)).await;
    }
    assert!(around.tally.calls() > reached + 50, "it is wedged");
}

/// A probe that changes its mood, and what surrounds it.
fn moody<F, R>(probe: Probe<F>, guarded: bool, refusing: R) -> (Moody<Probe<F>>, Surroundings<R>) {
    let (tally, mood) = (probe.tally(), Arc::new(AtomicU8::new(READY)));
    (Moody { inner: probe, mood: mood.clone() }, Surroundings { tally, mood, refusing, guarded, copies: 1 })
}

async fn over_http<L, B, R>(layer: L, guarded: bool, refusing: R)
where
    L: Layer<Moody<HttpProbe>>,
    L::Service: Service<Request<Call>, Response = Response<B>, Error = BoxError> + Clone,
    R: Fn() -> bool,
{
    let (moody, around) = moody(Probe::new(Call::answer_http as _), guarded, refusing);
    keeps_the_contract(layer.layer(moody), &around, Request::new).await;
}

async fn typed<L, R>(layer: L, guarded: bool, refusing: R)
where
    L: Layer<Moody<TypedProbe>>,
    L::Service: Service<Call, Error = BoxError> + Clone,
    R: Fn() -> bool,
{
    let (moody, around) = moody(Probe::new(Call::answer_typed as _), guarded, refusing);
    keeps_the_contract(layer.layer(moody), &around, |call| call).await;
}

#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_breaker() {
    let value = REFERENCE.open_for(secs(0.3)).max_open_for(secs(1.0)).probe_lease(secs(2.0)).ramp(secs(2.0));
    let layer = BreakerLayer::new(value);
    let handle = layer.handle();
    over_http(layer, true, || handle.state() != State::Closed).await;
    assert!(handle.snapshot().trips >= 5, "{:?}", handle.snapshot());

    let layer = BreakerLayer::new(value).typed();
    let handle = layer.handle();
    typed(layer, true, || handle.state() != State::Closed).await;
    assert!(handle.snapshot().trips >= 5, "{:?}", handle.snapshot());

    over_http(BreakerLayer::new(value).key(|_| 7u8), true, || false).await;
    typed(BreakerLayer::new(value).typed().key(|_: &Call| 7u8), true, || false).await;
}

#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_deadline() {
    let value = Deadline::new(secs(2.0)).head_timeout(secs(1.0)).idle_timeout(secs(1.0)).learn(true);
    over_http(DeadlineLayer::new(value), false, || false).await;
    over_http(DeadlineLayer::new(value).outgoing(), false, || false).await;
    typed(DeadlineLayer::new(value).typed(), false, || false).await;

    // The request body is watched; the script rides in the extensions.
    let answer = |request: Request<Upload<Full<Bytes>>>| {
        Call::answer_http(Request::new(*request.extensions().get().expect("a script")))
    };
    let (moody, around) = moody(Probe::new(answer), false, || false);
    let request = |call: Call| Request::builder().extension(call).body(Full::from("upload")).unwrap();
    keeps_the_contract(DeadlineLayer::new(value).uploads().layer(moody), &around, request).await;
}

#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_guard() {
    let limit = Limit::new(5);
    over_http(GuardLayer::new(limit.clone()), true, || limit.is_full()).await;
    assert_eq!(limit.held(), 0);
    typed(GuardLayer::new(limit.clone()).typed(), true, || limit.is_full()).await;
    assert_eq!(limit.held(), 0);
}

/// The script rides in the extensions, as the body is replayed.
fn answer_replayed(request: Request<Replay<Full<Bytes>>>) -> HttpAnswer {
    let (head, _) = request.into_parts();
    Call::answer_http(Request::new(*head.extensions.get().expect("a script")))
}

fn get(call: Call) -> Request<Full<Bytes>> {
    Request::builder().extension(call).body(Full::from("upload")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_retry() {
    let layer = RetryLayer::new(Retry::new().seed(SEED).budget(Budget::new().ratio(1.0).seed(SEED)));
    let (moody, around) = moody(Probe::new(answer_replayed), false, || false);
    keeps_the_contract(layer.layer(moody), &around, get).await;
    assert!(layer.handle().snapshot().retries > 20, "{:?}", layer.handle().snapshot());

    let layer = layer.purse(Purse::new(Budget::new().ratio(1.0).seed(SEED))).typed(|call: &Call| Some(*call));
    typed(layer.clone(), false, || false).await;
    assert!(layer.handle().snapshot().retries > 20, "{:?}", layer.handle().snapshot());
}

#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_hedge() {
    let value = Hedge::new().delay(Duration::from_millis(500)).budget(Budget::new().ratio(1.0));
    let layer = HedgeLayer::new(value.clone());
    let (moody, mut around) = moody(Probe::new(answer_replayed), false, || false);
    around.copies = 3;
    keeps_the_contract(layer.layer(moody), &around, get).await;
    assert!(layer.handle().snapshot().hedges > 20, "{:?}", layer.handle().snapshot());

    let layer = HedgeLayer::new(value).typed(|call: &Call| Some(*call));
    let (moody, mut around) = self::moody(Probe::new(Call::answer_typed), false, || false);
    around.copies = 3;
    keeps_the_contract(layer.layer(moody), &around, |call| call).await;
    assert!(layer.handle().snapshot().hedges > 20, "{:?}", layer.handle().snapshot());
}

/// It is ready whatever the inner service is, and answers in its place while that is not, or waits for it.
#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_fallback() {
    let layer = FallbackLayer::new(Fallback::new()).value(Response::new("instead"));
    over_http(layer, true, || true).await;

    let slow = FallbackLayer::new(Fallback::new().max_wait(secs(0.5)).max_in_flight(2));
    let layer = slow.call(async |_| {
        tokio::time::sleep(secs(1.0)).await;
        Response::new("instead")
    });
    let handle = layer.handle();
    over_http(layer, true, || true).await;
    let seen = handle.snapshot();
    assert!(seen.used > 20 && seen.full > 0 && seen.in_flight == 0, "{seen:?}");

    let reads = FallbackLayer::new(Fallback::new()).typed(|call: &Call| *call != F);
    typed(reads.clone().value("instead"), true, || true).await;
    // Without anything to give, it is as ready as the inner service.
    typed(reads, true, || false).await;
}

/// It is ready whatever the inner service is, and waits for it within the call. The script rides in the extensions: only reads without a
/// body are kept.
#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_stale_answers() {
    let answer = |request: Request<Full<Bytes>>| {
        let answer = Call::answer_http(Request::new(*request.extensions().get().expect("a script")));
        async {
            let mut response = answer.await?;
            response
                .headers_mut()
                .insert("cache-control", "max-age=1, stale-while-revalidate=1".parse().unwrap());
            Ok::<_, BoxError>(response)
        }
    };
    let layer = StaleLayer::new(Stale::new().if_error(secs(1e6)).coalesce(false).seed(SEED));
    let handle = layer.handle();
    let probe = Probe::new(answer);
    let get = |call: Call| Request::get("http://shop/").extension(call).body(Full::default()).unwrap();
    // Nobody reads an answer below, and what is not read to its end is not kept.
    let first = layer.layer(probe.clone()).oneshot(get(S)).await.unwrap();
    first.into_body().collect().await.unwrap();
    let (moody, around) = moody(probe, true, || true);
    keeps_the_contract(layer.layer(moody), &around, get).await;
    let seen = handle.snapshot();
    assert!(seen.stale_if_error > 20 && (seen.in_flight, seen.recording) == (0, 0), "{seen:?}");
}

/// It is ready whatever the inner service is, and refuses while that is not.
#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_shed() {
    for value in [Shed::fixed(3).seed(SEED), Shed::new().seed(SEED)] {
        let layer = ShedLayer::new(value);
        over_http(layer.clone(), true, || true).await;
        let seen = layer.handle().snapshot();
        assert_eq!(seen.in_flight, 0, "{seen:?}");
        typed(layer.typed(), true, || true).await;

        let backlog = Backlog::new(3).max_wait(secs(2.0));
        let layer = ShedLayer::new(value).backlog(backlog);
        over_http(layer.clone(), true, || true).await;
        let seen = layer.handle().snapshot();
        assert_eq!((seen.in_flight, seen.queued), (0, 0), "{seen:?}");
        typed(ShedLayer::new(value).typed().backlog(backlog), true, || true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_throttle() {
    let layer = ThrottleLayer::new(Throttle::new().failures(true).seed(SEED));
    over_http(layer.clone(), true, || false).await;
    typed(layer.typed(), true, || false).await;
}

#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_limit() {
    let value = bartizan_limit::Limit::per_second(2);
    let layer = LimitLayer::new(value);
    over_http(layer.clone(), true, || false).await;
    assert!(layer.handle().snapshot().refused > 20, "{:?}", layer.handle().snapshot());
    typed(LimitLayer::new(value).typed(), true, || false).await;
    over_http(LimitLayer::new(value).key(|_| 7u8), true, || false).await;

    let layer = LimitLayer::new(value).waiting(secs(2.0), 4);
    over_http(layer.clone(), true, || true).await;
    assert_eq!(layer.handle().snapshot().waiting, 0);
    typed(LimitLayer::new(value).typed().waiting(secs(2.0), 4), true, || true).await;
}

/// Ready as what sheds is, and as what serves the last good answer.
#[tokio::test(start_paused = true)]
async fn c01_contract_of_the_standard_stacks() {
    let limit = bartizan_limit::Limit::per_second(5);
    let layer = ServerLayer::new(ServerStack::new().limit(limit).shed(Shed::fixed(3).seed(SEED)));
    let handle = layer.handle();
    over_http(layer, true, || true).await;
    let (shed, limit) = (handle.shed().snapshot(), handle.limit().unwrap().snapshot());
    assert!(shed.in_flight == 0 && shed.refused.total() > 0 && limit.refused > 0, "{shed:?} {limit:?}");

    // Two layers keep the body for a repetition.
    let answer = |request: Request<Replay<Replay<Full<Bytes>>>>| {
        Call::answer_http(Request::new(*request.extensions().get().expect("a script")))
    };
    let hedge = Hedge::new().delay(Duration::from_millis(500)).budget(Budget::new().ratio(1.0)).seed(SEED);
    let breaker = Breaker::new().consecutive(Consecutive::new(3)).seed(SEED);
    let breaker = breaker.open_for(secs(0.3)).max_open_for(secs(1.0));
    let stack = ClientStack::new().retry(Retry::new().seed(SEED)).hedge(hedge).breaker(breaker);
    let stack = stack.balance(Balance::new().seed(SEED));
    let layer = ClientLayer::new(stack.clone().budget(Budget::new().ratio(1.0).seed(SEED)));
    let handle = layer.handle();
    let (hosts, mut around) = moody(Probe::new(answer), true, || true);
    around.copies = 3;
    keeps_the_contract(layer.layer(hosts), &around, get).await;
    let breakers: u64 = handle.breakers().all().iter().map(|(_, breaker)| breaker.snapshot().trips).sum();
    let (retries, hedges) = (handle.retry().snapshot().retries, handle.hedge().snapshot().hedges);
    assert!(breakers > 5 && retries > 10 && hedges > 5, "{breakers} {retries} {hedges}");

    let members = ["http://a", "http://b"].map(http::Uri::from_static);
    let layer = ClientLayer::new(stack.budget(Budget::new().ratio(1.0).seed(SEED))).members(members);
    let (endpoints, mut around) = moody(Probe::new(answer), true, || true);
    around.copies = 3;
    keeps_the_contract(layer.layer(endpoints), &around, get).await;
    let endpoints = layer.handle().balance().unwrap().snapshot().endpoints;
    assert!(endpoints.iter().all(|one| one.in_flight == 0 && one.successes > 20), "{endpoints:?}");
}
