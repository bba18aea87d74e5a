//! Requests that wait for their tokens.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Context, Dice, Instant, Refused};
use bartizan_limit::{Limit, LimitLayer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::advance;
use tower::{BoxError, Layer, ServiceExt, service_fn};

const INTERVAL: Duration = Duration::from_millis(200);
/// One at a time, five a second.
const ONE: Limit = Limit::per(1, INTERVAL);

/// When each request was let through, in milliseconds since the start.
type Log = Arc<Mutex<Vec<(u32, u128)>>>;

/// A limit that lets requests wait, and what is behind it.
struct Scene<L> {
    layer: L,
    log: Log,
    start: Instant,
}

impl<L> Scene<L> {
    fn new(layer: L) -> Self {
        Self { layer, log: Log::default(), start: Instant::now() }
    }

    fn log(&self) -> Vec<(u32, u128)> {
        self.log.lock().unwrap().clone()
    }
}

/// Sends a request, which is taken to its place in the line before this returns.
macro_rules! send {
    ($scene:expr, $n:expr) => {{
        let (log, start) = ($scene.log.clone(), $scene.start);
        let service = $scene.layer.layer(service_fn(move |n: u32| {
            log.lock().unwrap().push((n, start.elapsed_now()));
            async move { Ok::<_, BoxError>(n) }
        }));
        let task: JoinHandle<Result<u32, BoxError>> = tokio::spawn(service.oneshot($n));
        tokio::task::yield_now().await;
        task
    }};
}

trait ElapsedNow {
    fn elapsed_now(&self) -> u128;
}

impl ElapsedNow for Instant {
    fn elapsed_now(&self) -> u128 {
        Instant::now().saturating_duration_since(*self).as_millis()
    }
}

async fn reason(task: JoinHandle<Result<u32, BoxError>>) -> (&'static str, Option<Duration>) {
    let refused = *task.await.unwrap().unwrap_err().downcast::<Refused>().unwrap();
    (refused.reason(), refused.retry_after())
}

#[tokio::test(start_paused = true)]
async fn waits_its_turn_or_is_refused_at_once_without_spending() {
    let scene = Scene::new(LimitLayer::new(ONE).typed().waiting(Duration::from_millis(300), 10));
    send!(scene, 0).await.unwrap().unwrap();
    let waits = send!(scene, 1);
    let refused = send!(scene, 2);
    assert!(refused.is_finished());
    assert_eq!(reason(refused).await, ("would wait too long", Some(2 * INTERVAL)));
    waits.await.unwrap().unwrap();
    assert_eq!(scene.log(), [(0, 0), (1, 200)]);
    // The refused one has taken nothing.
    advance(INTERVAL).await;
    send!(scene, 3).await.unwrap().unwrap();
    assert_eq!(scene.log()[2], (3, 400));
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_served_in_order_and_evenly() {
    let scene = Scene::new(LimitLayer::new(ONE).typed().waiting(Duration::from_secs(2), 10));
    let mut tasks = Vec::new();
    for n in 0..=10 {
        tasks.push(send!(scene, n));
    }
    assert_eq!(scene.layer.handle().snapshot().waiting, 10);
    let refused = send!(scene, 11);
    assert_eq!(reason(refused).await.0, "would wait too long");
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let ought: Vec<(u32, u128)> = (0..=10).map(|n| (n, u128::from(n) * 200)).collect();
    assert_eq!(scene.log(), ought);
    assert_eq!(scene.layer.handle().snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may() {
    let scene = Scene::new(LimitLayer::new(ONE).typed().waiting(Duration::from_secs(60), 2));
    let tasks = [send!(scene, 0), send!(scene, 1), send!(scene, 2)];
    assert_eq!(reason(send!(scene, 3)).await, ("too many waiting", Some(3 * INTERVAL)));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(scene.layer.handle().snapshot().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_gives_its_place_back() {
    // The first, one in the middle, and the last of those who wait.
    for leaver in 1..=3 {
        let scene = Scene::new(LimitLayer::new(ONE).typed().waiting(Duration::from_secs(60), 3));
        let mut tasks = Vec::new();
        for n in 0..=3 {
            tasks.push(send!(scene, n));
        }
        advance(INTERVAL / 2).await;
        tasks.remove(leaver).abort();
        tokio::task::yield_now().await;
        assert_eq!(scene.layer.handle().snapshot().waiting, 2);
        tasks.push(send!(scene, 4));
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let served: Vec<u32> = (0..=4).filter(|n| *n as usize != leaver).collect();
        let ought: Vec<(u32, u128)> = served.into_iter().zip([0, 200, 400, 600]).collect();
        assert_eq!(scene.log(), ought, "without {leaver}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_with_its_token_keeps_it() {
    let scene = Scene::new(LimitLayer::new(ONE).typed().waiting(Duration::from_secs(60), 3));
    let [first, second] = [send!(scene, 0), send!(scene, 1)];
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    let third = send!(scene, 2);
    third.await.unwrap().unwrap();
    assert_eq!(scene.log(), [(0, 0), (1, 200), (2, 400)]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_its_deadline() {
    let scene = Scene::new(LimitLayer::new(ONE).typed().waiting(Duration::from_secs(60), 9));
    send!(scene, 0).await.unwrap().unwrap();
    let deadline = |millis| Context::new().with_deadline(Instant::now() + Duration::from_millis(millis));
    let service = scene.layer.layer(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }));
    let late = deadline(199).scope(service.clone().oneshot(1)).await;
    assert_eq!(late.unwrap_err().downcast::<Refused>().unwrap().reason(), "would wait too long");
    assert_eq!(scene.start.elapsed_now(), 0, "it is refused at once");
    deadline(200).scope(service.oneshot(2)).await.unwrap();
    assert_eq!(scene.start.elapsed_now(), 200);
}

#[tokio::test(start_paused = true)]
async fn costs_wait_for_all_their_tokens_and_keep_smaller_ones_behind() {
    let limit = Limit::per_second(5);
    let scene =
        Scene::new(LimitLayer::new(limit).typed().cost(|n: &u32| n % 10).waiting(Duration::from_secs(60), 9));
    let tasks = [send!(scene, 5), send!(scene, 15), send!(scene, 21)];
    assert_eq!(reason(send!(scene, 6)).await, ("costs more than the burst", None));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(scene.log(), [(5, 0), (15, 1000), (21, 1200)]);
}

#[tokio::test(start_paused = true)]
async fn keys_wait_in_lines_of_their_own() {
    let scene =
        Scene::new(LimitLayer::new(ONE).typed().key(|n: &u32| n % 2).waiting(Duration::from_secs(1), 4));
    let mut tasks = Vec::new();
    for n in 0..6 {
        tasks.push(send!(scene, n));
    }
    assert_eq!(reason(send!(scene, 6)).await.0, "too many waiting");
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(scene.layer.handle().snapshot().waiting, 0);
    let mut log = scene.log();
    log.sort_unstable();
    assert_eq!(log, [(0, 0), (1, 0), (2, 200), (3, 200), (4, 400), (5, 400)]);
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_those_who_wait() {
    let scene = Scene::new(LimitLayer::new(ONE).typed().waiting(Duration::from_millis(400), 9));
    let handle = scene.layer.handle();
    let tasks = [send!(scene, 0), send!(scene, 1), send!(scene, 2)];
    handle.update(Limit::per(1, INTERVAL / 4));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(scene.log(), [(0, 0), (1, 50), (2, 100)]);
    // Slower than anybody would have waited for.
    let waits = send!(scene, 3);
    handle.update(Limit::per(1, Duration::from_secs(60)));
    assert_eq!(reason(waits).await.0, "would wait too long");
    // Switched off.
    let waits = send!(scene, 4);
    assert!(waits.is_finished(), "it is refused");
    handle.update(ONE);
    let waits = send!(scene, 5);
    handle.update(ONE.enabled(false));
    waits.await.unwrap().unwrap();
    handle.update(ONE);
    handle.drain();
    let waits = send!(scene, 6);
    handle.reset();
    waits.await.unwrap().unwrap();
}

/// Whoever comes and leaves, the others are served as if they alone had come, in order and without a pause.
#[tokio::test(start_paused = true)]
async fn a_line_does_what_an_exact_one_does() {
    let mut gone = 0;
    for seed in 0..30 {
        let dice = Dice::new(Some(seed));
        let below = |n: u32| (dice.unit() * f64::from(n)) as u32;
        let (interval, burst) = (u128::from(1 + below(9)), 1 + below(3));
        let limit = Limit::per(1, Duration::from_millis(interval as u64)).burst(burst);
        let scene = Scene::new(LimitLayer::new(limit).typed().waiting(Duration::from_secs(3600), 1000));
        let mut tasks = Vec::new();
        // The exact line: when the bucket is full again, who waits, and who was served when.
        let (mut full, mut line, mut served) = (0, VecDeque::new(), Vec::new());
        let mut take = |now: u128| {
            let next = full.max(now) + interval;
            let there = next <= now + u128::from(burst) * interval;
            if there {
                full = next;
            }
            there
        };
        for now in 0..300 {
            while !line.is_empty() && take(now) {
                served.push((line.pop_front().unwrap(), now));
            }
            if below(4) == 0 && !line.is_empty() {
                let leaver = line.remove(below(line.len() as u32) as usize).unwrap();
                let task: &JoinHandle<_> = &tasks[leaver as usize];
                task.abort();
            }
            for _ in 0..below(2 + 2 / interval as u32) {
                let n = tasks.len() as u32;
                if line.is_empty() && take(now) {
                    served.push((n, now));
                } else {
                    line.push_back(n);
                }
                tasks.push(send!(scene, n));
            }
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(scene.log(), served, "seed {seed} at {now} ms");
            assert_eq!(scene.layer.handle().snapshot().waiting, line.len());
            advance(Duration::from_millis(1)).await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        gone += tasks.len() - served.len() - line.len();
    }
    assert!(gone > 100, "{gone} have left while they waited");
}
