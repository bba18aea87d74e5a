use crate::pause::Steps;
use crate::rule::Span;
use crate::{Breaker, Consecutive, Evidence, Mode, Pause, Ratio, Window};
use bartizan_core::show::{Count, Line, Percent, Time, changed};
use std::fmt;

/// One line: `evidence 25 % to 75 %, open 5 s to 60 s, 1 probe, ramp 10 s`, or `off`.
impl fmt::Display for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_enabled() {
            return f.write_str("off");
        }
        let mut line = Line::new(f);
        line.when(self.mode != Mode::Normal, format_args!("{}", self.mode))
            .some("evidence", self.evidence)
            .some("failures", self.failure_ratio)
            .some("slow", self.slow_ratio);
        if let Some(row) = self.consecutive {
            line.add(format_args!("{row:#}"));
        }
        let has_rules = self.evidence.is_some() || self.failure_ratio.is_some() || self.slow_ratio.is_some();
        line.when(!has_rules && self.consecutive.is_none(), format_args!("no rule"))
            .some("slow after", self.slow_after.map(Time))
            .add(format_args!("open {:#}", self.pause))
            .add(format_args!("{}", Count(self.probes.into(), "probe", "probes")))
            .when(self.strict_probes, format_args!("strict"))
            .some("lease", changed(self.probe_lease, Self::DEFAULT_PROBE_LEASE).map(Time))
            .add(format_args!("ramp {}", Time(self.ramp)))
            .when(self.start_open, format_args!("open from the start"))
            .some("seed", self.seed)
            .finish()
    }
}

/// One or two words: `normal`, `shadow`, `forced open`, `off`.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Shadow => "shadow",
            Self::ForcedOpen => "forced open",
            Self::Disabled => "off",
        })
    }
}

/// One line: `25 % to 75 %`, the share that is normal and the one that is an outage. They are `fixed` where nothing is learnt.
impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{} to {}", Percent(self.normal), Percent(self.outage)))
            .when(self.normal == self.most_normal, format_args!("fixed"))
            .some("threshold", changed(self.threshold, Self::DEFAULT_THRESHOLD))
            .some("open", self.pause)
            .finish()
    }
}

/// One line: `50 % of at least 20 in 10 s`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{} of at least {} in {}", Percent(self.ratio), self.min_requests, self.window))
            .some("open", self.pause)
            .finish()
    }
}

/// `10 s` or `100 calls`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Span::Calls(calls) => Count(calls.into(), "call", "calls").fmt(f),
            Span::Time(time) => Time(time).fmt(f),
        }
    }
}

/// One line: `5 in a row`.
impl fmt::Display for Consecutive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f).add(format_args!("{} in a row", self.failures)).some("open", self.pause).finish()
    }
}

/// One line: `5 s to 60 s`, and of a list `5 s then 20 s`.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jitter = changed(self.jitter, Self::DEFAULT_JITTER).map(Percent);
        let row = match self.steps {
            Steps::Doubling { min, max } if min == max => Time(min).to_string(),
            Steps::Doubling { min, max } => format!("{} to {}", Time(min), Time(max)),
            Steps::List { pauses, len } => {
                let pauses: Vec<String> =
                    pauses[..len].iter().map(|pause| Time(*pause).to_string()).collect();
                pauses.join(" then ")
            }
        };
        Line::new(f).add(format_args!("{row}")).some("jitter", jitter).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_breaker_reads_as_what_was_set() {
        let breaker = Breaker::new();
        let ratio = Ratio::new(0.5).pause(Pause::new().list(&[SECOND]));
        for (breaker, shown) in [
            (breaker, "evidence 25 % to 75 %, open 5 s to 60 s, 1 probe, ramp 10 s"),
            (breaker.max_open_for(5 * SECOND), "evidence 25 % to 75 %, open 5 s, 1 probe, ramp 10 s"),
            (
                breaker.evidence(Evidence::new().endpoint()).consecutive(Consecutive::new(5)).probes(3),
                "evidence 5 % to 40 % and threshold 12, 5 in a row, open 5 s to 60 s, 3 probes, ramp 10 s",
            ),
            (
                breaker.without_evidence().failure_ratio(ratio).ramp(Duration::ZERO).mode(Mode::Shadow),
                "shadow, failures 50 % of at least 20 in 10 s and open 1 s, open 5 s to 60 s, 1 probe, ramp 0 s",
            ),
            (
                breaker.without_evidence().slow_after(SECOND / 4).open_for(SECOND).strict_probes(true),
                "no rule, slow after 250 ms, open 1 s to 60 s, 1 probe, strict, ramp 10 s",
            ),
            (
                breaker.without_evidence().slow_ratio(SECOND, Ratio::new(0.3).window(Window::calls(100))),
                "slow 30 % of at least 20 in 100 calls, slow after 1 s, open 5 s to 60 s, 1 probe, ramp 10 s",
            ),
            (
                breaker.mode(Mode::ForcedOpen).probe_lease(SECOND).start_open(true).seed(7),
                "forced open, evidence 25 % to 75 %, open 5 s to 60 s, 1 probe, lease 1 s, ramp 10 s, \
                 open from the start, seed 7",
            ),
            (breaker.seed(7).enabled(false), "off"),
        ] {
            assert_eq!(breaker.to_string(), shown);
        }
    }

    #[test]
    fn rules_and_pauses_read_in_their_terms() {
        let evidence = Evidence::new();
        assert_eq!(evidence.to_string(), "25 % to 75 %");
        assert_eq!(
            evidence.shares(0.25, 0.75).threshold(2.5).to_string(),
            "25 % to 75 %, fixed, threshold 2.5"
        );
        assert_eq!(evidence.pause(Pause::new()).to_string(), "25 % to 75 %, open 5 s to 60 s");
        assert_eq!(
            Consecutive::default().pause(Pause::new().jitter(0.0)).to_string(),
            "5 in a row, open 5 s to 60 s and jitter 0 %"
        );
        assert_eq!(
            Pause::new().list(&[SECOND, 20 * SECOND]).jitter(0.1).to_string(),
            "1 s then 20 s, jitter 10 %"
        );
        assert_eq!(Window::calls(1).to_string(), "1 call");
        assert_eq!((Mode::Normal.to_string(), Mode::Disabled.to_string()), ("normal".into(), "off".into()));
    }

    #[test]
    fn their_settings_can_be_asked_for() {
        let (ratio, row) = (Ratio::new(0.3).min_requests(7), Consecutive::new(4));
        let breaker = Breaker::new().failure_ratio(ratio).consecutive(row).slow_after(SECOND).probes(2);
        assert_eq!((breaker.evidence_rule(), breaker.failure_rule()), (Some(Evidence::new()), Some(ratio)));
        assert_eq!((breaker.slow_rule(), breaker.row_rule()), (None, Some(row)));
        assert_eq!((breaker.slow_from(), breaker.most_probes()), (Some(SECOND), 2));
        assert_eq!((breaker.lease(), breaker.in_mode()), (Breaker::DEFAULT_PROBE_LEASE, Mode::Normal));
        assert_eq!((ratio.share(), ratio.least_requests(), ratio.looks_back()), (0.3, 7, Window::DEFAULT));
        assert_eq!(row.in_a_row(), 4);
        let ends = |pause: Pause| (pause.first(), pause.longest());
        assert_eq!(ends(breaker.pauses()), (Pause::DEFAULT_MIN, Pause::DEFAULT_MAX));
        assert_eq!(ends(Pause::new().list(&[SECOND, 3 * SECOND])), (SECOND, 3 * SECOND));
    }
}
