//! The future of a [`ReqwestService`](crate::ReqwestService).

use crate::Redirected;
use http::{Response, Uri};
use std::fmt;
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
                let mut response = ready!(Pin::new(pending).poll(cx)).inspect_err(|_| known())?;
                if let Some(whence) = elsewhere(uri, response.url()) {
                    response.extensions_mut().insert(Redirected(whence));
                }
                Poll::Ready(Ok(response.into()))
            }
        }
    }
}

/// Lets the layers look into the error that they are about to get.
#[cold]
fn known() {
    bartizan_core::recognise::<reqwest::Error>();
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
