//! One connection, from its accept to its end.

use super::activity::{Activity, Watched};
use super::held::Held;
use super::limits::Limits;
use axum::Router;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tower::ServiceExt;

/// How long an overdue HTTP/2 peer gets to read that its connection is going away.
const FAREWELL: Duration = Duration::from_millis(200);

pub(super) async fn drive(
    stream: TcpStream,
    routes: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    // An answer is written in one go; waiting to fill a packet only delays it.
    let _ = stream.set_nodelay(true);
    let activity = Activity::new(Instant::now());
    let service = {
        let activity = activity.clone();
        service_fn(move |request: Request<Incoming>| {
            let in_flight = activity.begin(request.version() == Version::HTTP_2);
            let answer = routes.clone().oneshot(request);
            async move {
                let answer = answer.await?;
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
    let stopped = async { drop(stop.wait_for(|stop| *stop).await) };

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
