//! One connection, from its accept to its end.

use super::activity::{Activity, Watched};
use super::ahead::Ahead;
use super::handshake::shake;
use super::held::{Coming, Held};
use super::limits::Limits;
use super::{Caller, Stop};
use axum::Router;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// How long nothing must be asked on a connection before it is handed over to nobody.
pub const LEAVE: Duration = Duration::from_secs(3);

/// How long those who ask here may keep a connection on which they ask nothing. A request that meets a closing connection is
/// lost, so they close it long before it is closed here.
pub const KEEP: Duration = LEAVE.checked_div(2).unwrap();

/// How often it is looked whether a connection that had asked nothing yet has turned out to be one of HTTP/2.
const LOOK: Duration = Duration::from_millis(50);

/// How long an overdue HTTP/2 peer gets to read that its connection is going away.
const FAREWELL: Duration = Duration::from_millis(200);

pub(super) async fn drive(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    from: Caller,
    routes: Router,
    limits: Limits,
    ahead: Ahead,
    mut stop: watch::Receiver<Stop>,
) {
    // An answer is written in one go; waiting to fill a packet only delays it.
    let _ = stream.set_nodelay(true);
    let opened = Instant::now();
    let Some(tls) = tls else { return speak(stream, opened, from, routes, limits, ahead, stop).await };
    let shaken = tokio::select! {
        shaken = shake(&tls, stream, &limits) => shaken,
        _ = stop.wait_for(|stop| *stop == Stop::Now) => None,
    };
    if let Some(stream) = shaken {
        speak(stream, opened, from, routes, limits, ahead, stop).await;
    }
}

/// Speaks HTTP, whatever is below it.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    opened: Instant,
    from: Caller,
    routes: Router,
    limits: Limits,
    ahead: Ahead,
    mut stop: watch::Receiver<Stop>,
) {
    let activity = Activity::new(opened, Instant::now());
    let service = {
        let (activity, stop) = (activity.clone(), stop.clone());
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(from);
            let multiplexed = request.version() == Version::HTTP_2;
            let in_flight = activity.begin(multiplexed);
            let request = request.map(|body| {
                let awaited = (!body.is_end_stream()).then(|| activity.await_body());
                Coming::new(body, awaited)
            });
            let (ahead, routes, stop) = (ahead.clone(), routes.clone(), stop.clone());
            async move {
                let mut answer = routes.oneshot(ahead.read(request).await).await?;
                if !multiplexed && *stop.borrow() != Stop::Not {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer.map(|body| Held { body, _request: in_flight }))
            }
        })
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The watch below knows all limits; hyper's own head timer would be a second opinion.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(256);
    let io = TokioIo::new(Watched { stream, activity: activity.clone() });
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut overdue = pin!(overdue(&activity, limits));
    let mut stopping = stop.clone();
    let stopped = async {
        let how = stopping.wait_for(|stop| *stop != Stop::Not).await.map_or(Stop::Now, |stop| *stop);
        // HTTP/2 tells which requests came too late, and they are sent again.
        if how == Stop::Handover {
            tokio::select! {
                () = left_alone(&activity) => {}
                _ = stop.wait_for(|stop| *stop == Stop::Now) => {}
            }
        }
    };

    tokio::select! {
        _ = connection.as_mut() => return,
        () = overdue.as_mut() => {
            if activity.is_free() {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(FAREWELL, connection).await;
            }
            return;
        }
        () = stopped => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = overdue => {}
    }
}

/// Ends when nobody has asked anything for a while. Closed earlier, the connection might lose a request that is on its
/// way here, unless it is one of HTTP/2.
async fn left_alone(activity: &Activity) {
    while !activity.is_multiplexed() {
        let now = Instant::now();
        let end = activity.idle_since().map_or(now + LEAVE, |since| since + LEAVE);
        if end <= now {
            return;
        }
        sleep_until(end.min(now + LOOK)).await;
    }
}

/// Ends when the connection is overdue.
async fn overdue(activity: &Activity, limits: Limits) {
    loop {
        let (now, due) = (Instant::now(), activity.due(&limits));
        if due <= now {
            return;
        }
        // What happens meanwhile may bring the end nearer, by going over to a shorter limit.
        sleep_until(due.min(now + limits.shortest())).await;
    }
}
