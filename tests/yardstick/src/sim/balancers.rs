//! Who is simulated in front of a fleet: ours, tower's, and what else is published.

use std::{
    cell::RefCell,
    fmt::Debug,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bartizan_balance::Handle;
use fastrand::Rng;
use tower::load::Load;
use tower_service::Service;

use super::{
    dice,
    fleet::{Errand, Fleet, Seat},
    prequal::Pool,
    stage::Stage,
};
use crate::{
    board::Role,
    ground::{BoxError, Fault},
    ours::balance::{self as ours, BalanceSettings, Choice, Typed, join, leave},
    peers::{
        self,
        balance::{Changing, News, changing, peak_ewma, pending, tonic_list},
    },
};

/// What chooses a host for each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balancer {
    /// tower's two choices where no load is known, as tonic's list of channels has it.
    TonicList,
    /// tower's two choices by peak latency and requests in flight.
    PeakEwma,
    /// tower's two choices by requests in flight.
    Pending,
    Prequal,
    /// The shortest expected delay, by one who sees all queues and speeds.
    Oracle,
    /// Ours, by two choices instead of its own.
    OursP2c,
    Ours,
}

/// One client's way to call.
pub(crate) trait Client {
    /// Makes a call: whether it succeeds.
    fn call(&mut self, errand: Errand) -> Called;
    /// A host has come.
    fn joined(&mut self, host: usize);
    /// A host is about to leave, and wants no more calls.
    fn drained(&mut self, host: usize);
    /// It has left.
    fn left(&mut self, _: usize) {}
}

pub(crate) type Called = Pin<Box<dyn Future<Output = bool>>>;

impl Balancer {
    /// Who is compared.
    pub(crate) const FIELD: [Self; 6] =
        [Self::PeakEwma, Self::Pending, Self::Prequal, Self::Oracle, Self::OursP2c, Self::Ours];
    /// Who is compared where failures count. Any host would do there; to see queues and speeds helps little.
    pub(crate) const AMONG_FAILURES: [Self; 6] =
        [Self::TonicList, Self::PeakEwma, Self::Pending, Self::Prequal, Self::OursP2c, Self::Ours];

    /// The place of one in [`FIELD`](Self::FIELD).
    pub(crate) fn place(self) -> usize {
        Self::FIELD.iter().position(|&balancer| balancer == self).expect("it is compared")
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TonicList => peers::balance::TONIC_LIST,
            Self::PeakEwma => peers::balance::PEAK_EWMA,
            Self::Pending => peers::balance::PENDING,
            Self::Prequal => "Prequal",
            Self::Oracle => "oracle",
            Self::OursP2c => "ours, P2C",
            Self::Ours => "ours",
        }
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::TonicList | Self::PeakEwma | Self::Pending | Self::Prequal => Role::Peer,
            Self::Oracle | Self::OursP2c => Role::Aside,
            Self::Ours => Role::Ours,
        }
    }

    /// A client of these hosts of `fleet`, with dice of its own.
    pub(crate) fn client(self, stage: &Stage, fleet: &Fleet, hosts: usize, seed: u64) -> Box<dyn Client> {
        let dice = dice::of(seed, u64::MAX - 2, 0);
        match self {
            Self::Oracle => Box::new(Seeing { hosts: (0..hosts).collect(), dice, fleet: fleet.clone() }),
            Self::Ours => Box::new(Bartizan::new(hosts, seed, Choice::latency())),
            Self::OursP2c => Box::new(Bartizan::new(hosts, seed, Choice::p2c())),
            Self::TonicList => Box::new(Tower::new(hosts, seed, tonic_list)),
            Self::PeakEwma => Box::new(Tower::new(hosts, seed, peak_ewma)),
            Self::Pending => Box::new(Tower::new(hosts, seed, pending)),
            Self::Prequal => Box::new(Probing {
                pool: Rc::new(RefCell::new(Pool::new(0..hosts, dice))),
                stage: stage.clone(),
                fleet: fleet.clone(),
            }),
        }
    }
}

/// Calls the host where least is to be waited for.
struct Seeing {
    hosts: Vec<usize>,
    dice: Rng,
    fleet: Fleet,
}

impl Client for Seeing {
    fn call(&mut self, errand: Errand) -> Called {
        // Of equal ones, any.
        let from = self.dice.usize(..self.hosts.len());
        let (before, after) = self.hosts.split_at(from);
        let mut hosts = after.iter().chain(before).copied();
        let first = hosts.next().expect("a fleet is not empty");
        let mut best = (self.fleet.expected(first), first);
        for host in hosts {
            let delay = self.fleet.expected(host);
            if delay < best.0 {
                best = (delay, host);
            }
        }
        let visit = Seat(best.1).call(errand);
        Box::pin(async move { visit.await.is_ok() })
    }

    fn joined(&mut self, host: usize) {
        self.hosts.push(host);
    }

    fn drained(&mut self, host: usize) {
        self.hosts.retain(|&member| member != host);
    }
}

/// Calls through tower's balancer.
struct Tower<S, F>
where
    S: Service<Errand, Error = Fault>,
{
    balance: Changing<S, Errand>,
    news: News<S>,
    endpoint: F,
}

impl<S, F> Tower<S, F>
where
    S: Service<Errand, Error = Fault>,
    F: Fn(Seat) -> S,
{
    fn new(hosts: usize, seed: u64, endpoint: F) -> Self {
        let news = News::new();
        (0..hosts).for_each(|host| news.insert(host, endpoint(Seat(host))));
        Self { balance: changing(news.clone(), seed), news, endpoint }
    }
}

impl<S, F> Client for Tower<S, F>
where
    S: Service<Errand, Error = Fault, Future: 'static> + Load<Metric: Debug>,
    F: Fn(Seat) -> S,
{
    fn call(&mut self, errand: Errand) -> Called {
        let answer = ready_and_call::<_, BoxError>(&mut self.balance, errand);
        Box::pin(async move { answer.await.is_ok() })
    }

    fn joined(&mut self, host: usize) {
        self.news.insert(host, (self.endpoint)(Seat(host)));
    }

    fn drained(&mut self, host: usize) {
        self.news.remove(host);
    }
}

/// Calls through ours.
struct Bartizan {
    balance: Typed<Seat>,
    handle: Handle<usize>,
}

impl Bartizan {
    fn new(hosts: usize, seed: u64, choice: Choice) -> Self {
        let balance = ours::balance(BalanceSettings::new().choice(choice).seed(seed), hosts, Seat);
        Self { handle: balance.handle(), balance }
    }
}

impl Client for Bartizan {
    fn call(&mut self, errand: Errand) -> Called {
        let answer = ready_and_call(&mut self.balance, errand);
        Box::pin(async move { answer.await.is_ok() })
    }

    fn joined(&mut self, host: usize) {
        join(&self.handle, host);
    }

    fn drained(&mut self, host: usize) {
        self.handle.drain(&host);
    }

    fn left(&mut self, host: usize) {
        leave(&self.handle, host);
    }
}

/// Calls a service that is ready at once.
pub(crate) fn ready_and_call<S, E>(service: &mut S, errand: Errand) -> S::Future
where
    S: Service<Errand, Error = E>,
{
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(ready, Poll::Ready(Ok(()))), "a balancer over ready hosts is ready");
    service.call(errand)
}

/// Calls where Prequal's probes point.
struct Probing {
    pool: Rc<RefCell<Pool>>,
    stage: Stage,
    fleet: Fleet,
}

impl Client for Probing {
    fn call(&mut self, errand: Errand) -> Called {
        let now = self.stage.now();
        let mut pool = self.pool.borrow_mut();
        let host = pool.choose(now);
        let visit = Seat(host).call(errand);
        // Probes go out beside the call, and are answered at once: later calls use them.
        for asked in pool.asked_beside() {
            if let Some((in_flight, seconds)) = self.fleet.probe(asked) {
                pool.hear(asked, in_flight, seconds, now);
            }
        }
        let (pool, stage) = (self.pool.clone(), self.stage.clone());
        Box::pin(async move {
            let good = visit.await.is_ok();
            if !good {
                pool.borrow_mut().failed(host, stage.now());
            }
            good
        })
    }

    fn joined(&mut self, host: usize) {
        self.pool.borrow_mut().join(host);
    }

    fn drained(&mut self, host: usize) {
        self.pool.borrow_mut().leave(host);
    }
}
