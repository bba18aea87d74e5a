use crate::Deadline;
use bartizan_core::show::{Line, Percent, Time, changed};
use std::fmt;

/// One line: `2 s`, `2 s, head 500 ms, learns`, or `off`.
impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        let refused = changed(self.max_refused_share, Self::DEFAULT_MAX_REFUSED_SHARE).map(Percent);
        Line::new(f)
            .add(format_args!("{}", Time(self.total)))
            .some("head", changed(self.head_timeout, Self::DEFAULT_HEAD_TIMEOUT).map(Time))
            .some("idle", changed(self.idle_timeout, Self::DEFAULT_IDLE_TIMEOUT).map(Time))
            .some("least remaining", changed(self.min_remaining, Self::DEFAULT_MIN_REMAINING).map(Time))
            .some("margin", changed(self.margin, Self::DEFAULT_MARGIN).map(Time))
            .some("refuses at most", refused)
            .when(self.learn, format_args!("learns"))
            .when(self.trusted, format_args!("trusted"))
            .when(self.stream, format_args!("streams"))
            .when(self.from_call, format_args!("from the call"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_reads_as_what_was_set() {
        let ms = Duration::from_millis;
        let deadline = Deadline::new(ms(2000));
        let bounded =
            deadline.idle_timeout(ms(1500)).min_remaining(ms(10)).margin(ms(5)).max_refused_share(0.2);
        for (deadline, shown) in [
            (deadline, "2 s"),
            (Deadline::new(Duration::MAX), "for ever"),
            (deadline.head_timeout(ms(500)).learn(true), "2 s, head 500 ms, learns"),
            (bounded, "2 s, idle 1.5 s, least remaining 10 ms, margin 5 ms, refuses at most 20 %"),
            (deadline.trusted(true).stream(true).from_call(true), "2 s, trusted, streams, from the call"),
            (deadline.enabled(false), "off"),
        ] {
            assert_eq!(deadline.to_string(), shown);
        }
    }
}
