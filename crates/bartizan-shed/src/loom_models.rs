//! Loom models of the gate and of the queue before it: `RUSTFLAGS="--cfg bartizan_loom" cargo test --release --lib loom`.

use crate::asks::Wish;
use crate::backlog::Backlog;
use crate::gate::Gate;
use crate::permit::Ticket;
use crate::shared::Shared;
use crate::shed::Shed;
use crate::waiting::{Place, Waiting};
use bartizan_core::{Priority, Turn};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

const WISH: Wish = Wish { priority: Priority::NORMAL, key: None, class: None };

/// Of two who come for the last place one has it, and it comes back.
#[test]
fn the_last_place_is_given_once() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let enter = |gate: Arc<Gate>| move || gate.enter(1, 1);
        let other = thread::spawn(enter(gate.clone()));
        let mine = enter(gate.clone())();
        let theirs = other.join().expect("no panic");
        assert!(mine != theirs, "{mine} {theirs}");
        gate.leave();
        assert_eq!((gate.in_flight(), gate.admitted()), (0, [0, 1, 0]));
    });
}

fn queue() -> Arc<Shared> {
    let shared = Arc::new(Shared::new(&Shed::fixed(1).seed(1)));
    shared.set_waiting(Waiting::new(Backlog::new(4).max_wait(Duration::MAX).target(Duration::MAX)));
    shared
}

fn ticket(shared: &Arc<Shared>) -> Ticket {
    match shared.queue(WISH, shared.settings()) {
        Turn::Admitted(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// Whether it is in, at once or by now.
fn is_in(turn: &Turn<Ticket, Place>) -> bool {
    match turn {
        Turn::Admitted(_) => true,
        Turn::Waiting(place) => place.has_turn(),
        Turn::Refused(_) => false,
    }
}

/// One leaves while another comes: whatever the order, the other is in afterwards.
#[test]
fn a_place_that_comes_back_while_one_joins_is_not_missed() {
    loom::model(|| {
        let shared = queue();
        let held = ticket(&shared);
        let leaves = thread::spawn(move || drop(held));
        let turn = shared.queue(WISH, shared.settings());
        leaves.join().expect("no panic");
        assert!(is_in(&turn));
        drop(turn);
        assert_eq!((shared.gate.in_flight(), shared.gate.is_waiting()), (0, false));
    });
}

/// One gives up while its turn comes: whatever the order, the one behind it is in afterwards.
#[test]
fn a_turn_that_is_given_up_is_passed_on() {
    loom::model(|| {
        let shared = queue();
        let held = ticket(&shared);
        let (first, second) = (shared.queue(WISH, shared.settings()), shared.queue(WISH, shared.settings()));
        let leaves = thread::spawn(move || drop(held));
        drop(first);
        leaves.join().expect("no panic");
        assert!(is_in(&second));
        drop(second);
        assert_eq!((shared.gate.in_flight(), shared.gate.is_waiting()), (0, false));
    });
}
