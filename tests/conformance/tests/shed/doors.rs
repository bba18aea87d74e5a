//! Rows S29 to S31: doors that stay open, bodies that stay unread, services that are not ready.

use crate::shed;
use bartizan_core::Refused;
use bartizan_shed::{Shed, ShedLayer};
use bytes::Bytes;
use conformance::crowd::{How, Is, Visit, in_a_crowd, in_a_crowd_http};
use conformance::{Flavour, Mode, Probe};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use tower::{Layer, Service};

#[tokio::test(start_paused = true)]
async fn s29_always_open_doors() {
    in_a_crowd_http(
        || shed(Shed::fixed(1))(Flavour::Http),
        async |crowd| {
            let running = crowd.enter(Visit::new());
            for path in ["/healthz", "/readyz", "/livez", "/metrics", "/grpc.health.v1.Health/Check"] {
                let mut asks = crowd.enter(Visit::new().path(path));
                assert_eq!(asks.is(), Is::Running, "{path}");
                asks.end(How::Good);
            }
            for path in ["/", "/healthz/me", "/metric", "/api/healthz", "/grpc.health.v2.Health/Check"] {
                assert_eq!(crowd.enter(Visit::new().path(path)).is(), Is::Refused, "{path}");
            }
            assert_eq!(crowd.handle().snapshot().in_flight, 1, "they take nobody's place");
            running.end(How::Good);
        },
    )
    .await;
}

/// What the user exempts passes as well, in both flavours.
#[tokio::test(start_paused = true)]
async fn s29_always_open_doors_by_choice() {
    use conformance::crowd::{Asked, Crowd, Refusals};
    let build = |flavour| {
        let layer = ShedLayer::new(Shed::fixed(1));
        match flavour {
            Flavour::Http => {
                let layer = layer.exempt(|head| Asked::of(head).key == 7);
                Crowd::http(layer.handle(), |desk| layer.layer(desk))
            }
            Flavour::Typed => {
                let layer = layer.typed().classify(Refusals).exempt(|visit: &Visit| visit.key == 7);
                Crowd::typed(layer.handle(), |desk| layer.layer(desk))
            }
        }
    };
    in_a_crowd(build, async |crowd| {
        let running = crowd.enter(Visit::new());
        assert_eq!(crowd.enter(Visit::new()).is(), Is::Refused);
        let mut exempt = crowd.enter_all(5, || Visit::new().key(7));
        assert!(exempt.iter_mut().all(|guest| guest.is() == Is::Running));
        running.end(How::Good);
    })
    .await;
}

/// An upload of 10 MB that counts how often it is asked for more.
#[derive(Debug)]
struct Upload {
    asked: Arc<AtomicU64>,
    left: usize,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.asked.fetch_add(1, SeqCst);
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 10_000])))))
    }
}

#[tokio::test(start_paused = true)]
async fn s30_refuse_before_reading() {
    for mode in Mode::ALL {
        let layer = ShedLayer::new(Shed::fixed(1));
        let mut service = layer.layer(Probe::new(async |request: Request<Upload>| {
            let read = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(Response::new(Full::from(read.len().to_string())))
        }));
        let asked = Arc::new(AtomicU64::new(0));
        let upload = || Request::post("/").body(Upload { asked: asked.clone(), left: 1000 }).unwrap();
        let mut other = service.clone();
        poll_fn(|cx| other.poll_ready(cx)).await.unwrap();
        // It is admitted, and nobody has polled it yet.
        let running = other.call(upload());
        for _ in 0..5 {
            let response = mode.call(&mut service, upload).await.unwrap();
            assert!(response.extensions().get::<Refused>().is_some());
            assert_eq!((response.status().as_u16(), asked.load(SeqCst)), (503, 0));
        }
        let body = running.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!((&body[..], asked.load(SeqCst)), (&b"10000000"[..], 1001));
    }
}

#[tokio::test(start_paused = true)]
async fn s31_not_ready_is_refused() {
    for value in [Shed::fixed(10), Shed::new()] {
        in_a_crowd(shed(value), async |crowd| {
            crowd.tally().set_never_ready(true);
            // A guest's service must be ready at once.
            let refused = crowd.enter(Visit::new()).refused();
            assert_eq!((refused.layer(), refused.reason(), refused.reached()), ("shed", "not ready", false));
            assert_eq!((crowd.tally().calls(), crowd.handle().snapshot().in_flight), (0, 0));

            crowd.tally().set_never_ready(false);
            crowd.enter(Visit::new()).end(How::Good);
        })
        .await;
    }
}
