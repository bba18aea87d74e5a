//! Loom models of the word and the counters beside the machine: `RUSTFLAGS="--cfg bartizan_loom" cargo test --release --lib loom`.

use crate::breaker::Breaker;
use crate::circuit::Circuit;
use crate::machine::{Admission, Outcome};
use crate::rule::Consecutive;
use crate::state::State;
use bartizan_core::Verdict;
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn circuit() -> Arc<Circuit> {
    let value =
        Breaker::new().without_evidence().consecutive(Consecutive::new(1)).ramp(Duration::ZERO).seed(1);
    Arc::new(Circuit::new(&Arc::new(value), None))
}

fn evidence_circuit() -> Arc<Circuit> {
    Arc::new(Circuit::new(&Arc::new(Breaker::new().seed(1)), None))
}

fn outcome(generation: u64, probe: Option<u16>, verdict: Verdict) -> Outcome {
    Outcome { generation, probe, verdict, slow: false, successes: 0 }
}

/// A good call either is counted in its generation, or came too late and is not.
#[test]
fn a_good_call_is_counted_once_or_late() {
    loom::model(|| {
        let circuit = evidence_circuit();
        let generation = circuit.word().generation();
        let good = thread::spawn({
            let circuit = circuit.clone();
            move || {
                if !circuit.counts_quietly(generation) {
                    circuit.record(outcome(generation, None, Verdict::Success), 0);
                }
            }
        });
        circuit.record(outcome(generation, None, Verdict::Failure), 0);
        good.join().expect("no panic");
        assert_eq!(circuit.successes(), 1);
        assert_eq!(circuit.word().generation(), generation);
    });
}

/// Whoever sees the word of an open circuit sees the end of its pause as well, and a verdict of the former generation is void.
#[test]
fn a_trip_is_seen_whole_and_late_verdicts_are_void() {
    loom::model(|| {
        let circuit = circuit();
        let generation = circuit.word().generation();
        let trip = thread::spawn({
            let circuit = circuit.clone();
            move || circuit.record(outcome(generation, None, Verdict::Failure), 0)
        });
        let word = circuit.word();
        if word.is_refusing() {
            let until = circuit.until();
            assert!((4 * SECOND..=6 * SECOND).contains(&until), "{until}");
        }
        trip.join().expect("no panic");
        assert!(!circuit.counts_quietly(generation));
        circuit.record(outcome(generation, None, Verdict::Success), 0);
        assert_eq!((circuit.successes(), circuit.word().is_open()), (0, true));
    });
}

/// Who comes at the end of the pause, while another turns the circuit half-open, is not told of another end.
#[test]
fn a_pause_that_is_over_stays_over() {
    loom::model(|| {
        let value = Breaker::new().start_open(true).open_for(Duration::ZERO).probes(2).seed(1);
        let circuit = Arc::new(Circuit::new(&Arc::new(value), None));
        let other = thread::spawn({
            let circuit = circuit.clone();
            move || circuit.decide(SECOND).0
        });
        if circuit.word().is_refusing() {
            assert_eq!(circuit.until(), 0);
        }
        assert!(matches!(other.join().expect("no panic"), Admission::Probe(_)));
    });
}

/// Of two callers at the end of the pause one is the probe, whatever the order; and a dropped probe gives its place back.
#[test]
fn one_probe_at_a_time() {
    loom::model(|| {
        let circuit = circuit();
        circuit.record(outcome(0, None, Verdict::Failure), 0);
        let ask = |circuit: Arc<Circuit>| move || circuit.decide(7 * SECOND).0;
        let other = thread::spawn(ask(circuit.clone()));
        let mine = ask(circuit.clone())();
        let theirs = other.join().expect("no panic");
        let probe = match (mine, theirs) {
            (Admission::Probe(probe), Admission::Probing) | (Admission::Probing, Admission::Probe(probe)) => {
                probe
            }
            both => panic!("{both:?}"),
        };
        circuit.abandon(circuit.word().generation(), probe);
        assert!(matches!(circuit.decide(7 * SECOND).0, Admission::Probe(_)));
    });
}

/// A probe's verdict and its abandonment race with a reset: the circuit ends up closed and usable.
#[test]
fn a_reset_ends_a_round_of_probes() {
    loom::model(|| {
        let circuit = circuit();
        circuit.record(outcome(0, None, Verdict::Failure), 0);
        let (Admission::Probe(probe), word) = circuit.decide(7 * SECOND) else { panic!("no probe") };
        let verdict = thread::spawn({
            let circuit = circuit.clone();
            move || circuit.record(outcome(word.generation(), Some(probe), Verdict::Failure), 8 * SECOND)
        });
        circuit.change_at(8 * SECOND, |machine, _| ((), machine.reset()));
        verdict.join().expect("no panic");
        let state = circuit.change_at(8 * SECOND, |machine, _| (machine.state(), None));
        assert_eq!(state, State::Closed);
        assert!(circuit.word().is_free());
    });
}
