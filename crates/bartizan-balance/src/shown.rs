use crate::{Balance, Choice, Ejection, Excess, FailureRatio, RingHash, Slowness, SuccessRate};
use bartizan_core::Name;
use bartizan_core::show::{Count, Line, Percent, Time, changed};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// One line: `latency, slow start 10 s, ejects at most 10 %`, or `off`.
impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        let mut line = Line::new(f);
        line.add(format_args!("{:#}", self.choice)).add(format_args!("slow start {}", Time(self.slow_start)));
        if self.ejection.is_enabled() {
            line.add(format_args!("ejects {:#}", self.ejection));
        } else {
            line.add(format_args!("no ejection"));
        }
        line.some("panic below", changed(self.panic_threshold, Self::DEFAULT_PANIC_THRESHOLD).map(Percent));
        if let Some(most) = self.max_in_flight {
            line.add(format_args!("at most {most} in flight"));
        }
        line.some("waits for endpoints", changed(self.wait, Duration::ZERO).map(Time))
            .some("zone", self.zone.as_ref().map(Name::as_str))
            .some("headroom", self.gentle)
            .some("memory", changed(self.tau, Self::DEFAULT_MEMORY).map(Time))
            .some("seed", self.seed)
            .finish()
    }
}

/// In a word or two, with the settings that were changed: `latency`, `ring hash, 200 points`.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(f);
        line.add(format_args!("{}", self.as_str().replace('_', " ")));
        if let Self::RingHash(RingHash { points, bound }) = *self {
            if points != RingHash::DEFAULT_POINTS {
                line.add(format_args!("{}", Count(points.get().into(), "point", "points")));
            }
            line.some("bound", changed(bound, RingHash::DEFAULT_BOUND));
        }
        line.finish()
    }
}

/// One line: `at most 10 %`, and what is not as by default, or `off`.
impl fmt::Display for Ejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        let default = Self::new();
        let mut line = Line::new(f);
        line.add(format_args!("at most {}", Percent(self.max_ejected)));
        for (row, default, of) in [
            (self.consecutive, default.consecutive, ""),
            (self.consecutive_gateway, default.consecutive_gateway, "gateway "),
            (self.consecutive_local, default.consecutive_local, "unanswered "),
        ] {
            let row = row.map_or(0, NonZeroU32::get);
            line.when(row != default.map_or(0, NonZeroU32::get), format_args!("{row} {of}in a row"));
        }
        line.when(self.split_local, format_args!("unanswered apart"))
            .when(self.excess.is_none(), format_args!("no excess"))
            .some("excess", changed(self.excess, default.excess).flatten())
            .some("success rate", self.success_rate)
            .some("failures", self.failure_ratio)
            .some("slowness", self.slowness)
            .some("interval", changed(self.interval, default.interval).map(Time))
            .some("pause", changed(self.pause, default.pause).map(Time))
            .some("up to", self.max_pause.map(Time))
            .some("jitter", changed(self.jitter, default.jitter).map(Percent))
            .some("max failing", changed(self.max_failing, default.max_failing).map(Percent))
            .some("enforcing", changed(self.enforcing, default.enforcing).map(Percent))
            .when(!self.pardon, format_args!("no pardon"))
            .finish()
    }
}

/// One line: `2 times the others, margin 1 %`.
impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{} times the others", self.times))
            .add(format_args!("margin {}", Percent(self.margin)))
            .some("chance", changed(self.chance, Self::DEFAULT_CHANCE))
            .finish()
    }
}

/// One line: `1.9 deviations, 5 hosts, 100 requests`.
impl fmt::Display for SuccessRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{} deviations", self.factor))
            .add(format_args!("{} hosts", self.enough.hosts))
            .add(format_args!("{} requests", self.enough.requests))
            .finish()
    }
}

/// One line: `85 %, 5 hosts, 50 requests`.
impl fmt::Display for FailureRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{}", Percent(self.ratio)))
            .add(format_args!("{} hosts", self.enough.hosts))
            .add(format_args!("{} requests", self.enough.requests))
            .finish()
    }
}

/// One line: `3 times the median, above 10 ms, 3 hosts, 50 requests`.
impl fmt::Display for Slowness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{} times the median", self.times))
            .add(format_args!("above {}", Time(self.least)))
            .add(format_args!("{} hosts", self.enough.hosts))
            .add(format_args!("{} requests", self.enough.requests))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_balance_reads_as_what_was_set() {
        let ejection = Ejection::new();
        for (balance, shown) in [
            (Balance::new(), "latency, slow start 10 s, ejects at most 10 %"),
            (
                Balance::new().choice(Choice::RoundRobin).ejection(ejection.max_ejected(0.3).consecutive(3)),
                "round robin, slow start 10 s, ejects at most 30 % and 3 in a row",
            ),
            (
                Balance::new()
                    .slow_start(Duration::ZERO)
                    .ejection(ejection.enabled(false))
                    .panic_threshold(0.0),
                "latency, slow start 0 s, no ejection, panic below 0 %",
            ),
            (
                Balance::new()
                    .max_in_flight(100)
                    .wait_for_endpoints(SECOND / 2)
                    .zone("a")
                    .gentle_failover(1.5),
                "latency, slow start 10 s, ejects at most 10 %, at most 100 in flight, \
                 waits for endpoints 500 ms, zone a, headroom 1.5",
            ),
            (
                Balance::new().memory(5 * SECOND).seed(7),
                "latency, slow start 10 s, ejects at most 10 %, memory 5 s, seed 7",
            ),
            (Balance::new().seed(7).enabled(false), "off"),
        ] {
            assert_eq!(balance.to_string(), shown);
        }
        assert!(Balance::new() == Balance::default() && Balance::new() != Balance::new().zone("a"));
    }

    #[test]
    fn a_choice_reads_as_words() {
        let ring = RingHash::new().points(NonZeroU32::MIN).bound(2.0);
        for (choice, shown) in [
            (Choice::LeastRequests, "least requests"),
            (Choice::P2c, "p2c"),
            (Choice::ring_hash(), "ring hash"),
            (Choice::RingHash(ring), "ring hash, 1 point, bound 2"),
        ] {
            assert_eq!(choice.to_string(), shown);
        }
    }

    #[test]
    fn an_ejection_reads_as_what_was_changed() {
        let ejection = Ejection::new();
        for (ejection, shown) in [
            (ejection, "at most 10 %"),
            (
                ejection.consecutive(0).consecutive_gateway(3).consecutive_local(7).split_local(true),
                "at most 10 %, 0 in a row, 3 gateway in a row, 7 unanswered in a row, unanswered apart",
            ),
            (
                ejection.without_excess().success_rate(SuccessRate::new()).failure_ratio(FailureRatio::new()),
                "at most 10 %, no excess, success rate 1.9 deviations and 5 hosts and 100 requests, \
                 failures 85 % and 5 hosts and 50 requests",
            ),
            (
                ejection.excess(Excess::new().times(3.0)).slowness(Slowness::new()),
                "at most 10 %, excess 3 times the others and margin 1 %, \
                 slowness 3 times the median and above 10 ms and 3 hosts and 50 requests",
            ),
            (
                ejection.interval(SECOND).pause(2 * SECOND).max_pause(9 * SECOND).jitter(0.0),
                "at most 10 %, interval 1 s, pause 2 s, up to 9 s, jitter 0 %",
            ),
            (
                ejection.max_failing(1.0).enforcing(0.5).pardon(false),
                "at most 10 %, max failing 100 %, enforcing 50 %, no pardon",
            ),
            (ejection.enabled(false), "off"),
        ] {
            assert_eq!(ejection.to_string(), shown);
        }
        assert_eq!(Excess::new().chance(0.001).to_string(), "2 times the others, margin 1 %, chance 0.001");
    }

    #[test]
    fn their_settings_can_be_asked_for() {
        let ejection = Ejection::new().pause(SECOND);
        let balance = Balance::new().ejection(ejection).max_in_flight(7);
        assert_eq!((balance.chosen_by(), balance.ejects()), (Choice::Latency, ejection));
        assert_eq!((balance.panics_below(), balance.most_in_flight()), (0.5, Some(7)));
        assert_eq!((balance.longest_wait(), balance.is_enabled()), (Duration::ZERO, true));
        assert_eq!((ejection.first_pause(), ejection.most_ejected()), (SECOND, 0.1));
        assert_eq!((ejection.longest_pause(), ejection.is_enabled()), (Ejection::DEFAULT_MAX_PAUSE, true));
    }
}
