//! What the registry shows of a balancer and its endpoints, and how they are steered from there.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, BalanceService, Change, Choice, Ejection, Health, Member};
use http::{Request, Response};
use seen::{find, numbers, settings};
use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_test::assert_pending;
use tokio_test::task::spawn;
use tower::{BoxError, Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

/// What a member does. Those of which nothing is said are well.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Answers(u16),
    Fails,
    Hangs,
    Unready,
    Broken,
}

type Modes = Arc<Mutex<BTreeMap<u8, Mode>>>;

#[derive(Clone)]
struct Server {
    key: u8,
    modes: Modes,
}

impl Server {
    fn mode(&self) -> Mode {
        self.modes.lock().unwrap().get(&self.key).copied().unwrap_or(Mode::Answers(200))
    }
}

impl Service<Request<String>> for Server {
    type Response = Response<String>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.mode() {
            Mode::Unready => Poll::Pending,
            Mode::Broken => Poll::Ready(Err("broken".into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        match self.mode() {
            Mode::Answers(status) => {
                let answer = Response::builder().status(status).body(self.key.to_string());
                Box::pin(ready(answer.map_err(Into::into)))
            }
            Mode::Hangs => Box::pin(pending()),
            _ => Box::pin(ready(Err("no answer".into()))),
        }
    }
}

type Set = BalanceService<u8, Server>;

fn set(value: Balance, modes: &Modes) -> Set {
    let modes = modes.clone();
    BalanceService::new(value.seed(1), move |key: &u8| Server { key: *key, modes: modes.clone() })
}

async fn call(set: &Set) -> u16 {
    let answer = set.clone().oneshot(Request::new(String::new())).await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

/// Rules of the ejection count by cause, which is tested where they are.
const BY_RULES: [&str; 4] = ["ejections_", "watched", "overflow", "withheld"];

#[tokio::test(start_paused = true)]
async fn every_number_is_of_something_that_happens() {
    let modes = Modes::default();
    // Whoever is not said to be ill is not taken for it.
    let value = || Balance::new().choice(Choice::round_robin()).ejection(Ejection::new().enabled(false));
    let set = set(value(), &modes).named("every");
    let (handle, shown) = (set.handle(), find("every"));
    let mode = |key, mode| modes.lock().unwrap().insert(key, mode);
    let number = |name: &str| numbers(&*shown)[name];

    assert_eq!((call(&set).await, shown.state()), (503, "empty"));
    assert_eq!((number("refused"), number("refused_no_endpoints")), (1.0, 1.0));
    handle.change(Change::set([1_u8, 2, 3]));
    assert_eq!((call(&set).await, number("successes")), (200, 1.0));
    for key in [1, 2, 3] {
        mode(key, Mode::Answers(500));
    }
    assert_eq!((call(&set).await, number("failures")), (500, 1.0));
    for key in [1, 2, 3] {
        mode(key, Mode::Fails);
    }
    assert_eq!((call(&set).await, number("unanswered")), (0, 1.0));

    // What members count that leave is not lost.
    handle.change(Change::set([4_u8, 5, 6, 7, 8]));
    for name in ["successes", "failures", "unanswered"] {
        assert_eq!(number(name), 1.0, "{name}");
    }

    handle.update(value().panic_threshold(0.0));
    for key in 4..=8 {
        handle.change(Change::Health(key, Health::Down));
    }
    assert_eq!((call(&set).await, number("refused_none_usable")), (503, 1.0));
    handle.update(value());
    assert_eq!((shown.state(), number("panics")), ("panic", 1.0));
    for key in 4..=7 {
        handle.change(Change::Health(key, Health::Up));
    }
    assert_eq!((shown.state(), number("down")), ("ready", 1.0));

    mode(4, Mode::Hangs);
    let mut hanging = Vec::new();
    while number("in_flight") == 0.0 {
        hanging.push(spawn({
            let set = set.clone();
            async move { call(&set).await }
        }));
        let _unless_another_answers = hanging.last_mut().unwrap().poll();
    }
    handle.update(value().max_in_flight(0));
    assert_eq!((call(&set).await, number("refused_full")), (503, 1.0));
    handle.update(value());

    mode(5, Mode::Unready);
    while number("moved") == 0.0 {
        let mut call = spawn(call(&set));
        let _unless_it_hangs = call.poll();
    }
    handle.update(value().panic_threshold(0.0));
    assert!(handle.drain(&6) && handle.eject(&7, SECOND));
    mode(4, Mode::Unready);
    mode(5, Mode::Broken);
    let mut waiting = spawn(call(&set));
    assert_pending!(waiting.poll());
    assert_eq!((number("waiting"), number("usable"), number("broken")), (1.0, 1.0, 1.0));

    let dead = numbers(&*shown).into_iter().filter(|(_, number)| *number == 0.0).map(|(name, _)| name);
    let dead: Vec<_> = dead.filter(|name| !BY_RULES.iter().any(|rule| name.starts_with(rule))).collect();
    assert!(dead.is_empty(), "{dead:?}");
    assert_eq!(number("ejections_manual"), 1.0);
    drop(waiting);
    let mut waits = Vec::new();
    shown.times(&mut |name, times| waits.push((name, times.count())));
    assert_eq!((waits, number("waiting")), (vec![("wait_seconds", 1)], 0.0));
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_an_endpoint() {
    let modes = Modes::default();
    let set = set(Balance::new().choice(Choice::round_robin()), &modes).named("members").members([
        Member::new(1).tier(1),
        Member::new(2).tier(1),
        Member::new(3).tier(1),
    ]);
    let shown = find("members/1");
    let mode = |mode| modes.lock().unwrap().insert(1, mode);
    for (how, name) in
        [(Mode::Answers(200), "successes"), (Mode::Answers(500), "failures"), (Mode::Fails, "unanswered")]
    {
        mode(how);
        while numbers(&*shown)[name] == 0.0 {
            tokio::time::advance(SECOND / 100).await;
            call(&set).await;
        }
    }
    tokio::time::advance(SECOND * 100).await;
    mode(Mode::Fails);
    let before = numbers(&*shown)["unanswered"];
    while numbers(&*shown)["unanswered"] == before {
        call(&set).await;
    }
    mode(Mode::Hangs);
    set.handle().change(Change::Health(1, Health::Up));
    let mut hanging = Vec::new();
    while numbers(&*shown)["in_flight"] == 0.0 {
        hanging.push(spawn({
            let set = set.clone();
            async move { call(&set).await }
        }));
        let _unless_another_answers = hanging.last_mut().unwrap().poll();
    }
    tokio::time::advance(SECOND / 10).await;
    shown.act("eject").unwrap();
    let dead: Vec<_> = numbers(&*shown).into_iter().filter(|(_, number)| *number == 0.0).collect();
    assert_eq!(dead, []);
}

#[tokio::test(start_paused = true)]
async fn intervals_end_of_one_member_alone_that_nobody_ejects() {
    let value = Balance::new().ejection(Ejection::new().enabled(false));
    let set = set(value, &Modes::default()).members([1]);
    let rate = || set.handle().snapshot().endpoints[0].success_rate;
    call(&set).await;
    assert_eq!(rate(), None);
    tokio::time::advance(60 * SECOND).await;
    call(&set).await;
    assert_eq!(rate(), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_steered() {
    let set = set(Balance::new(), &Modes::default()).named("steered members").members([1, 2, 3]);
    let (handle, shown) = (set.handle(), find("steered members/1"));
    assert_eq!((shown.verbs(), shown.state()), (&["drain", "undrain", "eject", "pardon"][..], "up"));
    for (verb, state) in
        [("drain", "draining"), ("undrain", "warming"), ("eject", "ejected"), ("pardon", "warming")]
    {
        shown.act(verb).unwrap();
        assert_eq!(shown.state(), state, "{verb}");
    }
    shown.act("eject").unwrap();
    assert_eq!(handle.snapshot().endpoints[0].ejected_for, Some(Ejection::DEFAULT_PAUSE));
    assert!(shown.act("reset").is_err());
    handle.change(Change::Remove(1));
    assert_eq!(shown.act("pardon").unwrap_err().message(), "verb is for an endpoint that has left");
}

#[tokio::test(start_paused = true)]
async fn it_is_switched_and_set_and_what_is_wrong_changes_nothing() {
    let value = Balance::new().max_in_flight(100);
    let set = set(value.clone(), &Modes::default()).named("steered").members([1, 2]);
    let shown = find("steered");
    let before = settings(&*shown);
    let names: Vec<_> = before.keys().copied().collect();
    assert_eq!(
        names,
        [
            "enforcing",
            "max_ejected",
            "max_failing",
            "max_in_flight",
            "panic_threshold",
            "pause_seconds",
            "slow_start_seconds",
            "wait_for_endpoints_seconds"
        ]
    );
    for name in before.keys() {
        assert!(shown.set(name, -1.0).is_err(), "{name}");
    }
    assert!(shown.set("seed", 1.0).is_err());
    assert_eq!(settings(&*shown), before);
    for (name, value) in before.iter().map(|(name, value)| (*name, (value + 1.0) / 4.0)) {
        let value = if name == "max_in_flight" { value.floor() } else { value };
        shown.set(name, value).unwrap();
        assert_eq!(settings(&*shown)[name], value, "{name}");
    }
    set.handle().update(value.ejection(Ejection::new().enabled(false)));
    assert_eq!(settings(&*shown).len(), 4);
    assert!(shown.set("enforcing", 0.5).is_err());

    shown.act("disable").unwrap();
    assert_eq!(shown.state(), "disabled");
    shown.act("enable").unwrap();
    assert_eq!(shown.state(), "ready");
    assert!(shown.act("drain").is_err());
}
