//! What the script decides, on a real server.

use crate::server::{say, store};
use bartizan_limit::{Ask, RedisStore, Store, Told, Verb};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const PLENTY: Duration = Duration::from_secs(60);

/// Five tokens, of which one comes back in an hour: while a test runs, none.
const FIVE: Ask<'_> = Ask { name: "five", bucket: 7, interval: HOUR, burst: 5, cost: 1, verb: Verb::Take };

async fn ask(store: &RedisStore, ask: Ask<'_>) -> Told {
    tokio::time::timeout(PLENTY, store.ask(ask)).await.unwrap().unwrap()
}

/// What was said, in whole hours: a wait is rounded up, and a moment has passed since the bucket was full.
async fn hours(store: &RedisStore, what: Ask<'_>) -> (u64, u64) {
    let told = ask(store, what).await;
    let hours = |time: Duration| (time + PLENTY).as_secs() / HOUR.as_secs();
    assert!(told.wait.is_zero() || told.wait <= HOUR * hours(told.wait) as u32, "{told:?}");
    assert!(told.debt <= HOUR * hours(told.debt) as u32, "{told:?}");
    (hours(told.wait), hours(told.debt))
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn a_full_bucket_gives_what_it_holds_and_then_says_how_long() {
    let (store, _) = store();
    for n in 1..=5 {
        assert_eq!(hours(&store, FIVE).await, (0, n));
    }
    for _ in 0..3 {
        assert_eq!(hours(&store, FIVE).await, (1, 5), "a refusal costs nothing");
    }
    assert_eq!(hours(&store, Ask { cost: 3, ..FIVE }).await, (3, 5));
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn all_tokens_are_taken_or_none() {
    let (store, _) = store();
    assert_eq!(hours(&store, Ask { cost: 3, ..FIVE }).await, (0, 3));
    assert_eq!(hours(&store, Ask { cost: 3, ..FIVE }).await, (1, 3));
    assert_eq!(hours(&store, Ask { cost: 2, ..FIVE }).await, (0, 5));
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn a_charge_takes_what_is_there_and_a_peek_nothing() {
    let (store, prefix) = store();
    let (charge, peek) = (Ask { verb: Verb::Charge, ..FIVE }, Ask { verb: Verb::Peek, ..FIVE });
    assert_eq!(hours(&store, peek).await, (0, 0));
    assert_eq!(say(&["KEYS", &format!("{prefix}*")]).await, "", "who only looks leaves nothing");
    assert_eq!(hours(&store, Ask { cost: 3, ..charge }).await, (0, 3));
    assert_eq!(hours(&store, peek).await, (0, 3));
    assert_eq!(hours(&store, Ask { cost: 3, ..peek }).await, (1, 3));
    assert_eq!(hours(&store, Ask { cost: 3, ..charge }).await, (1, 5));
    assert_eq!(hours(&store, charge).await, (1, 5));
    assert_eq!(hours(&store, peek).await, (1, 5));
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn buckets_and_limits_are_apart_and_stores_are_not() {
    let (store, prefix) = store();
    let other = RedisStore::open(&crate::server::url()).unwrap().prefix(prefix.as_str());
    assert_eq!(hours(&store, FIVE).await, (0, 1));
    assert_eq!(hours(&other, FIVE).await, (0, 2));
    assert_eq!(hours(&store, Ask { bucket: 8, ..FIVE }).await, (0, 1));
    assert_eq!(hours(&store, Ask { name: "another", ..FIVE }).await, (0, 1));
    assert_eq!(hours(&store.prefix(format!("{prefix}more:")), FIVE).await, (0, 1));
    let names = say(&["KEYS", &format!("{prefix}five:*")]).await;
    assert!(names.contains(&format!("{prefix}five:00000000000000000000000000000007")), "{names}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "it asks the server of REDIS_URL"]
async fn of_many_who_ask_at_once_just_so_many_are_given() {
    let (store, prefix) = store();
    let ten = Ask { burst: 10, ..FIVE };
    let stores: Vec<_> = (0..4)
        .map(|_| RedisStore::open(&crate::server::url()).unwrap().prefix(prefix.as_str()))
        .chain([store])
        .collect();
    let asked: Vec<_> = (0..100)
        .map(|n| {
            let store = stores[n % stores.len()].clone();
            tokio::spawn(async move { ask(&store, ten).await.wait.is_zero() })
        })
        .collect();
    let mut given = 0;
    for asked in asked {
        given += usize::from(asked.await.unwrap());
    }
    assert_eq!(given, 10);
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn tokens_come_back_and_who_is_idle_leaves() {
    let (store, prefix) = store();
    let quick = Ask { interval: Duration::from_millis(20), burst: 2, ..FIVE };
    for _ in 0..20 {
        // Waiting as long as told is enough: as the server counts, and here as much goes by.
        let told = ask(&store, quick).await;
        tokio::time::sleep(told.wait).await;
        if !told.wait.is_zero() {
            assert_eq!(ask(&store, Ask { verb: Verb::Peek, ..quick }).await.wait, Duration::ZERO);
        }
    }
    let leaves = async {
        while !say(&["KEYS", &format!("{prefix}*")]).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PLENTY, leaves).await.unwrap();
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn the_rate_is_exact_to_the_nanosecond() {
    let (store, prefix) = store();
    let odd = Ask { interval: HOUR + Duration::from_nanos(1_400), burst: 10, ..FIVE };
    let bucket = format!("{prefix}five:{:032x}", odd.bucket);
    let mut begun = None;
    for n in 1..=10 {
        ask(&store, odd).await;
        let state = say(&["GET", &bucket]).await;
        let (micros, nanos) = state.split_once(' ').unwrap().0.split_once('.').unwrap();
        let full = micros.parse::<u128>().unwrap() * 1000 + nanos.parse::<u128>().unwrap();
        let first = *begun.get_or_insert(full - odd.interval.as_nanos());
        assert_eq!(full, first + n * odd.interval.as_nanos(), "{state}");
    }
    assert!(!ask(&store, odd).await.wait.is_zero());
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn no_bucket_is_emptier_than_empty() {
    let (store, prefix) = store();
    let bucket = format!("{prefix}five:{:032x}", FIVE.bucket);
    let pace = format!("{}:{}", HOUR.as_nanos(), 5 * HOUR.as_nanos());
    for (state, expected) in [
        // As after the server's clock was set back.
        (format!("9000000000000000.999 {pace}"), (1, 5)),
        // What nobody understands is taken for full.
        (format!("9000000000000000.999 {pace}:"), (0, 1)),
        (String::from("nonsense"), (0, 1)),
        (String::new(), (0, 1)),
        (format!("1.0 {pace}"), (0, 1)),
    ] {
        say(&["SET", &bucket, &state, "PX", "60000"]).await;
        assert_eq!(hours(&store, FIVE).await, expected, "{state}");
    }
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn a_change_of_the_limit_gives_no_token_away_and_takes_none() {
    let (store, _) = store();
    let quicker = Ask { interval: HOUR / 2, burst: 10, ..FIVE };
    let left = async |ask: Ask<'static>| {
        let peek = Ask { verb: Verb::Peek, ..ask };
        let mut left = 0;
        for cost in 1..=ask.burst {
            if self::ask(&store, Ask { cost, ..peek }).await.wait.is_zero() {
                left = cost;
            }
        }
        left
    };
    // Three of the five are left, and so they are at another pace and with more room.
    assert_eq!(hours(&store, Ask { cost: 2, ..FIVE }).await, (0, 2));
    assert_eq!((left(FIVE).await, left(quicker).await), (3, 3));
    assert_eq!(hours(&store, quicker).await, (0, 4), "eight of ten are missing");
    assert_eq!((left(FIVE).await, left(quicker).await), (2, 2));
    // Where there is less room, what does not fit is lost.
    assert_eq!(left(Ask { burst: 1, ..FIVE }).await, 1);
    assert_eq!(hours(&store, Ask { burst: 1, ..FIVE }).await, (0, 1));
    assert_eq!((left(FIVE).await, left(quicker).await), (0, 0));
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn the_longest_times_do_no_harm() {
    let (store, _) = store();
    let ages = Ask { interval: Duration::MAX, burst: u32::MAX, cost: u32::MAX, ..FIVE };
    assert_eq!(ask(&store, ages).await.wait, Duration::ZERO);
    let wait = ask(&store, ages).await.wait;
    assert!(wait > Duration::from_secs(99 * 365 * 86_400), "{wait:?}");
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn a_server_that_forgot_the_script_is_told_again() {
    let (store, _) = store();
    assert_eq!(hours(&store, FIVE).await, (0, 1));
    assert_eq!(say(&["SCRIPT", "FLUSH", "SYNC"]).await, "+OK");
    assert_eq!(hours(&store, FIVE).await, (0, 2));
}
