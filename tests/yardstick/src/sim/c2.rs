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
    board::{self, Board, Column, Judgement, Unit},
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
    /// The share in the neighbour that comes back colder.
    #[arg(long, default_value_t = 0.1)]
    neighbour_cold: f64,
    /// The requests in the neighbour that warms more slowly.
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

/// What is asked of ours in one shape.
#[derive(Clone, Copy, Debug)]
struct Targets {
    failed: f64,
    trips: f64,
    served: f64,
}

const TARGETS: Targets = Targets { failed: 5.0, trips: 0.0, served: 95.0 };
const NEIGHBOURS_TARGETS: Targets = Targets { failed: 400.0, trips: 1.0, served: 75.0 };

impl Options {
    /// The shape itself, and its two neighbours: one starts colder, the other warms more slowly.
    fn shapes(&self) -> [(Shape, Targets); 3] {
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
        [
            (shape(self.cold, self.warm_after), TARGETS),
            (shape(self.neighbour_cold, self.warm_after), NEIGHBOURS_TARGETS),
            (shape(self.cold, self.neighbour_warm_after), NEIGHBOURS_TARGETS),
        ]
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

/// Runs the experiment: a table for each shape.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let shapes = options.shapes();
    let bar = progress::bar(TITLE, shapes.len() * SUBJECTS.len() * options.common.runs() as usize);
    let boards = shapes.iter().map(|(shape, targets)| {
        let jobs: Vec<(Subject, u64)> =
            SUBJECTS.iter().flat_map(|subject| options.common.seeds().map(|seed| (*subject, seed))).collect();
        let logs = crew::each(&jobs, &bar, |(subject, seed)| one(*subject, *shape, *seed));
        let by_subject = logs.chunks(options.common.runs() as usize);
        board(options, shape, targets, &SUBJECTS.into_iter().zip(by_subject).collect::<Vec<_>>())
    });
    let boards = boards.collect();
    bar.finish_and_clear();
    boards
}

fn board(options: &Options, shape: &Shape, targets: &Targets, runs: &[(Subject, &[Log])]) -> Board {
    let title =
        format!("{TITLE}, {:.0} % of its capacity until {} are served", shape.cold * 100.0, shape.warm_after);
    let columns = [("failed", Unit::Calls), ("re-trips", Unit::Calls), ("served", Unit::Percent)];
    let columns = columns.map(|(title, unit)| Column::new(title, unit).plotted());
    let mut board = Board::new(title, columns.into());
    for (subject, logs) in runs {
        let [failed, trips, served] = summary(logs);
        board.row(subject.role(), subject.name(), [failed, trips, served].map(board::Cell::from).into());
        if *subject == OURS {
            board.judge(vec![
                Some(Judgement::at_most(targets.failed, failed, Unit::Calls)),
                Some(Judgement::at_most(targets.trips, trips, Unit::Calls)),
                Some(Judgement::at_least(targets.served, served, Unit::Percent)),
            ]);
        }
        if let Some(first) = logs.first() {
            board.curve(
                "calls that are served [per second], first seed",
                subject.name(),
                first.served_per_second(),
            );
        }
    }
    board.note(format!(
        "Backend: {} requests/s warm, {} workers, FIFO, works on what its caller gave up; its capacity grows with each \
         request served. Load {}, {} client(s), time-out {} ms, {} s from the first probe.",
        shape.capacity,
        shape.workers,
        shape.load,
        shape.clients,
        options.timeout,
        options.seconds,
    ));
    board.note(format!(
        "Mean of {} runs, first seed {}. Served: of all that was offered; what was refused is neither served nor failed.",
        options.common.runs(),
        options.common.seed,
    ));
    board
}

fn summary(logs: &[Log]) -> [f64; 3] {
    let mean = |figure: fn(&Log) -> f64| stats::mean(&logs.iter().map(figure).collect::<Vec<_>>());
    [
        mean(|log| log.failed as f64),
        mean(|log| log.trips as f64),
        mean(|log| 100.0 * log.served as f64 / log.offered.max(1) as f64),
    ]
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
