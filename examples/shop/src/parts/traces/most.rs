//! How many traces are recorded: all of a small load, and so many of a great one.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most traces that begin in a second and are recorded.
const A_SECOND: u64 = 100;

/// Below the second, in which they began, so many bits count them.
const BITS: u32 = 16;

/// Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Most(Arc<AtomicU64>);

impl Most {
    /// Whether one more may be recorded in a second.
    fn may(&self, second: u64) -> bool {
        let one_more = |state: u64| {
            let (of, count) = (state >> BITS, state & ((1 << BITS) - 1));
            match of == second {
                true => (count < A_SECOND).then_some(state + 1),
                false => Some((second << BITS) + 1),
            }
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

impl ShouldSample for Most {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let second = super::super::clock::now_ms().unsigned_abs() / 1000;
        let decision = match self.may(second) {
            true => SamplingDecision::RecordAndSample,
            false => SamplingDecision::Drop,
        };
        let trace_state = parent.map(|parent| parent.span().span_context().trace_state().clone());
        SamplingResult { decision, attributes: Vec::new(), trace_state: trace_state.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_share() {
        let most = Most::default();
        for second in [7, 8, 8_000_000_000, 3] {
            let recorded = (0..A_SECOND * 3).filter(|_| most.clone().may(second)).count();
            assert_eq!(recorded as u64, A_SECOND, "{second}");
        }
    }
}
