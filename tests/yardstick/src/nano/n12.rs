//! n12: one closed breaker, and one balancer, that several threads share.

use std::{
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
};

use clap::Args;

use crate::{
    contest::{Case, Contest},
    floor::{A, R},
    ground::{Echo, drive},
    nano::n8,
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
}

pub(crate) const TITLE: &str = "n12: one instance, several threads";

const BREAKER: usize = 0;
const BALANCE: usize = 1;

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
    let team = || {
        let mut tower_resilience = tower_resilience.clone();
        let failsafe = failsafe.clone();
        let recloser = recloser.clone();
        let mut ours = ours.clone();
        let mut balanced = balanced.clone();
        let (ewma, pending) = (ewma.clone(), pending.clone());
        vec![
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
        ]
    };
    Contest {
        title: TITLE,
        cases: vec![Case::new("breaker, evidence rule", A + R), Case::new("balance by latency", n8::floor())],
        teams: (0..options.threads).map(|_| team()).collect(),
        notes: vec![format!(
            "{} threads; CPU time of each thread per call. The primitives too are shared, so they stand at their contended price. tower's balancer cannot be shared: it stands in a mutex, which is less than the Buffer that is meant for it; {} endpoints.",
            options.threads, options.endpoints
        )],
    }
}
