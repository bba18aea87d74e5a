use crate::{Backlog, Mode, Shares, Shed};
use bartizan_core::show::{Count, Line, Percent, Time, changed};
use std::fmt;

/// One line: `waits 0.25 of the deadline`, `at most 64 in flight`, or `off`.
impl fmt::Display for Shed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_enabled() {
            return f.write_str("off");
        }
        let mut line = Line::new(f);
        line.when(self.mode != Mode::Normal, format_args!("{}", self.mode));
        match self.fixed {
            Some(limit) => line.add(format_args!("at most {limit} in flight")),
            None => line
                .add(format_args!("waits {} of the deadline", self.normal))
                .some("critical", changed(self.critical, Self::DEFAULT_CRITICAL))
                .some("sheddable", changed(self.sheddable, Self::DEFAULT_SHEDDABLE))
                .some("assumed", changed(self.assumed_deadline, Self::DEFAULT_ASSUMED_DEADLINE).map(Time))
                .when(self.min_in_flight > 1, format_args!("at least {} in flight", self.min_in_flight))
                .when(
                    self.max_in_flight < usize::MAX,
                    format_args!("at most {} in flight", self.max_in_flight),
                ),
        };
        if let Some((factor, hold)) = self.ceiling {
            line.add(format_args!("ceiling {factor} times the most in {}", Time(hold)));
        }
        line.when(!self.count_bodies, format_args!("to the head"))
            .when(self.trusted_edge, format_args!("trusted"))
            .some("cpu", self.cpu.map(Percent))
            .some("retry after", changed(self.retry_after, Self::DEFAULT_RETRY_AFTER).map(Time))
            .some("seed", self.seed)
            .finish()
    }
}

/// One word: `normal`, `shadow`, `off`.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Shadow => "shadow",
            Self::Disabled => "off",
        })
    }
}

/// One line: `64 places, at most 1 s`.
impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{}", Count(self.places as u64, "place", "places")))
            .add(format_args!("at most {}", Time(self.max_wait)))
            .some("target", changed(self.target, Self::DEFAULT_TARGET).map(Time))
            .some("interval", changed(self.interval, Self::DEFAULT_INTERVAL).map(Time))
            .finish()
    }
}

/// One line, the shares of the classes in their order: `70 %, 30 %`.
impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(f);
        for share in self.as_slice() {
            line.add(format_args!("{}", Percent(*share)));
        }
        line.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_shed_reads_as_what_was_set() {
        let shed = Shed::new();
        for (shed, shown) in [
            (shed, "waits 0.25 of the deadline"),
            (Shed::fixed(64), "at most 64 in flight"),
            (Shed::fixed(64).mode(Mode::Shadow), "shadow, at most 64 in flight"),
            (
                shed.critical(0.6).sheddable(0.1).assumed_deadline(SECOND / 2),
                "waits 0.25 of the deadline, critical 0.6, sheddable 0.1, assumed 500 ms",
            ),
            (
                shed.min_in_flight(4).max_in_flight(100).ceiling(1.5, 10 * SECOND),
                "waits 0.25 of the deadline, at least 4 in flight, at most 100 in flight, \
                 ceiling 1.5 times the most in 10 s",
            ),
            (
                shed.count_bodies(false).trusted_edge(true).cpu(0.8).retry_after(2 * SECOND).seed(7),
                "waits 0.25 of the deadline, to the head, trusted, cpu 80 %, retry after 2 s, seed 7",
            ),
            (shed.seed(7).enabled(false), "off"),
        ] {
            assert_eq!(shed.to_string(), shown);
        }
        assert_eq!(Mode::Normal.to_string(), "normal");
    }

    #[test]
    fn queues_and_shares_read_in_their_terms() {
        assert_eq!(Backlog::new(64).to_string(), "64 places, at most 1 s");
        let in_turn = Backlog::new(1).max_wait(SECOND / 4).target(Duration::MAX).interval(Duration::MAX);
        assert_eq!(in_turn.to_string(), "1 place, at most 250 ms, target for ever, interval for ever");
        assert_eq!(in_turn.longest_wait(), SECOND / 4);
        assert_eq!(Shares::new([0.7, 0.3]).to_string(), "70 %, 30 %");
    }

    #[test]
    fn its_settings_can_be_asked_for() {
        let shed = Shed::new().min_in_flight(2).max_in_flight(9).assumed_deadline(SECOND);
        assert_eq!((shed.fixed_limit(), Shed::fixed(7).fixed_limit()), (None, Some(7)));
        assert_eq!((shed.least_in_flight(), shed.most_in_flight()), (2, 9));
        assert_eq!(
            (shed.deadline_assumed(), shed.in_mode(), shed.is_enabled()),
            (SECOND, Mode::Normal, true)
        );
    }
}
