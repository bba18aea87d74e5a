use crate::Hedge;
use bartizan_core::show::{Bytes, Count, Line, Percent, Time, changed};
use bartizan_http::ReplayLimit;
use std::fmt;
use std::time::Duration;

/// One line: `2 copies, 5 % extra, from 1 ms`, or `off`. A delay that is not learnt is `after 10 ms`.
impl fmt::Display for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        let is_learnt = self.delay.is_none();
        let mut line = Line::new(f);
        line.add(format_args!("{}", Count(self.max_hedges.into(), "copy", "copies")))
            .add(format_args!("{} extra", Percent(self.extra)));
        match self.delay {
            Some(Duration::MAX) => line.add(format_args!("after failures")),
            delay => line.some("after", delay.map(Time)),
        };
        line.when(
            is_learnt || self.min_delay != Self::DEFAULT_MIN_DELAY,
            format_args!("from {}", Time(self.min_delay)),
        )
        .some("percentile", self.percentile)
        .some("warm-up", changed(self.warm_up, Self::DEFAULT_WARM_UP))
        .some("budget", self.budget)
        .some("bodies up to", changed(self.max_body, ReplayLimit::DEFAULT_BODY).map(Bytes))
        .some("all bodies", changed(self.max_bodies, ReplayLimit::DEFAULT_TOTAL).map(Bytes))
        .some("seed", self.seed)
        .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::Budget;

    #[test]
    fn it_reads_as_what_was_set() {
        let ms = Duration::from_millis;
        let one = Hedge::new().max_hedges(1);
        for (hedge, shown) in [
            (Hedge::new(), "2 copies, 5 % extra, from 1 ms"),
            (one.clone().extra(0.1).percentile(0.98), "1 copy, 10 % extra, from 1 ms, percentile 0.98"),
            (one.clone().delay(ms(10)), "1 copy, 5 % extra, after 10 ms"),
            (one.clone().delay(Duration::MAX).seed(7), "1 copy, 5 % extra, after failures, seed 7"),
            (one.clone().warm_up(5).max_body(0), "1 copy, 5 % extra, from 1 ms, warm-up 5, bodies up to 0 B"),
            (
                one.clone().budget(Budget::new().min_tokens(9)).max_bodies(1 << 20),
                "1 copy, 5 % extra, from 1 ms, budget 10 % and at least 9, all bodies 1 MiB",
            ),
            (one.enabled(false), "off"),
        ] {
            assert_eq!(hedge.to_string(), shown);
        }
    }

    #[test]
    fn its_settings_can_be_asked_for() {
        let hedge = Hedge::new().delay(Duration::ZERO).extra(0.2);
        assert_eq!((hedge.fixed_delay(), hedge.most_copies()), (Some(Duration::ZERO), 2));
        assert_eq!((hedge.extra_load(), hedge.is_enabled()), (0.2, true));
        assert_eq!(hedge.own_budget(), Budget::new().ratio(0.2));
    }
}
