//! Loom models of the window: `RUSTFLAGS="--cfg bartizan_loom" cargo test --release --lib loom`.

use super::window::{Counts, Window};
use loom::thread;
use std::sync::Arc;

/// Two requests that are the first of their tenth count once each, and what was in its place is gone.
#[test]
fn the_first_of_a_tenth_are_counted_once() {
    loom::model(|| {
        let window = Arc::new(Window::new());
        window.count(3, true);
        let other = thread::spawn({
            let window = window.clone();
            move || window.count(13, true)
        });
        let mine = window.count(13, false);
        let theirs = other.join().expect("no panic");
        assert!(mine ^ theirs, "one is the first");
        assert_eq!(window.counts(13), Counts { requests: 2, accepts: 1 });
    });
}

/// Whoever looks while a request is counted sees it whole or not at all.
#[test]
fn a_request_is_seen_whole() {
    loom::model(|| {
        let window = Arc::new(Window::new());
        window.count(4, true);
        let other = thread::spawn({
            let window = window.clone();
            move || window.count(4, true)
        });
        let Counts { requests, accepts } = window.counts(4);
        assert!(requests == accepts && (1..=2).contains(&requests), "{requests} {accepts}");
        other.join().expect("no panic");
    });
}
