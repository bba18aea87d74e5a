use crate::Limit;
use bartizan_core::show::{Line, Percent, Time};
use std::fmt;
use std::time::Duration;

/// One line: `50 per second, burst 200`, or `off`. The rate is that of the shortest unit in which it is a whole number.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        let mut line = Line::new(f);
        match whole_rate(self.interval()) {
            Some((rate, unit)) => line.add(format_args!("{rate} per {unit}")),
            None => line.add(format_args!("one each {}", Time(self.interval()))),
        };
        line.add(format_args!("burst {}", self.max_burst()))
            .when(self.shadow > 0.0, format_args!("shadow {}", Percent(self.shadow)))
            .some("seed", self.seed)
            .finish()
    }
}

/// The rate of which this is the interval, rounded up as intervals are.
fn whole_rate(interval: Duration) -> Option<(u128, &'static str)> {
    let interval = interval.as_nanos();
    let units = [(1, "second"), (60, "minute"), (3600, "hour"), (86_400, "day")];
    units.into_iter().find_map(|(seconds, unit)| {
        let nanos = Duration::from_secs(seconds).as_nanos();
        let rate = (nanos + interval / 2) / interval;
        (rate > 0 && nanos.div_ceil(rate) == interval).then_some((rate, unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_what_was_set() {
        let seconds = Duration::from_secs;
        for (limit, shown) in [
            (Limit::per_second(50).burst(200), "50 per second, burst 200"),
            (Limit::per_second(3), "3 per second, burst 3"),
            // Its interval is rounded up to 1001 ns.
            (Limit::per_second(999_999), "999001 per second, burst 999999"),
            (Limit::per(10, seconds(60)).burst(1), "10 per minute, burst 1"),
            (Limit::per(3, seconds(10)), "18 per minute, burst 3"),
            (Limit::per(100, seconds(86_400)), "100 per day, burst 100"),
            (Limit::per(1, seconds(700)), "one each 700 s, burst 1"),
            (Limit::per(1, seconds(172_800)), "one each 2 d, burst 1"),
            (Limit::per_second(5).shadow(0.25).seed(7), "5 per second, burst 5, shadow 25 %, seed 7"),
            (Limit::per_second(5).shadow(0.25).enabled(false), "off"),
        ] {
            assert_eq!(limit.to_string(), shown);
        }
        assert_eq!(Limit::per_second(5).shadow(0.25).shadow_share(), 0.25);
    }
}
