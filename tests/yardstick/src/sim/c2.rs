//! c2: a backend that comes back cold, and must not be knocked over again by the traffic that returns to it.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use clap::Args;
use fastrand::Rng;
use tower_service::Service;

use super::{
    clock, crew,
    subject::{Peer, Subject},
};
use crate::{
    board::{self, Board, Column, Curve, Judgement, Unit},
    ground::Fault,
    options::Common,
    ours::{self, Variant},
    progress, stats,
};

/// Options of c2.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Requests per second that the warm backend serves.
    #[arg(long, default_value_t = 2000.0)]
    capacity: f64,
    /// Requests that the backend works on at once; the others wait in line.
    #[arg(long, default_value_t = 20)]
    workers: usize,
    /// Share of its capacity that the backend has when it comes back.
    #[arg(long, default_value_t = 0.25)]
    cold: f64,
    /// Requests served after which the backend is warm; until then its capacity grows with each.
    #[arg(long, default_value_t = 8000)]
    warm_after: u64,
    /// The same two of the harder neighbour.
    #[arg(long, default_value_t = 0.1)]
    neighbour_cold: f64,
    /// See `--neighbour-cold`.
    #[arg(long, default_value_t = 16_000)]
    neighbour_warm_after: u64,
    /// Offered requests, as a share of the warm capacity.
    #[arg(long, default_value_t = 0.9)]
    load: f64,
    /// Clients that share the load, each with a breaker of its own.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Milliseconds after which a client gives a request up; the backend works on it all the same.
    #[arg(long, default_value_t = 250)]
    timeout: u64,
    /// Seconds from the backend's return.
    #[arg(long, default_value_t = 110)]
    seconds: u64,
}

pub(crate) const TITLE: &str = "c2: coming back to a cold backend";

/// The numbers of one shape of the experiment, in the units of the simulation.
#[derive(Clone, Copy, Debug)]
struct Shape {
    capacity: f64,
    workers: usize,
    cold: f64,
    warm_after: u64,
    load: f64,
    clients: usize,
    timeout: Duration,
    length: Duration,
}

impl Options {
    fn shapes(&self) -> [Shape; 2] {
        let shape = |cold, warm_after| Shape {
            capacity: self.capacity,
            workers: self.workers,
            cold,
            warm_after,
            load: self.load,
            clients: self.clients,
            timeout: Duration::from_millis(self.timeout),
            length: Duration::from_secs(self.seconds),
        };
        [shape(self.cold, self.warm_after), shape(self.neighbour_cold, self.neighbour_warm_after)]
    }
}

/// Who meets the cold backend.
const SUBJECTS: [Subject; 6] = [
    Subject::Peer(Peer::None),
    Subject::Peer(Peer::Resilience4j),
    Subject::Peer(Peer::Polly),
    Subject::Peer(Peer::FiveInARow),
    Subject::Ours(Variant::AtOnce),
    OURS,
];

/// The subject of which something is asked.
const OURS: Subject = Subject::Ours(Variant::ServiceWide);

/// Runs the experiment.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let shapes = options.shapes();
    let mut jobs = Vec::new();
    for subject in SUBJECTS {
        for (index, shape) in shapes.iter().enumerate() {
            jobs.extend(options.common.seeds().map(|seed| (subject, index, *shape, seed)));
        }
    }
    let bar = progress::bar(TITLE, jobs.len());
    let logs = crew::each(&jobs, &bar, |(subject, _, shape, seed)| one(*subject, *shape, *seed));
    bar.finish_and_clear();

    let columns = shapes.iter().flat_map(|shape| {
        let of = |what: &str| format!("{what}, cold {:.0} %", shape.cold * 100.0);
        [
            Column::new(of("failed"), Unit::Calls).plotted(),
            Column::new(of("re-trips"), Unit::Calls),
            Column::new(of("served"), Unit::Percent).plotted(),
        ]
    });
    let mut board = Board::new(TITLE, columns.collect());
    for subject in SUBJECTS {
        let logs_of = |index: usize| -> Vec<&Log> {
            let named = jobs.iter().zip(&logs).filter(|(job, _)| (job.0, job.1) == (subject, index));
            named.map(|(_, log)| log).collect()
        };
        let figures: Vec<f64> = (0..shapes.len()).flat_map(|index| summary(&logs_of(index))).collect();
        board.row(
            subject.role(),
            subject.name(),
            figures.iter().map(|figure| board::Cell::from(*figure)).collect(),
        );
        if subject == OURS {
            board.judge(judgements(&figures));
        }
        if let Some(first) = logs_of(0).first() {
            board.curves.push(Curve { name: subject.name().into(), points: first.served_per_second() });
        }
    }
    board.note(format!(
        "Backend: {} requests/s warm, {} workers, FIFO, works on what its caller gave up; capacity grows with each request served. \
         Load {}, {} client(s), time-out {} ms, {} s from the first probe; mean of {} runs, first seed {}.",
        options.capacity,
        options.workers,
        options.load,
        options.clients,
        options.timeout,
        options.seconds,
        options.common.runs(),
        options.common.seed,
    ));
    board.note(format!(
        "Neighbour: {:.0} % cold until {} are served, beside {:.0} % until {}. Served: of all that was offered. Refused is neither served nor failed.",
        options.neighbour_cold * 100.0,
        options.neighbour_warm_after,
        options.cold * 100.0,
        options.warm_after,
    ));
    vec![board]
}

fn summary(logs: &[&Log]) -> [f64; 3] {
    let mean =
        |figure: &dyn Fn(&Log) -> f64| stats::mean(&logs.iter().map(|log| figure(log)).collect::<Vec<_>>());
    [
        mean(&|log| log.failed as f64),
        mean(&|log| log.trips as f64),
        mean(&|log| 100.0 * log.served as f64 / log.offered.max(1) as f64),
    ]
}

fn judgements(figures: &[f64]) -> Vec<Option<Judgement>> {
    let targets = [5.0, 0.0, 95.0, 400.0, 1.0, 75.0];
    let units = [Unit::Calls, Unit::Calls, Unit::Percent];
    let judge = |(index, (figure, target)): (usize, (&f64, f64))| {
        let unit = units[index % units.len()];
        let at_least = unit == Unit::Percent;
        Some(if at_least {
            Judgement::at_least(target, *figure, unit)
        } else {
            Judgement::at_most(target, *figure, unit)
        })
    };
    figures.iter().zip(targets).enumerate().map(judge).collect()
}

fn one(subject: Subject, shape: Shape, seed: u64) -> Log {
    clock::paused(|| {
        let world = World::new(shape, seed);
        let backend = world.backend();
        let clients = 0..shape.clients;
        match subject {
            Subject::Peer(peer) => world.run(
                clients.map(|client| {
                    let service = peer.around(backend.clone(), seed + client as u64);
                    let trips = service.trips();
                    (service, trips)
                }),
                peer != Peer::None,
            ),
            Subject::Ours(variant) => world.run(
                clients.map(|client| ours::simulated(backend.clone(), variant, seed + client as u64)),
                true,
            ),
        }
    })
}

/// What one run gave, from the first probe on.
#[derive(Clone, Debug, Default)]
struct Log {
    offered: u64,
    served: u64,
    failed: u64,
    trips: u64,
    per_second: Vec<u64>,
}

impl Log {
    fn served_per_second(&self) -> Vec<(f64, f64)> {
        self.per_second.iter().enumerate().map(|(second, served)| (second as f64, *served as f64)).collect()
    }
}

/// What happens next, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request arrives at a client.
    Arrival,
    /// A worker has done its request.
    Done(usize),
    /// A caller has waited long enough.
    TimeOut(usize),
}

/// The backend, its clients, and the list of what is to come.
struct World {
    shape: Shape,
    dice: Rng,
    now: Duration,
    /// The number breaks ties in the order in which events were made.
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    made: u64,
    line: Rc<Line>,
    waiting: VecDeque<usize>,
    busy: usize,
    served_by_backend: u64,
}

/// What the inner services and the world share.
#[derive(Debug, Default)]
struct Line {
    up: Cell<bool>,
    /// Calls that reached the backend and are not yet in its queue.
    reached: Cell<Option<usize>>,
    /// How each call ended, by number; `None` while it has not.
    calls: RefCell<Vec<Option<bool>>>,
}

/// The inner service of every client: a request to the backend, with a time-out inside the breaker.
#[derive(Clone, Debug)]
struct Backend {
    line: Rc<Line>,
}

impl Service<()> for Backend {
    type Response = ();
    type Error = Fault;
    type Future = Waiting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Waiting {
        let mut calls = self.line.calls.borrow_mut();
        let number = calls.len();
        let down = !self.line.up.get();
        calls.push(down.then_some(false));
        if !down {
            self.line.reached.set(Some(number));
        }
        Waiting { line: self.line.clone(), number }
    }
}

/// Future of [`Backend`].
#[derive(Debug)]
struct Waiting {
    line: Rc<Line>,
    number: usize,
}

impl Future for Waiting {
    type Output = Result<(), Fault>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.line.calls.borrow()[self.number] {
            Some(true) => Poll::Ready(Ok(())),
            Some(false) => Poll::Ready(Err(Fault::Down)),
            None => Poll::Pending,
        }
    }
}

impl World {
    fn new(shape: Shape, seed: u64) -> Self {
        Self {
            shape,
            dice: Rng::with_seed(seed),
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            made: 0,
            line: Rc::default(),
            waiting: VecDeque::new(),
            busy: 0,
            served_by_backend: 0,
        }
    }

    fn backend(&self) -> Backend {
        Backend { line: self.line.clone() }
    }

    /// Trips each client's breaker on the dead backend, brings the backend back cold, and logs what follows the first
    /// request that is let through.
    fn run<S, F>(mut self, clients: impl Iterator<Item = (S, F)>, trips: bool) -> Log
    where
        S: Service<(), Response = (), Error = Fault>,
        F: Fn() -> u64,
    {
        let mut clients: Vec<(S, F)> = clients.collect();
        if trips {
            while clients.iter().any(|(_, trips)| trips() == 0) {
                self.pass_to_next_arrival();
                for (service, _) in clients.iter_mut().filter(|(_, trips)| trips() == 0) {
                    _ = crate::ground::drive(service, ());
                }
            }
        }
        self.line.up.set(true);

        let tripped: u64 = clients.iter().map(|(_, trips)| trips()).sum();
        let mut calls: Vec<Option<Pin<Box<S::Future>>>> = Vec::new();
        let mut log = Log::default();
        let mut begin: Option<Duration> = None;
        self.arrive_later();
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if begin.is_some_and(|begin| at >= begin + self.shape.length) {
                break;
            }
            clock::pass(at - self.now);
            self.now = at;
            match event {
                Event::Arrival => {
                    self.arrive_later();
                    let client = self.dice.usize(..clients.len());
                    let number = self.line.calls.borrow().len();
                    let future = call(&mut clients[client].0);
                    if let Some(reached) = self.line.reached.take() {
                        begin.get_or_insert(self.now);
                        calls.resize_with(reached, || None);
                        calls.push(Some(future));
                        self.waiting.push_back(number);
                        self.later(self.shape.timeout, Event::TimeOut(number));
                        self.work();
                    }
                    log.offered += u64::from(begin.is_some());
                }
                Event::Done(number) => {
                    self.busy -= 1;
                    self.served_by_backend += 1;
                    if self.end(&mut calls, number, true) {
                        log.served += 1;
                        let second = begin.map_or(0, |begin| (self.now - begin).as_secs()) as usize;
                        log.per_second.resize(log.per_second.len().max(second + 1), 0);
                        log.per_second[second] += 1;
                    }
                    self.work();
                }
                Event::TimeOut(number) => log.failed += u64::from(self.end(&mut calls, number, false)),
            }
        }
        log.trips = clients.iter().map(|(_, trips)| trips()).sum::<u64>() - tripped;
        log
    }

    /// Ends a call, unless it had ended before: its future hears of it at once.
    fn end<F: Future>(&self, calls: &mut [Option<Pin<Box<F>>>], number: usize, good: bool) -> bool {
        let Some(mut future) = calls[number].take() else { return false };
        self.line.calls.borrow_mut()[number] = Some(good);
        let ended = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(ended.is_ready(), "a layer holds back an answer that is there");
        true
    }

    /// Lets idle workers take what waits.
    fn work(&mut self) {
        while self.busy < self.shape.workers {
            let Some(number) = self.waiting.pop_front() else { return };
            self.busy += 1;
            let mean = self.shape.workers as f64 / (self.shape.capacity * self.warmth());
            let time = self.exponential(mean);
            self.later(time, Event::Done(number));
        }
    }

    /// The share of its capacity that the backend has by now.
    fn warmth(&self) -> f64 {
        let Shape { cold, warm_after, .. } = self.shape;
        let warmed = (self.served_by_backend as f64 / warm_after.max(1) as f64).min(1.0);
        cold + (1.0 - cold) * warmed
    }

    fn arrive_later(&mut self) {
        let gap = self.exponential(1.0 / (self.shape.capacity * self.shape.load));
        self.later(gap, Event::Arrival);
    }

    fn pass_to_next_arrival(&mut self) {
        let gap = self.exponential(1.0 / (self.shape.capacity * self.shape.load));
        self.now += gap;
        clock::pass(gap);
    }

    fn later(&mut self, time: Duration, event: Event) {
        self.made += 1;
        self.events.push(Reverse((self.now + time, self.made, event)));
    }

    fn exponential(&mut self, mean: f64) -> Duration {
        Duration::from_secs_f64(-mean * (1.0 - self.dice.f64()).ln())
    }
}

/// Calls a ready `service` and polls the answer once, as a runtime would.
fn call<S: Service<(), Error = Fault>>(service: &mut S) -> Pin<Box<S::Future>> {
    let mut context = Context::from_waker(Waker::noop());
    let ready = service.poll_ready(&mut context);
    assert!(matches!(ready, Poll::Ready(Ok(()))), "an admission layer over a ready service is ready");
    let mut future = Box::pin(service.call(()));
    // A refusal is answered here, and dropped.
    _ = future.as_mut().poll(&mut context);
    future
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        capacity: 200.0,
        workers: 4,
        cold: 0.25,
        warm_after: 1000,
        load: 0.5,
        clients: 1,
        timeout: Duration::from_millis(500),
        length: Duration::from_secs(60),
    };

    #[test]
    fn a_warm_backend_serves_all() {
        let log = one(Subject::Peer(Peer::None), Shape { cold: 1.0, ..SHAPE }, 1);
        assert_eq!((log.failed, log.trips), (0, 0));
        assert!((5500..6500).contains(&log.offered), "{log:?}");
        assert!(log.offered - log.served < 20, "{log:?}");
    }

    #[test]
    fn a_cold_backend_fails_what_comes_at_once() {
        let log = one(Subject::Peer(Peer::None), SHAPE, 1);
        assert!(log.failed > 100, "{log:?}");
    }

    #[test]
    fn a_breaker_that_opens_again_is_seen() {
        let log = one(Subject::Peer(Peer::FiveInARow), Shape { load: 0.9, ..SHAPE }, 1);
        assert!(log.trips > 0, "{log:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let figures = |seed| {
            let log = one(Subject::Peer(Peer::Polly), SHAPE, seed);
            (log.offered, log.served, log.failed, log.trips)
        };
        assert_eq!(figures(3), figures(3));
        assert_ne!(figures(3), figures(4));
    }
}
