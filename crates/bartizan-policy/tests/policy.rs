//! What a policy does with what it reads.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::Stream;
use bartizan_breaker::{Breaker, Consecutive};
use bartizan_core::{Change, registry};
use bartizan_limit::Limit;
use bartizan_policy::{Endpoints, Format, Policy, PolicyClientLayer, PolicyError};
use bartizan_retry::Retry;
use bartizan_stack::{ClientStack, ServerStack};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn toml(text: &str) -> Policy {
    Policy::parse(Format::Toml, text).unwrap()
}

fn said<T>(result: Result<T, PolicyError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn json_says_the_same() {
    let json = r#"{ "clients": { "stock": {
        "deadline": "2s", "retry": { "max-retries": 1 }, "breaker": { "consecutive": 3, "mode": null } } } }"#;
    let policy = Policy::parse(Format::Json, json).unwrap();
    let same = toml(
        "[clients.stock]\ndeadline.total = '2s'\nretry.max_retries = 1\nbreaker.consecutive.failures = 3\n",
    );
    let stack = |policy: &Policy| policy.client("stock").unwrap().handle().stack();
    assert_eq!(stack(&policy), stack(&same));
    assert_ne!(stack(&policy), ClientStack::new());
}

#[test]
fn a_name_that_is_not_there_is_told_with_those_that_are() {
    let policy = toml("[clients.default]\ndeadline = '1s'\n[clients.stock]\n[clients.payment]\n");
    for (name, expected) in [
        ("stok", "there is no client `stok`, did you mean `stock`? There are `payment`, `stock`"),
        ("user", "there is no client `user`, there are `payment`, `stock`"),
        ("default", "there is no client `default`, there are `payment`, `stock`"),
    ] {
        assert_eq!(said(policy.client(name)), expected);
    }
    assert_eq!(said(policy.server("shop")), "there is no server `shop`, and no other");
    assert_eq!(said(Policy::empty().client("stock")), "there is no client `stock`, and no other");
}

#[test]
fn code_gives_what_a_policy_does_not_name() {
    let policy = toml(
        "[servers.default]\ndeadline.margin = '100ms'\n[servers.shop]\nlimit.burst = 9\n\
         [clients.stock]\nbreaker.evidence.threshold = 12\n",
    );
    let limit = Limit::per_second(5);
    let base = ServerStack::new().deadline(SECOND).limit(limit);
    let margin = bartizan_deadline::Deadline::new(SECOND).margin(SECOND / 10);
    let shop = policy.server_with("shop", base.clone()).unwrap();
    assert_eq!(shop.handle().stack(), base.clone().deadline(margin).limit(limit.burst(9)));
    // One that is not named takes what holds for all.
    let admin = policy.server_with("admin", base.clone()).unwrap();
    assert_eq!(admin.handle().stack(), base.deadline(margin));
    // What is named within a rule leaves the rest of it to code.
    let evidence = bartizan_breaker::Evidence::new().endpoint();
    let base =
        ClientStack::new().breaker(Breaker::new().evidence(evidence)).retry(Retry::new().max_retries(7));
    let stock = policy.client_with("stock", base.clone()).unwrap();
    assert_eq!(stock.handle().stack(), base.breaker(Breaker::new().evidence(evidence.threshold(12.0))));
}

#[test]
fn what_all_inherit_is_mixed_with_what_each_names() {
    let policy = toml(
        "[clients.default]\ndeadline = '2s'\nretry = { max_retries = 5, backoff.constant.wait = '1s' }\n\
         [clients.stock]\ndeadline.margin = '1ms'\nretry.backoff.linear = { step = '1ms', max = '2ms' }\n",
    );
    let stack = policy.client("stock").unwrap().handle().stack();
    assert_eq!(stack.deadline_value().total(), 2 * SECOND);
    assert_eq!(stack.deadline_value().kept_margin(), SECOND / 1000);
    assert_eq!(stack.retry_value().most_retries(), 5);
    // A back-off is one thing.
    assert_eq!(stack.retry_value().waits().longest_wait(), Some(SECOND / 500));
}

#[test]
fn an_order_of_settings_that_would_not_do_is_none() {
    // Each of these would be refused against what code gives, if it were set alone.
    let base = ServerStack::new()
        .deadline(bartizan_deadline::Deadline::new(10 * SECOND).margin(3 * SECOND).min_remaining(3 * SECOND))
        .shed(bartizan_shed::Shed::new().max_in_flight(50).min_in_flight(40));
    let policy = toml(
        "[servers.shop]\ndeadline = { total = '2s', margin = '1s', min_remaining = '1s' }\n\
         shed = { min_in_flight = 2, max_in_flight = 4 }\n",
    );
    let stack = policy.server_with("shop", base).unwrap().handle().stack();
    assert_eq!(stack.deadline_value().total(), 2 * SECOND);
    assert_eq!((stack.shed_value().least_in_flight(), stack.shed_value().most_in_flight()), (2, 4));
}

#[test]
fn what_fits_to_code_alone_is_judged_with_it() {
    let text = "[servers.shop]\ndeadline.margin = '20s'\n[clients.stock]\nattempt = '5s'\n";
    let policy = toml(text);
    let expected = "line 2, servers.shop.deadline.margin: margin must be shorter than the total";
    assert_eq!(said(policy.server("shop")), expected);
    assert!(policy.server_with("shop", ServerStack::new().deadline(60 * SECOND)).is_ok());
    let expected = "line 4, clients.stock.attempt.total: attempt.total (5 s) is longer than deadline.total (3 s): no attempt can take as long";
    assert_eq!(said(policy.client("stock")), expected);
    assert!(policy.client_with("stock", ClientStack::new().deadline(9 * SECOND)).is_ok());
    // How many copies there are is not said here.
    let policy = toml("[clients.stock]\ndeadline = '1s'\nattempt = '900ms'\nhedge.delay = '600ms'\n");
    let expected = "line 2, clients.stock.deadline.total: hedge.max_hedges (2 × 600 ms) is not shorter than deadline.total (1 s): the time is over before the last copy is sent";
    assert_eq!(said(policy.client("stock")), expected);
    let once = ClientStack::new().hedge(bartizan_hedge::Hedge::new().max_hedges(1));
    assert!(policy.client_with("stock", once).is_ok());
}

#[test]
fn an_update_reaches_all_that_live_and_those_that_come() {
    let policy = toml("[servers.shop]\ndeadline = '1s'\n[clients.stock]\nbreaker.consecutive = 5\n");
    let (shop, stock) = (policy.server("shop").unwrap(), policy.client("stock").unwrap());
    let with = policy.client_with("user", ClientStack::new().deadline(2 * SECOND)).unwrap();

    let text = "[servers.shop]\ndeadline = '2s'\n[clients.stock]\nbreaker.consecutive = 3\nretry.enabled = false\n\
                [clients.user]\nretry.max_retries = 0\n";
    let changes = policy.update(Format::Toml, text).unwrap();
    let shown: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "clients.stock.breaker.consecutive.failures: 5 -> 3",
            "clients.stock.retry.enabled: not set -> false",
            "clients.user.retry.max_retries: not set -> 0",
            "servers.shop.deadline.total: \"1s\" -> \"2s\"",
        ]
    );
    assert_eq!(shop.handle().stack().deadline_value().total(), 2 * SECOND);
    let expected = ClientStack::new()
        .breaker(ClientStack::DEFAULT_BREAKER.consecutive(Consecutive::new(3)))
        .retry(Retry::new().enabled(false));
    assert_eq!(stock.handle().stack(), expected);
    assert_eq!(with.handle().stack().retry_value().most_retries(), 0);
    assert_eq!(with.handle().stack().deadline_value().total(), 2 * SECOND);
    assert_eq!(policy.client("stock").unwrap().handle().stack(), expected);

    // What is named no longer is again as code gave it.
    policy.update(Format::Toml, "[servers.shop]\n[clients.stock]\n").unwrap();
    assert_eq!(with.handle().stack(), ClientStack::new().deadline(2 * SECOND));
    assert_eq!(stock.handle().stack(), ClientStack::new());
    assert_eq!(policy.handle().snapshot().version, 2);
}

#[test]
fn an_update_that_is_wrong_anywhere_changes_nothing() {
    let before = "[servers.shop]\ndeadline = '1s'\n[clients.stock]\n[clients.other]\n";
    let policy = toml(before);
    let (shop, stock) = (policy.server("shop").unwrap(), policy.client("stock").unwrap());
    let tight = policy.client_with("tight", ClientStack::new().deadline(SECOND / 10)).unwrap();
    let all = || (shop.handle().stack(), stock.handle().stack(), tight.handle().stack());
    let held = all();
    for (text, expected) in [
        // Of the three, one does not fit to what code gives.
        (
            "[servers.shop]\ndeadline = '2s'\n[clients.stock]\ndeadline = '2s'\n[clients.tight]\nattempt = '1s'\n",
            "line 6, clients.tight.attempt.total: attempt.total (1 s) is longer than deadline.total (100 ms): no attempt can take as long",
        ),
        (
            "[servers.shop]\ndeadline = '2s'\n[clients.other]\nbreaker.probes = 0\n",
            "line 4, clients.other.breaker.probes: probes must be within 1..=1000",
        ),
        (
            "[servers.shop]\ndeadline = '2s'\n",
            "there is no client `stock`, and no other; but its layer is in use",
        ),
        (
            "[servers.shop]\n[clients.stock]\nendpoints = ['http://a']\n",
            "line 3, clients.stock.endpoints: cannot come while the client runs: it was made without a balancer",
        ),
    ] {
        assert_eq!(said(policy.update(Format::Toml, text)), expected);
        assert_eq!(all(), held);
        assert_eq!(policy.handle().snapshot().error.as_deref(), Some(expected));
        assert!(policy.client("other").is_ok(), "the old text holds");
    }
    let snapshot = policy.handle().snapshot();
    assert_eq!((snapshot.version, snapshot.refused), (0, 4));
    policy.update(Format::Toml, before).unwrap();
    assert_eq!(policy.handle().snapshot().error, None);
}

fn members(layer: &PolicyClientLayer) -> Vec<String> {
    let snapshot = layer.handle().balance().unwrap().snapshot();
    let mut members: Vec<String> =
        snapshot.endpoints.iter().map(|endpoint| endpoint.key.to_string()).collect();
    members.sort();
    members
}

#[test]
fn endpoints_come_and_go_with_an_update() {
    let policy = toml("[clients.stock]\nendpoints = ['http://a']\n");
    let stock = policy.client("stock").unwrap();
    assert!(stock.is_balanced());
    policy.update(Format::Toml, "[clients.stock]\nendpoints = ['http://b', 'http://a']\n").unwrap();
    assert_eq!(members(&stock), ["http://a/", "http://b/"]);
    policy.update(Format::Toml, "[clients.stock]\nendpoints = ['http://b']\n").unwrap();
    assert_eq!(members(&stock), ["http://b/"]);
    let expected = "line 1, clients.stock: cannot be without endpoints while the client runs: it was made with a balancer";
    assert_eq!(said(policy.update(Format::Toml, "[clients.stock]\n")), expected);
    assert_eq!(members(&stock), ["http://b/"]);
}

#[test]
fn a_layer_of_which_code_says_more_follows_too() {
    let policy = toml("[clients.stock]\nretry.max_retries = 1\n[clients.user]\nendpoints = ['http://a']\n");
    let base = || ClientStack::new().deadline(2 * SECOND);
    let stock = policy
        .client_layer("stock", base())
        .unwrap()
        .repeat(|_| true)
        .members([http::Uri::from_static("http://b")]);
    let handle = stock.handle();
    drop(stock);
    policy
        .update(
            Format::Toml,
            "[clients.stock]\nretry.max_retries = 2\n[clients.user]\nendpoints = ['http://a']\n",
        )
        .unwrap();
    assert_eq!(handle.stack().retry_value().most_retries(), 2);
    assert_eq!(policy.handle().snapshot().clients, 1);
    // And there are values alone, which follow nothing.
    assert_eq!(policy.client_stack("stock", &base()).unwrap(), handle.stack());
    assert_eq!(policy.client_stack("nobody", &base()).unwrap(), base());
    assert_eq!(policy.server_stack("nobody", &ServerStack::new()).unwrap(), ServerStack::new());
    assert_eq!(policy.handle().snapshot().clients, 1);
}

#[test]
fn words_and_settings_may_be_spelled_in_three_ways() {
    let stack = |text: &str| toml(text).client("stock").unwrap().handle().stack();
    let same = ["least_requests", "least-requests", "least requests"].map(|choice| {
        stack(&format!("[clients.stock]\nbalance.choice = '{choice}'\nbreaker.mode = 'forced open'\n"))
    });
    assert!(same.iter().all(|one| *one == same[0] && *one != ClientStack::new()));
    let same = ["max_retries", "max-retries", "'max retries'"].map(|setting| {
        stack(&format!("[clients.stock]\nretry.{setting} = 5\nstale.on = ['server errors']\n"))
    });
    assert!(same.iter().all(|one| *one == same[0] && *one != ClientStack::new()));
    // Names are as they are.
    let policy = toml("[clients.stock-eu]\n[clients.stock_eu]\n[clients.'stock eu']\n");
    assert!(["stock-eu", "stock_eu", "stock eu"].iter().all(|name| policy.client(name).is_ok()));
}

#[test]
fn what_is_dropped_is_forgotten_and_what_nobody_asked_for_is_told() {
    let policy =
        toml("[servers.shop]\n[servers.admin]\n[clients.stock]\n[clients.user]\n").named("forgetful");
    let stock = policy.client("stock").unwrap();
    let other = stock.clone();
    let shop = policy.server("shop").unwrap();
    let snapshot = policy.handle().snapshot();
    assert_eq!(snapshot.unused, ["servers.admin", "clients.user"]);
    assert_eq!((snapshot.servers, snapshot.clients), (1, 1));
    drop(stock);
    assert_eq!(policy.handle().snapshot().clients, 1, "a clone is left");
    drop(other);
    assert_eq!(policy.handle().snapshot().clients, 0);
    // Nobody needs it any more, so it may leave the text.
    policy.update(Format::Toml, "[servers.shop]\n").unwrap();

    let observed = registry::handles().into_iter().find(|of| of.name() == "forgetful").unwrap();
    assert_eq!((observed.layer(), observed.state()), ("policy", "current"));
    let mut numbers = Vec::new();
    observed.numbers(&mut |name, number| numbers.push((name, number)));
    let (_, age) = numbers.remove(1);
    assert!(age > 0.0);
    let ought = [
        ("version", 1.0),
        ("refused", 0.0),
        ("unreachable", 0.0),
        ("unused", 0.0),
        ("servers", 1.0),
        ("clients", 0.0),
    ];
    assert_eq!(numbers, ought);
    assert!(policy.update(Format::Json, "{").is_err());
    assert_eq!(observed.state(), "outdated");
    drop((observed, shop));
}

#[test]
fn updates_and_layers_come_and_go_at_once() {
    let text = |n: u32| format!("[clients.stock]\nretry.max_retries = {n}\n");
    let policy = toml(&text(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..200 {
                    policy.update(Format::Toml, &text(n % 7)).unwrap();
                }
            });
            scope.spawn(|| {
                for _ in 0..200 {
                    let made = policy.client("stock").unwrap();
                    assert!(made.handle().stack().retry_value().most_retries() < 7);
                }
            });
        }
    });
    let stock = policy.client("stock").unwrap();
    policy.update(Format::Toml, &text(9)).unwrap();
    assert_eq!(stock.handle().stack().retry_value().most_retries(), 9);
    assert_eq!(policy.handle().snapshot().clients, 1);
}

#[test]
fn what_a_table_names_holds_whatever_it_inherits() {
    let stack = |text: &str| toml(text).client("stock").unwrap().handle().stack();
    let shed = |text: &str| *toml(text).server("shop").unwrap().handle().stack().shed_value();
    let off = "[clients.default]\nbreaker.mode = 'shadow'\n[clients.stock]\nbreaker.enabled = false\n";
    assert_eq!(
        stack(off).breaker_value().in_mode(),
        stack("[clients.stock]\nbreaker.enabled = false\n").breaker_value().in_mode()
    );
    let fixed = "[servers.default]\nshed.adaptive = true\n[servers.shop]\nshed.fixed = 5\n";
    assert_eq!(shed(fixed).fixed_limit(), Some(5));
    let adaptive = "[servers.default]\nshed.fixed = 5\n[servers.shop]\nshed.adaptive = true\n";
    assert_eq!(shed(adaptive).fixed_limit(), None);

    // A rule is one thing.
    let rule = "[clients.default]\nbreaker.failure_ratio = { ratio = 0.5, window = 100 }\n[clients.stock]\nbreaker.failure_ratio.ratio = 0.6\n";
    assert_eq!(stack(rule), stack("[clients.stock]\nbreaker.failure_ratio.ratio = 0.6\n"));

    // Null is as if it were not named.
    let text = r#"{ "clients": { "default": { "retry": { "max_retries": 5, "backoff": { "constant": { "wait": "1ms" } } } },
        "stock": { "retry": { "max_retries": null, "backoff": null }, "breaker": null } } }"#;
    let policy = Policy::parse(Format::Json, text).unwrap();
    let same = "[clients.stock.retry]\nmax_retries = 5\nbackoff.constant.wait = '1ms'\n";
    assert_eq!(policy.client("stock").unwrap().handle().stack(), stack(same));
}

/// Endpoints that a stream tells of, if it tells of any now.
fn told(endpoints: &mut Endpoints) -> Poll<Option<Vec<String>>> {
    let polled = Pin::new(endpoints).poll_next(&mut Context::from_waker(Waker::noop()));
    polled.map(|told| {
        told.map(|told| match told {
            Ok(Change::Set(members)) => members.iter().map(|member| member.key.to_string()).collect(),
            other => panic!("{other:?}"),
        })
    })
}

#[test]
fn endpoints_are_followed_on_their_own() {
    let text = |endpoints: &str| format!("[clients.stock]\n{endpoints}\n[clients.user]\n");
    let policy = toml(&text("endpoints = ['http://a', 'http://b']"));
    let _layer = policy.client_layer("stock", ClientStack::new()).unwrap();
    assert_eq!(policy.handle().snapshot().unused, ["clients.user", "clients.stock.endpoints"]);
    let mut endpoints = policy.endpoints("stock").unwrap();
    assert_eq!(policy.handle().snapshot().unused, ["clients.user"]);
    assert_eq!(endpoints.members().len(), 2);
    let set = |all: &[&str]| Poll::Ready(Some(all.iter().map(ToString::to_string).collect::<Vec<_>>()));
    assert_eq!(told(&mut endpoints), set(&["http://a/", "http://b/"]));
    assert_eq!(told(&mut endpoints), Poll::Pending);

    // Of several changes the last one counts, and what is another elsewhere is none.
    for now in [
        "endpoints = ['http://c']",
        "endpoints = ['http://d']",
        "endpoints = ['http://d']\nretry.max_retries = 1",
    ] {
        policy.update(Format::Toml, &text(now)).unwrap();
    }
    assert_eq!(told(&mut endpoints), set(&["http://d/"]));
    policy.update(Format::Toml, &text("endpoints = ['http://d']\nretry.max_retries = 2")).unwrap();
    assert_eq!(told(&mut endpoints), Poll::Pending);

    // They may not all leave, nor does anything else change then.
    let expected = "line 1, clients.stock: cannot be without endpoints while they are followed";
    assert_eq!(said(policy.update(Format::Toml, &text("retry.max_retries = 3"))), expected);
    assert_eq!(
        said(policy.update(Format::Toml, "")),
        "line 1, clients.stock: cannot be without endpoints while they are followed"
    );
    assert_eq!(told(&mut endpoints), Poll::Pending);
    let other = policy.endpoints("stock").unwrap();
    drop(endpoints);
    assert!(policy.update(Format::Toml, &text("retry.max_retries = 3")).is_err());
    drop(other);
    policy.update(Format::Toml, &text("retry.max_retries = 3")).unwrap();

    let expected = "line 1, clients.stock: names no endpoints that could be followed";
    assert_eq!(said(policy.endpoints("stock")), expected);
    assert!(said(policy.endpoints("stok")).starts_with("there is no client `stok`, did you mean `stock`?"));

    // With the policy it ends, and stays so.
    let policy = toml("[clients.stock]\nendpoints = ['http://a']\n");
    let mut endpoints = policy.endpoints("stock").unwrap();
    drop(policy);
    assert_eq!(told(&mut endpoints), set(&["http://a/"]));
    assert_eq!((told(&mut endpoints), told(&mut endpoints)), (Poll::Ready(None), Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_waited_for() {
    let policy = toml("[clients.stock]\n");
    let handle = policy.handle();
    let update = |retries: u32| {
        policy.update(Format::Toml, &format!("[clients.stock]\nretry.max_retries = {retries}\n")).unwrap()
    };
    let mut waits = Box::pin(handle.changed(0));
    let wait = || tokio::time::sleep(SECOND);
    tokio::select! { biased; version = &mut waits => panic!("{version}"), () = wait() => {} }
    update(1);
    assert_eq!(waits.await, 1);
    // What was missed is found at once, and what changes nothing is no change.
    update(2);
    update(3);
    assert_eq!(handle.changed(1).await, 3);
    update(3);
    assert!(policy.update(Format::Toml, "x = 1").is_err());
    tokio::select! { biased; version = handle.changed(3) => panic!("{version}"), () = wait() => {} }
    // Nor does dropping it lose anything.
    update(4);
    assert_eq!(handle.changed(3).await, 4);
}

#[test]
fn a_source_needs_a_runtime() {
    let path = std::env::temp_dir().join(format!("bartizan-runtime-{}.toml", std::process::id()));
    std::fs::write(&path, "").unwrap();
    let watched = Policy::open(&path).unwrap().watch(SECOND);
    drop(std::fs::remove_file(&path));
    let expected = "a file can only be watched within a tokio runtime: call it from an async function";
    assert_eq!(watched.unwrap_err().to_string(), expected);

    let (policy, server) =
        (Policy::empty(), bartizan_policy::ConfigServer::new("http://localhost:1", "a", "b"));
    let followed = std::pin::pin!(policy.follow(server)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = followed else { panic!("{followed:?}") };
    let expected =
        "a config server can only be followed within a tokio runtime: call it from an async function";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_layer_is_switched_by_a_word() {
    let layers = ["stale", "deadline", "retry", "hedge", "balance", "breaker", "attempt"];
    let stack = |text: &str| toml(text).client("a").unwrap().handle().stack();
    for on in [true, false] {
        for layer in layers.into_iter().chain(["balance.ejection"]) {
            let [short, long] =
                ["", ".enabled"].map(|end| stack(&format!("[clients.a]\n{layer}{end} = {on}\n")));
            assert_eq!(short, long, "{layer} = {on}");
        }
        for layer in ["deadline", "limit", "shed"] {
            let stack = |text: &str| {
                let rate = "[servers.default]\nlimit.rate = 50\n[servers.a]\n";
                toml(&format!("{rate}{text} = {on}\n")).server("a").unwrap().handle().stack()
            };
            assert_eq!(stack(layer), stack(&format!("{layer}.enabled")), "{layer} = {on}");
        }
    }
    assert!(!stack("[clients.a]\nretry = false\n").retry_value().is_enabled());
    // What is set otherwise stays, and is on again.
    let all = "[clients.default]\nretry = { max_retries = 1, enabled = false }\nbreaker.mode = 'shadow'\n[clients.a]\n";
    let on = stack(&format!("{all}retry = true\nbreaker = false\n"));
    assert_eq!((on.retry_value().most_retries(), on.retry_value().is_enabled()), (1, true));
    assert!(!on.breaker_value().is_enabled());
    let missing = said(toml("[servers.a]\nlimit = true\n").server("a"));
    assert_eq!(missing, "line 2, servers.a.limit: `rate` is missing");
}

#[test]
fn codes_of_grpc_have_names() {
    for (names, codes) in [
        ("['UNAVAILABLE', 'deadline exceeded']", "[14, 4]"),
        ("['CANCELLED', 'Unauthenticated', 'data-loss']", "[1, 16, 15]"),
    ] {
        for list in ["retry.on", "stale.on"] {
            let stack = |on: &str| {
                toml(&format!("[clients.a]\n{list} = {on}\n")).client("a").unwrap().handle().stack()
            };
            assert_eq!(stack(names), stack(codes), "{list} = {names}");
        }
    }
}
