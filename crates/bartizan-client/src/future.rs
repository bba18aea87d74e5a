//! The future of a [`ReqwestService`](crate::ReqwestService).

use crate::Redirected;
use http::{Response, Uri};
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;
use url::{Position, Url};

type Pending = <reqwest::Client as Service<reqwest::Request>>::Future;

/// Future of a [`ReqwestService`](crate::ReqwestService). Dropped before it is done, it takes the request back, or resets it.
#[must_use = "futures do nothing unless they are polled"]
pub struct ReqwestFuture(State);

enum State {
    Sent { pending: Pending, uri: Uri },
    Failed(Option<reqwest::Error>),
}

impl ReqwestFuture {
    pub(crate) const fn sent(pending: Pending, uri: Uri) -> Self {
        Self(State::Sent { pending, uri })
    }

    pub(crate) const fn failed(error: reqwest::Error) -> Self {
        Self(State::Failed(Some(error)))
    }
}

impl Future for ReqwestFuture {
    type Output = Result<Response<reqwest::Body>, reqwest::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Failed(error) => {
                Poll::Ready(Err(error.take().expect("a client's future is not polled after it is done")))
            }
            State::Sent { pending, uri } => {
                let mut response = ready!(Pin::new(pending).poll(cx)).map_err(|error| known(error, uri))?;
                if let Some(whence) = elsewhere(uri, response.url()) {
                    response.extensions_mut().insert(Redirected(whence));
                }
                Poll::Ready(Ok(response.into()))
            }
        }
    }
}

/// Lets the layers look into the error that they are about to get, but has them know one that may be about a request to which a redirect
/// led: then the first has arrived, whatever became of the next. reqwest does not say, and names the first in either case. So an
/// error has no URL unless the place that could not be reached is the one to which the request was sent.
#[cold]
fn known(error: reqwest::Error, sent: &Uri) -> reqwest::Error {
    bartizan_core::recognise_by::<reqwest::Error>(|error| error.url().is_some());
    let stray = error.is_connect() && !unreached(&error).is_some_and(|place| is_at(sent, place));
    if stray { error.without_url() } else { error }
}

/// The address to which no connection was made. It is only shown to people.
fn unreached(error: &reqwest::Error) -> Option<SocketAddr> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let words = format!("{error:?}");
        if let Some(place) = words.split([',', '(', ')', ' ']).find_map(|word| word.parse().ok()) {
            return Some(place);
        }
        next = error.source();
    }
    None
}

/// Whether a request that was sent there can have gone to that address.
fn is_at(sent: &Uri, place: SocketAddr) -> bool {
    let host = sent.host().unwrap_or_default().trim_matches(['[', ']']);
    let ip = host.parse::<IpAddr>().ok();
    port(sent) == place.port() && ip.is_none_or(|ip| ip == place.ip())
}

fn port(uri: &Uri) -> u16 {
    let known = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    uri.port_u16().unwrap_or(known)
}

/// Where the answer came from, unless from where the request was sent to.
fn elsewhere(sent: &Uri, answered: &Url) -> Option<Uri> {
    let port = sent.port_u16().or(match sent.scheme_str() {
        Some("https") => Some(443),
        _ => Some(80),
    });
    let same = sent.scheme_str() == Some(answered.scheme())
        && sent.host() == answered.host_str()
        && port == answered.port_or_known_default()
        && sent.path_and_query().map(http::uri::PathAndQuery::as_str)
            == Some(&answered[Position::BeforePath..Position::AfterQuery]);
    if same || is_written_as(sent, answered) { None } else { answered[..Position::AfterQuery].parse().ok() }
}

/// Whether reqwest wrote the one as the other: it lowers the case of a host, and takes dots and spaces out of a path.
#[cold]
fn is_written_as(sent: &Uri, answered: &Url) -> bool {
    let from_host = Position::BeforeHost..Position::AfterQuery;
    Url::parse(&sent.to_string()).is_ok_and(|sent| {
        sent.scheme() == answered.scheme() && sent[from_host.clone()] == answered[from_host]
    })
}

impl fmt::Debug for ReqwestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = matches!(self.0, State::Sent { .. });
        f.debug_struct("ReqwestFuture").field("sent", &sent).finish_non_exhaustive()
    }
}
