use crate::boxed::Boxed;
use crate::exchange::exchange;
use crate::{Body, BoxError, Error, RequestBuilder, Response};
use bytes::Bytes;
use http::{Method, Request, Uri};
use tower_service::Service;

/// Requests with reqwest's feel, over any stack of layers.
///
/// A stack is a service of `http::Request<`[`Body`]`>`: layers around a [`ReqwestService`](crate::ReqwestService), a
/// `HyperService`, an axum router or whatever else answers. It is cloned for every request. What
/// the stack leaves out, such as time-outs and redirects, this leaves out as well.
///
/// To name its type in a struct, make it the default by [`boxed`](Self::boxed).
#[derive(Clone, Debug)]
pub struct Client<S = Boxed> {
    stack: S,
    base: Option<Uri>,
    max_body: usize,
}

impl<S> Client<S> {
    /// How many bytes a response is read into memory for at most, where nothing was set: 16 MiB.
    pub const DEFAULT_MAX_BODY: usize = 16 << 20;

    /// Creates a client over a stack, without a base url.
    pub const fn new(stack: S) -> Self {
        Self { stack, base: None, max_body: Self::DEFAULT_MAX_BODY }
    }

    /// Sets the url below which the paths of the requests are. Default: none, so that requests need full urls.
    ///
    /// Below a balancer as well, where the endpoints take the place of host and port: `http://stock` then says for whom the call is.
    ///
    /// A path is appended, with or without a slash before it: below `http://host/api`, both `users` and `/users` are
    /// `http://host/api/users`. A path that leads out of the base, such as `../admin`, is an error, so that one made of a
    /// stranger's words reaches no other host and no other path. A full url is taken as it is.
    #[must_use]
    pub fn base_url(mut self, base: Uri) -> Self {
        self.base = Some(base);
        self
    }

    /// Sets for how many bytes at most [`bytes`](Response::bytes), `text` and `json` read a response.
    /// [`chunk`](Response::chunk) has no limit. Default: [`DEFAULT_MAX_BODY`](Self::DEFAULT_MAX_BODY), 16 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// The stack.
    pub const fn get_ref(&self) -> &S {
        &self.stack
    }

    /// Takes the stack out.
    pub fn into_inner(self) -> S {
        self.stack
    }
}

impl<S: Clone> Client<S> {
    /// Starts a `GET` request. What is wrong with the url is told by `send`.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder<S> {
        self.request(Method::GET, url)
    }

    /// Starts a `POST` request. What is wrong with the url is told by `send`.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder<S> {
        self.request(Method::POST, url)
    }

    /// Starts a `PUT` request. What is wrong with the url is told by `send`.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder<S> {
        self.request(Method::PUT, url)
    }

    /// Starts a `PATCH` request. What is wrong with the url is told by `send`.
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder<S> {
        self.request(Method::PATCH, url)
    }

    /// Starts a `DELETE` request. What is wrong with the url is told by `send`.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder<S> {
        self.request(Method::DELETE, url)
    }

    /// Starts a `HEAD` request. What is wrong with the url is told by `send`.
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder<S> {
        self.request(Method::HEAD, url)
    }

    /// Starts a request of any method. What is wrong with the url is told by `send`.
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder<S> {
        RequestBuilder::new(self.stack.clone(), self.max_body, method, self.base.as_ref(), url.as_ref())
    }

    /// Sends a request that was built elsewhere. The base url does not apply to it.
    ///
    /// # Errors
    ///
    /// Those of [`RequestBuilder::send`], but for [`Error::Invalid`].
    ///
    /// # Cancel safety
    ///
    /// That of [`RequestBuilder::send`].
    pub fn execute<B>(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response, Error>> + use<S, B>
    where
        S: Service<Request<Body>, Response = http::Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        exchange(self.stack.clone(), request, self.max_body)
    }

    /// Forgets the type of the stack, at the price of two boxes a request: one type for a struct to hold, `Client`.
    #[must_use]
    pub fn boxed<B>(self) -> Client
    where
        S: Service<Request<Body>, Response = http::Response<B>> + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Client { stack: Boxed::new(self.stack), base: self.base, max_body: self.max_body }
    }
}
