//! Loom models of the bucket's word and the pace beside it: `RUSTFLAGS="--cfg bartizan_loom" cargo test --release --lib loom`.

use crate::bucket::Bucket;
use crate::denial::Denial;
use crate::pace::Pace;
use loom::thread;
use std::sync::Arc;

/// Two tokens, of which one comes back in ten nanoseconds.
const SLOW: Pace = Pace { interval: 10, span: 20 };
/// Two tokens, of which one comes back in four.
const FAST: Pace = Pace { interval: 4, span: 8 };

/// Of two who ask for the last token one has it, and the other is told the right wait.
#[test]
fn the_last_token_is_taken_once() {
    loom::model(|| {
        let bucket = Arc::new(Bucket::new(SLOW));
        bucket.take(1, 0).expect("it was full");
        let other = thread::spawn({
            let bucket = bucket.clone();
            move || bucket.take(1, 0)
        });
        let mine = bucket.take(1, 0);
        let theirs = other.join().expect("no panic");
        let (won, lost) = if mine.is_ok() { (mine, theirs) } else { (theirs, mine) };
        assert_eq!((won, lost), (Ok(20), Err(Denial::over(10))));
    });
}

/// A token that is taken while the pace changes is taken at one pace or the other, and is taken once.
#[test]
fn a_change_pairs_no_word_with_the_pace_of_another() {
    loom::model(|| {
        let bucket = Arc::new(Bucket::new(SLOW));
        let taker = thread::spawn({
            let bucket = bucket.clone();
            move || bucket.take(1, 0)
        });
        bucket.update(FAST, 0);
        let debt = taker.join().expect("no panic");
        assert!([Ok(10), Ok(4)].contains(&debt), "{debt:?}");
        assert_eq!(bucket.read(), (FAST, 4));
    });
}

/// Who is refused while the pace changes is told the wait of one pace or the other.
#[test]
fn a_refusal_is_of_one_pace() {
    loom::model(|| {
        let bucket = Arc::new(Bucket::new(SLOW));
        bucket.drain(0);
        let taker = thread::spawn({
            let bucket = bucket.clone();
            move || bucket.take(1, 0)
        });
        bucket.update(FAST, 0);
        let denial = taker.join().expect("no panic");
        assert!([Err(Denial::over(10)), Err(Denial::over(4))].contains(&denial), "{denial:?}");
        assert_eq!(bucket.read(), (FAST, 8));
    });
}

/// Two changes at once happen one after the other.
#[test]
fn changes_take_turns() {
    loom::model(|| {
        let bucket = Arc::new(Bucket::new(SLOW));
        bucket.take(1, 0).expect("it was full");
        let other = thread::spawn({
            let bucket = bucket.clone();
            move || bucket.update(FAST, 0)
        });
        bucket.update(SLOW, 0);
        other.join().expect("no panic");
        assert!([(FAST, 4), (SLOW, 10)].contains(&bucket.read()));
    });
}
