//! What is learnt from a window, and what follows from it. No clock, no lock, no atomics.

use super::dip::Dip;
use super::knee::Knee;

/// Share of those who come that is refused from which on, and down to which, the service counts as saturated: a few are refused by
/// chance.
const SATURATED: (f64, f64) = (0.05, 0.02);
/// Seconds over which that share is smoothed.
const SHARE_OVER: f64 = 0.3;
/// The throughput follows what is seen over so many seconds and so many answers, whichever is slower.
const THROUGHPUT_OVER: (f64, f64) = (0.1, 30.0);
/// What is in flight is smoothed over so many seconds and answers.
const MEAN_OVER: (f64, f64) = (1.0, 30.0);
/// A throughput is believed at once that lies so many standard deviations below what was seen.
const SURE: f64 = 2.0;
/// While nobody is refused, a request may wait so many times longer than it asks for; none of that is left at this share.
const EASE: (f64, f64) = (1.6, 0.1);
/// Mean time of an answer, in service times, up to which nobody is waiting to speak of.
const UNHURRIED: f64 = 1.5;
/// So many standard deviations, and so many requests, above their mean may arrive together by chance.
const CHANCE: (f64, f64) = (4.0, 4.0);
/// The waiting places of a saturated service: an empty one among so many, and so many per request at work.
const PLACES: (f64, f64) = (3.0, 0.25);
/// Seconds after which the waiting places are counted out: before, the throughput may still be rising.
const RISING: f64 = 0.5;

/// What was seen in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Seconds.
    pub(super) length: f64,
    /// Those who left, at least one.
    pub(super) ended: f64,
    /// Seconds that they took together.
    pub(super) taken: f64,
    pub(super) refused: f64,
    /// Minutes since the beginning, at its end.
    pub(super) minute: u64,
}

/// What follows: all that is needed to admit or refuse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// As many can be in flight before the first of them waits.
    pub(super) knee: f64,
    /// Answers per second when all of them are.
    pub(super) throughput: f64,
    /// Seconds that an answer takes which waits for nothing.
    pub(super) service: f64,
    /// As many are admitted whatever is predicted.
    pub(super) floor: f64,
    /// How many times its tolerance a request may wait.
    pub(super) ease: f64,
    /// As many of an ordinary tolerance may wait, however long they were willing to.
    pub(super) places: f64,
    /// As many at most are admitted, critical ones apart.
    pub(super) cap: f64,
}

/// What has been learnt.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    throughput: f64,
    knee: Knee,
    /// Of those who came lately, the share that was refused.
    share: f64,
    saturated: bool,
    /// For so many seconds.
    held: f64,
    /// Lately in flight, and answered in a second.
    mean: f64,
    rate: f64,
    dip: Dip,
    /// Until the first window is closed nothing is known, and all are admitted.
    blank: bool,
}

impl Window {
    pub(super) fn rate(&self) -> f64 {
        self.ended / self.length
    }

    pub(super) fn latency(&self) -> f64 {
        self.taken / self.ended
    }

    /// How many were in flight in the mean, by Little's law.
    pub(super) fn in_flight(&self) -> f64 {
        self.taken / self.length
    }

    /// How much of what is known this window moves, if it is known over so many seconds and so many answers.
    fn weight(&self, (seconds, answers): (f64, f64)) -> f64 {
        let part = |of: f64| 1.0 - (-of).exp();
        part(self.length / seconds).min(part(self.ended / answers))
    }
}

impl Rule {
    pub(super) fn new() -> Self {
        Self {
            throughput: 0.0,
            knee: Knee::new(),
            share: 0.0,
            saturated: false,
            held: 0.0,
            mean: 0.0,
            rate: 0.0,
            dip: Dip::new(),
            blank: true,
        }
    }

    /// Learns from a window.
    pub(super) fn learn(&mut self, window: &Window) {
        if self.blank {
            self.blank = false;
            self.throughput = window.rate();
            self.knee.begin(window);
            (self.mean, self.rate) = (window.in_flight(), window.rate());
        }
        let weight = window.weight(MEAN_OVER);
        self.mean += weight * (window.in_flight() - self.mean);
        self.rate += weight * (window.rate() - self.rate);
        let was = self.saturated;
        self.judge(window);
        if !self.dip.is_on() {
            self.follow(window);
        }
        if self.saturated {
            if !was {
                self.held = 0.0;
                self.dip = Dip::new();
                self.knee.interrupt();
            }
            self.held += window.length;
            if let Some(found) = self.dip.pass(window, self.knee.value() / self.throughput) {
                let far = self.knee.correct(&found, self.throughput, window.minute);
                self.dip = if far { Dip::again() } else { Dip::later() };
            }
        } else {
            self.dip = Dip::new();
        }
        if self.dip.is_on() {
            self.knee.interrupt();
        } else {
            self.knee.learn(window, self.saturated);
        }
    }

    /// Whether more is asked for than can be served.
    fn judge(&mut self, window: &Window) {
        let share = window.refused / (window.refused + window.ended);
        self.share += (1.0 - (-window.length / SHARE_OVER).exp()) * (share - self.share);
        self.saturated = self.share > if self.saturated { SATURATED.1 } else { SATURATED.0 };
    }

    /// Moves the throughput: what is seen is all that can be served only while somebody waits or was refused.
    fn follow(&mut self, window: &Window) {
        let busy = window.refused > 0.0 || window.in_flight() > self.knee.value();
        if busy || window.rate() > self.throughput {
            self.throughput += window.weight(THROUGHPUT_OVER) * (window.rate() - self.throughput);
        }
        let sure = (window.ended - SURE * window.ended.sqrt()) / window.length;
        self.throughput = self.throughput.max(sure);
    }

    /// What follows now.
    pub(super) fn limits(&self) -> Limits {
        if self.blank {
            return Limits::NONE;
        }
        let (knee, throughput) = if self.saturated {
            (self.knee.value(), self.throughput)
        } else {
            // One can always be served; and what was never asked for may well be possible.
            let knee = self.knee.value().max(1.0);
            (knee, self.throughput.max(knee / self.knee.service()))
        };
        Limits {
            knee,
            throughput,
            service: knee / throughput,
            floor: knee.max(self.crowd()),
            ease: 1.0 + EASE.0 * (1.0 - self.share / EASE.1).max(0.0),
            places: self.places(),
            cap: self.dip.cap(knee),
        }
    }

    /// How many may be in flight together by chance while nobody waits to speak of.
    fn crowd(&self) -> f64 {
        let unhurried = self.mean < UNHURRIED * self.knee.service() * self.rate;
        if !self.saturated && unhurried { self.mean + CHANCE.0 * self.mean.sqrt() + CHANCE.1 } else { 0.0 }
    }

    /// How many must wait so that there is always somebody to serve: the more is refused, the sooner a free place is taken again.
    fn places(&self) -> f64 {
        if self.held < RISING {
            return f64::MAX;
        }
        let share = (self.share - SATURATED.0).clamp(1e-9, 0.999);
        PLACES.0 / -(1.0 - share).ln() + PLACES.1 * self.knee.value()
    }

    pub(super) fn is_saturated(&self) -> bool {
        self.saturated
    }
}

impl Limits {
    /// All are admitted.
    const NONE: Self = Self {
        knee: 0.0,
        throughput: 0.0,
        service: 0.0,
        floor: f64::MAX,
        ease: 1.0,
        places: f64::MAX,
        cap: f64::MAX,
    };

    /// Seconds that one would wait who comes when so many are in flight.
    pub(super) fn wait(&self, in_flight: f64) -> f64 {
        if self.throughput > 0.0 { ((in_flight - self.knee) / self.throughput).max(0.0) } else { 0.0 }
    }
}
