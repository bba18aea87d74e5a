//! A gRPC service of one method of each kind, as generated, and its server on loopback.

#[allow(
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "it is as tonic generates it"
)]
mod generated;

pub use generated::echo_client::EchoClient;
pub use generated::echo_server::{Echo, EchoServer};

use crate::listen;
use bartizan_core::{Context, Instant};
use futures_util::{Stream, StreamExt, stream};
use http::Uri;
use std::future::pending;
use std::pin::Pin;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

/// The one message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Said {
    /// One word, or for a stream of answers one word for each.
    #[prost(string, tag = "1")]
    pub text: String,
}

impl From<&str> for Said {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned() }
    }
}

impl tonic::IntoRequest<Said> for &str {
    fn into_request(self) -> Request<Said> {
        Request::new(self.into())
    }
}

/// A service that plays the part which each word asks for.
///
/// | word | part |
/// |---|---|
/// | `fail` | `UNAVAILABLE` |
/// | `hang` | no answer ever |
/// | `panic` | a panic |
/// | `moody` | `UNAVAILABLE`, but the same word in the third attempt |
/// | `later` | the same, and asks for a pause of a millisecond |
/// | `never` | `UNAVAILABLE`, and asks not to be called again |
/// | `shy` | no answer ever, but the same word in the second attempt |
/// | `attempt` | the number of the attempt that the call says it is, or `-` |
/// | `left` | the milliseconds that the ambient context leaves, or `endless` |
/// | anything else | the same word |
#[derive(Clone, Copy, Debug, Default)]
pub struct Player;

/// What a method returns.
pub type Answer<T> = Result<Response<T>, Status>;
/// What a method streams.
pub type Words = Pin<Box<dyn Stream<Item = Result<Said, Status>> + Send>>;

async fn play(word: String, attempt: String) -> Result<Said, Status> {
    match word.as_str() {
        "moody" if attempt != "2" => Err(Status::unavailable("played")),
        "later" if attempt != "2" => Err(pushing_back("1")),
        "never" => Err(pushing_back("-1")),
        "shy" if attempt != "1" => pending().await,
        "attempt" => Ok(attempt.as_str().into()),
        "fail" => Err(Status::unavailable("played")),
        "hang" => pending().await,
        "panic" => panic!("played"),
        "left" => Ok(left().as_str().into()),
        word => Ok(word.into()),
    }
}

fn pushing_back(ms: &'static str) -> Status {
    let mut status = Status::unavailable("played");
    status.metadata_mut().insert("grpc-retry-pushback-ms", ms.parse().unwrap());
    status
}

/// The attempt that a call says it is.
fn attempt<T>(request: &Request<T>) -> String {
    let said = request.metadata().get("x-request-attempt");
    said.map_or("-", |said| said.to_str().unwrap()).to_owned()
}

/// The milliseconds that the ambient context leaves, or `endless`.
#[must_use]
pub fn left() -> String {
    let left = Context::current().and_then(|context| context.remaining(Instant::now()));
    left.map_or_else(|| "endless".to_owned(), |left| left.as_millis().to_string())
}

#[tonic::async_trait]
impl Echo for Player {
    async fn unary(&self, request: Request<Said>) -> Answer<Said> {
        let attempt = attempt(&request);
        play(request.into_inner().text, attempt).await.map(Response::new)
    }

    type ServerStreamStream = Words;

    async fn server_stream(&self, request: Request<Said>) -> Answer<Words> {
        let words: Vec<_> = request.get_ref().text.split(' ').map(str::to_owned).collect();
        let attempt = attempt(&request);
        Ok(Response::new(Box::pin(stream::iter(words).then(move |word| play(word, attempt.clone())))))
    }

    async fn client_stream(&self, request: Request<Streaming<Said>>) -> Answer<Said> {
        let attempt = attempt(&request);
        let mut words = request.into_inner();
        let mut all = Vec::new();
        while let Some(said) = words.message().await? {
            all.push(play(said.text, attempt.clone()).await?.text);
        }
        Ok(Response::new(all.join(" ").as_str().into()))
    }

    type BothStreamStream = Words;

    async fn both_stream(&self, request: Request<Streaming<Said>>) -> Answer<Words> {
        let attempt = attempt(&request);
        let answer = move |said: Result<Said, Status>| {
            let attempt = attempt.clone();
            async move { play(said?.text, attempt).await }
        };
        Ok(Response::new(Box::pin(request.into_inner().then(answer))))
    }
}

/// A channel to a server, which connects when it is first called.
#[must_use]
pub fn lazy(uri: &Uri) -> Channel {
    Endpoint::from(uri.clone()).connect_lazy()
}

/// Starts a server on loopback, and returns a channel to it.
pub async fn channel<F>(start: impl FnOnce(TcpListenerStream) -> F) -> Channel
where
    F: Future<Output: Send> + Send + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(start(TcpListenerStream::new(listener)));
    Endpoint::try_from(format!("http://{address}")).unwrap().connect_lazy()
}

/// Reads a stream to its end: the words, and the status if it is not `OK`.
pub async fn read(mut words: Streaming<Said>) -> (String, Option<Status>) {
    let mut all = Vec::new();
    loop {
        match crate::soon(words.message()).await {
            Ok(Some(said)) => all.push(said.text),
            Ok(None) => return (all.join(" "), None),
            Err(status) => return (all.join(" "), Some(status)),
        }
    }
}
