//! n11: the HTTP flavour: `http::Request` in, the guarded body read to its end.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use tower_http::{set_header::SetRequestHeader, timeout::Timeout};

use crate::{
    contest::{Case, Contest},
    floor::{A, Floor, H, R, T},
    ground::{Site, read},
    options::Timing,
    ours, peers,
    primitives::timeout_value,
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

/// What the HTTP flavour may take beyond the typed one.
const HTTP: Floor = Floor::nanos(20.0);
/// What a deadline costs in the typed flavour when the service is ready.
const DEADLINE: Floor = Floor::nanos(5.0);

/// A request with a body and no headers, as a server's inner layers see it cheapest.
fn plain() -> Request<Full<Bytes>> {
    Request::new(Full::new(Bytes::from_static(b"{\"order\":7}")))
}

/// A request as a client sends it: with a header, and room for one more.
fn headed() -> Request<Full<Bytes>> {
    let mut request = plain();
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.headers_mut() = headers;
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

    let lanes = vec![
        Lane::new(Place::Bare(BREAKER), |_| read(&mut Site, black_box(plain()))),
        Lane::new(Place::Bare(SERVER), |_| read(&mut Site, black_box(plain()))),
        Lane::new(Place::Bare(CLIENT), |_| read(&mut Site, black_box(headed()))),
        Lane::new(Place::Peer(BREAKER, peers::TOWER_RESILIENCE), move |_| {
            read(&mut tower_resilience, black_box(plain()));
        }),
        Lane::new(Place::Peer(SERVER, peers::TOWER_HTTP), move |_| read(&mut server, black_box(plain()))),
        Lane::new(Place::Peer(CLIENT, peers::TOWER_HTTP), move |_| read(&mut client, black_box(headed()))),
        Lane::new(Place::Ours(BREAKER), move |_| read(&mut our_breaker, black_box(plain()))),
        Lane::new(Place::Ours(SERVER), move |_| read(&mut our_server, black_box(plain()))),
        Lane::new(Place::Ours(CLIENT), move |_| read(&mut our_client, black_box(headed()))),
    ];
    Contest {
        title: TITLE,
        cases: vec![
            Case::new("breaker", A + R + HTTP),
            Case::new("deadline", DEADLINE + HTTP),
            Case::new("client deadline", DEADLINE + HTTP + T + H),
        ],
        teams: vec![lanes],
        notes: vec![
            "tower-http's time-out ends at the head of the answer; the client's header is written by its SetRequestHeader, without a look at the clock."
                .into(),
        ],
    }
}
