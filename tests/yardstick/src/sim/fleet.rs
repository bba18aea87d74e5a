//! Servers with a few slots and one queue each, whose speed and mood change while they are at work.

use std::{
    cell::RefCell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use clap::ValueEnum;
use fastrand::Rng;
use tower_service::Service;

use super::{
    dice,
    stage::{Answer, Question, Stage, question},
};
use crate::{ground::Fault, stats};

/// One request. All that happens to it follows from its number, whoever serves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand(pub(crate) u64);

/// How long requests take at full speed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) mean: Duration,
    pub(crate) law: Law,
}

/// The distribution of these times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Law {
    Exponential,
    Constant,
    /// With a standard deviation as large as the mean.
    Lognormal,
}

/// Answers that are failures, one as likely as the other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failing {
    pub(crate) share: f64,
    /// Whether they come at once, and not when the work is done.
    pub(crate) at_once: bool,
}

/// What a host does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Every answer is a failure, and comes at once.
    Fails,
    /// No answer comes.
    Hangs,
}

/// The hosts. Its clones are the same fleet.
#[derive(Clone)]
pub(crate) struct Fleet(Rc<Inner>);

struct Inner {
    stage: Stage,
    seed: u64,
    work: Work,
    failing: Failing,
    slots: usize,
    /// After which a caller has got no answer.
    timeout: Option<Duration>,
    hosts: RefCell<Vec<Host>>,
    visits: RefCell<Vec<(Duration, usize)>>,
}

struct Host {
    speed: f64,
    mood: Mood,
    at_work: Vec<Active>,
    line: VecDeque<Job>,
    made: u64,
    /// What it answered lately: requests in flight on arrival, and seconds.
    lately: VecDeque<(usize, f64)>,
}

struct Job {
    number: u64,
    work: f64,
    asked: Question<bool>,
    began: Duration,
    in_flight: usize,
}

struct Active {
    id: u64,
    left: f64,
    since: Duration,
    job: Job,
}

thread_local! {
    /// The fleet of the stage that this thread plays: a balancer's endpoint must be `Send`, and no part of a stage is.
    static OPEN: RefCell<Option<Fleet>> = const { RefCell::new(None) };
}

impl Fleet {
    /// Answers that a host remembers.
    const MEMORY: usize = 64;
    /// Of these, those nearest in load, over which it says how long it takes.
    const NEAREST: usize = 9;

    /// Opens a fleet without hosts, to which the [`Seat`]s of this thread belong from now on.
    pub(crate) fn open(
        stage: &Stage,
        seed: u64,
        slots: usize,
        work: Work,
        failing: Failing,
        timeout: Option<Duration>,
    ) -> Self {
        let fleet = Self(Rc::new(Inner {
            stage: stage.clone(),
            seed,
            work,
            failing,
            slots,
            timeout,
            hosts: RefCell::default(),
            visits: RefCell::default(),
        }));
        OPEN.set(Some(fleet.clone()));
        fleet
    }

    fn opened() -> Self {
        OPEN.with_borrow(|open| open.clone().expect("a fleet is open while its seats are called"))
    }

    /// Adds a host and says its number.
    pub(crate) fn join(&self, speed: f64) -> usize {
        let mut hosts = self.0.hosts.borrow_mut();
        hosts.push(Host {
            speed,
            mood: Mood::Well,
            at_work: Vec::new(),
            line: VecDeque::new(),
            made: 0,
            lately: VecDeque::with_capacity(Self::MEMORY),
        });
        hosts.len() - 1
    }

    /// Sets how fast a host works, also on what it has begun.
    pub(crate) fn set_speed(&self, host: usize, speed: f64) {
        let now = self.0.stage.now();
        let mut hosts = self.0.hosts.borrow_mut();
        let Host { speed: old, at_work, made, .. } = &mut hosts[host];
        for active in at_work {
            active.left = (active.left - (now - active.since).as_secs_f64() * *old).max(0.0);
            active.since = now;
            // The end that was set for it before means nobody any more.
            *made += 1;
            active.id = *made;
            self.end_later(host, active.id, active.left / speed);
        }
        *old = speed;
    }

    /// Sets what a host does with requests from now on.
    pub(crate) fn set_mood(&self, host: usize, mood: Mood) {
        self.0.hosts.borrow_mut()[host].mood = mood;
    }

    /// Every arrival so far, and where.
    pub(crate) fn visits(&self) -> Vec<(Duration, usize)> {
        self.0.visits.borrow().clone()
    }

    /// How long a request can be expected to take at a host, by one who sees its queue and its speed.
    pub(crate) fn expected(&self, host: usize) -> f64 {
        let hosts = self.0.hosts.borrow();
        let host = &hosts[host];
        if host.mood != Mood::Well {
            return f64::INFINITY;
        }
        let ahead = (host.in_flight() + 1).saturating_sub(self.0.slots) as f64 / self.0.slots as f64;
        (1.0 + ahead) * self.0.work.mean.as_secs_f64() / host.speed
    }

    /// What a probe of Prequal's is answered: the requests in flight, and the median of what those took lately that came when there were about
    /// as many. No answer from a host that hangs.
    pub(crate) fn probe(&self, host: usize) -> Option<(usize, f64)> {
        let hosts = self.0.hosts.borrow();
        let host = &hosts[host];
        if host.mood == Mood::Hangs {
            return None;
        }
        let now = host.in_flight();
        let mut nearest: Vec<(usize, usize)> =
            host.lately.iter().rev().enumerate().map(|(age, &(then, _))| (then.abs_diff(now), age)).collect();
        nearest.sort_unstable();
        nearest.truncate(Self::NEAREST);
        let newest = host.lately.len().wrapping_sub(1);
        let mut took: Vec<f64> = nearest.iter().map(|(_, age)| host.lately[newest - age].1).collect();
        Some((now, stats::median(&mut took)))
    }

    fn arrive(&self, host: usize, Errand(number): Errand) -> Answer<bool> {
        let (asked, answer) = question();
        let began = self.0.stage.now();
        self.0.visits.borrow_mut().push((began, host));
        let mut hosts = self.0.hosts.borrow_mut();
        let place = &mut hosts[host];
        let mut dice = dice::of(self.0.seed, number, 0);
        let fails = dice.f64() < self.0.failing.share && self.0.failing.at_once;
        let job =
            Job { number, work: self.0.work.draw(&mut dice), asked, began, in_flight: place.in_flight() };
        match place.mood {
            Mood::Hangs => {}
            Mood::Fails => place.answer(job, false, began),
            Mood::Well if fails => place.answer(job, false, began),
            Mood::Well => {
                place.line.push_back(job);
                self.work(host, place);
            }
        }
        answer
    }

    /// Has free slots take what waits.
    fn work(&self, number: usize, host: &mut Host) {
        while host.at_work.len() < self.0.slots {
            let Some(job) = host.line.pop_front() else { return };
            host.made += 1;
            self.end_later(number, host.made, job.work / host.speed);
            host.at_work.push(Active { id: host.made, left: job.work, since: self.0.stage.now(), job });
        }
    }

    fn end_later(&self, host: usize, id: u64, seconds: f64) {
        let fleet = self.clone();
        self.0.stage.later(Duration::from_secs_f64(seconds), move || fleet.end(host, id));
    }

    fn end(&self, number: usize, id: u64) {
        let mut hosts = self.0.hosts.borrow_mut();
        let host = &mut hosts[number];
        let Some(place) = host.at_work.iter().position(|active| active.id == id) else { return };
        let Active { job, .. } = host.at_work.swap_remove(place);
        let good = self.0.failing.at_once
            || self.0.failing.share == 0.0
            || dice::of(self.0.seed, job.number, 0).f64() >= self.0.failing.share;
        let good = good && host.mood != Mood::Fails;
        host.answer(job, good, self.0.stage.now());
        self.work(number, host);
    }
}

impl Host {
    fn in_flight(&self) -> usize {
        self.at_work.len() + self.line.len()
    }

    fn answer(&mut self, job: Job, good: bool, now: Duration) {
        if self.lately.len() == Fleet::MEMORY {
            self.lately.pop_front();
        }
        self.lately.push_back((job.in_flight, (now - job.began).as_secs_f64()));
        job.asked.answer(good);
    }
}

impl Work {
    /// Seconds at full speed.
    fn draw(self, dice: &mut Rng) -> f64 {
        match self.law {
            Law::Exponential => dice::exponential(dice, self.mean).as_secs_f64(),
            Law::Constant => self.mean.as_secs_f64(),
            Law::Lognormal => {
                // σ² = ln 2 gives a deviation of one mean; the mean of e^(σz) is then √2.
                let sigma = 2_f64.ln().sqrt();
                self.mean.as_secs_f64() * (sigma * dice::normal(dice)).exp() / 2_f64.sqrt()
            }
        }
    }
}

/// A host of the fleet that is open on this thread, as a balancer's endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat(pub(crate) usize);

impl Service<Errand> for Seat {
    type Response = ();
    type Error = Fault;
    type Future = Visit;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, errand: Errand) -> Visit {
        let fleet = Fleet::opened();
        let answer = fleet.arrive(self.0, errand);
        Visit { answer, end: fleet.0.timeout.map(|timeout| fleet.0.stage.sleep(timeout)) }
    }
}

/// Future of [`Seat`].
pub(crate) struct Visit {
    answer: Answer<bool>,
    end: Option<Answer<()>>,
}

impl Future for Visit {
    type Output = Result<(), Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(good) = Pin::new(&mut self.answer).poll(cx) {
            return Poll::Ready(if good { Ok(()) } else { Err(Fault::Down) });
        }
        match &mut self.end {
            Some(end) => Pin::new(end).poll(cx).map(|()| Err(Fault::Down)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::stage::play, *};

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const CONSTANT: Work = Work { mean: millis(10), law: Law::Constant };

    fn open(stage: &Stage, slots: usize, work: Work) -> Fleet {
        let fleet = Fleet::open(stage, 1, slots, work, Failing::default(), None);
        fleet.join(1.0);
        fleet
    }

    #[test]
    fn slots_take_from_one_queue_in_turn() {
        let ends = play(1, |stage| async move {
            open(&stage, 2, CONSTANT);
            let calls: Vec<Visit> = (0..5).map(|number| Seat(0).call(Errand(number))).collect();
            let mut ends = Vec::new();
            for call in calls {
                call.await.expect("the host is well");
                ends.push(stage.now());
            }
            ends
        });
        assert_eq!(ends, [10, 10, 20, 20, 30].map(millis));
    }

    #[test]
    fn a_change_of_speed_is_felt_by_what_has_begun() {
        let end = play(1, |stage| async move {
            let fleet = open(&stage, 1, CONSTANT);
            let call = Seat(0).call(Errand(0));
            stage.sleep(millis(5)).await;
            fleet.set_speed(0, 0.1);
            stage.sleep(millis(10)).await;
            fleet.set_speed(0, 2.0);
            call.await.expect("the host is well");
            stage.now()
        });
        // 5 ms of work, 1 ms of work in 10 ms, and 4 ms at double speed.
        assert_eq!(end, millis(17));
    }

    #[test]
    fn a_busy_host_obeys_queueing_theory() {
        // One slot, exponential, load 0.8: a request is there for mean / (1 − load) in the mean.
        let mean = play(1, |stage| async move {
            open(&stage, 1, Work { mean: millis(10), law: Law::Exponential });
            let took = Rc::new(RefCell::new(Vec::new()));
            let mut dice = Rng::with_seed(3);
            for number in 0..200_000 {
                stage.sleep(dice::exponential(&mut dice, Duration::from_micros(12_500))).await;
                let (call, took, on) = (Seat(0).call(Errand(number)), took.clone(), stage.clone());
                let began = stage.now();
                stage.enter(async move {
                    call.await.expect("the host is well");
                    took.borrow_mut().push((on.now() - began).as_secs_f64());
                });
            }
            stage.sleep(Duration::from_secs(10)).await;
            stats::mean(&took.take())
        });
        assert!((0.047..0.053).contains(&mean), "{mean}");
    }

    #[test]
    fn every_law_has_its_mean() {
        for law in [Law::Exponential, Law::Constant, Law::Lognormal] {
            let (work, mut dice) = (Work { mean: millis(10), law }, Rng::with_seed(1));
            let drawn: Vec<f64> = (0..100_000).map(|_| work.draw(&mut dice)).collect();
            assert!((stats::mean(&drawn) - 0.01).abs() < 2e-4, "{law:?}");
        }
    }

    #[test]
    fn moods_show() {
        play(1, |stage| async move {
            let fleet = Fleet::open(&stage, 1, 1, CONSTANT, Failing::default(), Some(millis(100)));
            fleet.join(1.0);
            fleet.set_mood(0, Mood::Fails);
            assert!(Seat(0).call(Errand(0)).await.is_err());
            assert_eq!(stage.now(), millis(0));
            fleet.set_mood(0, Mood::Hangs);
            assert!(Seat(0).call(Errand(1)).await.is_err());
            assert_eq!(stage.now(), millis(100));
            assert_eq!(fleet.probe(0), None);
            fleet.set_mood(0, Mood::Well);
            assert!(Seat(0).call(Errand(2)).await.is_ok());
            assert_eq!(stage.now(), millis(110));
            assert_eq!(fleet.visits().len(), 3);
        });
    }

    #[test]
    fn failures_have_their_share_and_belong_to_the_request() {
        for at_once in [false, true] {
            let failed = play(1, move |stage| async move {
                let failing = Failing { share: 0.1, at_once };
                let fleet = Fleet::open(&stage, 1, 1, CONSTANT, failing, None);
                fleet.join(1.0);
                fleet.join(3.0);
                let mut failed = 0;
                for number in 0..5000 {
                    let here = Seat(0).call(Errand(number)).await.is_err();
                    assert_eq!(here, Seat(1).call(Errand(number)).await.is_err());
                    failed += u32::from(here);
                }
                failed
            });
            assert!((400..600).contains(&failed), "{failed}");
        }
    }

    #[test]
    fn what_is_said_to_a_probe_is_of_requests_that_met_the_same_load() {
        play(1, |stage| async move {
            let fleet = open(&stage, 1, CONSTANT);
            for round in 0..10 {
                let calls: Vec<Visit> =
                    (0..3).map(|number| Seat(0).call(Errand(round * 3 + number))).collect();
                if round == 9 {
                    let (in_flight, seconds) = fleet.probe(0).expect("the host answers");
                    assert_eq!(in_flight, 3);
                    // None met three; the nearest met two others and took three turns.
                    assert!((seconds - 0.03).abs() < 1e-9, "{seconds}");
                }
                for call in calls {
                    call.await.expect("the host is well");
                }
            }
            let (in_flight, seconds) = fleet.probe(0).expect("the host answers");
            assert_eq!(in_flight, 0);
            assert!((seconds - 0.01).abs() < 1e-9, "{seconds}");
        });
    }
}
