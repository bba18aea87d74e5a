//! Rows O28, O33 to O35 and O39: when several fail, or one in full operation.

use crate::host::{BAD, Does, Host, OK};
use crate::town::{Town, play};
use crate::{MS, SECOND, calm, told};
use bartizan_balance::{Balance, Change, Choice, Health, Member};
use conformance::Events;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

fn heard(town: &Town, keys: &str, health: Health) {
    for key in keys.chars() {
        town.handle.change(Change::Health(key, health));
    }
}

/// Who gets calls.
async fn serving(town: &mut Town) -> String {
    town.calls(500).await.keys().collect()
}

#[tokio::test(start_paused = true)]
async fn o28_panic_mode() {
    let all = "abcdefghij";
    play(calm().panic_threshold(0.5), all, async |town| {
        let events = Events::record();
        heard(town, "abcde", Health::Down);
        assert_eq!((town.snapshot().panic, serving(town).await.as_str()), (false, "fghij"));
        heard(town, "f", Health::Down);
        assert_eq!((town.snapshot().panic, town.snapshot().usable), (true, 4));
        assert_eq!(serving(town).await, all);
        heard(town, "a", Health::Up);
        assert_eq!((town.snapshot().panic, serving(town).await.as_str()), (false, "aghij"));
        let panics: Vec<_> = told(events).into_iter().filter(|event| event.contains("endpoints")).collect();
        assert_eq!(
            panics,
            ["too few endpoints are usable, all are used", "enough endpoints are usable again"]
        );
    })
    .await;
}

fn tiers(town: &Town, tiers: &[&str]) {
    let members = tiers
        .iter()
        .zip(0..)
        .flat_map(|(keys, tier)| keys.chars().map(move |key| Member::new(key).tier(tier)));
    town.handle.change(Change::set(members));
}

#[tokio::test(start_paused = true)]
async fn o33_failover_tiers() {
    play(calm(), "abcd", async |town| {
        tiers(town, &["ab", "cd"]);
        assert_eq!(serving(town).await, "ab");
        heard(town, "a", Health::Down);
        assert_eq!(serving(town).await, "b");
        heard(town, "b", Health::Down);
        assert_eq!(serving(town).await, "cd");
        heard(town, "a", Health::Up);
        assert_eq!(serving(town).await, "a");
        // Neither is there a panic while a tier is well.
        town.handle.update(calm().panic_threshold(0.5));
        heard(town, "a", Health::Down);
        assert_eq!((serving(town).await.as_str(), town.snapshot().panic), ("cd", false));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o34_gentle_failover() {
    play(calm().gentle_failover(1.4), "abcdef", async |town| {
        tiers(town, &["abc", "def"]);
        assert_eq!(serving(town).await, "abc");
        heard(town, "ab", Health::Down);
        let calls = town.calls(3_000).await;
        assert_eq!(calls.keys().collect::<String>(), "cdef");
        let share = calls[&'c'] as f64 / 3_000.0;
        assert!((0.43..0.50).contains(&share), "1.4 times the third that is left: {calls:?}");
        heard(town, "ab", Health::Up);
        assert_eq!(serving(town).await, "abc");
    })
    .await;
}

fn shares(before: &BTreeMap<char, u64>, after: &BTreeMap<char, u64>) -> BTreeMap<char, u64> {
    after.iter().map(|(key, n)| (*key, n - before[key])).collect()
}

#[tokio::test(start_paused = true)]
async fn o35_everything_restarts() {
    for choice in [Choice::latency(), Choice::p2c(), Choice::round_robin()] {
        let value = Balance::new().choice(choice).seed(1);
        play(value, "abcde", async |town| {
            for key in "abcde".chars() {
                town.host(key).lasts(10 * MS);
            }
            let start = town.count(Host::calls);
            town.load(1_000, 10 * MS).await;
            let heard = town.settle().await;
            assert_eq!(heard.values().sum::<u64>(), 1_000);
            let before = shares(&start, &town.count(Host::calls));

            for key in "abcde".chars() {
                town.host(key).does(Does::Lost);
                town.host(key).lasts(Duration::ZERO);
            }
            for _ in 0..500 {
                let said = town.hold().err().expect("it fails at once");
                assert!(said.starts_with("lost in "), "{said}");
                sleep(10 * MS).await;
            }

            for key in "abcde".chars() {
                town.host(key).does(OK);
                town.host(key).lasts(10 * MS);
            }
            // None fails from now on, and as what is held against each of them fades, all have their share again.
            let start = town.count(Host::calls);
            town.load(1_000, 10 * MS).await;
            sleep(60 * SECOND).await;
            let rested = town.count(Host::calls);
            assert_eq!(shares(&start, &rested).values().sum::<u64>(), 1_000);
            town.load(1_000, 10 * MS).await;
            let heard = town.settle().await;
            assert!(heard.keys().all(|said| said.starts_with("200 from ")), "{heard:?}");
            let after = shares(&rested, &town.count(Host::calls));
            for (key, n) in &after {
                assert!(n.abs_diff(before[key]) <= 40, "{choice:?}: {before:?}, and then {after:?}");
            }
        })
        .await;
    }
    // Where heartbeats have found them all down, it is refused at once.
    play(calm(), "abcde", async |town| {
        heard(town, "abcde", Health::Down);
        assert_eq!(town.hold().err().unwrap(), "refused by balance: no endpoint is usable");
        heard(town, "abcde", Health::Up);
        let calls = town.calls(1_000).await;
        assert!(calls.len() == 5 && calls.values().all(|n| (150..250).contains(n)), "{calls:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o39_end_to_end() {
    play(Balance::new().seed(1), "abcde", async |town| {
        for key in "abcde".chars() {
            town.host(key).lasts(10 * MS);
        }
        // Calls to the one of them, second by second.
        let mut seconds = Vec::new();
        for second in 0..150 {
            match second {
                10 => town.host('c').does(BAD),
                60 => town.host('c').does(OK),
                _ => {}
            }
            let start = town.count(Host::calls);
            town.load(100, 10 * MS).await;
            seconds.push(shares(&start, &town.count(Host::calls))[&'c']);
        }
        let sum = |from: usize, to: usize| seconds[from..to].iter().sum::<u64>();
        assert!((180..=220).contains(&sum(0, 10)), "{seconds:?}");
        assert!(sum(10, 11) <= 5 && sum(11, 60) <= 5, "{seconds:?}");
        assert!((900..=1_100).contains(&sum(100, 150)), "{seconds:?}");
        let heard = town.settle().await;
        let failed = heard.get("500 from c").copied().unwrap_or_default();
        assert!(failed <= 10, "of 5000 calls meanwhile: {heard:?}");
    })
    .await;
}
