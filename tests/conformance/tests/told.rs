//! Each change of what sends calls is one event, by whomever it is made.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, BalanceService, Change, Ejection, Health};
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Purse, Refused};
use bartizan_fallback::{Fallback, FallbackLayer, Stale, StaleLayer};
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_retry::{Backoff, Budget, Retry, RetryLayer};
use conformance::Events;
use std::sync::Arc;
use std::time::Duration;
use tower::{Layer, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn observed(layer: &str, name: &str) -> Arc<dyn Observed> {
    let known = registry::handles().into_iter().find(|of| of.layer() == layer && of.name() == name);
    known.expect("it has this name")
}

/// What was told since it was last asked.
fn heard(events: Events) -> Vec<String> {
    events.take().into_iter().map(|event| event.message).collect()
}

/// A layer that is switched off and on, and gets new settings, tells of each once; of what changes nothing it tells nothing.
#[test]
fn switches_and_settings() {
    let budget = Purse::new(Budget::new());
    let (retry, hedge) = (RetryLayer::new(Retry::new()).purse(budget), HedgeLayer::new(Hedge::new()));
    let (fallback, stale) = (FallbackLayer::new(Fallback::new()), StaleLayer::new(Stale::new()));
    let _balance = BalanceService::new(Balance::new(), |_: &u8| ()).named("switched");
    let _living = (retry.named("switched"), hedge.named("switched"));
    let _living_too = (fallback.named("switched"), stale.named("switched"));
    let events = Events::record();
    for (layer, setting) in [
        ("retry", "max_retries"),
        ("hedge", "max_hedges"),
        ("fallback", "max_in_flight"),
        ("stale", "max_entries"),
        ("balance", "slow_start_seconds"),
    ] {
        let shown = observed(layer, "switched");
        shown.act("disable").unwrap();
        assert_eq!(heard(events), ["switched by its handle"], "{layer}");
        shown.act("disable").unwrap();
        assert_eq!(heard(events), [""; 0], "{layer} is as it was");
        shown.act("enable").unwrap();
        assert_eq!(heard(events), ["switched by its handle"], "{layer}");
        shown.set(setting, 3.0).unwrap();
        assert_eq!(heard(events), [format!("{layer} has new settings")]);
        shown.set(setting, 3.0).unwrap();
        shown.set(setting, -3.0).unwrap_err();
        assert_eq!(heard(events), [""; 0], "{layer} is as it was");
    }
    observed("retry", "switched").set("budget_ratio", 0.5).unwrap();
    assert_eq!(heard(events), ["budget has new settings"]);
    observed("stale", "switched").act("purge").unwrap();
    assert_eq!(heard(events), ["forgot all answers, by its handle"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_purse_and_its_end() {
    let budget = Budget::new().persistence(1.0).min_tokens(1).ratio(1.0);
    let value = Retry::new().max_retries(1).backoff(Backoff::constant(SECOND)).budget(budget);
    let layer = RetryLayer::new(value).named("poor").typed(|req: &bool| Some(*req));
    let fails =
        service_fn(
            |good: bool| async move { if good { Ok(()) } else { Err(std::io::Error::other("down")) } },
        );
    let events = Events::record();
    for (good, ought) in [
        (false, &["tries again"][..]),
        (false, &["the purse pays for no retry"]),
        (false, &[]),
        (true, &[]),
        (false, &["the purse pays for retries again", "tries again"]),
    ] {
        let _how = layer.layer(fails).oneshot(good).await;
        assert_eq!(heard(events), ought);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_learnt_once() {
    let layer = HedgeLayer::new(Hedge::new().warm_up(3)).named("warm").typed(|req: &u8| Some(*req));
    let slow = service_fn(|_: u8| async {
        tokio::time::sleep(SECOND).await;
        Ok::<_, std::io::Error>(())
    });
    let events = Events::record();
    for ought in [&[][..], &[], &["knows how long calls take"], &[]] {
        layer.layer(slow).oneshot(7).await.unwrap();
        assert_eq!(heard(events), ought);
    }
}

#[derive(Debug)]
struct Down;

impl From<Refused> for Down {
    fn from(_: Refused) -> Self {
        Self
    }
}

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_endpoints_and_what_does_not() {
    let ejection = Ejection::new().consecutive(2).max_ejected(0.0);
    let set = BalanceService::new(Balance::new().ejection(ejection).panic_threshold(0.0), |_: &u8| {
        service_fn(|_: ()| async { Err::<(), _>(Down) })
    })
    .typed();
    let (handle, events) = (set.handle(), Events::record());
    handle.change(Change::set([1_u8, 2]));
    assert_eq!(heard(events), ["endpoint joined", "endpoint joined", "somebody can be called"]);
    for _ in 0..20 {
        let _down = set.clone().oneshot(()).await;
    }
    assert_eq!(heard(events), ["endpoint not ejected"], "however often");
    // An interval with calls of which none is withheld, or without any.
    for _ in 0..3 {
        tokio::time::advance(60 * SECOND).await;
        let _ticks = handle.snapshot();
    }
    assert_eq!(heard(events), ["ejections are withheld no longer"]);

    handle.drain(&1);
    handle.drain(&1);
    assert_eq!(heard(events), ["endpoint drains"]);
    handle.undrain(&1);
    handle.undrain(&1);
    assert_eq!(heard(events), ["endpoint drains no longer"]);
    handle.eject(&1, SECOND);
    assert_eq!(heard(events), ["endpoint ejected"]);
    handle.pardon(&1);
    assert_eq!(heard(events), ["endpoint back"]);
    handle.change(Change::Health(1, Health::Down));
    assert_eq!(heard(events), ["endpoint heard"]);
    handle.change(Change::Health(2, Health::Down));
    assert_eq!(heard(events), ["endpoint heard", "nobody can be called"]);
    handle.change(Change::Health(1, Health::Up));
    assert_eq!(heard(events), ["endpoint heard", "somebody can be called"]);
}
