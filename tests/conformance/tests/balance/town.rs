//! A balancer over hosts, in one mode and one flavour.

use crate::host::{Does, Host, Hosts, OK, Visit};
use bartizan_balance::{Balance, BalanceService, Change, EndpointSnapshot, Handle, Member, Snapshot};
use bartizan_core::{Refused, find_cause};
use bytes::Bytes;
use conformance::{Flavour, Mode};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::util::BoxCloneService;
use tower::{BoxError, Service, ServiceExt};

/// A call under way, which tells what it heard: `200 from a`.
pub(crate) type Going = Pin<Box<dyn Future<Output = String> + Send>>;

/// How often something happened, by host.
pub(crate) type Counts = BTreeMap<char, u64>;

pub(crate) struct Town {
    pub(crate) mode: Mode,
    pub(crate) flavour: Flavour,
    pub(crate) handle: Handle<char>,
    hosts: Hosts,
    service: BoxCloneService<Visit, String, BoxError>,
    load: JoinSet<String>,
}

/// Plays a row on a balancer over these hosts, in every mode and flavour. Afterwards nothing may be left under way.
pub(crate) async fn play(value: Balance, members: &str, row: impl AsyncFn(&mut Town)) {
    for flavour in [Flavour::Http, Flavour::Typed] {
        in_every_mode(flavour, &value, members, &row).await;
    }
}

/// Plays a row about HTTP in every mode.
pub(crate) async fn play_http(value: Balance, members: &str, row: impl AsyncFn(&mut Town)) {
    in_every_mode(Flavour::Http, &value, members, &row).await;
}

async fn in_every_mode(flavour: Flavour, value: &Balance, members: &str, row: &impl AsyncFn(&mut Town)) {
    for mode in Mode::ALL {
        let mut town = Town::new(mode, flavour, value.clone(), members);
        row(&mut town).await;
        assert!(town.load.is_empty(), "the load was not settled");
        let snapshot = town.snapshot();
        assert!(snapshot.endpoints.iter().all(|one| one.in_flight == 0), "calls are left: {snapshot:#?}");
        assert!(town.hosts.all().iter().all(|host| host.running() == 0), "answers are left");
    }
}

impl Town {
    fn new(mode: Mode, flavour: Flavour, value: Balance, members: &str) -> Self {
        let hosts = Hosts::default();
        let made = hosts.clone();
        let balance = BalanceService::new(value, move |key: &char| made.guest(*key)).members(members.chars());
        let handle = balance.handle();
        let service = match flavour {
            Flavour::Http => BoxCloneService::new(
                balance.map_request(Request::new).then(async |out| Ok::<_, BoxError>(hear_http(out).await)),
            ),
            Flavour::Typed => BoxCloneService::new(balance.typed().map_request(|visit: Visit| visit).then(
                async |out: Result<String, BoxError>| {
                    Ok::<_, BoxError>(out.unwrap_or_else(|error| hear_error(&error)))
                },
            )),
        };
        Self { mode, flavour, handle, hosts, service, load: JoinSet::new() }
    }

    /// Makes a call and awaits what comes of it.
    pub(crate) async fn call(&mut self) -> String {
        self.start().await
    }

    /// Makes a call. Nobody has polled it yet.
    pub(crate) fn start(&mut self) -> Going {
        if self.mode == Mode::Bystander {
            let _left = poll(&mut visit(&mut self.service.clone(), Visit { bystander: true }));
        }
        match self.mode {
            Mode::Direct => visit(&mut self.service, Visit::default()),
            Mode::Clones | Mode::Bystander => visit(&mut self.service.clone(), Visit::default()),
        }
    }

    /// Makes a call that is not answered at once; or returns what was heard.
    pub(crate) fn hold(&mut self) -> Result<Going, String> {
        let mut going = self.start();
        match poll(&mut going) {
            Poll::Pending => Ok(going),
            Poll::Ready(said) => Err(said),
        }
    }

    /// Makes so many calls, one after the other, all of which are answered well. Returns by whom.
    pub(crate) async fn calls(&mut self, n: u64) -> Counts {
        let mut counts = Counts::new();
        for _ in 0..n {
            let said = self.call().await;
            let who = said.strip_prefix("200 from ").unwrap_or_else(|| panic!("{said}"));
            *counts.entry(who.parse().unwrap()).or_default() += 1;
        }
        counts
    }

    /// Makes so many calls, each so long after the one before, and awaits none of them.
    pub(crate) async fn load(&mut self, n: u64, every: Duration) {
        for _ in 0..n {
            let going = self.start();
            self.load.spawn(going);
            sleep(every).await;
        }
    }

    /// Awaits what was not awaited, and returns how often each answer was heard.
    pub(crate) async fn settle(&mut self) -> BTreeMap<String, u64> {
        let mut heard = BTreeMap::new();
        while let Some(said) = self.load.join_next().await {
            *heard.entry(said.unwrap()).or_default() += 1;
        }
        heard
    }

    /// Has all calls go to one host, by its weight beside the others'.
    pub(crate) fn aim(&self, key: char) {
        self.weigh(|other| u32::from(other == key));
    }

    /// Has calls go to all hosts again.
    pub(crate) fn spread(&self) {
        self.weigh(|_| 1);
    }

    /// Gives weights to the members.
    pub(crate) fn weigh(&self, weight: impl Fn(char) -> u32) {
        for one in self.snapshot().endpoints {
            if one.weight != weight(one.key) {
                self.handle.change(Change::Insert(Member::new(one.key).weight(weight(one.key))));
            }
        }
    }

    /// Makes a call to one host, which does this, and no other host gets calls from now on.
    pub(crate) async fn hit(&mut self, key: char, does: Does) -> String {
        self.aim(key);
        self.host(key).does(does);
        let said = self.call().await;
        self.host(key).does(OK);
        said
    }

    /// Makes several calls to one host.
    pub(crate) async fn hits(&mut self, key: char, does: Does, n: u64) {
        for _ in 0..n {
            self.hit(key, does).await;
        }
    }

    pub(crate) fn host(&self, key: char) -> Arc<Host> {
        self.hosts.host(key)
    }

    pub(crate) fn snapshot(&self) -> Snapshot<char> {
        self.handle.snapshot()
    }

    pub(crate) fn endpoint(&self, key: char) -> EndpointSnapshot<char> {
        self.snapshot().endpoints.into_iter().find(|one| one.key == key).unwrap()
    }

    /// Who is ejected.
    pub(crate) fn out(&self) -> String {
        let endpoints = self.snapshot().endpoints.into_iter();
        endpoints.filter(|one| one.ejected_for.is_some()).map(|one| one.key).collect()
    }

    /// How many calls each host got, by one of its counters.
    pub(crate) fn count(&self, of: impl Fn(&Host) -> u64) -> Counts {
        self.snapshot().endpoints.iter().map(|one| (one.key, of(&self.host(one.key)))).collect()
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in mode {:?}, flavour {:?}: {:#?}", self.mode, self.flavour, self.handle.snapshot());
        }
    }
}

/// Polls a call once.
pub(crate) fn poll(going: &mut Going) -> Poll<String> {
    going.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn visit(service: &mut BoxCloneService<Visit, String, BoxError>, visit: Visit) -> Going {
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(ready.is_ready(), "a balancer is always ready");
    let called = service.call(visit);
    Box::pin(async { called.await.expect("what comes out is heard") })
}

async fn hear_http<B>(out: Result<Response<B>, BoxError>) -> String
where
    B: Body<Data = Bytes, Error: fmt::Debug>,
{
    match out {
        Err(error) => hear_error(&error),
        Ok(response) => {
            if let Some(refused) = response.extensions().get::<Refused>() {
                assert_eq!(response.status(), 503);
                return refused.to_string();
            }
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            format!("{} {}", head.status.as_u16(), String::from_utf8_lossy(&body))
        }
    }
}

fn hear_error(error: &BoxError) -> String {
    match find_cause::<Refused>(&**error) {
        Some(refused) => refused.to_string(),
        None => error.to_string(),
    }
}
