//! Whether a request would have failed, or come late, but for a second attempt somewhere on its way.

use super::kept::{Kept, Span};
use opentelemetry::trace::TraceId;

/// What a request was saved by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Saved {
    /// Another attempt, after one that failed.
    Retry,
    /// A copy, that answered before the first.
    Hedge,
}

impl Kept {
    /// What saved the request of this trace: an attempt that was not the first, and was answered. None where nothing did, and
    /// where the trace is not kept.
    pub fn saved(&self, trace: &str) -> Option<Saved> {
        let trace = self.trace(TraceId::from_hex(trace).ok()?)?;
        let saved: Vec<_> = trace.spans.iter().filter_map(saved).collect();
        if saved.contains(&Saved::Retry) { Some(Saved::Retry) } else { saved.first().copied() }
    }
}

fn saved(span: &Span) -> Option<Saved> {
    let number = |key: &str| {
        let found = span.attributes.iter().find(|(name, _)| name == key);
        found.and_then(|(_, value)| value.parse::<u32>().ok()).unwrap_or_default()
    };
    match (number("attempt"), number("hedge")) {
        _ if span.failed || span.kind != "client" => None,
        (_, 1..) => Some(Saved::Hedge),
        (1.., 0) => Some(Saved::Retry),
        (0, 0) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::tests::span;
    use super::*;

    fn attempt(id: u64, attempt: u32, hedge: Option<u32>, failed: bool) -> Span {
        let hedge = hedge.map(|hedge| ("hedge".to_owned(), hedge.to_string()));
        let attributes = [("attempt".to_owned(), attempt.to_string())].into_iter().chain(hedge).collect();
        Span { kind: "client".into(), failed, attributes, ..span(id, 1, "gateway", 5) }
    }

    fn of(attempts: &[Span]) -> Option<Saved> {
        let kept = Kept::default();
        kept.keep(7, span(1, 0, "gateway", 9));
        attempts.iter().for_each(|attempt| kept.keep(7, attempt.clone()));
        kept.saved(&format!("{:032x}", 7))
    }

    #[test]
    fn a_second_attempt_saves_when_it_is_answered() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[attempt(2, 0, None, false)]), None);
        assert_eq!(of(&[attempt(2, 0, None, true), attempt(3, 1, None, false)]), Some(Saved::Retry));
        assert_eq!(of(&[attempt(2, 0, None, true), attempt(3, 1, None, true)]), None);
        // The first came before its copy did.
        assert_eq!(of(&[attempt(2, 0, Some(0), false), attempt(3, 1, Some(1), true)]), None);
        assert_eq!(of(&[attempt(2, 0, Some(0), true), attempt(3, 1, Some(1), false)]), Some(Saved::Hedge));
    }

    #[test]
    fn a_trace_that_is_not_kept_tells_nothing() {
        assert_eq!(Kept::default().saved("00000000000000000000000000000007"), None);
        assert_eq!(Kept::default().saved("no id"), None);
    }
}
