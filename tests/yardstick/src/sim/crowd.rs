//! Clients that call a fleet at random instants, each through a balancer of its own, whether or not earlier calls were answered.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use super::{
    balancers::{Balancer, Client},
    dice,
    fleet::{Errand, Failing, Fleet, Work},
    stage::{Stage, play},
};
use crate::stats;

/// A fleet and its clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) hosts: usize,
    pub(crate) slots: usize,
    pub(crate) work: Work,
    pub(crate) failing: Failing,
    /// After which a client takes a call for failed.
    pub(crate) timeout: Option<Duration>,
    pub(crate) clients: usize,
    /// Calls per second of all clients.
    pub(crate) rate: f64,
    /// When the last call is made.
    pub(crate) until: Duration,
}

/// What happened to one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) began: Duration,
    /// Milliseconds.
    pub(crate) took: f64,
    pub(crate) good: bool,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) samples: Vec<Sample>,
    /// When which host was called.
    pub(crate) visits: Vec<(Duration, usize)>,
}

/// The clients, for those who change what they know. Its clones are the same.
#[derive(Clone)]
pub(crate) struct Crowd(Rc<[RefCell<Box<dyn Client>>]>);

impl Crowd {
    pub(crate) fn tell(&self, news: impl Fn(&mut dyn Client)) {
        self.0.iter().for_each(|client| news(client.borrow_mut().as_mut()));
    }
}

/// Whoever calls last has this long for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Scene {
    /// Plays it; `direct` sees to what changes meanwhile. All hosts begin at full speed.
    pub(crate) fn play(
        self,
        balancer: Balancer,
        direct: impl FnOnce(&Stage, &Fleet, &Crowd) + 'static,
    ) -> Played {
        play(1, move |stage| async move {
            let Self { seed, slots, work, failing, timeout, .. } = self;
            let fleet = Fleet::open(&stage, seed, slots, work, failing, timeout);
            (0..self.hosts).for_each(|_| _ = fleet.join(1.0));
            let client = |client| balancer.client(&stage, &fleet, self.hosts, seed ^ ((client as u64) << 32));
            let crowd = Crowd((0..self.clients).map(|number| RefCell::new(client(number))).collect());
            direct(&stage, &fleet, &crowd);
            let log = Rc::new(Log::default());
            for client in 0..self.clients {
                stage.enter(calls(self, stage.clone(), crowd.clone(), client, log.clone()));
            }
            stage.sleep(self.until).await;
            let end = self.until + PATIENCE;
            while log.open.get() > 0 && stage.now() < end {
                stage.sleep(Duration::from_millis(100)).await;
            }
            let mut samples = log.samples.take();
            for (began, _) in log.began.take().into_iter().filter(|(_, answered)| !answered.get()) {
                samples.push(Sample { began, took: (end - began).as_secs_f64() * 1e3, good: false });
            }
            Played { samples, visits: fleet.visits() }
        })
    }
}

#[derive(Default)]
struct Log {
    open: Cell<usize>,
    began: RefCell<Vec<(Duration, Rc<Cell<bool>>)>>,
    samples: RefCell<Vec<Sample>>,
}

/// One client's calls.
async fn calls(scene: Scene, stage: Stage, crowd: Crowd, client: usize, log: Rc<Log>) {
    let gap = Duration::from_secs_f64(scene.clients as f64 / scene.rate);
    let mut dice = dice::of(scene.seed, u64::MAX, client as u64);
    for number in 0.. {
        stage.sleep(dice::exponential(&mut dice, gap)).await;
        let began = stage.now();
        if began >= scene.until {
            return;
        }
        let answer = crowd.0[client].borrow_mut().call(Errand((client as u64) << 40 | number));
        let answered = Rc::new(Cell::new(false));
        log.open.set(log.open.get() + 1);
        log.began.borrow_mut().push((began, answered.clone()));
        let (stage, log) = (stage.clone(), log.clone());
        stage.clone().enter(async move {
            let good = answer.await;
            answered.set(true);
            log.open.set(log.open.get() - 1);
            let took = (stage.now() - began).as_secs_f64() * 1e3;
            log.samples.borrow_mut().push(Sample { began, took, good });
        });
    }
}

impl Played {
    /// What these shares of the calls made in this time did not exceed, in milliseconds.
    pub(crate) fn percentiles<const N: usize>(
        &self,
        from: Duration,
        to: Duration,
        shares: [f64; N],
    ) -> [f64; N] {
        let mut took: Vec<f64> = self.within(from, to).map(|sample| sample.took).collect();
        shares.map(|share| stats::percentile(&mut took, share))
    }

    pub(crate) fn within(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.began >= from && sample.began < to)
    }

    pub(crate) fn failed(&self, from: Duration, to: Duration) -> f64 {
        self.within(from, to).filter(|sample| !sample.good).count() as f64
    }

    /// Calls of a host in this time.
    pub(crate) fn visits(&self, host: usize, from: Duration, to: Duration) -> f64 {
        let counted = |visit: &&(Duration, usize)| visit.1 == host && visit.0 >= from && visit.0 < to;
        self.visits.iter().filter(counted).count() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            fleet::{Law, Mood},
            mix::Mix,
        },
        *,
    };

    const UNTIL: Duration = Duration::from_secs(20);

    fn scene(hosts: usize) -> Scene {
        Scene {
            seed: 1,
            hosts,
            slots: 2,
            work: Work { mean: Duration::from_millis(40), law: Law::Exponential },
            failing: Failing::default(),
            timeout: None,
            clients: 4,
            rate: 0.8 * 2.0 * hosts as f64 / 0.04,
            until: UNTIL,
        }
    }

    fn p99(balancer: Balancer) -> f64 {
        let played = scene(10).play(balancer, |_, _, _| {});
        played.percentiles(Duration::from_secs(5), UNTIL, [0.99])[0]
    }

    #[test]
    fn who_sees_more_waits_less() {
        let [random, pending, oracle] = [Balancer::TonicList, Balancer::Pending, Balancer::Oracle].map(p99);
        assert!(oracle < pending, "{oracle} {pending}");
        assert!(pending < random, "{pending} {random}");
    }

    #[test]
    fn everybody_serves_the_same_calls() {
        let played = |balancer| {
            let mut began: Vec<Duration> = scene(10)
                .play(balancer, |_, _, _| {})
                .samples
                .iter()
                .map(|sample| {
                    assert!(sample.good);
                    sample.began
                })
                .collect();
            began.sort_unstable();
            began
        };
        let oracle = played(Balancer::Oracle);
        assert!(oracle.len() > 7500, "{}", oracle.len());
        for balancer in Balancer::AMONG_FAILURES {
            assert_eq!(played(balancer), oracle, "{balancer:?}");
        }
    }

    #[test]
    fn nobody_calls_who_has_left_or_misses_who_has_come() {
        for balancer in Balancer::FIELD {
            let at = Duration::from_secs(10);
            let played = scene(5).play(balancer, move |stage, fleet, crowd| {
                let (fleet, crowd) = (fleet.clone(), crowd.clone());
                stage.later(at, move || {
                    let new = fleet.join(1.0);
                    crowd.tell(|client| client.joined(new));
                    crowd.tell(|client| client.drained(0));
                });
            });
            assert!(played.visits(0, Duration::ZERO, at) > 0.0);
            assert_eq!(played.visits(0, at, UNTIL), 0.0, "{balancer:?}");
            assert!(played.visits(5, at, UNTIL) > 0.0, "{balancer:?}");
        }
    }

    #[test]
    fn unanswered_calls_count_as_failed() {
        let played = scene(1).play(Balancer::TonicList, |_, fleet, _| {
            fleet.set_mood(0, Mood::Hangs);
        });
        let calls = played.samples.len() as f64;
        assert!(calls > 0.0);
        assert_eq!(played.failed(Duration::ZERO, UNTIL), calls);
    }

    #[test]
    fn a_mix_bears_its_load() {
        let mix = Mix::for_tests();
        let scene =
            Scene { hosts: 20, slots: 4, rate: 0.9 * mix.capacity(Duration::from_millis(40)), ..scene(20) };
        let played = scene.play(Balancer::Oracle, move |stage, fleet, _| mix.begin(stage, fleet, 1));
        let [p50, p99] = played.percentiles(Duration::from_secs(5), UNTIL, [0.5, 0.99]);
        assert!(p50 < 60.0 && p99 < 600.0, "{p50} {p99}");
    }
}
