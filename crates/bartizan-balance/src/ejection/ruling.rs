use super::share::{Crowd, Room};
use super::{Cause, Ejection, Ejections, Sentence};
use bartizan_core::{Dice, Instant};

/// What comes of a rule that has fired for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It is out until then, for the n-th time in a row.
    Ejected { until: Instant, times: u32 },
    /// It would be, were that enforced.
    Watched,
    /// It is not, for want of such room.
    Withheld(Room),
    /// Nothing that is worth an event: it is out already, or was noted a moment ago.
    Dropped,
}

impl Ejection {
    /// Rules what comes of a cause, and counts it.
    pub(crate) fn rule(
        &self,
        cause: Cause,
        sentence: &mut Sentence,
        crowd: Crowd,
        counts: &mut Ejections,
        dice: &Dice,
        now: Instant,
    ) -> Ruling {
        if !self.enabled || sentence.is_out() {
            return Ruling::Dropped;
        }
        match crowd.room(self) {
            Room::Free => {}
            room @ Room::Full => {
                counts.count_overflow(cause);
                return Ruling::Withheld(room);
            }
            room @ Room::Failing => {
                counts.count_withheld(cause);
                return Ruling::Withheld(room);
            }
        }
        if !dice.hits(self.enforcing) {
            if !sentence.watch(now, self, dice) {
                return Ruling::Dropped;
            }
            counts.count_watched(cause);
            return Ruling::Watched;
        }
        match sentence.eject(now, self, dice) {
            Some(until) => {
                counts.count_ejected(cause);
                Ruling::Ejected { until, times: sentence.times() }
            }
            None => Ruling::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const CAUSE: Cause = Cause::Consecutive;

    struct Court {
        ejection: Ejection,
        counts: Ejections,
        dice: Dice,
        now: Instant,
    }

    impl Court {
        fn new(ejection: Ejection) -> Self {
            let dice = Dice::new(Some(1));
            Self { ejection: ejection.jitter(0.0), counts: Ejections::default(), dice, now: Instant::now() }
        }

        fn rule(&mut self, sentence: &mut Sentence, members: usize, out: usize, failing: usize) -> Ruling {
            let crowd = Crowd { members, out, failing };
            self.ejection.rule(CAUSE, sentence, crowd, &mut self.counts, &self.dice, self.now)
        }
    }

    #[test]
    fn the_first_of_two_is_ejected_and_the_second_overflows() {
        let mut court = Court::new(Ejection::new().max_ejected(0.01));
        let (mut first, mut second) = (Sentence::default(), Sentence::default());
        let until = court.now + Ejection::DEFAULT_PAUSE;
        assert_eq!(court.rule(&mut first, 2, 0, 0), Ruling::Ejected { until, times: 1 });
        assert_eq!(court.rule(&mut first, 2, 1, 0), Ruling::Dropped, "once");
        assert_eq!(court.rule(&mut second, 2, 1, 0), Ruling::Withheld(Room::Full));
        assert!(!second.is_out());
        let counts = court.counts;
        assert_eq!((counts.ejected(CAUSE), counts.overflow(CAUSE), counts.withheld(CAUSE)), (1, 1, 0));
    }

    #[test]
    fn nobody_is_ejected_alone_at_zero_while_switched_off_or_while_all_fail() {
        let mut sentence = Sentence::default();
        for (ejection, members, failing, ruling) in [
            (Ejection::new(), 1, 0, Ruling::Withheld(Room::Full)),
            (Ejection::new().max_ejected(0.0), 10, 0, Ruling::Withheld(Room::Full)),
            (Ejection::new().enabled(false), 10, 0, Ruling::Dropped),
            (Ejection::new(), 10, 9, Ruling::Withheld(Room::Failing)),
        ] {
            let mut court = Court::new(ejection);
            assert_eq!(court.rule(&mut sentence, members, 0, failing), ruling);
            assert_eq!((court.counts.total(), court.counts.withheld(CAUSE)), (0, u64::from(failing > 0)));
            assert!(!sentence.is_out());
        }
    }

    #[test]
    fn who_only_watches_tells_once_a_pause() {
        let mut court = Court::new(Ejection::new().enforcing(0.0));
        let mut sentence = Sentence::default();
        assert_eq!(court.rule(&mut sentence, 2, 0, 0), Ruling::Watched);
        assert_eq!(court.rule(&mut sentence, 2, 0, 0), Ruling::Dropped);
        court.now += Ejection::DEFAULT_PAUSE;
        assert_eq!(court.rule(&mut sentence, 2, 0, 0), Ruling::Watched);
        assert!(!sentence.is_out() && sentence.times() == 0);
        assert_eq!((court.counts.ejected(CAUSE), court.counts.watched(CAUSE)), (0, 2));
        court.ejection = court.ejection.enforcing(1.0);
        court.now += Duration::from_millis(1);
        assert!(matches!(court.rule(&mut sentence, 2, 0, 0), Ruling::Ejected { .. }));
    }

    #[test]
    fn every_cause_is_shown_by_what_came_of_it() {
        let mut court = Court::new(Ejection::new());
        let shadow = Ejection::new().enforcing(0.0);
        for cause in Cause::ALL {
            for (ejection, out, failing) in
                [(Ejection::new(), 0, 0), (shadow, 0, 0), (shadow, 1, 0), (shadow, 0, 9)]
            {
                let crowd = Crowd { members: 10, out, failing };
                let mut sentence = Sentence::default();
                ejection.rule(cause, &mut sentence, crowd, &mut court.counts, &court.dice, court.now);
            }
        }
        let mut shown = Vec::new();
        court.counts.each(&mut |name, count| shown.push((name, count)));
        // Four sums, and nobody watches what is done by hand.
        assert_eq!(shown.len(), 4 + 4 * Cause::ALL.len() - 3);
        let (sums, causes): (Vec<_>, Vec<_>) = shown.iter().partition(|(_, count)| *count != 1.0);
        assert_eq!(sums, [("ejections", 9.0), ("watched", 9.0), ("overflow", 9.0), ("withheld", 9.0)]);
        assert!(causes.iter().all(|(_, count)| *count == 1.0), "{causes:?}");
        assert!(causes.contains(&("withheld_excess_local", 1.0)));
    }

    #[test]
    fn a_share_is_enforced() {
        let mut court = Court::new(Ejection::new().enforcing(0.3));
        let out =
            (0..1000).filter(|_| court.rule(&mut Sentence::default(), 2, 0, 0) != Ruling::Watched).count();
        assert!((240..360).contains(&out), "{out}");
    }
}
