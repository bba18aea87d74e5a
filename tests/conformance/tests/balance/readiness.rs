//! Rows O07, O08, O11, O38 and O42: who can take a call, and what it takes.

use crate::host::{Does, Door, Host, Hosts, Visit};
use crate::town::play;
use crate::{MS, SECOND, calm, told};
use bartizan_balance::{BalanceService, Choice};
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_core::{Refused, find_cause, registry};
use bartizan_hedge::{Budget, Hedge, HedgeLayer};
use conformance::Events;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::time::{sleep, timeout};
use tower::{BoxError, Layer, Service, ServiceExt};

#[tokio::test(start_paused = true)]
async fn o07_unready_is_skipped() {
    for choice in [Choice::latency(), Choice::round_robin(), Choice::random(), Choice::p2c()] {
        play(calm().choice(choice), "abc", async |town| {
            town.host('b').door(Door::Shut);
            town.calls(300).await;
            let picks = town.count(Host::picks);
            assert!(picks[&'a'] > 50 && picks[&'b'] == 0 && picks[&'c'] > 50, "{choice:?}: {picks:?}");
            assert_eq!(town.endpoint('b').in_flight, 0);
            assert!(town.snapshot().moved > 0);
            town.host('b').door(Door::Open);
            town.calls(300).await;
            assert!(town.host('b').picks() > 50, "it rejoins once it is ready");
        })
        .await;
    }
    // Where nobody is ready a call waits, and goes to who is first.
    play(calm(), "ab", async |town| {
        for key in ['a', 'b'] {
            town.host(key).door(Door::Shut);
        }
        let waiting = town.hold().unwrap();
        let opens = town.host('b');
        tokio::spawn(async move {
            sleep(SECOND).await;
            opens.door(Door::Open);
        });
        assert_eq!(timeout(2 * SECOND, waiting).await.unwrap(), "200 from b");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o08_one_bad_apple() {
    play(calm(), "abc", async |town| {
        let events = Events::record();
        town.host('b').door(Door::Broken);
        let calls = town.calls(300).await;
        assert_eq!(calls.keys().collect::<String>(), "ac", "and no error is shown");
        assert_eq!(told(events), ["endpoint's service is broken b"]);
        let broken: Vec<_> = town.snapshot().endpoints.into_iter().filter(|one| one.broken).collect();
        assert_eq!((broken.len(), broken[0].key, town.out().as_str()), (1, 'b', ""));
        // A service of its own is made when it has been left alone, and the others' stay.
        town.host('b').door(Door::Open);
        sleep(SECOND).await;
        assert!(town.calls(300).await[&'b'] > 50);
        assert_eq!(town.count(Host::made), BTreeMap::from([('a', 1), ('b', 2), ('c', 1)]));
    })
    .await;
    // Where there is nobody else, it is shown.
    play(calm(), "a", async |town| {
        town.host('a').door(Door::Broken);
        let said = town.call().await;
        assert!(
            ["a is broken", "refused by balance: no endpoint is usable"].contains(&said.as_str()),
            "{said}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o11_pending_load_falls() {
    play(calm(), "ab", async |town| {
        let in_flight =
            |town: &crate::town::Town| town.snapshot().endpoints.iter().map(|one| one.in_flight).sum::<u32>();
        for key in ['a', 'b'] {
            town.host(key).does(Does::Hangs);
        }
        let mut held: Vec<_> = (0..10).map(|_| town.hold().unwrap()).collect();
        assert_eq!(in_flight(town), 10);
        held.truncate(4);
        assert_eq!(in_flight(town), 4);
        // One that nobody has polled is in flight as well.
        let unpolled = town.start();
        assert_eq!(in_flight(town), 5);
        drop((held, unpolled));
        assert_eq!(in_flight(town), 0);
        // Who panics has ended too.
        for key in ['a', 'b'] {
            town.host(key).does(Does::Panics);
        }
        let going = town.start();
        assert!(tokio::spawn(going).await.unwrap_err().is_panic());
        assert_eq!(in_flight(town), 0);
    })
    .await;
}

/// The copy that is late is dropped with the first answer.
#[tokio::test(start_paused = true)]
async fn o11_pending_load_falls_under_a_hedge() {
    let hosts = Hosts::default();
    let made = hosts.clone();
    let balance = BalanceService::new(calm(), move |key: &char| made.guest(*key)).typed().members(['a', 'b']);
    let handle = balance.handle();
    let hedge = Hedge::new().delay(100 * MS).max_hedges(1).budget(Budget::new().min_tokens(10));
    let mut service = HedgeLayer::new(hedge).typed(|visit: &Visit| Some(*visit)).layer(balance);
    for (first, second) in [('a', 'b'), ('b', 'a')] {
        hosts.host(first).lasts(SECOND);
        hosts.host(second).lasts(500 * MS);
        let said: Result<String, BoxError> = service.ready().await.unwrap().call(Visit::default()).await;
        said.unwrap();
        let in_flight: Vec<u32> = handle.snapshot().endpoints.iter().map(|one| one.in_flight).collect();
        assert_eq!((in_flight, hosts.host('a').running() + hosts.host('b').running()), (vec![0, 0], 0));
    }
    assert_eq!(hosts.host('a').calls() + hosts.host('b').calls(), 4, "both times there were two");
}

#[tokio::test(start_paused = true)]
async fn o38_cap_on_outstanding() {
    play(calm().max_in_flight(500), "abc", async |town| {
        for key in ['a', 'b', 'c'] {
            town.host(key).does(Does::Hangs);
        }
        let mut held = Vec::new();
        for (most, least) in [(500, 400), (800, 700)] {
            town.handle.update(calm().max_in_flight(most));
            let (before, mut refused) = (town.snapshot().refused, 0);
            for n in 0..1_000 {
                // At 100 a second, and some of them end.
                match town.hold() {
                    Ok(going) => held.push(going),
                    Err(said) => {
                        assert_eq!(said, "refused by balance: too many calls in flight");
                        refused += 1;
                    }
                }
                assert!(held.len() <= most);
                assert!(n < 600 || held.len() >= least, "steady: {}", held.len());
                if n % 100 == 99 {
                    held.drain(..10);
                }
                sleep(10 * MS).await;
            }
            assert!(refused > 0);
            assert_eq!(town.snapshot().refused - before, refused * town.mode.calls());
            let in_flight: u32 = town.snapshot().endpoints.iter().map(|one| one.in_flight).sum();
            assert_eq!(in_flight as usize, held.len());
        }
    })
    .await;
}

/// The state of a balancer as the registry shows it.
fn state(name: &str) -> &'static str {
    registry::handles().iter().find(|one| (one.layer(), one.name()) == ("balance", name)).unwrap().state()
}

/// One endpoint is well, one is busy, and the breaker of a third is open.
#[tokio::test(start_paused = true)]
async fn o42_status_of_the_whole() {
    let (hosts, breakers) = (Hosts::default(), Arc::new(Mutex::new(BTreeMap::new())));
    let (made, kept) = (hosts.clone(), breakers.clone());
    let balance = BalanceService::new(calm(), move |key: &char| {
        let breaker = BreakerLayer::new(Breaker::new()).typed();
        kept.lock().unwrap().insert(*key, breaker.handle());
        breaker.layer(made.guest(*key))
    });
    let balance = balance.typed().named("whole");
    let call = async || -> Result<String, BoxError> { balance.clone().oneshot(Visit::default()).await };
    let handle = balance.handle();
    assert_eq!(state("whole"), "empty");
    handle.change(bartizan_balance::Change::set(['a', 'b', 'c']));
    assert_eq!(state("whole"), "ready");

    breakers.lock().unwrap()[&'a'].force_open();
    hosts.host('b').door(Door::Shut);
    for _ in 0..100 {
        assert_eq!(call().await.unwrap(), "200 from c");
    }
    assert_eq!(state("whole"), "ready");
    // One that is busy is better than one that is open: the call waits.
    breakers.lock().unwrap()[&'c'].force_open();
    let mut waiting = Box::pin(call());
    assert!(timeout(SECOND, &mut waiting).await.is_err());
    hosts.host('b').door(Door::Open);
    assert_eq!(waiting.await.unwrap(), "200 from b");
    // And where all are open, that is said.
    breakers.lock().unwrap()[&'b'].force_open();
    let error = call().await.unwrap_err();
    assert_eq!(find_cause::<Refused>(&*error).unwrap().layer(), "breaker");
    breakers.lock().unwrap()[&'a'].reset();
    assert_eq!(call().await.unwrap(), "200 from a");

    for key in ['a', 'b', 'c'] {
        handle.eject(&key, SECOND);
    }
    assert_eq!(state("whole"), "empty", "nobody is usable");
    let error = call().await.unwrap_err();
    assert_eq!(find_cause::<Refused>(&*error).unwrap().reason(), "no endpoint is usable");
    sleep(SECOND).await;
    assert_eq!(call().await.unwrap(), "200 from a");
    assert_eq!(state("whole"), "ready");
}
