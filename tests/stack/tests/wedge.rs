//! Whatever happens to a request, its permit comes back, and no circuit is wedged or misled.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::routing::get;
use bartizan_breaker::{Breaker, BreakerLayer, Consecutive, Handle, State};
use bartizan_client::{Boxed, Client, Error, HyperService, ReqwestService};
use bartizan_core::{Refused, Verdict};
use bartizan_deadline::DeadlineLayer;
use bartizan_guard::GuardLayer;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::StatusCode;
use hyper_util::rt::TokioExecutor;
use stack::echo::{EchoClient, EchoServer, channel, read};
use stack::{Gauge, Player, Refusal, ask, serve, soon, until};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};

const HOUR: Duration = Duration::from_secs(3600);

/// A server behind a breaker that opens after two failures in a row. Each request waits for the test to say how it ends.
struct Stage {
    url: String,
    requests: mpsc::UnboundedReceiver<Turn>,
    handle: Handle,
    gauge: Gauge,
}

/// A request that a handler waits with. Dropped, it makes the handler panic.
type Turn = oneshot::Sender<StatusCode>;

impl Stage {
    /// Probes have an hour, so that no lease that ends makes up for a place that is not given back.
    async fn new() -> Self {
        Self::with_lease(HOUR).await
    }

    async fn with_lease(lease: Duration) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let handler = move || {
            let (turn, told) = oneshot::channel();
            sender.send(turn).unwrap();
            async { told.await.expect("played") }
        };
        let breaker = Breaker::new()
            .without_evidence()
            .consecutive(Consecutive::new(2))
            .open_for(HOUR)
            .probe_lease(lease)
            .ramp(Duration::ZERO);
        let (layer, gauge) = (BreakerLayer::new(breaker), Gauge::new(usize::MAX));
        let handle = layer.handle();
        let layers = ServiceBuilder::new().layer(layer).layer(gauge.layer());
        let url = serve(Router::new().route("/", get(handler)).layer(layers)).await;
        Self { url, requests, handle, gauge }
    }

    /// Asks, and returns once the handler has the request.
    async fn begin(&mut self) -> (JoinHandle<StatusCode>, Turn) {
        let answer = self.ask();
        (answer, soon(self.requests.recv()).await.unwrap())
    }

    fn ask(&self) -> JoinHandle<StatusCode> {
        let url = self.url.clone();
        tokio::spawn(async move { ask(&url).await.status() })
    }

    async fn end(&mut self, status: StatusCode) {
        let (answer, turn) = self.begin().await;
        turn.send(status).unwrap();
        assert_eq!(soon(answer).await.unwrap(), status);
    }

    /// Fails until the circuit is open, and lets it probe.
    async fn trip(&mut self) {
        for _ in 0..2 {
            self.end(StatusCode::INTERNAL_SERVER_ERROR).await;
        }
        self.refuses("open: failures in a row").await;
        self.handle.half_open().unwrap();
    }

    async fn refuses(&mut self, reason: &str) {
        let refusal = Refusal::of(ask(&self.url).await).await;
        assert_eq!((refusal.status, refusal.reason.as_str()), (503, reason));
        assert!(self.requests.try_recv().is_err(), "a refusal does not reach the handler");
    }

    /// Asks until a probe is let through.
    async fn probe(&mut self) -> (JoinHandle<StatusCode>, Turn) {
        let again = async {
            loop {
                let mut answer = self.ask();
                tokio::select! {
                    turn = self.requests.recv() => return (answer, turn.unwrap()),
                    status = &mut answer => assert_eq!(status.unwrap(), StatusCode::SERVICE_UNAVAILABLE),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(again).await
    }

    /// The next probe is good, and the circuit closes.
    async fn recovers(&mut self) {
        let (answer, turn) = self.probe().await;
        turn.send(StatusCode::OK).unwrap();
        assert_eq!(soon(answer).await.unwrap(), StatusCode::OK);
        assert_eq!(self.handle.state(), State::Closed);
        self.end(StatusCode::OK).await;
        until(|| self.gauge.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn a_probe_whose_caller_leaves_gives_its_place_to_another() {
    let mut stage = Stage::new().await;
    stage.trip().await;
    let (answer, turn) = stage.begin().await;
    stage.refuses("half-open: probing").await;
    answer.abort();
    until(|| turn.is_closed()).await;
    assert_eq!(stage.handle.state(), State::HalfOpen);
    stage.recovers().await;
}

#[tokio::test]
async fn a_probe_that_hangs_is_followed_by_another_and_counts_no_more() {
    let mut stage = Stage::with_lease(Duration::from_millis(50)).await;
    stage.trip().await;
    let (hung, turn) = stage.begin().await;
    // More than one more, where this machine is slower than the lease.
    while stage.handle.state() != State::Closed {
        let (answer, next) = stage.probe().await;
        next.send(StatusCode::OK).unwrap();
        assert_eq!(soon(answer).await.unwrap(), StatusCode::OK);
    }

    let before = stage.handle.snapshot();
    turn.send(StatusCode::INTERNAL_SERVER_ERROR).unwrap();
    assert_eq!(soon(hung).await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
    until(|| stage.gauge.in_flight() == 0).await;
    assert_eq!(stage.handle.snapshot(), before);
}

#[tokio::test]
async fn a_probe_that_panics_opens_again() {
    let mut stage = Stage::new().await;
    stage.trip().await;
    let (answer, turn) = stage.begin().await;
    drop(turn);
    soon(answer).await.unwrap_err();
    stage.refuses("open: probe failed").await;
    stage.handle.half_open().unwrap();
    stage.recovers().await;
}

#[tokio::test]
async fn a_probe_that_fails_opens_again() {
    let mut stage = Stage::new().await;
    stage.trip().await;
    stage.end(StatusCode::INTERNAL_SERVER_ERROR).await;
    stage.refuses("open: probe failed").await;
    stage.handle.half_open().unwrap();
    stage.recovers().await;
}

#[tokio::test]
async fn handlers_that_panic_open_the_circuit_and_give_back() {
    let mut stage = Stage::new().await;
    for _ in 0..2 {
        let (answer, turn) = stage.begin().await;
        drop(turn);
        soon(answer).await.unwrap_err();
    }
    stage.refuses("open: failures in a row").await;
    assert_eq!(stage.gauge.in_flight(), 0);
    assert_eq!(stage.gauge.verdicts(), [Verdict::Failure, Verdict::Failure]);
    stage.handle.half_open().unwrap();
    stage.recovers().await;
}

#[tokio::test]
async fn a_late_verdict_changes_nothing() {
    let mut stage = Stage::new().await;
    // Three that were let through while the circuit was closed.
    let (first, late_success) = stage.begin().await;
    let (second, late_failure) = stage.begin().await;
    let (third, very_late_failure) = stage.begin().await;
    for _ in 0..2 {
        stage.end(StatusCode::INTERNAL_SERVER_ERROR).await;
    }
    stage.refuses("open: failures in a row").await;
    late_success.send(StatusCode::OK).unwrap();
    assert_eq!(soon(first).await.unwrap(), StatusCode::OK);
    stage.refuses("open: failures in a row").await;

    stage.handle.half_open().unwrap();
    let (probe, turn) = stage.begin().await;
    late_failure.send(StatusCode::INTERNAL_SERVER_ERROR).unwrap();
    assert_eq!(soon(second).await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
    stage.refuses("half-open: probing").await;
    turn.send(StatusCode::OK).unwrap();
    assert_eq!(soon(probe).await.unwrap(), StatusCode::OK);
    assert_eq!(stage.handle.state(), State::Closed);

    // One more failure of its own would open it; that of another time does not.
    stage.end(StatusCode::INTERNAL_SERVER_ERROR).await;
    very_late_failure.send(StatusCode::INTERNAL_SERVER_ERROR).unwrap();
    assert_eq!(soon(third).await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(stage.handle.state(), State::Closed);
    stage.end(StatusCode::INTERNAL_SERVER_ERROR).await;
    assert_eq!(stage.handle.state(), State::Open);
}

#[tokio::test]
async fn a_verdict_from_before_a_reset_changes_nothing() {
    let mut stage = Stage::new().await;
    let mut late = Vec::new();
    for _ in 0..5 {
        late.push(stage.begin().await);
    }
    stage.handle.reset();
    for (answer, turn) in late {
        turn.send(StatusCode::INTERNAL_SERVER_ERROR).unwrap();
        soon(answer).await.unwrap();
    }
    assert_eq!((stage.handle.state(), stage.handle.snapshot().failures), (State::Closed, 0));
    stage.end(StatusCode::OK).await;
}

#[tokio::test]
async fn callers_that_leave_are_no_failures() {
    let mut stage = Stage::new().await;
    for _ in 0..5 {
        let (answer, turn) = stage.begin().await;
        answer.abort();
        until(|| turn.is_closed()).await;
    }
    until(|| stage.gauge.in_flight() == 0).await;
    assert_eq!((stage.handle.state(), stage.handle.snapshot().failures), (State::Closed, 0));
    assert_eq!(stage.gauge.verdicts(), []);
}

#[tokio::test]
async fn a_circuit_finds_its_own_way_back() {
    let pause = Duration::from_millis(20);
    let breaker = Breaker::new()
        .without_evidence()
        .consecutive(Consecutive::new(2))
        .open_for(pause)
        .probe_lease(HOUR)
        .ramp(pause);
    let (layer, player) = (BreakerLayer::new(breaker), Player::new());
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(player)).layer(layer)).await;
    for part in ["fail", "panic", "tear", "burst"] {
        println!("{part}");
        let fails = format!("{url}/?{part}");
        // Until probes have failed twice over.
        let mut refused = 0;
        let failing = async {
            while handle.snapshot().trips == 0 || refused < 3 {
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                if let Ok(answer) = client.get(&fails).send().await {
                    refused += u32::from(answer.status() == StatusCode::SERVICE_UNAVAILABLE);
                    let _ = answer.bytes().await;
                }
            }
        };
        soon(failing).await;
        let recovering = async {
            while ask(&url).await.status() != StatusCode::OK {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(recovering).await;
        handle.reset();
    }
}

#[tokio::test]
async fn a_probe_on_a_channel_that_is_dropped_in_mid_stream_gives_its_place_back() {
    let bare = channel(|incoming| {
        let echo = EchoServer::new(stack::echo::Player);
        tonic::transport::Server::builder().add_service(echo).serve_with_incoming(incoming)
    });
    let layer = BreakerLayer::new(Breaker::new().probe_lease(HOUR));
    let handle = layer.handle();
    let mut client = EchoClient::new(layer.layer(bare.await));
    handle.force_open_for(HOUR);
    handle.half_open().unwrap();
    let mut probe = soon(client.server_stream("one hang")).await.unwrap().into_inner();
    assert_eq!(soon(probe.message()).await.unwrap().unwrap().text, "one");
    assert_eq!(
        soon(client.unary("one")).await.unwrap_err().message(),
        "refused by breaker: half-open: probing"
    );
    drop(probe);
    assert_eq!(handle.state(), State::HalfOpen);

    // The head of a stream is no success; its trailers are.
    let probe = soon(client.server_stream("one two")).await.unwrap().into_inner();
    assert_eq!(handle.state(), State::HalfOpen);
    assert!(matches!(read(probe).await, (all, None) if all == "one two"));
    assert_eq!(handle.state(), State::Closed);
}

/// What a caller does.
#[derive(Clone, Copy, Debug)]
enum Habit {
    ReadAll,
    LeaveTheBody,
    ReadOneChunk,
    LeaveEarly(Duration),
}

const PARTS: [&str; 7] = ["ok", "fail", "hang", "panic", "drip", "tear", "burst"];

#[tokio::test]
async fn every_permit_comes_back_after_any_mix() {
    let (server, client) = (Gauge::new(usize::MAX), Gauge::new(usize::MAX));
    let breaker = BreakerLayer::new(Breaker::new());
    let handle = breaker.handle();
    let layers = ServiceBuilder::new()
        .layer(server.layer())
        .layer(DeadlineLayer::new(Duration::from_secs(10)))
        .layer(breaker)
        .layer(server.layer());
    let url = serve(Router::new().route("/", get(Player::new())).layer(layers)).await;
    let stack = ServiceBuilder::new()
        .layer(client.layer())
        .layer(DeadlineLayer::new(Duration::from_millis(200)).outgoing())
        .layer(client.layer());
    let hyper = || hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    let reqwest = reqwest::Client::builder().no_proxy().build().unwrap();
    let clients = [
        Boxed::new(stack.clone().service(HyperService::new(hyper().build_http()))),
        Boxed::new(stack.clone().service(HyperService::new(hyper().http2_only(true).build_http()))),
        Boxed::new(stack.service(ReqwestService::new(reqwest))),
    ]
    .map(Client::new);

    let mut dice = fastrand::Rng::with_seed(7);
    for _ in 0..10 {
        let round = (0..30).map(|_| {
            let part = PARTS[dice.usize(..PARTS.len())];
            let habit = match dice.u32(..4) {
                0 => Habit::ReadAll,
                1 => Habit::LeaveTheBody,
                2 => Habit::ReadOneChunk,
                _ => Habit::LeaveEarly(Duration::from_micros(dice.u64(..3_000))),
            };
            let asking = clients[dice.usize(..clients.len())].get(format!("{url}/?{part}")).send();
            tokio::spawn(behave(habit, asking))
        });
        soon(join_all(round.collect::<Vec<_>>())).await;
    }
    until(|| server.in_flight() + client.in_flight() == 0).await;
    assert!(server.peak() > 2 && client.peak() > 2);

    handle.reset();
    let answer = soon(clients[0].get(&url).send()).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
}

async fn behave(habit: Habit, asking: impl Future<Output = Result<bartizan_client::Response, Error>>) {
    match habit {
        Habit::LeaveEarly(after) => {
            let _ = tokio::time::timeout(after, asking).await;
        }
        Habit::ReadAll => {
            if let Ok(answer) = asking.await {
                let _ = answer.bytes().await;
            }
        }
        Habit::LeaveTheBody => drop(asking.await),
        Habit::ReadOneChunk => {
            if let Ok(mut answer) = asking.await {
                let _ = answer.chunk().await;
            }
        }
    }
}

#[tokio::test]
async fn every_permit_comes_back_after_any_mix_of_grpc() {
    let (server, client) = (Gauge::new(usize::MAX), Gauge::new(usize::MAX));
    let breaker = BreakerLayer::new(Breaker::new());
    let handle = breaker.handle();
    let layers = ServiceBuilder::new()
        .layer(server.layer())
        .layer(DeadlineLayer::new(Duration::from_secs(10)))
        .layer(breaker)
        .layer(server.layer())
        .into_inner();
    let channel = channel(|incoming| {
        let echo = EchoServer::new(stack::echo::Player);
        tonic::transport::Server::builder().layer(layers).add_service(echo).serve_with_incoming(incoming)
    });
    let stack = ServiceBuilder::new()
        .layer(client.layer())
        .layer(DeadlineLayer::new(Duration::from_millis(200)).outgoing())
        .layer(client.layer());
    let clients = EchoClient::new(stack.service(channel.await));

    let mut dice = fastrand::Rng::with_seed(11);
    for _ in 0..10 {
        let round = (0..30).map(|_| {
            let parts =
                ["one", "fail", "hang", "panic", "one fail", "one hang", "one panic", "one two three"];
            let part = parts[dice.usize(..parts.len())];
            let (streamed, messages) = (dice.bool(), dice.usize(..4));
            let leave = Duration::from_micros(if dice.bool() { dice.u64(..3_000) } else { 1_000_000 });
            let mut client = clients.clone();
            async move {
                let call = async {
                    if !streamed {
                        return drop(client.unary(part).await);
                    }
                    if let Ok(answers) = client.server_stream(part).await {
                        let mut answers = answers.into_inner();
                        for _ in 0..messages {
                            let _ = answers.message().await;
                        }
                    }
                };
                let _ = tokio::time::timeout(leave, call).await;
            }
        });
        soon(join_all(round.collect::<Vec<_>>())).await;
    }
    until(|| server.in_flight() + client.in_flight() == 0).await;
    assert!(server.peak() > 2 && client.peak() > 2);

    handle.reset();
    assert_eq!(soon(clients.clone().unary("one")).await.unwrap().into_inner().text, "one");
}

#[tokio::test]
async fn every_typed_permit_comes_back_after_any_mix() {
    let gauge = Gauge::new(usize::MAX);
    let layer = BreakerLayer::new(Breaker::new());
    let handle = layer.handle();
    let part = service_fn(|part: u32| async move {
        for _ in 0..part % 3 {
            tokio::task::yield_now().await;
        }
        match part % 4 {
            0 => Ok(()),
            1 => Err(BoxError::from("failed")),
            2 => panic!("played"),
            _ => std::future::pending().await,
        }
    });
    let service = ServiceBuilder::new()
        .layer(GuardLayer::new(gauge.clone()).typed())
        .layer(layer.typed())
        .layer(DeadlineLayer::new(HOUR).typed())
        .layer(GuardLayer::new(gauge.clone()).typed())
        .service(part);
    let mut dice = fastrand::Rng::with_seed(13);
    for _ in 0..1_000 {
        let mut call = Box::pin(AssertUnwindSafe(service.clone().oneshot(dice.u32(..))).catch_unwind());
        // Polled a few times, and then dropped, done or not.
        for _ in 0..dice.u32(..5) {
            if call.as_mut().now_or_never().is_some() {
                break;
            }
        }
    }
    assert_eq!((gauge.in_flight(), gauge.peak()), (0, 2));
    let verdicts = gauge.verdicts();
    assert!(verdicts.contains(&Verdict::Success) && verdicts.contains(&Verdict::Failure));
    handle.reset();
    service.clone().oneshot(0).await.unwrap();
    handle.force_open();
    assert!(service.oneshot(0).await.unwrap_err().is::<Refused>());
    assert_eq!(gauge.in_flight(), 0);
}
