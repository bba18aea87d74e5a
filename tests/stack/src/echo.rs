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
/// | `left` | the milliseconds that the ambient context leaves, or `endless` |
/// | anything else | the same word |
#[derive(Clone, Copy, Debug, Default)]
pub struct Player;

/// What a method returns.
pub type Answer<T> = Result<Response<T>, Status>;
/// What a method streams.
pub type Words = Pin<Box<dyn Stream<Item = Result<Said, Status>> + Send>>;

async fn play(word: String) -> Result<Said, Status> {
    match word.as_str() {
        "fail" => Err(Status::unavailable("played")),
        "hang" => pending().await,
        "panic" => panic!("played"),
        "left" => Ok(left().as_str().into()),
        word => Ok(word.into()),
    }
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
        play(request.into_inner().text).await.map(Response::new)
    }

    type ServerStreamStream = Words;

    async fn server_stream(&self, request: Request<Said>) -> Answer<Words> {
        let words: Vec<_> = request.get_ref().text.split(' ').map(str::to_owned).collect();
        Ok(Response::new(Box::pin(stream::iter(words).then(play))))
    }

    async fn client_stream(&self, request: Request<Streaming<Said>>) -> Answer<Said> {
        let mut words = request.into_inner();
        let mut all = Vec::new();
        while let Some(said) = words.message().await? {
            all.push(play(said.text).await?.text);
        }
        Ok(Response::new(all.join(" ").as_str().into()))
    }

    type BothStreamStream = Words;

    async fn both_stream(&self, request: Request<Streaming<Said>>) -> Answer<Words> {
        let answer = |said: Result<Said, Status>| async { play(said?.text).await };
        Ok(Response::new(Box::pin(request.into_inner().then(answer))))
    }
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
