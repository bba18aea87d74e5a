//! A server and a client in one process, each on a thread of its own, with and without the standard stacks.

use std::{net::SocketAddr, sync::mpsc, thread, time::Duration};

use axum::{Router, routing::get};
use bartizan_client::ReqwestService;
use bartizan_stack::{ClientLayer, ServerLayer};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet, time::Instant};
use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

/// What goes over the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) h2: bool,
    pub(crate) concurrency: usize,
    /// Bytes of the answer.
    pub(crate) answer: usize,
}

/// Whether the stacks are there, at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Bare,
    Ours,
}

/// Both servers, and a client for each.
pub(crate) struct Ground {
    shape: Shape,
    runtime: Runtime,
    bare: SocketAddr,
    ours: SocketAddr,
    client: reqwest::Client,
    layer: ClientLayer,
}

/// Lets `work` put load on servers that run meanwhile.
pub(crate) fn run<R>(shape: Shape, work: impl FnOnce(&Ground) -> R) -> R {
    let (tell, addresses) = mpsc::channel();
    let answer = Bytes::from(vec![b'x'; shape.answer]);
    // Both servers on one thread, so that whoever is idle leaves it to the other.
    thread::spawn(move || {
        let runtime = runtime();
        runtime.block_on(async {
            let router = Router::new().route("/", get(move || std::future::ready(answer.clone())));
            let (bare, ours) = (router.clone(), router.layer(ServerLayer::default()));
            let listeners = (listen().await, listen().await);
            let found = (address(&listeners.0), address(&listeners.1));
            tell.send(found).expect("somebody waits for the servers");
            let serve = |listener, router: Router| async { axum::serve(listener, router).await };
            let _ended = tokio::join!(serve(listeners.0, bare), serve(listeners.1, ours));
        });
    });
    let (bare, ours) = addresses.recv().expect("the servers have begun");
    let client = reqwest::Client::builder().no_proxy();
    let client = if shape.h2 { client.http2_prior_knowledge() } else { client.http1_only() };
    let client = client.build().expect("a client without TLS asks nothing of the system");
    let ground = Ground { shape, runtime: runtime(), bare, ours, client, layer: ClientLayer::default() };
    work(&ground)
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system has room for a runtime")
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port")
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("it listens somewhere")
}

impl Ground {
    /// Keeps so many requests in flight for so long, each after the answer to the one before; returns how long each took, in
    /// milliseconds.
    pub(crate) fn load(&self, side: Side, time: Duration) -> Vec<f64> {
        let client = ReqwestService::new(self.client.clone());
        match side {
            Side::Bare => self.drive(&client, self.bare, time),
            Side::Ours => self.drive(&self.layer.layer(client), self.ours, time),
        }
    }

    fn drive<S, B>(&self, service: &S, to: SocketAddr, time: Duration) -> Vec<f64>
    where
        S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error: std::fmt::Debug, Future: Send>
            + Clone
            + Send
            + 'static,
        B: Body<Error: std::fmt::Debug, Data: Send> + Send + 'static,
    {
        let uri: Uri = format!("http://{to}/").parse().expect("an address makes a URI");
        self.runtime.block_on(async {
            let end = Instant::now() + time;
            let mut tasks = JoinSet::new();
            for _ in 0..self.shape.concurrency {
                let (mut service, uri) = (service.clone(), uri.clone());
                tasks.spawn(async move {
                    let mut latencies = Vec::new();
                    let mut begin = Instant::now();
                    while begin < end {
                        let mut request = Request::new(Empty::new());
                        *request.uri_mut() = uri.clone();
                        let ready = service.ready().await.expect("the client is ready");
                        let answer = ready.call(request).await.expect("an answer");
                        assert!(answer.status().is_success(), "{}", answer.status());
                        answer.into_body().collect().await.expect("a whole answer");
                        let now = Instant::now();
                        latencies.push((now - begin).as_secs_f64() * 1e3);
                        begin = now;
                    }
                    latencies
                });
            }
            tasks.join_all().await.into_iter().flatten().collect()
        })
    }
}
