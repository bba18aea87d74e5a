use crate::backoff::Curve;
use crate::retry_on::{CONNECT, FAILURES, GATEWAY};
use crate::{Allowance, Backoff, Jitter, Retry, RetryOn};
use bartizan_core::show::{Bytes, Count, Line, Percent, Time, changed};
use std::fmt;

/// One line: `2 retries, 100 ms to 1 s, budget 10 %`, or `off`.
impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        let throttled = Backoff::constant(Self::DEFAULT_THROTTLED_WAIT);
        Line::new(f)
            .add(format_args!("{}", Count(self.max_retries.into(), "retry", "retries")))
            .add(format_args!("{:#}", self.backoff))
            .add(format_args!("budget {:#}", self.budget))
            .some("throttled", changed(&self.throttled_backoff, &throttled))
            .some("on", changed(self.on, RetryOn::FAILURES))
            .some("allowance", self.allowance)
            .some("hints up to", changed(self.max_hint, Self::DEFAULT_MAX_HINT).map(Time))
            .when(self.trust_hints, format_args!("hints trusted"))
            .some("bodies up to", changed(self.max_body, Self::DEFAULT_MAX_BODY).map(Bytes))
            .some("all bodies", changed(self.max_bodies, Self::DEFAULT_MAX_BODIES).map(Bytes))
            .some("seed", self.seed)
            .finish()
    }
}

/// One line: `100 ms to 1 s`, `2 s each`, `100 ms more each, up to 1 s`, `100 ms to 1 s, decorrelated`, `by a function`.
impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(f);
        let by_default = match &self.curve {
            Curve::Constant(wait) => {
                line.add(format_args!("{} each", Time(*wait)));
                Jitter::Full
            }
            Curve::Linear { step, max } => {
                line.add(format_args!("{} more each", Time(*step))).add(format_args!("up to {}", Time(*max)));
                Jitter::Full
            }
            Curve::Exponential { min, max } => {
                line.add(format_args!("{} to {}", Time(*min), Time(*max)))
                    .some("factor", changed(self.factor, Self::DEFAULT_FACTOR));
                Jitter::Full
            }
            Curve::Decorrelated { min, max } => {
                line.add(format_args!("{} to {}", Time(*min), Time(*max))).add(format_args!("decorrelated"));
                Jitter::None
            }
            Curve::By(_) => {
                line.add(format_args!("by a function"));
                Jitter::None
            }
        };
        line.when(self.jitter != by_default, format_args!("{}", self.jitter)).finish()
    }
}

/// `no jitter`, `full jitter`, or `jitter 20 %`.
impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no jitter"),
            Self::Full => f.write_str("full jitter"),
            Self::Within(share) => write!(f, "jitter {}", Percent(*share)),
        }
    }
}

/// `failures`, `gateway errors`, `what never arrived`, and codes: `gateway errors, 429`.
impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(f);
        for (group, name) in
            [(FAILURES, "failures"), (GATEWAY, "gateway errors"), (CONNECT, "what never arrived")]
        {
            line.when(self.groups & group != 0, format_args!("{name}"));
        }
        for code in self.codes.into_iter().filter(|code| *code != 0) {
            line.add(format_args!("{code}"));
        }
        line.finish()
    }
}

/// One line: `8, half at 2 s, steepness 4`.
impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{}", self.most))
            .add(format_args!("half at {}", Time(self.half)))
            .add(format_args!("steepness {}", self.steepness))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::Budget;
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_retry_reads_as_what_was_set() {
        let plain = Backoff::default().jitter(Jitter::None);
        let on = RetryOn::GATEWAY.and(RetryOn::code(429));
        for (retry, shown) in [
            (Retry::new(), "2 retries, 100 ms to 1 s, budget 10 %"),
            (
                Retry::new().max_retries(1).backoff(plain).budget(Budget::new().ratio(0.2).min_tokens(9)),
                "1 retry, 100 ms to 1 s and no jitter, budget 20 % and at least 9",
            ),
            (
                Retry::new().throttled_backoff(Backoff::constant(2000 * MS)).on(on).max_hint(Duration::MAX),
                "2 retries, 100 ms to 1 s, budget 10 %, throttled 2 s each, on gateway errors and 429, \
                 hints up to for ever",
            ),
            (
                Retry::new().allowance(Allowance::new(8.0, 2000 * MS, 4.5)).trust_hints(true).seed(7),
                "2 retries, 100 ms to 1 s, budget 10 %, allowance 8 and half at 2 s and steepness 4.5, \
                 hints trusted, seed 7",
            ),
            (
                Retry::new().max_body(1 << 20).max_bodies(1000),
                "2 retries, 100 ms to 1 s, budget 10 %, bodies up to 1 MiB, all bodies 1000 B",
            ),
            (Retry::new().seed(7).enabled(false), "off"),
        ] {
            assert_eq!(retry.to_string(), shown);
        }
    }

    #[test]
    fn back_offs_read_as_their_curves() {
        let default = Backoff::default;
        for (backoff, shown) in [
            (default(), "100 ms to 1 s"),
            (default().factor(1.5).jitter(Jitter::Within(0.2)), "100 ms to 1 s, factor 1.5, jitter 20 %"),
            (Backoff::constant(2000 * MS), "2 s each"),
            (Backoff::linear(100 * MS, 1000 * MS), "100 ms more each, up to 1 s"),
            (Backoff::decorrelated(10 * MS, 250 * MS), "10 ms to 250 ms, decorrelated"),
            (Backoff::by(|_| None).jitter(Jitter::Full), "by a function, full jitter"),
        ] {
            assert_eq!(backoff.to_string(), shown);
        }
    }

    #[test]
    fn what_is_retried_reads_as_its_parts() {
        let all = RetryOn::CONNECT.and(RetryOn::code(503)).and(RetryOn::code(14)).and(RetryOn::FAILURES);
        assert_eq!(all.to_string(), "failures, what never arrived, 503, 14");
        assert_eq!(RetryOn::FAILURES.to_string(), "failures");
    }

    #[test]
    fn its_settings_can_be_asked_for() {
        let retry = Retry::new().throttled_backoff(Backoff::constant(MS)).max_retries(4);
        assert_eq!((retry.most_retries(), retry.is_enabled()), (4, true));
        assert_eq!((retry.waits(), retry.throttled_waits()), (&Backoff::default(), &Backoff::constant(MS)));
        assert_eq!((retry.retried(), retry.longest_hint()), (RetryOn::FAILURES, Retry::DEFAULT_MAX_HINT));
        assert_eq!(retry.own_budget(), Budget::new());
    }
}
