//! Every setting reaches its value.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, Choice, Ejection, Excess, FailureRatio, RingHash, Slowness, SuccessRate};
use bartizan_breaker::{Breaker, Consecutive, Evidence, Mode, Pause, Ratio, Window};
use bartizan_core::Budget;
use bartizan_deadline::Deadline;
use bartizan_fallback::{FallbackOn, Stale};
use bartizan_hedge::Hedge;
use bartizan_limit::Limit;
use bartizan_policy::{Format, Policy, schema};
use bartizan_retry::{Allowance, Backoff, Jitter, Retry, RetryOn};
use bartizan_shed::Shed;
use bartizan_stack::{ClientStack, ServerStack};
use serde_json::Value;
use std::num::NonZeroU32;
use std::time::Duration;

const ALL: &str = include_str!("all.toml");

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn of_a_server() {
    let policy = Policy::parse(Format::Toml, ALL).unwrap();
    let deadline = Deadline::new(ms(2000))
        .head_timeout(ms(1500))
        .idle_timeout(ms(1000))
        .min_remaining(ms(10))
        .margin(ms(20))
        .max_refused_share(0.5)
        .learn(true)
        .trusted(true)
        .stream(true)
        .from_call(true)
        .enabled(false);
    let limit = Limit::per(50, ms(2000)).burst(200).shadow(0.1).seed(1).enabled(false);
    let shed = Shed::new()
        .critical(0.6)
        .normal(0.3)
        .sheddable(0.1)
        .assumed_deadline(ms(200))
        .max_in_flight(800)
        .min_in_flight(4)
        .ceiling(2.0, ms(10_000))
        .count_bodies(false)
        .trusted_edge(true)
        .cpu(0.9)
        .retry_after(ms(2000))
        .seed(2)
        .mode(bartizan_shed::Mode::Shadow);
    let shop = ServerStack::new().deadline(deadline).limit(limit).shed(shed);
    assert_eq!(policy.server("shop").unwrap().handle().stack(), shop);

    let bulkhead = ServerStack::new().deadline(ms(7000)).shed(Shed::fixed(32).enabled(false));
    assert_eq!(policy.server("bulkhead").unwrap().handle().stack(), bulkhead);
}

fn stale() -> Stale {
    Stale::new()
        .if_error(ms(600_000))
        .while_revalidate(ms(5000))
        .fresh(true)
        .coalesce(true)
        .lease(ms(2000))
        .max_waiting(100)
        .max_entries(50)
        .max_bytes(100_000)
        .max_body(5000)
        .refresh_backoff(ms(200), ms(4000))
        .max_refreshes(3)
        .on(FallbackOn::TIMEOUTS.and(FallbackOn::SERVER_ERRORS).and(FallbackOn::code(429)))
        .seed(12)
}

fn retry() -> Retry {
    Retry::new()
        .max_retries(3)
        .backoff(Backoff::exponential(ms(10), ms(200)).factor(3.0).jitter(Jitter::Within(0.2)))
        .throttled_backoff(Backoff::linear(ms(100), ms(1000)).jitter(Jitter::None))
        .allowance(Allowance::new(8.0, ms(2000), 4.0))
        .on(RetryOn::FAILURES
            .and(RetryOn::GATEWAY)
            .and(RetryOn::CONNECT)
            .and(RetryOn::code(409))
            .and(RetryOn::code(425)))
        .max_hint(ms(10_000))
        .trust_hints(true)
        .max_body(1000)
        .max_bodies(10_000)
        .seed(3)
}

fn hedge() -> Hedge {
    let budget = Budget::new().ratio(0.03).min_tokens(7).cap(ms(1000)).persistence(0.9);
    Hedge::new()
        .delay(ms(50))
        .extra(0.04)
        .percentile(0.98)
        .max_hedges(1)
        .min_delay(ms(2))
        .warm_up(50)
        .budget(budget.charge_failures(true).seed(4))
        .max_body(2000)
        .max_bodies(20_000)
        .seed(11)
}

fn balance() -> Balance {
    let ejection = Ejection::new()
        .consecutive(3)
        .consecutive_gateway(4)
        .consecutive_local(2)
        .split_local(true)
        .excess(Excess::new().times(3.0).margin(0.02).chance(1e-5))
        .success_rate(SuccessRate::new().factor(2.0).min_hosts(4).min_requests(40))
        .failure_ratio(FailureRatio::new().ratio(0.8).min_hosts(3).min_requests(30))
        .slowness(Slowness::new().times(4.0).least(ms(20)).min_hosts(2).min_requests(20))
        .interval(ms(5000))
        .pause(ms(10_000))
        .max_pause(ms(100_000))
        .jitter(0.2)
        .max_ejected(0.3)
        .max_failing(0.5)
        .enforcing(0.9)
        .pardon(false)
        .enabled(false);
    Balance::new()
        .choice(Choice::RingHash(RingHash::new().points(NonZeroU32::new(50).unwrap()).bound(1.5)))
        .ejection(ejection)
        .panic_threshold(0.4)
        .slow_start(ms(5000))
        .max_in_flight(500)
        .wait_for_endpoints(ms(100))
        .zone("eu")
        .gentle_failover(1.4)
        .memory(ms(20_000))
        .seed(5)
}

fn breaker() -> Breaker {
    let evidence = Evidence::new().endpoint().shares(0.1, 0.5).threshold(8.0);
    Breaker::new()
        .evidence(evidence.pause(Pause::new().list(&[ms(1000), ms(4000)])))
        .failure_ratio(
            Ratio::new(0.6).window(Window::calls(100)).min_requests(30).pause(Pause::new().min(ms(2000))),
        )
        .slow_ratio(
            ms(300),
            Ratio::new(0.7).window(Window::time(ms(20_000))).min_requests(25).pause(Pause::new().jitter(0.1)),
        )
        .consecutive(Consecutive::new(7).pause(Pause::new().max(ms(9000))))
        .slow_after(ms(250))
        .pause(Pause::new().min(ms(3000)).max(ms(30_000)).jitter(0.0))
        .open_for(ms(4000))
        .max_open_for(ms(40_000))
        .probes(2)
        .strict_probes(true)
        .probe_lease(ms(8000))
        .ramp(ms(6000))
        .start_open(true)
        .seed(6)
        .mode(Mode::ForcedOpen)
}

#[test]
fn of_a_client() {
    let policy = Policy::parse(Format::Toml, ALL).unwrap();
    let stock = ClientStack::new()
        .deadline(Deadline::new(ms(4000)).margin(ms(5)))
        .stale(stale())
        .retry(retry())
        .hedge(hedge())
        .budget(Budget::new().ratio(0.2).min_tokens(9))
        .balance(balance())
        .breaker(breaker())
        .attempt(ms(900));
    let layer = policy.client("stock").unwrap();
    assert_eq!(layer.handle().stack(), stock);

    let endpoints = layer.handle().balance().unwrap().snapshot().endpoints;
    let shown: Vec<String> =
        endpoints.iter().map(|of| format!("{} {} {}", of.key, of.weight, of.tier)).collect();
    assert_eq!(shown, ["http://10.0.0.1:8080/ 1 0", "http://10.0.0.2:8080/ 2 1"]);

    let other = ClientStack::new()
        .retry(
            Retry::new()
                .backoff(Backoff::decorrelated(ms(5), ms(50)))
                .throttled_backoff(Backoff::constant(ms(2000))),
        )
        .breaker(
            ClientStack::DEFAULT_BREAKER.without_evidence().consecutive(Consecutive::new(4)).enabled(false),
        )
        .balance(Balance::new().choice(Choice::LeastRequests).ejection(Ejection::new().without_excess()));
    let layer = policy.client("other").unwrap();
    assert_eq!(layer.handle().stack(), other);
    assert!(!layer.is_balanced());
}

#[test]
fn and_all_of_the_schema_are_in_that_text() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    for (table, of) in schema["$defs"].as_object().unwrap() {
        for setting in of["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
            assert!(ALL.contains(setting.as_str()), "{table}.{setting}");
        }
    }
}
