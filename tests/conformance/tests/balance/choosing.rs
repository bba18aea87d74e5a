//! Rows O02 to O06 and O37: who gets a call.

use crate::host::{Does, Host, OK};
use crate::town::{Counts, Going, Town, play, play_http};
use crate::{MS, SECOND, calm};
use bartizan_balance::{Change, Choice, Member, RingHash};
use std::time::Duration;

/// All choices but the ring, which sends equals to the same place.
const EVEN: [Choice; 6] = [
    Choice::latency(),
    Choice::round_robin(),
    Choice::random(),
    Choice::weighted(),
    Choice::least_requests(),
    Choice::p2c(),
];

#[tokio::test(start_paused = true)]
async fn o02_one() {
    for choice in EVEN.into_iter().chain([Choice::RingHash(RingHash::new())]) {
        play(calm().choice(choice), "a", async |town| {
            assert_eq!(town.calls(100).await, Counts::from([('a', 100)]), "{choice:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn o03_better_of_two() {
    for choice in [Choice::p2c(), Choice::latency(), Choice::least_requests()] {
        play(calm().choice(choice), "ab", async |town| {
            for key in ['a', 'b'] {
                town.host(key).lasts(10 * MS);
                town.hit(key, OK).await;
                town.host(key).does(Does::Hangs);
            }
            let mut held = Vec::new();
            for (key, loads) in [('a', 1), ('b', 5)] {
                town.aim(key);
                held.extend((0..loads).map(|_| town.hold().unwrap()));
            }
            town.spread();
            // Four more make them equal, and only then both have a chance.
            for more in 2..=5 {
                held.push(town.hold().unwrap());
                assert_eq!((town.host('a').running(), town.host('b').running()), (more, 5), "{choice:?}");
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn o04_even_spread() {
    let row = async |town: &mut Town| {
        // Those who leave were sent somewhere too, and have their turns.
        let picks = 100_000;
        town.calls(picks / town.mode.calls()).await;
        let picked = town.count(Host::picks);
        assert_eq!(picked.values().sum::<u64>(), picks);
        assert!(picked.values().all(|n| (9_500..=10_500).contains(n)), "{picked:?}");
    };
    play(calm(), "abcdefghij", row).await;
    for choice in EVEN {
        play_http(calm().choice(choice), "abcdefghij", row).await;
    }
}

/// A load is what is in flight: calls a second, times how long they take.
#[tokio::test(start_paused = true)]
async fn o05_slower_gets_less() {
    play(calm().choice(Choice::p2c()), "abcdefghijk", async |town| {
        for key in "abcdefghijk".chars() {
            town.host(key).lasts(if key == 'a' { 20 * MS } else { 10 * MS });
        }
        for _ in 0..2_000 {
            town.load(10, Duration::ZERO).await;
            tokio::time::sleep(MS).await;
        }
        town.settle().await;
        let calls = town.count(Host::calls);
        let others = calls.values().sum::<u64>() - calls[&'a'];
        let load = (calls[&'a'] * 2) as f64 / (others as f64 / 10.0);
        assert!((0.35..0.65).contains(&load), "{load} in {calls:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o06_no_history_one_probe() {
    for choice in [Choice::latency(), Choice::p2c()] {
        play(calm().choice(choice), "abc", async |town| {
            for key in ['a', 'b', 'c'] {
                town.host(key).lasts(MS);
                town.hit(key, OK).await;
            }
            town.spread();
            // It comes into a set that has been at work.
            tokio::time::sleep(SECOND).await;
            town.calls(10).await;
            town.host('d').does(Does::Hangs);
            town.handle.change(Change::Insert(Member::new('d')));
            let mut there = Vec::new();
            for n in 0..1_000 {
                // Ten at a time, so that the others are busier than it is.
                let burst: Vec<Going> = (0..10).map(|_| town.start()).collect();
                for mut going in burst {
                    match tokio::time::timeout(20 * MS, &mut going).await {
                        Ok(said) => assert!(said.starts_with("200 from "), "{said}"),
                        Err(_) => there.push(going),
                    }
                }
                assert!(there.len() <= 1, "{choice:?}: two of the first {n} tens");
            }
            assert_eq!((there.len(), town.host('d').running()), (1, 1));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn o37_weights() {
    play(calm().choice(Choice::weighted()), "ab", async |town| {
        town.weigh(|key| if key == 'a' { 20 } else { 80 });
        let calls = town.calls(10_000).await;
        assert!((1_800..=2_200).contains(&calls[&'a']), "{calls:?}");
        // Weights are shares of whatever their sum is, and zero is none.
        town.weigh(|key| if key == 'a' { 4 } else { 1 });
        let calls = town.calls(10_000).await;
        assert!((7_800..=8_200).contains(&calls[&'a']), "{calls:?}");
        town.weigh(|key| u32::from(key == 'a'));
        assert_eq!(town.calls(1_000).await, Counts::from([('a', 1_000)]));
    })
    .await;
}
