//! A gRPC service and its client, as `tonic-prost-build` generates them from a file, but shorter.

use http::{Request, Response, uri::PathAndQuery};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::StdError;
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// The message, one way and the other.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Text {
    /// `fail` fails, `hang` hangs, anything else is echoed.
    #[prost(string, tag = "1")]
    pub text: String,
}

async fn echo(request: tonic::Request<Text>) -> Result<tonic::Response<Text>, tonic::Status> {
    match request.get_ref().text.as_str() {
        "fail" => Err(tonic::Status::internal("it failed")),
        "hang" => std::future::pending().await,
        text => {
            let user = request.metadata().get("user").and_then(|user| user.to_str().ok());
            let text = user.map_or_else(|| text.to_owned(), |user| format!("{user}: {text}"));
            Ok(tonic::Response::new(Text { text }))
        }
    }
}

/// The server.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoServer;

impl tonic::server::NamedService for EchoServer {
    const NAME: &'static str = "recipes.Echo";
}

impl Service<Request<Body>> for EchoServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
        Box::pin(async move { Ok(grpc.unary(service_fn(echo), request).await) })
    }
}

/// The client, over any stack.
#[derive(Clone, Debug)]
pub struct EchoClient<T>(tonic::client::Grpc<T>);

impl<T> EchoClient<T>
where
    T: GrpcService<Body, Error: Into<StdError>>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    /// Creates a client.
    pub fn new(stack: T) -> Self {
        Self(tonic::client::Grpc::new(stack))
    }

    /// Sends a text, and returns what comes back.
    ///
    /// # Errors
    ///
    /// What the server answers, or a layer on the way.
    pub async fn echo(&mut self, text: &str) -> Result<String, tonic::Status> {
        self.0.ready().await.map_err(|error| tonic::Status::from_error(error.into()))?;
        let path = PathAndQuery::from_static("/recipes.Echo/Echo");
        let request = tonic::Request::new(Text { text: text.into() });
        let answer: tonic::Response<Text> = self.0.unary(request, path, ProstCodec::default()).await?;
        Ok(answer.into_inner().text)
    }
}
