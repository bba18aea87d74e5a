use super::*;
use crate::pace::Pace;
use crate::shelf::Shelf;
use bartizan_core::Dice;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64 as Clock;
use std::time::Duration;

/// Three tokens, of which one comes back in a hundred nanoseconds.
fn limit() -> Limit {
    Limit::per(1, Duration::from_nanos(100)).burst(3)
}

/// As long as there is room for all of them, every key is served as if it were alone.
#[test]
fn decides_for_each_key_as_for_one() {
    for seed in 0..20 {
        let dice = Dice::new(Some(seed));
        let below = |n: u64| (dice.unit() * n as f64) as u64;
        let table = Table::new(limit(), None, 4000);
        let mut alone: HashMap<u64, u64> = HashMap::new();
        let mut now = 0;
        for _ in 0..20_000 {
            // Now and then beyond the time at which a shard is swept.
            now += if below(500) == 0 { ROUND / 2 } else { below(60) };
            let (key, cost) = (1 + below(2000), 1 + below(4) as u32);
            let number = table.number(&key);
            let full = alone.entry(key).or_insert(0);
            let ought = table.locked(0).pace.take(*full, cost, now);
            *full = ought.unwrap_or(*full);
            assert_eq!(table.peek(number, cost, now), ought.map(|_| ()));
            assert_eq!(table.take(number, cost, now), ought.map(|full| full - now));
            assert_eq!(table.wait(number, 7, now), table.locked(0).pace.wait(*full, 7, now));
        }
        for index in 0..table.shards.len() {
            table.left(table.locked(index).sweep(now + 300));
        }
        assert_eq!(table.keys(), 0);
    }
}

/// Whatever number of keys there are, none is let through more than its burst and its rate.
#[test]
fn a_table_that_overflows_forgives_nobody() {
    for seed in 0..20 {
        let dice = Dice::new(Some(seed));
        let below = |n: u64| (dice.unit() * n as f64) as u64;
        let table = Table::new(limit(), None, 20);
        let mut alone: HashMap<u64, u64> = HashMap::new();
        let (mut now, mut strict) = (0, 0);
        for _ in 0..20_000 {
            now += below(8);
            let key = if below(2) == 0 { below(10) } else { below(1000) };
            let full = alone.entry(key).or_insert(0);
            let ought = table.locked(0).pace.take(*full, 1, now);
            match table.take(table.number(&key), 1, now) {
                Ok(_) => *full = ought.expect("who would be refused alone is not let through"),
                Err(_) => strict += u32::from(ought.is_ok()),
            }
            assert!(table.keys() <= 20);
        }
        assert!(strict > 0 && table.overflowed() > 0, "it did overflow");
    }
}

/// So do threads that ask for the same keys, while these leave and come.
#[test]
fn threads_are_let_through_no_more_than_one_would_be() {
    let table = Table::new(limit(), None, 8);
    let clock = Clock::new(0);
    let through: [Clock; 12] = Default::default();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (table, clock, through) = (&table, &clock, &through);
            scope.spawn(move || {
                let dice = Dice::new(Some(seed));
                for _ in 0..20_000 {
                    let key = (dice.unit() * 12.0) as usize;
                    let now = clock.fetch_add((dice.unit() * 4.0) as u64, Ordering::Relaxed);
                    if table.take(table.number(&key), 1, now).is_ok() {
                        through[key].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let most = 3 + clock.into_inner() / 100;
    let through = through.map(Clock::into_inner);
    // They asked for five times as much.
    assert!(through.iter().all(|count| *count <= most), "{through:?}, each at most {most}");
    assert!(through.iter().sum::<u64>() >= most, "{through:?}, one alone {most}");
}

#[test]
fn the_pace_of_a_shard_is_that_of_the_limit() {
    let table = Table::new(limit(), None, 5000);
    assert_eq!(table.shards.len(), 4);
    let ten = Limit::per_second(10);
    table.change(|_| Ok(ten)).unwrap();
    let paces: Vec<Pace> = (0..4).map(|index| table.locked(index).pace).collect();
    assert_eq!(paces, [ten.pace(); 4]);
}

/// Of a flood of strangers each is served, as long as the cap holds those of them whose buckets are not full yet.
#[test]
fn newcomers_find_the_room_that_there_is() {
    let table = Table::new(limit(), None, 100);
    // A bucket is full again after 100 ns, so that 98 or 99 of them are not.
    for stranger in 0..20_000_u64 {
        assert!(table.take(table.number(&stranger), 1, stranger * 51 / 50).is_ok(), "{stranger}");
    }
    assert_eq!(table.overflowed(), 0);
    assert!(table.keys() <= 100);
}
