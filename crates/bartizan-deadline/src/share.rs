use bartizan_core::Instant;

/// How many requests of the last ten seconds were refused before they started, in ten slots of a second.
#[derive(Debug, Default)]
pub(crate) struct Share {
    slots: [Tally; SLOTS],
    sum: Tally,
    start: Option<Instant>,
    second: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    requests: u64,
    refused: u64,
    withheld: u64,
}

const SLOTS: usize = 10;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// Refuse it, as was asked.
    pub(crate) refuse: bool,
    /// This request begins or ends a time in which refusals are withheld.
    pub(crate) turn: Option<Turn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Begins,
    Ends,
}

impl Share {
    /// Counts a request, and refuses it if that is asked for and keeps the share of refusals at most `most`.
    pub(crate) fn rule(&mut self, now: Instant, asked: bool, most: f64) -> Ruling {
        let before = self.sum.withheld > 0;
        self.advance(now);
        let mut tally = Tally { requests: 1, ..Tally::default() };
        if asked {
            let (requests, refused) = (self.sum.requests + 1, self.sum.refused + 1);
            let refuse = refused as f64 <= most * requests as f64;
            tally.refused = u64::from(refuse);
            tally.withheld = u64::from(!refuse);
        }
        self.add(tally);
        let turn = match (before, self.sum.withheld > 0) {
            (false, true) => Some(Turn::Begins),
            (true, false) => Some(Turn::Ends),
            _ => None,
        };
        Ruling { refuse: tally.refused > 0, turn }
    }

    /// Says whether a refusal was withheld in the last ten seconds that had requests.
    pub(crate) const fn withholding(&self) -> bool {
        self.sum.withheld > 0
    }

    fn advance(&mut self, now: Instant) {
        let second = now.saturating_duration_since(*self.start.get_or_insert(now)).as_secs();
        for gone in (self.second + 1..=second).take(SLOTS) {
            let slot = std::mem::take(&mut self.slots[gone as usize % SLOTS]);
            self.sum.requests -= slot.requests;
            self.sum.refused -= slot.refused;
            self.sum.withheld -= slot.withheld;
        }
        self.second = self.second.max(second);
    }

    fn add(&mut self, tally: Tally) {
        for to in [&mut self.slots[self.second as usize % SLOTS], &mut self.sum] {
            to.requests += tally.requests;
            to.refused += tally.refused;
            to.withheld += tally.withheld;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn in_any_ten_seconds_at_most_the_share() {
        let (start, mut share) = (Instant::now(), Share::default());
        // A busy time, a silence that ends within the ten seconds, and a slow time: all asked to be refused.
        let busy = (0..2_000).map(|i| start + i * MS * 5 / 2);
        let slow = (0..500).map(|i| start + 13_300 * MS + i * 37 * MS);
        let refused: Vec<(Instant, bool)> =
            busy.chain(slow).map(|now| (now, share.rule(now, true, 0.2).refuse)).collect();
        for (at, &(from, _)) in refused.iter().enumerate() {
            let window = refused[at..].iter().take_while(|(now, _)| *now - from < 10_000 * MS);
            let (all, no) = window.fold((0, 0), |(all, no), (_, refuse)| (all + 1, no + i32::from(*refuse)));
            assert!(f64::from(no) <= 0.2 * f64::from(all) + 1.0, "{no} of {all}");
        }
        let no = refused.iter().filter(|(_, refuse)| *refuse).count();
        assert!(no >= refused.len() / 5 - 2, "the share is used: {no}");
    }

    #[test]
    fn turns_are_told_once() {
        let (start, mut share) = (Instant::now(), Share::default());
        let rule = |share: &mut Share, at: u32, asked| share.rule(start + at * 1000 * MS, asked, 0.0).turn;
        assert_eq!(rule(&mut share, 0, false), None);
        assert_eq!(rule(&mut share, 1, true), Some(Turn::Begins));
        assert_eq!(rule(&mut share, 2, true), None);
        assert!(share.withholding());
        assert_eq!(rule(&mut share, 11, false), None);
        assert_eq!(rule(&mut share, 12, false), Some(Turn::Ends));
        assert_eq!(rule(&mut share, 1_000_000, true), Some(Turn::Begins));
        assert_eq!(rule(&mut share, 2_000_000, true), None);
    }
}
