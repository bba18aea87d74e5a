use crate::echo::{EchoServer, Player};
use crate::listen;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::service::Routes;

/// How long an answer takes, so that several calls are under way at a time.
const ANSWER: Duration = Duration::from_millis(20);

/// How a replica takes its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It answers after twenty milliseconds.
    #[default]
    Well,
    /// It answers after ten times as long.
    Slow,
    /// It answers 503 at once.
    Ill,
    /// It takes a call, and never answers.
    Hung,
    /// It answers with a head, a first chunk, and then nothing.
    Dripping,
    /// It answers, and says that it is about to leave.
    Leaving,
}

/// One of several servers of the same, on a port of its own, by HTTP/1 and HTTP/2. It can be ill, die, leave, and come back.
#[derive(Debug)]
pub struct Replica {
    address: SocketAddr,
    app: Router,
    inner: Arc<Inner>,
    server: Mutex<Option<Server>>,
}

#[derive(Debug, Default)]
struct Inner {
    mood: Mutex<Mood>,
    calls: AtomicUsize,
    running: AtomicUsize,
    /// That it says so when it is asked for its health over gRPC.
    not_serving: AtomicBool,
}

#[derive(Debug)]
struct Server {
    accepting: JoinHandle<()>,
    leave: watch::Sender<bool>,
}

impl Replica {
    /// Starts one that answers with its own address.
    pub async fn start() -> Self {
        let (listener, address) = listen().await;
        Self::begin(listener, Router::new().fallback(move || async move { address.to_string() })).await
    }

    /// Starts one that serves this, such as gRPC.
    pub async fn of(app: Router) -> Self {
        Self::begin(listen().await.0, app).await
    }

    /// Starts several that answer with their own addresses.
    pub async fn several(n: usize) -> Vec<Self> {
        stream::iter(0..n).then(|_| Self::start()).collect().await
    }

    /// Starts several of the gRPC service.
    pub async fn several_of_grpc(n: usize) -> Vec<Self> {
        let app = || Routes::new(EchoServer::new(Player)).into_axum_router();
        stream::iter(0..n).then(|_| Self::of(app())).collect().await
    }

    async fn begin(listener: TcpListener, app: Router) -> Self {
        let (address, inner) = (listener.local_addr().unwrap(), Arc::<Inner>::default());
        let app = app.layer(from_fn_with_state(inner.clone(), act));
        let replica = Self { address, app, inner, server: Mutex::default() };
        replica.serve(listener);
        replica
    }

    /// Where it is.
    #[must_use]
    pub fn uri(&self) -> Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Takes calls in this mood from now on.
    pub fn behave(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Says from now on whether it serves, when it is asked for its health over gRPC.
    pub fn say_serving(&self, serving: bool) {
        self.inner.not_serving.store(!serving, SeqCst);
    }

    /// How many calls it has had.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.inner.calls.load(SeqCst)
    }

    /// How many calls it has, up to the heads of its answers.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.running.load(SeqCst)
    }

    /// Dies: its connections break, and its port refuses others.
    pub async fn kill(&self) {
        if let Some(server) = self.take() {
            server.accepting.abort();
            // Cancelled, and then the port is free.
            let _ = server.accepting.await;
        }
    }

    /// Leaves: its port refuses connections, those that it has are told so, and the calls on them end.
    pub async fn leave(&self) {
        if let Some(server) = self.take() {
            server.leave.send(true).unwrap();
            crate::soon(server.accepting).await.unwrap();
        }
    }

    /// Comes back on its port.
    pub async fn restart(&self) {
        self.serve(TcpListener::bind(self.address).await.unwrap());
    }

    fn serve(&self, listener: TcpListener) {
        let (leave, left) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, self.app.clone(), left));
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(Server { accepting, leave });
    }

    fn take(&self) -> Option<Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn accept(listener: TcpListener, app: Router, mut left: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let told = left.clone();
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(talk(accepted.unwrap().0, app.clone(), told));
            }
            _ = left.wait_for(|left| *left) => break,
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.join_all().await;
}

async fn talk(stream: TcpStream, app: Router, mut left: watch::Receiver<bool>) {
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = left.wait_for(|left| *left) => connection.as_mut().graceful_shutdown(),
    }
    // It may break, as any does.
    let _ = connection.await;
}

/// Counts the call for as long as it runs.
struct Running(Arc<Inner>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

async fn act(State(inner): State<Arc<Inner>>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/grpc.health.v1.Health/Check" {
        return health(if inner.not_serving.load(SeqCst) { 2 } else { 1 });
    }
    inner.calls.fetch_add(1, SeqCst);
    inner.running.fetch_add(1, SeqCst);
    let mood = *inner.mood.lock().unwrap_or_else(PoisonError::into_inner);
    let _running = Running(inner);
    match mood {
        Mood::Ill => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mood::Hung => pending().await,
        Mood::Slow => tokio::time::sleep(10 * ANSWER).await,
        Mood::Dripping => return begun(),
        Mood::Well | Mood::Leaving => tokio::time::sleep(ANSWER).await,
    }
    let mut answer = next.run(request).await;
    if mood == Mood::Leaving {
        answer.headers_mut().insert("x-endpoint-draining", HeaderValue::from_static("1"));
    }
    answer
}

fn begun() -> Response {
    // Over gRPC it is the beginning of a message.
    let first = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"\0\0\0\0\x09first"))]);
    Body::from_stream(first.chain(stream::pending())).into_response()
}

/// An answer of gRPC's health protocol, with this `ServingStatus`.
fn health(status: u8) -> Response {
    let message = Full::new(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]));
    let ok = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let body = message.with_trailers(async { Some(Ok::<_, Infallible>(ok)) });
    ([("content-type", "application/grpc")], Body::new(body)).into_response()
}
