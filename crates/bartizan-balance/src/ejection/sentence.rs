use super::Ejection;
use bartizan_core::{Dice, Instant};
use std::time::Duration;

/// Whether one endpoint is out, until when, and how often in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sentence {
    stand: Stand,
    times: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stand {
    #[default]
    Free,
    /// It has been back since then.
    Back(Instant),
    /// It is out until then.
    Out(Instant),
    /// It would be out until then, were that enforced.
    Watched(Instant),
}

impl Sentence {
    /// Free, and never out.
    pub(crate) const fn new() -> Self {
        Self { stand: Stand::Free, times: 0 }
    }

    /// Whether it is out. It stays out until it is [released](Self::release) or [pardoned](Self::pardon).
    pub(crate) fn is_out(&self) -> bool {
        matches!(self.stand, Stand::Out(_))
    }

    /// Until when it is out.
    pub(crate) fn until(&self) -> Option<Instant> {
        if let Stand::Out(until) = self.stand { Some(until) } else { None }
    }

    /// Its ejections in a row, less those that it has made good.
    pub(crate) fn times(&self) -> u32 {
        self.times
    }

    /// Ejects it and returns until when, or nothing if it is out already.
    pub(crate) fn eject(&mut self, now: Instant, ejection: &Ejection, dice: &Dice) -> Option<Instant> {
        if self.is_out() {
            return None;
        }
        // At the cap no more is counted: what does not lengthen the pause need not be made good.
        if ejection.pause.saturating_mul(self.times) < ejection.longest_pause() {
            self.times += 1;
        }
        let until = later(now, self.pause(self.times, ejection, dice));
        self.stand = Stand::Out(until);
        Some(until)
    }

    /// Notes that it would be ejected, were that enforced. False while the last note holds, or if it is out.
    pub(crate) fn watch(&mut self, now: Instant, ejection: &Ejection, dice: &Dice) -> bool {
        if self.is_out() || matches!(self.stand, Stand::Watched(until) if now < until) {
            return false;
        }
        self.stand = Stand::Watched(later(now, self.pause(1, ejection, dice)));
        true
    }

    /// Takes it out for so long, or for that long from now on if it is out already, whatever the rules say. It counts in no row.
    pub(crate) fn hold(&mut self, now: Instant, pause: Duration) {
        self.stand = Stand::Out(later(now, pause));
    }

    /// Lets it back when its time has come. True if this call did.
    pub(crate) fn release(&mut self, now: Instant) -> bool {
        self.until().is_some_and(|until| now >= until) && self.pardon(now)
    }

    /// Lets it back before its time. The next ejection counts as a repeat. False if it is not out.
    pub(crate) fn pardon(&mut self, now: Instant) -> bool {
        let out = self.is_out();
        if out {
            self.stand = Stand::Back(now);
        }
        out
    }

    /// An interval in which its calls went well has ended. It makes one ejection good if the endpoint was in all of the time.
    pub(crate) fn healthy_interval(&mut self, began: Instant) {
        let all_of_it = match self.stand {
            Stand::Free => true,
            Stand::Back(since) => since <= began,
            Stand::Watched(until) => until <= began,
            Stand::Out(_) => false,
        };
        if all_of_it {
            self.times = self.times.saturating_sub(1);
        }
    }

    fn pause(&self, times: u32, ejection: &Ejection, dice: &Dice) -> Duration {
        let pause = ejection.pause.saturating_mul(times).min(ejection.longest_pause());
        if ejection.jitter == 0.0 {
            return pause;
        }
        Duration::try_from_secs_f64(pause.as_secs_f64() * (1.0 - ejection.jitter * dice.unit()))
            .unwrap_or(pause)
    }
}

/// An instant so much later, or thirty years if there is no such instant.
fn later(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365 * 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const EXACT: Ejection = Ejection::new().pause(Duration::from_secs(10)).jitter(0.0);

    /// Ejects at `now`, serves the pause, and returns its seconds; `now` is then the end of it.
    fn serve(sentence: &mut Sentence, now: &mut Instant) -> u64 {
        let until = sentence.eject(*now, &EXACT, &Dice::new(Some(1))).expect("it is in");
        assert!(sentence.is_out() && !sentence.release(until - Duration::from_millis(1)));
        assert!(sentence.release(until) && !sentence.release(until), "back once");
        let served = until - *now;
        *now = until;
        served.as_secs()
    }

    fn healthy(sentence: &mut Sentence, now: &mut Instant, intervals: u32) {
        for _ in 0..intervals {
            sentence.healthy_interval(*now);
            *now += 10 * SECOND;
        }
    }

    #[test]
    fn the_pause_grows_with_repeats_and_shrinks_with_health() {
        let (mut sentence, mut now) = (Sentence::default(), Instant::now());
        let row = [(); 3].map(|()| serve(&mut sentence, &mut now));
        assert_eq!(row, [10, 20, 30]);
        healthy(&mut sentence, &mut now, 2);
        assert_eq!(serve(&mut sentence, &mut now), 20);
        now += 1000 * SECOND;
        assert_eq!(serve(&mut sentence, &mut now), 30, "time alone proves nothing");
        healthy(&mut sentence, &mut now, 50);
        assert_eq!(serve(&mut sentence, &mut now), 10);
    }

    #[test]
    fn a_note_is_no_health_while_it_holds() {
        let (mut sentence, mut now) = (Sentence::default(), Instant::now());
        serve(&mut sentence, &mut now);
        assert!(sentence.watch(now, &EXACT, &Dice::new(Some(1))));
        healthy(&mut sentence, &mut now, 1);
        assert_eq!(sentence.times(), 1);
        healthy(&mut sentence, &mut now, 1);
        assert_eq!(sentence.times(), 0);
    }

    #[test]
    fn an_interval_that_it_was_out_for_a_part_is_not_healthy() {
        let (mut sentence, mut now) = (Sentence::default(), Instant::now());
        let began = now;
        serve(&mut sentence, &mut now);
        sentence.healthy_interval(began);
        assert_eq!(sentence.times(), 1);
        sentence.healthy_interval(now);
        assert_eq!(sentence.times(), 0);
        sentence.eject(now, &EXACT, &Dice::new(Some(1)));
        sentence.healthy_interval(now);
        assert_eq!(sentence.times(), 1);
    }

    #[test]
    fn the_pause_is_capped_and_so_is_what_must_be_made_good() {
        let (mut sentence, mut now) = (Sentence::default(), Instant::now());
        let row: Vec<u64> = (0..40).map(|_| serve(&mut sentence, &mut now)).collect();
        assert_eq!((row[28], row[29]), (290, 300));
        assert!(row[29..].iter().all(|pause| *pause == 300), "{row:?}");
        healthy(&mut sentence, &mut now, 30);
        assert_eq!(serve(&mut sentence, &mut now), 10);
    }

    #[test]
    fn late_failures_change_nothing() {
        let (mut sentence, now, dice) = (Sentence::default(), Instant::now(), Dice::new(Some(1)));
        let until = sentence.eject(now, &EXACT, &dice);
        assert!((0..100).all(|_| sentence.eject(now + SECOND, &EXACT, &dice).is_none()));
        assert_eq!((sentence.until(), sentence.times()), (until, 1));
    }

    #[test]
    fn a_pardon_ends_the_pause_and_not_the_row() {
        let (mut sentence, mut now) = (Sentence::default(), Instant::now());
        assert!(!sentence.pardon(now));
        sentence.eject(now, &EXACT, &Dice::new(Some(1)));
        now += SECOND;
        assert!(sentence.pardon(now) && !sentence.is_out() && !sentence.pardon(now));
        assert_eq!(serve(&mut sentence, &mut now), 20);
    }

    #[test]
    fn by_hand_it_counts_in_no_row_and_may_be_for_ever() {
        let (mut sentence, mut now) = (Sentence::default(), Instant::now());
        sentence.hold(now, Duration::MAX);
        assert!(sentence.is_out() && !sentence.release(now + 1_000_000 * SECOND));
        sentence.hold(now, SECOND);
        now += SECOND;
        assert!(sentence.release(now));
        assert_eq!(serve(&mut sentence, &mut now), 10);
    }

    #[test]
    fn jitter_only_shortens() {
        let ejection = Ejection::new().jitter(0.5);
        let dice = Dice::new(Some(1));
        let now = Instant::now();
        let pauses: Vec<Duration> = (0..100)
            .filter_map(|_| Sentence::default().eject(now, &ejection, &dice))
            .map(|until| until - now)
            .collect();
        assert!(pauses.iter().all(|pause| (15 * SECOND..=30 * SECOND).contains(pause)), "{pauses:?}");
        assert!(
            pauses.iter().any(|pause| *pause < 20 * SECOND)
                && pauses.iter().any(|pause| *pause > 25 * SECOND)
        );
    }
}
