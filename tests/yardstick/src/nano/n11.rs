//! n11: the HTTP flavour: `http::Request` in, the guarded body read to its end.

use std::{convert::Infallible, hint::black_box, time::Duration};

use bytes::Bytes;
use clap::Args;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::retry::budget::TpsBudget;
use tower_http::{set_header::SetRequestHeader, timeout::Timeout};

use crate::{
    contest::{Case, Contest},
    floor::{A, C, Floor, H, M, R, T},
    ground::{Site, TENANT, read, tenant},
    nano::{n3, n4},
    options::Timing,
    ours::{
        self,
        again::{self, Backoff, HedgeSettings, RetrySettings},
    },
    peers::{
        self,
        again::{Tries, tower_hedge_warm, tower_resilience_hedge, tower_resilience_retry, tower_retry},
    },
    primitives::{headed, timeout_value},
    race::{Lane, Place},
};

/// Options of n11.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) timing: Timing,
    /// Seconds until the deadline; it is never hit.
    #[arg(long, default_value_t = 3600)]
    timeout: u64,
}

pub(crate) const TITLE: &str = "n11: HTTP flavour, body read to its end";

const BREAKER: usize = 0;
const SERVER: usize = 1;
const CLIENT: usize = 2;
const RETRY: usize = 3;
const HEDGE: usize = 4;
const FIXED: usize = 5;
const ADAPTIVE: usize = 6;
const LIMIT: usize = 7;
const KEYED: usize = 8;

/// Requests in flight of the fixed limit.
const IN_FLIGHT: usize = 100;

/// What the HTTP flavour may take beyond the typed one.
const HTTP: Floor = Floor::nanos(20.0);
/// What a deadline costs in the typed flavour when the service is ready.
const DEADLINE: Floor = Floor::nanos(5.0);

/// What is sent.
fn body() -> Full<Bytes> {
    Full::new(Bytes::from_static(b"{\"order\":7}"))
}

/// A request with a body and no headers, as a server's inner layers see it cheapest.
fn plain() -> Request<Full<Bytes>> {
    Request::new(body())
}

/// The same as a client sends it.
fn sent() -> Request<Full<Bytes>> {
    headed(body())
}

/// A request on behalf of a tenant.
fn on_behalf() -> Request<Full<Bytes>> {
    let mut request = plain();
    request.headers_mut().insert(TENANT, HeaderValue::from_static("17"));
    request
}

/// Sets the lanes up.
pub(crate) fn contest(options: &Options) -> Contest {
    let timeout = Duration::from_secs(options.timeout);
    let mut tower_resilience = peers::tower_resilience(Site);
    let mut server = Timeout::with_status_code(Site, StatusCode::GATEWAY_TIMEOUT, timeout);
    let millis = timeout.as_millis() as u64;
    let value = move |_: &Request<Full<Bytes>>| Some(timeout_value(black_box(millis)));
    let mut client =
        SetRequestHeader::overriding(server, HeaderName::from_static("x-request-timeout-ms"), value);
    let mut our_breaker = ours::http_breaker(Site);
    let mut our_server = ours::http_deadline(Site, timeout);
    let mut our_client = ours::http_client_deadline(Site, timeout);
    let failed = |answer: &Result<Response<Full<Bytes>>, Infallible>| {
        answer.as_ref().is_ok_and(|answer| answer.status().is_server_error())
    };
    let tries = Tries { retries: 2, least: Backoff::DEFAULT_MIN, most: Backoff::DEFAULT_MAX };
    let mut tower_retry = tower_retry(Site, TpsBudget::default(), tries, failed, 1);
    let mut resilient_retry = tower_resilience_retry(Site);
    let mut tower_hedge = tower_hedge_warm::<_, Request<Full<Bytes>>>(Site, 0.95);
    let mut resilient_hedge = tower_resilience_hedge(Site);
    let mut our_retry = again::http_retry(Site, RetrySettings::new());
    let mut our_hedge = again::http_hedge(Site, HedgeSettings::new());
    let mut tower_limit = peers::shed::tower(Site, IN_FLIGHT);
    let mut bulkhead = peers::shed::bulkhead(Site, IN_FLIGHT);
    let mut acc = peers::shed::acc_gradient2(Site);
    let mut aimd = peers::shed::aimd(Site);
    let mut our_fixed = ours::shed::http_fixed(Site, IN_FLIGHT);
    let mut our_adaptive = ours::shed::http_adaptive(Site);
    let mut tower_governor = peers::limit::tower_governor(peers::limit::AxumSite);
    let mut tower_governor_keyed = peers::limit::tower_governor_keyed(peers::limit::AxumSite);
    let mut window = peers::limit::window(Site);
    let mut our_limit = ours::limit::http_one(Site);
    let mut our_keyed = ours::limit::http_by_tenant(Site);

    let mut lanes = vec![
        Lane::new(Place::Bare(BREAKER), |_| read(&mut Site, black_box(plain()))),
        Lane::new(Place::Bare(SERVER), |_| read(&mut Site, black_box(plain()))),
        Lane::new(Place::Bare(CLIENT), |_| read(&mut Site, black_box(sent()))),
        Lane::new(Place::Bare(RETRY), |_| read(&mut Site, black_box(sent()))),
        Lane::new(Place::Bare(HEDGE), |_| read(&mut Site, black_box(sent()))),
        Lane::new(Place::Peer(BREAKER, peers::TOWER_RESILIENCE), move |_| {
            read(&mut tower_resilience, black_box(plain()));
        }),
        Lane::new(Place::Peer(SERVER, peers::TOWER_HTTP), move |_| read(&mut server, black_box(plain()))),
        Lane::new(Place::Peer(CLIENT, peers::TOWER_HTTP), move |_| read(&mut client, black_box(sent()))),
        Lane::new(Place::Peer(RETRY, peers::TOWER), move |_| read(&mut tower_retry, black_box(sent()))),
        Lane::new(Place::Peer(RETRY, peers::TOWER_RESILIENCE), move |_| {
            read(&mut resilient_retry, black_box(sent()));
        }),
        Lane::new(Place::Peer(HEDGE, peers::TOWER), move |_| read(&mut tower_hedge, black_box(sent()))),
        Lane::new(Place::Peer(HEDGE, peers::TOWER_RESILIENCE), move |_| {
            read(&mut resilient_hedge, black_box(sent()));
        }),
        Lane::new(Place::Ours(BREAKER), move |_| read(&mut our_breaker, black_box(plain()))),
        Lane::new(Place::Ours(SERVER), move |_| read(&mut our_server, black_box(plain()))),
        Lane::new(Place::Ours(CLIENT), move |_| read(&mut our_client, black_box(sent()))),
        Lane::new(Place::Ours(RETRY), move |_| read(&mut our_retry, black_box(sent()))),
        Lane::new(Place::Ours(HEDGE), move |_| read(&mut our_hedge, black_box(sent()))),
    ];
    for case in [FIXED, ADAPTIVE, LIMIT] {
        lanes.push(Lane::new(Place::Bare(case), |_| read(&mut Site, black_box(plain()))));
    }
    lanes.extend([
        // Who tells tenants apart pays for it, and not the layer that asks.
        Lane::new(Place::Bare(KEYED), |_| {
            let request = black_box(on_behalf());
            black_box(tenant(request.headers()));
            read(&mut Site, request);
        }),
        Lane::new(Place::Peer(FIXED, peers::shed::TOWER), move |_| {
            read(&mut tower_limit, black_box(plain()));
        }),
        Lane::new(Place::Peer(FIXED, peers::shed::BULKHEAD), move |_| {
            read(&mut bulkhead, black_box(plain()));
        }),
        Lane::new(Place::Peer(ADAPTIVE, peers::shed::AIMD), move |_| read(&mut aimd, black_box(plain()))),
        Lane::new(Place::Peer(ADAPTIVE, peers::shed::ACC_GRADIENT2), move |_| {
            read(&mut acc, black_box(plain()));
        }),
        Lane::new(Place::Peer(LIMIT, peers::limit::TOWER_GOVERNOR), move |_| {
            read(&mut tower_governor, black_box(plain()));
        }),
        Lane::new(Place::Peer(LIMIT, peers::limit::WINDOW), move |_| read(&mut window, black_box(plain()))),
        Lane::new(Place::Peer(KEYED, peers::limit::TOWER_GOVERNOR), move |_| {
            read(&mut tower_governor_keyed, black_box(on_behalf()));
        }),
        Lane::new(Place::Ours(FIXED), move |_| read(&mut our_fixed, black_box(plain()))),
        Lane::new(Place::Ours(ADAPTIVE), move |_| read(&mut our_adaptive, black_box(plain()))),
        Lane::new(Place::Ours(LIMIT), move |_| read(&mut our_limit, black_box(plain()))),
        Lane::new(Place::Ours(KEYED), move |_| read(&mut our_keyed, black_box(on_behalf()))),
    ]);
    Contest {
        title: TITLE,
        cases: vec![
            Case::new("breaker", A + R + HTTP),
            Case::new("deadline", DEADLINE + HTTP),
            Case::new("client deadline", DEADLINE + HTTP + T + H),
            Case::new("retry", A + R + HTTP + C + M),
            Case::new("hedge", A + HTTP + C + M),
            Case::new("fixed limit", n3::fixed_floor() + HTTP),
            Case::new("adaptive shed", n3::adaptive_floor() + HTTP),
            Case::new("rate limit", n4::one_floor() + HTTP),
            Case::new("rate limit by tenant", n4::keyed_floor() + HTTP),
        ],
        teams: vec![lanes],
        notes: vec![
            "tower-http's time-out ends at the head of the answer; the client's header is written by its SetRequestHeader, without a look at the clock."
                .into(),
            "The peers' retries and hedges copy a body that can be cloned, and keep none.".into(),
            "The peers' limits give a place back at the head of the answer. tower_governor stands before a service that answers with an empty body of axum's, of which alone it can make a refusal."
                .into(),
        ],
    }
}
