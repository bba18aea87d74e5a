use super::*;
use std::time::Duration;

/// A ledger on its own clock, with its successes counted beside it.
struct Book {
    ledger: Ledger,
    dice: Dice,
    now: Instant,
    deposits: u64,
}

impl Book {
    fn new(budget: Budget) -> Self {
        let now = Instant::now();
        Self { ledger: Ledger::new(budget, now), dice: Dice::new(Some(7)), now, deposits: 0 }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn deposit(&mut self, successes: u64) {
        self.deposits += successes;
    }

    fn settled(&mut self) -> &mut Ledger {
        self.ledger.settle(self.deposits, self.now);
        &mut self.ledger
    }

    fn retry(&mut self) -> bool {
        self.ledger.settle(self.deposits, self.now);
        self.ledger.retry(&self.dice)
    }

    fn hedge(&mut self) -> bool {
        self.settled().hedge()
    }

    fn tokens(&mut self) -> f64 {
        self.settled().tokens()
    }

    fn cap(&mut self) -> f64 {
        self.settled().cap()
    }
}

/// No streak and no rate: the tokens alone decide.
const PLAIN: Budget = Budget::new().persistence(1.0).cap(Duration::ZERO);

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn tokens_walk_in_exact_steps() {
    let mut book = Book::new(PLAIN);
    assert_eq!(book.tokens(), 5.0, "it begins with its least");
    assert_eq!([(); 7].map(|()| book.retry()), [true, true, true, true, true, false, false]);
    book.deposit(9);
    assert!(!book.retry(), "0.9 is no token");
    assert_eq!(book.tokens(), 0.9, "and asking in vain costs nothing");
    book.deposit(1);
    assert!(book.retry());
    assert!(!book.retry());
    book.deposit(1_000_000);
    assert_eq!(book.tokens(), 5.0, "the cap");
}

#[test]
fn tenths_add_up_to_wholes_however_many() {
    // In floats, ten times 0.1 is less than 1.
    let mut book = Book::new(PLAIN.min_tokens(1));
    assert!(book.retry());
    for _ in 0..1000 {
        for _ in 0..9 {
            book.deposit(1);
            assert!(book.settled().is_empty());
        }
        book.deposit(1);
        assert!(book.retry());
        assert_eq!(book.tokens(), 0.0);
    }
}

#[test]
fn as_much_is_granted_as_was_paid_in() {
    // 0.4 is the ratio that tower's budget makes one half of.
    for (ratio, paid) in [(0.0, 0), (0.05, 500), (0.1, 1000), (0.4, 4000), (0.7, 7000), (1.0, 10_000)] {
        let mut book = Book::new(PLAIN.ratio(ratio));
        let start = (0..100).filter(|_| book.retry()).count();
        let mut granted = 0;
        for _ in 0..10_000 {
            book.deposit(1);
            granted += u32::from(book.retry()) + u32::from(book.retry());
        }
        assert_eq!((start, granted), (5, paid), "{ratio}");
    }
}

#[test]
fn hedges_leave_half_to_the_retries() {
    let mut book = Book::new(PLAIN.min_tokens(10));
    let hedges = (0..20).filter(|_| book.hedge()).count();
    assert_eq!((hedges, book.tokens()), (5, 5.0));
    book.deposit(1);
    assert!(book.hedge(), "5.1 of 10 is more than half");
    let retries = (0..20).filter(|_| book.retry()).count();
    assert_eq!(retries, 4);
    assert!(!book.hedge());
    let counts = book.ledger.counts();
    assert_eq!((counts.hedges, counts.unpaid_hedges), (6, 16));
    assert_eq!((counts.retries, counts.unpaid_retries), (4, 16));
}

#[test]
fn a_hedge_takes_a_whole_token_even_where_half_is_less() {
    let mut book = Book::new(PLAIN.min_tokens(1));
    assert!(book.hedge());
    book.deposit(6);
    assert!(!book.hedge());
    book.deposit(4);
    assert!(book.hedge());
}

#[test]
fn the_cap_follows_the_successes_of_late() {
    let mut book = Book::new(Budget::new().persistence(1.0));
    assert_eq!(book.cap(), 5.0);
    book.pass(SECOND);
    book.deposit(2000);
    assert_eq!((book.cap(), book.tokens()), (20.0, 20.0), "what 2000 a second pay in within 0.1 s");
    book.pass(SECOND);
    book.deposit(700);
    assert_eq!((book.cap(), book.tokens()), (7.0, 7.0), "what is above the new cap is lost");
    book.pass(SECOND);
    book.deposit(10);
    assert_eq!((book.cap(), book.tokens()), (5.0, 5.0), "never below the least");
    book.pass(10 * SECOND);
    book.deposit(10_000);
    assert_eq!(book.cap(), 10.0, "the mean of the time in which nobody asked");
}

#[test]
fn hours_of_health_pay_for_no_storm() {
    let mut book = Book::new(Budget::new().persistence(1.0));
    book.pass(3600 * SECOND);
    book.deposit(3_600_000);
    assert_eq!((0..100_000).filter(|_| book.retry()).count(), 10);
}

#[test]
fn failures_in_a_row_are_ever_less_likely_to_be_retried() {
    // Each run asks up to the fifth failure in a row, with tokens enough.
    const RUNS: u32 = 20_000;
    let mut book = Book::new(Budget::new().persistence(0.5).ratio(1.0).min_tokens(1000));
    let mut retried = [0_u32; 5];
    for _ in 0..RUNS {
        book.deposit(5);
        for retried in &mut retried {
            *retried += u32::from(book.retry());
        }
    }
    for (k, retried) in retried.into_iter().enumerate() {
        let odds = 0.5_f64.powi(i32::try_from(k).unwrap());
        let share = f64::from(retried) / f64::from(RUNS);
        // Four standard deviations of a binomial share; none at all for the first.
        let margin = 4.0 * (odds * (1.0 - odds) / f64::from(RUNS)).sqrt();
        assert!((share - odds).abs() <= margin, "failure {}: {share}", k + 1);
    }
    let counts = book.ledger.counts();
    assert_eq!(counts.given_up + counts.retries, u64::from(RUNS) * 5);
    assert_eq!(counts.unpaid_retries, 0);
}

#[test]
fn a_retry_that_is_given_up_costs_nothing() {
    let mut book = Book::new(Budget::new().persistence(0.0).cap(Duration::ZERO));
    assert!(book.retry());
    assert!((0..100).all(|_| !book.retry()));
    assert_eq!(book.tokens(), 4.0);
    book.deposit(1);
    assert!(book.retry(), "a success ends the row");
}

#[test]
fn failures_that_are_not_to_be_retried_lengthen_the_row() {
    let mut book = Book::new(Budget::new().persistence(0.0).cap(Duration::ZERO));
    book.settled().fail();
    assert!(!book.retry());
    assert_eq!((book.ledger.streak(), book.tokens()), (2, 5.0));
}

#[test]
fn an_endless_row_is_no_harm() {
    let mut book = Book::new(Budget::new());
    book.ledger.streak = u32::MAX - 1;
    assert!(!book.retry());
    assert!(!book.retry());
    assert_eq!(book.ledger.streak(), u32::MAX);
}

#[test]
fn a_token_comes_back_up_to_the_cap() {
    let mut book = Book::new(PLAIN);
    assert!(book.retry());
    book.settled().give_back();
    assert_eq!(book.tokens(), 5.0);
    assert!(book.retry());
    book.deposit(100);
    book.settled().give_back();
    assert_eq!(book.tokens(), 5.0, "it was earned anew meanwhile");
    assert_eq!(book.ledger.counts().returned, 2);
}

#[test]
fn new_settings_keep_the_tokens() {
    let mut book = Book::new(PLAIN);
    assert!(book.retry());
    let now = book.now;
    book.deposit(5);
    book.settled().update(PLAIN.min_tokens(100).ratio(1.0), now);
    assert_eq!((book.tokens(), book.cap()), (4.5, 100.0), "what was earned before has the old price");
    book.deposit(3);
    assert_eq!(book.tokens(), 7.5);
    book.settled().update(PLAIN.min_tokens(2), now);
    assert_eq!(book.tokens(), 2.0);
}

/// The scripted server of grpc-go's `TestRetryThrottling`, with at most four attempts a call.
#[test]
fn charged_failures_walk_as_grpc_does() {
    let mut book = Book::new(PLAIN.min_tokens(10).ratio(0.5).charge_failures(true));
    let mut served = 0;
    let mut call = || {
        for attempt in 1..=4 {
            let good = [0, 3, 6, 10, 11, 12, 13, 14, 16, 18].contains(&served);
            served += 1;
            if good {
                book.deposit(1);
                return ('S', attempt);
            }
            if attempt == 4 {
                book.settled().fail();
            } else if book.retry() {
                continue;
            }
            return ('F', attempt);
        }
        unreachable!("the fourth attempt returns")
    };
    let calls = [(); 12].map(|()| call());
    let expected = [('S', 1), ('S', 3), ('S', 3), ('F', 2), ('F', 1), ('S', 1), ('S', 1), ('S', 1), ('S', 1)];
    assert_eq!(calls[..9], expected);
    assert_eq!(calls[9..], [('S', 1), ('S', 2), ('F', 1)]);
}
