use super::counts::Count;
use super::read::Read;
use super::shared::Refreshing;
use bartizan_core::{Context, Instant, Kind, Reason, Refused};
use bartizan_http::Head;
use bartizan_http::bytes::Bytes;
use bartizan_http::http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use bartizan_http::http::{Request, Response};
use bartizan_http::http_body::Body;
use std::future::poll_fn;
use std::pin::pin;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tower::Service;

const TOO_LONG: Reason = Reason::new("stale", Kind::DeadlineExceeded, "the refresh took too long").reached();

/// Sends a read out in the background, so that its answer is kept.
///
/// It has a context of its own: the priority and the attempt of the caller, but not its deadline.
pub(crate) fn refresh<S, B, RB>(
    mut service: S,
    mut req: Request<B>,
    mut read: Box<Read>,
    refreshing: Refreshing,
) where
    S: Service<Request<B>, Response = Response<RB>> + Send + 'static,
    S::Error: Send + Sync + 'static,
    S::Future: Send,
    B: Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    // Without a runtime there is no background.
    let Ok(runtime) = Handle::try_current() else { return };
    let (begun, lasts) = (Instant::now(), read.value.lease);
    let of = Head::of(&req).context().unwrap_or_default();
    let mut context = Context::new().with_priority(of.priority()).with_attempt(of.attempt());
    if let Some(deadline) = begun.checked_add(lasts) {
        context = context.with_deadline(deadline);
    }
    if let Some(carried) = req.extensions_mut().get_mut::<Context>() {
        *carried = context;
    }
    // What its caller has already, the store has not.
    for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE] {
        req.headers_mut().remove(&name);
        read.request.remove(&name);
    }
    read.ask(&mut req, begun);
    let work = async move {
        let _refreshing = refreshing;
        let mut is_ready = false;
        let call = async {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            is_ready = true;
            service.call(req).await
        };
        let Ok(out) = timeout(lasts, call).await else {
            let out = Err::<Response<RB>, _>(Refused::new(&TOO_LONG));
            return read.refresh_failed(Count::RefreshesLate, out, Instant::now());
        };
        let now = Instant::now();
        if read.has_failed(&out, is_ready) {
            return read.refresh_failed(Count::RefreshesFailed, out, now);
        }
        let Ok(response) = out else { return };
        let mut body = pin!(read.succeeded(response, now).into_body());
        let read_on = async { while let Some(Ok(_)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {} };
        // Dropped at its end, nothing is kept.
        let _ = timeout(lasts.saturating_sub(now.saturating_duration_since(begun)), read_on).await;
    };
    runtime.spawn(context.scope(work));
}
