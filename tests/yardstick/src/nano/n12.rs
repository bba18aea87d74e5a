//! n12: one instance of a layer that several threads share.

use std::{
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
};

use clap::Args;
use tower_service::Service;

use crate::{
    contest::{Case, Contest},
    floor::{A, R},
    ground::{Echo, drive},
    nano::{n3, n4, n8},
    options::{Timing, positive},
    ours::{
        self,
        balance::{BalanceSettings, balance},
    },
    peers::{
        self,
        balance::{fixed, peak_ewma, pending},
    },
    race::{Lane, Place},
};

/// Options of n12.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// How many threads call at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
    /// Endpoints of the balancer.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    endpoints: usize,
    /// Requests in flight of the fixed limit.
    #[arg(long, default_value_t = 100, value_parser = positive)]
    limit: usize,
    /// Keys of the keyed rate limit, which the threads call in turn.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
}

pub(crate) const TITLE: &str = "n12: one instance, several threads";

const BREAKER: usize = 0;
const BALANCE: usize = 1;
const FIXED: usize = 2;
const ADAPTIVE: usize = 3;
const ONE: usize = 4;
const KEYED: usize = 5;

/// Sets the lanes up: each thread has its own services over one shared state.
pub(crate) fn contest(options: &Options) -> Contest {
    let tower_resilience = peers::tower_resilience(Echo);
    let failsafe = peers::failsafe();
    let recloser = peers::recloser();
    let ours = ours::breaker(Echo);
    let seed = options.timing.common.seed;
    let ewma = Arc::new(Mutex::new(fixed((0..options.endpoints).map(|_| peak_ewma(Echo)).collect(), seed)));
    let pending = Arc::new(Mutex::new(fixed((0..options.endpoints).map(|_| pending(Echo)).collect(), seed)));
    let balanced = balance(BalanceSettings::new().seed(seed), options.endpoints, |_| Echo);
    let shed = shedding(options);
    let limit = limiting(options);
    let team = || {
        let mut tower_resilience = tower_resilience.clone();
        let failsafe = failsafe.clone();
        let recloser = recloser.clone();
        let mut ours = ours.clone();
        let mut balanced = balanced.clone();
        let (ewma, pending) = (ewma.clone(), pending.clone());
        let mut lanes = vec![
            Lane::new(Place::Bare(BREAKER), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
            Lane::new(Place::Bare(BALANCE), |i| _ = black_box(drive(&mut Echo, black_box(i)))),
            Lane::new(Place::Peer(BREAKER, peers::TOWER_RESILIENCE), move |i| {
                _ = black_box(drive(&mut tower_resilience, black_box(i)));
            }),
            Lane::new(Place::Peer(BREAKER, peers::FAILSAFE), move |i| failsafe(black_box(i))),
            Lane::new(Place::Peer(BREAKER, peers::RECLOSER), move |i| recloser(black_box(i))),
            Lane::new(Place::Peer(BALANCE, peers::balance::PEAK_EWMA), move |i| {
                _ = black_box(drive(&mut *ewma.lock().unwrap_or_else(PoisonError::into_inner), black_box(i)));
            }),
            Lane::new(Place::Peer(BALANCE, peers::balance::PENDING), move |i| {
                _ = black_box(drive(
                    &mut *pending.lock().unwrap_or_else(PoisonError::into_inner),
                    black_box(i),
                ));
            }),
            Lane::new(Place::Ours(BALANCE), move |i| _ = black_box(drive(&mut balanced, black_box(i)))),
            Lane::new(Place::Ours(BREAKER), move |i| _ = black_box(drive(&mut ours, black_box(i)))),
        ];
        lanes.extend(shed());
        lanes.extend(limit());
        lanes
    };
    Contest {
        title: TITLE,
        cases: vec![
            Case::new("breaker, evidence rule", A + R),
            Case::new("balance by latency", n8::floor()),
            Case::new("fixed limit", n3::fixed_floor()),
            Case::new("adaptive shed", n3::adaptive_floor()),
            Case::new("rate limit", n4::one_floor()),
            Case::new("rate limit, keyed", n4::keyed_floor()),
        ],
        teams: (0..options.threads).map(|_| team()).collect(),
        notes: vec![format!(
            "{} threads; CPU time of each thread per call. The primitives too are shared, so they stand at their contended price. tower's balancer cannot be shared: it stands in a mutex, which is less than the Buffer that is meant for it; {} endpoints.",
            options.threads, options.endpoints
        )],
    }
}

/// The lanes of one thread under shared limits of what is in flight.
fn shedding(options: &Options) -> impl Fn() -> Vec<Lane> {
    let tower = peers::shed::tower(Echo, options.limit);
    let bulkhead = peers::shed::bulkhead(Echo, options.limit);
    let aimd = peers::shed::aimd(Echo);
    let gradient2 = peers::shed::acc_gradient2(Echo);
    let fixed = ours::shed::fixed(Echo, options.limit);
    let adaptive = ours::shed::adaptive(Echo);
    move || {
        vec![
            calling(Place::Bare(FIXED), Echo),
            calling(Place::Bare(ADAPTIVE), Echo),
            calling(Place::Peer(FIXED, peers::shed::TOWER), tower.clone()),
            calling(Place::Peer(FIXED, peers::shed::BULKHEAD), bulkhead.clone()),
            calling(Place::Peer(ADAPTIVE, peers::shed::AIMD), aimd.clone()),
            calling(Place::Peer(ADAPTIVE, peers::shed::ACC_GRADIENT2), gradient2.clone()),
            calling(Place::Ours(FIXED), fixed.clone()),
            calling(Place::Ours(ADAPTIVE), adaptive.clone()),
        ]
    }
}

/// The lanes of one thread under shared rate limits.
fn limiting(options: &Options) -> impl Fn() -> Vec<Lane> {
    let governor = peers::limit::governor();
    let governor_keyed = peers::limit::governor_keyed(options.keys);
    let window = peers::limit::window(Echo);
    let bucket = peers::limit::bucket(Echo);
    let one = ours::limit::one(Echo);
    let keyed = ours::limit::by_number(Echo, options.keys);
    move || {
        let (governor, governor_keyed) = (governor.clone(), governor_keyed.clone());
        vec![
            calling(Place::Bare(ONE), Echo),
            calling(Place::Bare(KEYED), Echo),
            Lane::new(Place::Peer(ONE, peers::limit::GOVERNOR), move |i| governor(black_box(i))),
            Lane::new(Place::Peer(KEYED, peers::limit::GOVERNOR), move |i| governor_keyed(black_box(i))),
            calling(Place::Peer(ONE, peers::limit::WINDOW), window.clone()),
            calling(Place::Peer(ONE, peers::limit::BUCKET), bucket.clone()),
            calling(Place::Ours(ONE), one.clone()),
            calling(Place::Ours(KEYED), keyed.clone()),
        ]
    }
}

/// A lane that calls `service`.
fn calling<S: Service<u64, Future: 'static> + Send + 'static>(place: Place, mut service: S) -> Lane {
    Lane::new(place, move |i| _ = black_box(drive(&mut service, black_box(i))))
}
