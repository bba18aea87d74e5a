//! A service of a few workers and one queue, first come, first served, that is asked for more than it can do.
//!
//! It works on what came too late all the same, and spends a little on every refusal. Who is let in is said by a [`Door`].

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use clap::{Args, ValueEnum};
use fastrand::Rng;

use super::dice;

/// What the service is like.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shape {
    /// Milliseconds that a worker takes for a request in the mean.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) service: f64,
    /// How that time is distributed.
    #[arg(long, value_enum, default_value_t = Law::Exponential)]
    pub(crate) law: Law,
    /// Milliseconds after which an answer is of no use.
    #[arg(long, default_value_t = 100.0)]
    pub(crate) deadline: f64,
    /// Milliseconds of a worker's time that a refusal costs.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) refusal: f64,
}

impl Shape {
    #[cfg(test)]
    pub(crate) const USUAL: Self =
        Self { service: 10.0, law: Law::Exponential, deadline: 100.0, refusal: 0.05 };

    /// Requests per second that so many workers serve.
    pub(crate) fn capacity(&self, workers: usize) -> f64 {
        workers as f64 * 1e3 / self.service
    }
}

/// A distribution of service times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Law {
    Exponential,
    /// All take the same time.
    Fixed,
    /// Its logarithm is normal with a standard deviation of one.
    Lognormal,
}

impl Law {
    /// A time with a mean of one.
    fn draw(self, dice: &mut Rng) -> f64 {
        match self {
            Self::Exponential => -(1.0 - dice.f64()).ln(),
            Self::Fixed => 1.0,
            Self::Lognormal => (dice::normal(dice) - 0.5).exp(),
        }
    }
}

/// A time during which nothing changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    pub(crate) seconds: f64,
    /// Requests offered, as a share of what the service could do at full speed.
    pub(crate) load: f64,
    /// How many times longer than usual a request takes.
    pub(crate) slower: f64,
}

impl Phase {
    pub(crate) fn new(seconds: f64, load: f64) -> Self {
        Self { seconds, load, slower: 1.0 }
    }
}

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest {
    /// Which place is its own while it is inside; places are used again.
    pub(crate) seat: usize,
    pub(crate) now: Duration,
    pub(crate) deadline: Duration,
    pub(crate) class: Class,
}

/// How much a request matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Critical,
    Normal,
    Sheddable,
}

/// Decides who is let in.
pub(crate) trait Door {
    /// Lets a guest in, or not.
    fn enter(&mut self, guest: Guest) -> bool;
    /// The guest in this seat leaves, served.
    fn leave(&mut self, seat: usize, now: Duration);
}

/// What became of those who came in one phase.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) offered: f64,
    pub(crate) refused: f64,
    /// Served in time.
    pub(crate) served: f64,
    pub(crate) critical: f64,
    pub(crate) critical_served: f64,
    /// As many could have been served at most.
    pub(crate) ideal: f64,
}

impl Tally {
    /// Percent of what an ideal service would have served in time.
    pub(crate) fn goodput(&self) -> f64 {
        100.0 * self.served / self.ideal
    }
}

/// What was seen of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// One for each phase.
    pub(crate) tallies: Vec<Tally>,
    /// Served in time in each bin of [`BIN`] from the beginning.
    pub(crate) bins: Vec<f64>,
}

/// The length of a bin.
pub(crate) const BIN: Duration = Duration::from_millis(50);

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) shape: Shape,
    pub(crate) workers: usize,
    pub(crate) phases: &'a [Phase],
    /// The share of critical requests, where the others are sheddable; without, all are normal.
    pub(crate) critical: Option<f64>,
    pub(crate) seed: u64,
}

#[derive(Clone, Copy)]
struct Job {
    came: f64,
    class: Class,
    phase: usize,
}

struct World<'a> {
    run: &'a Run<'a>,
    door: &'a mut dyn Door,
    ends: Vec<f64>,
    log: Log,
    jobs: Vec<Job>,
    free: Vec<usize>,
    line: VecDeque<usize>,
    at_work: BinaryHeap<Reverse<(u64, usize)>>,
    idle: usize,
    /// Seconds that refusals have cost and no worker has spent yet.
    debt: f64,
    work: Rng,
}

impl Run<'_> {
    /// Plays the run before a door.
    pub(crate) fn play(&self, door: &mut dyn Door) -> Log {
        let ends = self.phases.iter().scan(0.0, |end, phase| {
            *end += phase.seconds;
            Some(*end)
        });
        let mut world = World {
            run: self,
            ends: ends.collect(),
            door,
            log: Log { tallies: vec![Tally::default(); self.phases.len()], bins: Vec::new() },
            jobs: Vec::new(),
            free: Vec::new(),
            line: VecDeque::new(),
            at_work: BinaryHeap::new(),
            idle: self.workers,
            debt: 0.0,
            work: dice::of(self.seed, 1, 0),
        };
        world.play();
        let capacity = self.shape.capacity(self.workers);
        for (tally, phase) in world.log.tallies.iter_mut().zip(self.phases) {
            tally.ideal = tally.offered.min(capacity * phase.seconds / phase.slower);
        }
        world.log
    }
}

fn instant(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl World<'_> {
    fn play(&mut self) {
        let mut dice = dice::of(self.run.seed, 0, 0);
        let capacity = self.run.shape.capacity(self.run.workers);
        let (mut now, mut phase) = (0.0, 0);
        while phase < self.ends.len() {
            now += Law::Exponential.draw(&mut dice) / (capacity * self.run.phases[phase].load);
            let end = self.ends[phase];
            if now >= end {
                // Arrivals have no memory: the next phase begins its own.
                now = end;
                phase += 1;
                continue;
            }
            self.work_until(now);
            let class = match self.run.critical {
                None => Class::Normal,
                Some(share) if dice.f64() < share => Class::Critical,
                Some(_) => Class::Sheddable,
            };
            self.come(Job { came: now, class, phase });
        }
        self.work_until(f64::INFINITY);
    }

    fn come(&mut self, job: Job) {
        let tally = &mut self.log.tallies[job.phase];
        tally.offered += 1.0;
        if job.class == Class::Critical {
            tally.critical += 1.0;
        }
        let seat = self.free.pop().unwrap_or(self.jobs.len());
        let deadline = Duration::from_secs_f64(self.run.shape.deadline / 1e3);
        if !self.door.enter(Guest { seat, now: instant(job.came), deadline, class: job.class }) {
            self.log.tallies[job.phase].refused += 1.0;
            self.free.push(seat);
            self.debt += self.run.shape.refusal / 1e3;
            return;
        }
        if seat >= self.jobs.len() {
            self.jobs.resize(seat + 1, job);
        }
        self.jobs[seat] = job;
        self.line.push_back(seat);
        self.begin(job.came, job.phase);
    }

    /// Has idle workers take what waits.
    fn begin(&mut self, now: f64, phase: usize) {
        while self.idle > 0 {
            let Some(seat) = self.line.pop_front() else { return };
            self.idle -= 1;
            let mean = self.run.shape.service / 1e3 * self.run.phases[phase].slower;
            let work = self.run.shape.law.draw(&mut self.work) * mean + std::mem::take(&mut self.debt);
            self.at_work.push(Reverse((((now + work) * 1e9) as u64, seat)));
        }
    }

    fn work_until(&mut self, time: f64) {
        while let Some(&Reverse((at, seat))) = self.at_work.peek() {
            let now = at as f64 / 1e9;
            if now > time {
                return;
            }
            self.at_work.pop();
            self.door.leave(seat, instant(now));
            let job = self.jobs[seat];
            self.free.push(seat);
            if now - job.came <= self.run.shape.deadline / 1e3 {
                self.serve(job, now);
            }
            self.idle += 1;
            let phase = self.ends.partition_point(|&end| end <= now).min(self.ends.len() - 1);
            self.begin(now, phase);
        }
    }

    /// Counts who was served in time.
    fn serve(&mut self, job: Job, now: f64) {
        let tally = &mut self.log.tallies[job.phase];
        tally.served += 1.0;
        if job.class == Class::Critical {
            tally.critical_served += 1.0;
        }
        let bin = (now / BIN.as_secs_f64()) as usize;
        if bin >= self.log.bins.len() {
            self.log.bins.resize(bin + 1, 0.0);
        }
        self.log.bins[bin] += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets in while fewer than so many are inside.
    struct Room {
        left: usize,
        most: usize,
        inside: usize,
    }

    impl Door for Room {
        fn enter(&mut self, _: Guest) -> bool {
            let has_room = self.left > 0;
            self.left -= usize::from(has_room);
            self.inside += usize::from(has_room);
            self.most = self.most.max(self.inside);
            has_room
        }

        fn leave(&mut self, _: usize, _: Duration) {
            self.left += 1;
            self.inside -= 1;
        }
    }

    fn play(room: usize, load: f64, shape: Shape) -> (Tally, Room) {
        let mut door = Room { left: room, most: 0, inside: 0 };
        let phases = [Phase::new(5.0, 0.5), Phase::new(60.0, load)];
        let run = Run { shape, workers: 4, phases: &phases, critical: Some(0.2), seed: 1 };
        let log = run.play(&mut door);
        assert_eq!(door.inside, 0, "all who came in have left");
        (log.tallies[1], door)
    }

    #[test]
    fn without_a_door_a_queue_grows_until_all_are_late() {
        let (tally, door) = play(usize::MAX, 1.5, Shape::USUAL);
        assert!(tally.goodput() < 2.0, "{tally:?}");
        assert!(door.most > 10_000);
        assert_eq!(tally.refused, 0.0);
    }

    #[test]
    fn who_knows_the_service_keeps_it_busy() {
        let (tally, _) = play(14, 3.0, Shape { refusal: 0.0, ..Shape::USUAL });
        assert!((99.0..101.5).contains(&tally.goodput()), "{}", tally.goodput());
        assert!((0.65..0.68).contains(&(tally.refused / tally.offered)));
        assert!((0.19..0.21).contains(&(tally.critical / tally.offered)));
    }

    #[test]
    fn refusals_cost_what_they_cost() {
        let dear = play(14, 3.0, Shape { refusal: 0.5, ..Shape::USUAL }).0.goodput();
        // Of each 3 offered, x are served for 10 ms and the others refused for 0.5 ms: x = 1 − (3 − x) / 20.
        assert!((88.0..91.0).contains(&dear), "{dear}");
    }

    #[test]
    fn laws_have_a_mean_of_one() {
        for law in [Law::Exponential, Law::Fixed, Law::Lognormal] {
            let mut dice = Rng::with_seed(1);
            let mean = (0..200_000).map(|_| law.draw(&mut dice)).sum::<f64>() / 200_000.0;
            assert!((0.98..1.02).contains(&mean), "{law:?}: {mean}");
        }
    }
}
