//! A purse through its public API: threads, tokens that come back, the registry.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Budget, Instant, Purse, Token, registry};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// No streak and no rate: the tokens alone decide.
const PLAIN: Budget = Budget::new().persistence(1.0).cap(Duration::ZERO);

#[test]
fn it_is_shared_by_its_clones_and_fits_every_layer() {
    fn fits<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn moves<T: Send + Sync + 'static>(_: &T) {}
    let purse = Purse::new(PLAIN.min_tokens(1));
    fits(&purse);
    let token = purse.clone().withdraw(Instant::now()).unwrap();
    moves(&token);
    assert!(purse.withdraw(Instant::now()).is_none());
}

#[test]
fn a_token_comes_back_unless_it_is_spent() {
    let now = Instant::now();
    let purse = Purse::new(PLAIN);
    let tokens: Vec<Token> = std::iter::from_fn(|| purse.withdraw(now)).collect();
    assert_eq!((tokens.len(), purse.snapshot().tokens), (5, 0.0));
    for (n, token) in tokens.into_iter().enumerate() {
        if n < 2 { token.spend() } else { drop(token) }
    }
    let snapshot = purse.snapshot();
    assert_eq!((snapshot.tokens, snapshot.retries, snapshot.returned), (3.0, 5, 3));
    assert_eq!(snapshot.unpaid_retries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_while_it_waits_costs_nothing() {
    let purse = Purse::new(PLAIN);
    let before = purse.snapshot().tokens;
    let token = purse.withdraw(Instant::now()).unwrap();
    let wait = async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        token.spend();
    };
    assert!(tokio::time::timeout(Duration::from_millis(100), wait).await.is_err());
    assert_eq!(purse.snapshot().tokens, before);
}

/// Eight threads pay in, draw, hedge and give back at once; afterwards every token is accounted for.
#[test]
fn threads_neither_make_tokens_nor_lose_them() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 20_000;
    // Wide enough that nothing is lost at the cap: 1000 to begin with, drawn before anything is paid in.
    let purse = Purse::new(PLAIN.min_tokens(1000));
    let now = Instant::now();
    while let Some(token) = purse.withdraw(now) {
        token.spend();
    }
    let (spent, start) = (AtomicU64::new(1000), Barrier::new(THREADS as usize));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (purse, spent, start) = (&purse, &spent, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    purse.deposit();
                    let token = match round % 3 {
                        0 => purse.withdraw_hedge(now),
                        _ => purse.withdraw(now),
                    };
                    // One in three that was had is never used.
                    if let Some(token) = token {
                        if (round + thread) % 3 != 0 {
                            token.spend();
                            spent.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let snapshot = purse.snapshot();
    let spent = spent.into_inner();
    assert_eq!(snapshot.deposits, THREADS * ROUNDS);
    assert_eq!(snapshot.retries + snapshot.hedges, spent + snapshot.returned);
    // In tenths, as floats would round.
    let left = (snapshot.tokens * 10.0).round() as u64;
    assert_eq!(spent * 10 + left, 1000 * 10 + snapshot.deposits, "{snapshot:?}");
    assert!(snapshot.returned > 0 && spent > 10_000, "{snapshot:?}");
}

#[test]
fn at_the_cap_threads_get_no_more_than_was_paid_in() {
    let purse = Purse::new(PLAIN.ratio(0.4));
    let granted = AtomicU64::new(0);
    let now = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    purse.deposit();
                    for token in [purse.withdraw(now), purse.withdraw(now)].into_iter().flatten() {
                        token.spend();
                        granted.fetch_add(1, Ordering::Relaxed);
                    }
                    let snapshot = purse.snapshot();
                    assert!((0.0..=5.0).contains(&snapshot.tokens), "{snapshot:?}");
                }
            });
        }
    });
    assert!(granted.into_inner() <= 5 + 80_000 * 4 / 10);
}

#[test]
fn a_seed_repeats_a_run() {
    let run = |seed| {
        let purse = Purse::new(Budget::new().min_tokens(1000).seed(seed));
        let now = Instant::now();
        let retried = |n| {
            if n % 4 == 0 {
                purse.deposit();
            }
            purse.withdraw(now).is_some()
        };
        (0..400).map(retried).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[tokio::test(start_paused = true)]
async fn the_cap_is_what_a_tenth_of_a_second_pays_in() {
    let purse = Purse::new(Budget::new());
    tokio::time::advance(Duration::from_secs(1)).await;
    (0..3000).for_each(|_| purse.deposit());
    let snapshot = purse.snapshot();
    assert_eq!((snapshot.cap, snapshot.tokens), (30.0, 30.0));
    assert_eq!(purse.snapshot(), snapshot, "to read changes nothing");

    purse.update(PLAIN.min_tokens(7));
    let snapshot = purse.snapshot();
    assert_eq!((snapshot.cap, snapshot.tokens), (7.0, 7.0));
}

#[test]
fn a_named_purse_is_observed() {
    let purse = Purse::new(PLAIN).named("orders").named("too late");
    assert_eq!(purse.name(), Some("orders"));
    let find = || registry::handles().into_iter().find(|handle| handle.name() == "orders");
    let state = || find().unwrap().state();
    assert_eq!((find().unwrap().layer(), state()), ("budget", "ample"));

    let now = Instant::now();
    (0..3).for_each(|_| purse.withdraw(now).unwrap().spend());
    assert_eq!(state(), "low");
    assert!(purse.withdraw_hedge(now).is_none());
    (0..2).for_each(|_| purse.withdraw(now).unwrap().spend());
    assert_eq!(state(), "empty");
    purse.fail(now);

    let mut numbers = Vec::new();
    find().unwrap().numbers(&mut |name, number| numbers.push((name, number)));
    assert_eq!(
        numbers,
        [
            ("tokens", 0.0),
            ("cap", 5.0),
            ("failures_in_a_row", 6.0),
            ("deposits", 0.0),
            ("retries", 5.0),
            ("hedges", 0.0),
            ("returned", 0.0),
            ("given_up", 0.0),
            ("unpaid_retries", 0.0),
            ("unpaid_hedges", 1.0),
        ]
    );
    assert!(format!("{purse:?}").contains("orders"));
    drop(purse);
    assert!(find().is_none());
}

#[test]
fn every_number_is_of_something_that_happens() {
    let purse = Purse::new(Budget::new().ratio(1.0).persistence(0.0)).named("every number");
    let shown = registry::handles().into_iter().find(|handle| handle.name() == "every number").unwrap();
    let dead = || {
        let mut dead = Vec::new();
        shown.numbers(&mut |name, number| dead.extend((number == 0.0).then_some(name)));
        dead
    };
    let now = Instant::now();
    drop(purse.withdraw_hedge(now));
    assert!(!dead().contains(&"hedges") && !dead().contains(&"returned"));
    assert_eq!((purse.withdraw(now).is_some(), dead().contains(&"given_up")), (true, true));
    assert_eq!((purse.withdraw(now).is_some(), dead().contains(&"given_up")), (false, false));
    purse.update(PLAIN);
    while let Some(token) = purse.withdraw(now) {
        token.spend();
    }
    assert!(purse.withdraw_hedge(now).is_none());
    assert_eq!(dead(), ["tokens", "deposits"]);
    purse.deposit();
    assert_eq!(dead(), ["failures_in_a_row"]);
}

#[test]
fn its_settings_are_changed_by_the_registry_and_what_is_wrong_changes_nothing() {
    let purse = Purse::new(Budget::new()).named("set");
    let shown = registry::handles().into_iter().find(|handle| handle.name() == "set").unwrap();
    for (setting, value) in [
        ("ratio", 1.5),
        ("min_tokens", 0.0),
        ("min_tokens", 1.5),
        ("cap_seconds", -1.0),
        ("persistence", f64::NAN),
        ("seed", 1.0),
    ] {
        assert!(shown.set(setting, value).is_err(), "{setting} {value}");
    }
    assert_eq!(purse.budget(), Budget::new());
    for (setting, value) in [("ratio", 0.25), ("min_tokens", 7.0), ("cap_seconds", 0.5), ("persistence", 1.0)]
    {
        shown.set(setting, value).unwrap();
    }
    let half = Duration::from_millis(500);
    assert_eq!(purse.budget(), Budget::new().ratio(0.25).min_tokens(7).cap(half).persistence(1.0));
    let mut settings = Vec::new();
    shown.settings(&mut |name, value| settings.push((name, value)));
    assert_eq!(settings, [("ratio", 0.25), ("min_tokens", 7.0), ("cap_seconds", 0.5), ("persistence", 1.0)]);
    assert_eq!(purse.snapshot().cap, 7.0);
}
