use axum::body::Bytes;
use bartizan_core::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// What was seen in the last minutes, for those who come late.
#[derive(Debug, Default)]
pub(crate) struct History {
    kept: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    states: u64,
}

impl History {
    /// How long a picture is kept.
    pub(crate) const SPAN: Duration = Duration::from_secs(300);
    /// How far apart pictures are while no state changes.
    pub(crate) const APART: Duration = Duration::from_secs(5);
    /// What all pictures take at most, in bytes.
    pub(crate) const MOST: usize = 4 << 20;

    /// Keeps a picture that was taken at `now`, if a state has changed or the last one is old. `states` differs when a state does.
    pub(crate) fn keep(&mut self, now: Instant, picture: Bytes, states: u64) {
        let is_old = |(taken, _): &(Instant, Bytes)| now.saturating_duration_since(*taken) >= Self::APART;
        if self.states != states || self.kept.back().is_none_or(is_old) {
            self.states = states;
            self.bytes += picture.len();
            self.kept.push_back((now, picture));
        }
        let is_gone = |(taken, _): &(Instant, Bytes)| now.saturating_duration_since(*taken) > Self::SPAN;
        while self.bytes > Self::MOST || self.kept.front().is_some_and(is_gone) {
            let Some((_, gone)) = self.kept.pop_front() else { break };
            self.bytes -= gone.len();
        }
    }

    /// All pictures as an array in JSON, the oldest first, with their age in seconds: in pieces, of which each picture is one, and none is
    /// copied.
    pub(crate) fn json(&self, now: Instant) -> VecDeque<Bytes> {
        let mut json = VecDeque::with_capacity(2 * self.kept.len() + 1);
        let mut before = "[";
        for (taken, picture) in &self.kept {
            let age = now.saturating_duration_since(*taken).as_secs_f64();
            json.push_back(format!(r#"{before}{{"age_seconds":{age:.3},"layers":"#).into());
            json.push_back(picture.clone());
            before = "},";
        }
        json.push_back(Bytes::from_static(if self.kept.is_empty() { b"[]" } else { b"}]" }));
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(history: &History, now: Instant) -> String {
        String::from_utf8(Vec::from(history.json(now)).concat()).unwrap()
    }

    fn picture(bytes: usize) -> Bytes {
        vec![b' '; bytes].into()
    }

    #[tokio::test(start_paused = true)]
    async fn it_keeps_a_picture_now_and_then_and_each_change() {
        let (start, mut history) = (Instant::now(), History::default());
        for (second, states, count) in [
            (0, 1, 1),
            (1, 1, 1),
            (4, 1, 1),
            (5, 1, 2),
            (6, 2, 3),
            (7, 2, 3),
            (11, 2, 4),
            (305, 2, 4),
            (306, 2, 3),
        ] {
            history.keep(start + Duration::from_secs(second), picture(1), states);
            assert_eq!(history.kept.len(), count, "at {second} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded_in_bytes() {
        let (start, mut history) = (Instant::now(), History::default());
        for second in 0..100 {
            history.keep(start + Duration::from_secs(second), picture(History::MOST / 4), second);
        }
        assert_eq!((history.kept.len(), history.bytes), (4, History::MOST));
        history.keep(start + Duration::from_secs(100), picture(History::MOST + 1), 0);
        assert_eq!((history.kept.len(), history.bytes), (0, 0), "what is too large is not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn it_tells_how_old_each_is() {
        let (start, mut history) = (Instant::now(), History::default());
        assert_eq!(told(&history, start), "[]");
        history.keep(start, Bytes::from_static(b"[1]"), 1);
        history.keep(start + Duration::from_secs(1), Bytes::from_static(b"[2]"), 2);
        let json = told(&history, start + Duration::from_millis(2500));
        assert_eq!(json, r#"[{"age_seconds":2.500,"layers":[1]},{"age_seconds":1.500,"layers":[2]}]"#);
    }
}
