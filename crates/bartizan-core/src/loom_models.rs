//! Loom models of the count beside the ledger: `RUSTFLAGS="--cfg bartizan_loom" cargo test --release --lib loom`.

use crate::{Budget, Instant, Purse, Token};
use loom::thread;
use std::time::Duration;

/// A purse that was emptied, in which two successes are worth a token.
fn emptied(now: Instant) -> Purse {
    let purse = Purse::new(Budget::new().ratio(0.5).min_tokens(1).cap(Duration::ZERO).persistence(1.0));
    purse.withdraw(now).expect("a purse begins with its least").spend();
    purse
}

/// Takes a token and spends it, if there is one.
fn buys(token: Option<Token>) -> bool {
    token.map(Token::spend).is_some()
}

/// What is paid in while somebody asks is in the purse once, now or later.
#[test]
fn every_success_is_counted_once() {
    loom::model(|| {
        let now = Instant::now();
        let purse = emptied(now);
        let pays = || {
            let purse = purse.clone();
            thread::spawn(move || purse.deposit())
        };
        let (one, other) = (pays(), pays());
        let early = buys(purse.withdraw(now));
        one.join().expect("no panic");
        other.join().expect("no panic");
        assert_ne!(early, buys(purse.withdraw(now)), "one token for two successes");
        assert!(!buys(purse.withdraw(now)));
    });
}

/// A token that comes back while somebody asks is had by one, and by no two.
#[test]
fn a_token_that_comes_back_is_there_once() {
    loom::model(|| {
        let now = Instant::now();
        let purse = emptied(now);
        purse.deposit();
        purse.deposit();
        let token = purse.withdraw(now).expect("two successes are worth one");
        let leaves = thread::spawn(move || drop(token));
        let early = buys(purse.withdraw(now));
        leaves.join().expect("no panic");
        assert_ne!(early, buys(purse.withdraw_hedge(now)));
        assert!(!buys(purse.withdraw(now)));
    });
}

/// Of a retry and a hedge that race for the last token one gets it.
#[test]
fn the_last_token_has_one_owner() {
    loom::model(|| {
        let now = Instant::now();
        let purse = emptied(now);
        purse.deposit();
        purse.deposit();
        let hedge = thread::spawn({
            let purse = purse.clone();
            move || buys(purse.withdraw_hedge(now))
        });
        let retry = buys(purse.withdraw(now));
        assert_ne!(retry, hedge.join().expect("no panic"));
        assert_eq!(purse.snapshot().tokens, 0.0);
    });
}
