//! A layer whose requests wait for their turn: bounded, in order, and never with a place or a wake-up lost.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Context as Ambient, Dice, ErrorsFail, Instant, Priority, Refused};
use bartizan_http::Typed;
use bartizan_shed::asks::Asks;
use bartizan_shed::{Backlog, BacklogLayer, Mode, Shares, Shed, ShedLayer};
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const MILLISECOND: Duration = Duration::from_millis(1);

type Queued = BacklogLayer<Asks, ErrorsFail, Typed>;
type Call = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

fn queued(shed: Shed, backlog: Backlog) -> Queued {
    ShedLayer::new(shed.seed(1)).typed().backlog(backlog)
}

/// A queue that drops nobody for how long it stands.
fn patient(places: usize) -> Backlog {
    Backlog::new(places).target(Duration::MAX).interval(Duration::MAX).max_wait(Duration::MAX)
}

/// Calls a service that says so in `running`, and never answers.
fn call(layer: &Queued, running: &Arc<AtomicUsize>) -> Call {
    let running = running.clone();
    let service = layer.layer(service_fn(move |(): ()| {
        running.fetch_add(1, SeqCst);
        pending::<Result<(), BoxError>>()
    }));
    Box::pin(service.oneshot(()))
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll(call: &mut Call) -> Poll<Result<(), BoxError>> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_with(call: &mut Call, bell: &Arc<Bell>) -> Poll<Result<(), BoxError>> {
    call.as_mut().poll(&mut Context::from_waker(&Waker::from(bell.clone())))
}

fn why(out: Poll<Result<(), BoxError>>) -> &'static str {
    let Poll::Ready(out) = out else { panic!("it still waits") };
    out.unwrap_err().downcast::<Refused>().unwrap().reason()
}

#[tokio::test(start_paused = true)]
async fn one_runs_three_wait_and_two_are_refused() {
    let (layer, running) = (queued(Shed::fixed(1), Backlog::new(3)), Arc::default());
    let mut calls: Vec<Call> = (0..6).map(|_| call(&layer, &running)).collect();
    let polled: Vec<bool> = calls.iter_mut().map(|call| poll(call).is_pending()).collect();
    assert_eq!(polled, [true, true, true, true, false, false]);
    let snapshot = layer.handle().snapshot();
    assert_eq!((running.load(SeqCst), snapshot.in_flight, snapshot.queued), (1, 1, 3));
    assert_eq!(snapshot.refused.normal, 2);
    assert_eq!(why(poll(&mut call(&layer, &running))), "queue full");
    drop(calls);
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_larger_limit_wakes_exactly_those_who_find_a_place() {
    let (layer, running) = (queued(Shed::fixed(1), patient(9)), Arc::default());
    let mut held = call(&layer, &running);
    assert!(poll(&mut held).is_pending());
    let mut waiting: Vec<(Call, Arc<Bell>)> =
        (0..5).map(|_| (call(&layer, &running), Arc::default())).collect();
    waiting.iter_mut().for_each(|(call, bell)| assert!(poll_with(call, bell).is_pending()));
    layer.handle().update(Shed::fixed(4));
    let woken: Vec<usize> = waiting.iter().map(|(_, bell)| bell.0.load(SeqCst)).collect();
    assert_eq!(woken, [1, 1, 1, 0, 0]);
    waiting.iter_mut().for_each(|(call, bell)| assert!(poll_with(call, bell).is_pending()));
    assert_eq!((running.load(SeqCst), layer.handle().snapshot().queued), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_and_its_place_in_the_queue_is_free() {
    let backlog = patient(1).max_wait(1000 * MILLISECOND);
    let (layer, running) = (queued(Shed::fixed(1), backlog), Arc::default());
    let mut held = call(&layer, &running);
    assert!(poll(&mut held).is_pending());
    let begun = Instant::now();
    let refusal = call(&layer, &running).await.unwrap_err();
    assert_eq!(refusal.downcast::<Refused>().unwrap().reason(), "waited too long");
    assert_eq!(Instant::now() - begun, 1000 * MILLISECOND);
    assert_eq!(layer.handle().snapshot().queued, 0);
    let mut next = call(&layer, &running);
    assert!(poll(&mut next).is_pending());
    drop(held);
    assert!(poll(&mut next).is_pending());
    assert_eq!(running.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_passes_its_turn_on() {
    let (layer, running) = (queued(Shed::fixed(1), patient(9)), Arc::default());
    let mut calls: Vec<Call> = (0..4).map(|_| call(&layer, &running)).collect();
    calls.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
    // The second gives up while it waits; the third when it has its turn and has not looked.
    drop(calls.remove(1));
    assert_eq!(layer.handle().snapshot().queued, 2);
    drop(calls.remove(0));
    assert_eq!(layer.handle().snapshot().queued, 1);
    drop(calls.remove(0));
    assert_eq!((layer.handle().snapshot().queued, layer.handle().snapshot().in_flight), (0, 1));
    assert!(poll(&mut calls[0]).is_pending());
    assert_eq!(running.load(SeqCst), 2);
    drop(calls);
    assert_eq!(layer.handle().snapshot().in_flight, 0);
}

/// Calls a service that writes the number into `order` and never answers.
fn numbered(layer: &Queued, n: usize, order: &Arc<std::sync::Mutex<Vec<usize>>>) -> Call {
    let order = order.clone();
    let service = layer.layer(service_fn(move |(): ()| {
        order.lock().unwrap().push(n);
        pending::<Result<(), BoxError>>()
    }));
    Box::pin(service.oneshot(()))
}

/// Queues requests of these levels behind one that runs, lets time pass, and says in which order they run.
async fn order_of(layer: &Queued, levels: &[u8], pause: Duration) -> Vec<usize> {
    let order = Arc::default();
    let mut first = numbered(layer, 99, &order);
    assert!(poll(&mut first).is_pending());
    let mut calls: Vec<Call> = (0..levels.len())
        .map(|n| {
            let context = Ambient::new().with_priority(Priority::new(levels[n]));
            let mut call = context.enter(|| numbered(layer, n, &order));
            assert!(context.enter(|| poll(&mut call)).is_pending());
            call
        })
        .collect();
    tokio::time::advance(pause).await;
    drop(first);
    for _ in levels {
        // One runs: the one that was woken. It is dropped, and the next one has its turn.
        let before = order.lock().unwrap().len();
        calls.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
        let ran = order.lock().unwrap()[before..].to_vec();
        assert_eq!(ran.len(), 1, "{ran:?}");
        calls[ran[0]] = Box::pin(pending());
    }
    std::mem::take(&mut *order.lock().unwrap()).split_off(1)
}

#[tokio::test(start_paused = true)]
async fn the_oldest_first_and_the_newest_while_it_stands() {
    let layer = || queued(Shed::fixed(1), patient(9).interval(100 * MILLISECOND));
    assert_eq!(order_of(&layer(), &[128, 128, 128], 50 * MILLISECOND).await, [0, 1, 2]);
    assert_eq!(order_of(&layer(), &[128, 128, 128], 100 * MILLISECOND).await, [2, 1, 0]);
    assert_eq!(order_of(&layer(), &[255, 128, 0, 128], 50 * MILLISECOND).await, [2, 1, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_more_important_one_takes_the_last_place_of_a_full_queue() {
    let (layer, running) = (queued(Shed::fixed(1), patient(1)), Arc::default());
    let as_level = |priority: Priority| {
        let context = Ambient::new().with_priority(priority);
        let mut call = context.enter(|| call(&layer, &running));
        let out = context.enter(|| poll(&mut call));
        (call, out)
    };
    let (_held, _) = as_level(Priority::NORMAL);
    let (mut bulk, out) = as_level(Priority::SHEDDABLE);
    assert!(out.is_pending());
    let (_critical, out) = as_level(Priority::CRITICAL);
    assert!(out.is_pending());
    assert_eq!(why(poll(&mut bulk)), "queue full");
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.queued, snapshot.refused.sheddable), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_meet_its_deadline_is_refused_at_the_entry_and_at_its_turn() {
    let layer = queued(Shed::fixed(1), patient(9));
    let serve = |time: Duration| {
        layer.layer(service_fn(move |(): ()| async move {
            tokio::time::sleep(time).await;
            Ok::<(), BoxError>(())
        }))
    };
    serve(10 * MILLISECOND).oneshot(()).await.unwrap();
    let within = |left: Duration| {
        let context = Ambient::new().with_deadline(Instant::now() + left);
        let mut call: Call = Box::pin(context.scope(serve(10 * MILLISECOND).oneshot(())));
        let out = poll(&mut call);
        (call, out)
    };
    let mut held: Call = Box::pin(serve(Duration::from_secs(9)).oneshot(()));
    assert!(poll(&mut held).is_pending());
    // Ten for the one in flight is not known to be over sooner, ten for itself.
    let (_, out) = within(9 * MILLISECOND);
    assert_eq!(why(out), "would miss its deadline");
    let (mut call, out) = within(50 * MILLISECOND);
    assert!(out.is_pending());
    let (_, out) = within(15 * MILLISECOND);
    assert_eq!(why(out), "would miss its deadline", "as one is before it");
    tokio::time::advance(45 * MILLISECOND).await;
    drop(held);
    assert_eq!(why(poll(&mut call)), "would miss its deadline");
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued, snapshot.refused.normal), (0, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_stands_is_cut() {
    let layer = queued(Shed::fixed(1), Backlog::new(1000).max_wait(Duration::MAX));
    let serve = service_fn(|(): ()| async {
        tokio::time::sleep(10 * MILLISECOND).await;
        Ok::<(), BoxError>(())
    });
    let service = layer.layer(serve);
    let begun = Instant::now();
    // Twice as many as can be served, for a second.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let call: Call = Box::pin(service.clone().oneshot(()));
        calls.spawn(async move { (call.await, (Instant::now() - begun).as_millis()) });
        tokio::time::sleep(5 * MILLISECOND).await;
    }
    let (mut refused, mut served) = (Vec::new(), 0);
    while let Some(Ok((out, at))) = calls.join_next().await {
        match out {
            Ok(()) => served += 1,
            Err(error) => {
                assert_eq!(error.downcast::<Refused>().unwrap().reason(), "waited too long");
                refused.push(at);
            }
        }
    }
    refused.sort_unstable();
    assert!((100..150).contains(&refused[0]), "{refused:?}");
    let within = |from, to| refused.iter().filter(|at| (from..to).contains(*at)).count();
    assert!(within(600, 1100) > within(100, 600), "ever more while it stands: {refused:?}");
    assert_eq!(served + refused.len(), 200);
    assert_eq!(layer.handle().snapshot().queued, 0);
}

#[tokio::test(start_paused = true)]
async fn in_shadow_nobody_waits_and_a_new_mode_lets_those_in_who_do() {
    let (layer, running) = (queued(Shed::fixed(1), patient(9)), Arc::default());
    let mut calls: Vec<Call> = (0..3).map(|_| call(&layer, &running)).collect();
    calls.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
    layer.handle().update(Shed::fixed(1).mode(Mode::Shadow));
    calls.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
    assert_eq!((running.load(SeqCst), layer.handle().snapshot().queued), (3, 0));
    let mut more = call(&layer, &running);
    assert!(poll(&mut more).is_pending());
    assert_eq!((running.load(SeqCst), layer.handle().snapshot().shadowed.normal), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_class_within_its_share_does_not_wait_behind_one_that_is_over_it() {
    let layer = ShedLayer::new(Shed::fixed(2))
        .typed()
        .class(|class: &usize| *class, Shares::new([0.5, 0.5]))
        .backlog(patient(9));
    let running = Arc::new(AtomicUsize::new(0));
    let call = |class: usize| {
        let running = running.clone();
        let service = layer.layer(service_fn(move |class: usize| {
            running.fetch_add(1 + 10 * class, SeqCst);
            pending::<Result<(), BoxError>>()
        }));
        let mut call: Call = Box::pin(service.oneshot(class));
        assert!(poll(&mut call).is_pending());
        call
    };
    let mut zeros: Vec<Call> = (0..4).map(|_| call(0)).collect();
    assert_eq!((running.load(SeqCst), layer.handle().snapshot().queued), (2, 2));
    let _one = call(1);
    assert_eq!(running.load(SeqCst), 13, "it has its own");
    drop(zeros.remove(0));
    zeros.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
    assert_eq!((running.load(SeqCst), layer.handle().snapshot().in_flight), (13, 2));
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_has_a_queue_too() {
    let (layer, running) = (queued(Shed::new().max_in_flight(2), patient(9)), Arc::default());
    let mut calls: Vec<Call> = (0..6).map(|_| call(&layer, &running)).collect();
    for ran in 2..=6 {
        calls.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
        assert_eq!(running.load(SeqCst), ran);
        drop(calls.remove(0));
    }
    drop(calls);
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
}

/// Any mix of ends, on threads: what is taken comes back, the limit holds, and nobody waits for ever.
#[test]
fn nothing_is_lost_in_any_mix_of_ends() {
    for shed in [Shed::fixed(3), Shed::new().max_in_flight(3)] {
        let layer = queued(shed, patient(64));
        let peak = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (layer, peak) = (layer.clone(), peak.clone());
                std::thread::spawn(move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    runtime.block_on(async {
                        let tasks: Vec<_> = (0..4)
                            .map(|task| {
                                let (layer, peak) = (layer.clone(), peak.clone());
                                tokio::spawn(async move { churn(&layer, &peak, 4 * thread + task).await })
                            })
                            .collect();
                        for task in tasks {
                            task.await.unwrap();
                        }
                    });
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let snapshot = layer.handle().snapshot();
        assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
        assert!(peak.1.load(SeqCst) <= 3, "{}", peak.1.load(SeqCst));
    }
}

struct Inside(Arc<(AtomicUsize, AtomicUsize)>);

impl Inside {
    fn new(peak: &Arc<(AtomicUsize, AtomicUsize)>) -> Self {
        let now = peak.0.fetch_add(1, SeqCst) + 1;
        peak.1.fetch_max(now, SeqCst);
        Self(peak.clone())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

async fn churn(layer: &Queued, peak: &Arc<(AtomicUsize, AtomicUsize)>, seed: u64) {
    let dice = Dice::new(Some(seed));
    for _ in 0..300 {
        let (kind, peak) = ((dice.unit() * 4.0) as u8, peak.clone());
        let mut service = layer.layer(service_fn(move |(): ()| {
            let inside = Inside::new(&peak);
            async move {
                tokio::task::yield_now().await;
                drop(inside);
                match kind {
                    0 => Ok(()),
                    1 => Err(BoxError::from("broken")),
                    2 => panic!("on purpose"),
                    _ => pending().await,
                }
            }
        }));
        let mut call: Call = Box::pin(service.ready().await.unwrap().call(()));
        let task = async move {
            for _ in 0..(dice_steps(kind, seed)) {
                if poll(&mut call).is_ready() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            if kind < 3 {
                let _ = call.await;
            }
        };
        let _ = tokio::spawn(task).await;
    }
}

fn dice_steps(kind: u8, seed: u64) -> u64 {
    if kind == 3 { seed % 4 } else { 1 }
}
