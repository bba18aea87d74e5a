use crate::failure::Failed;
use crate::fallback::Fallback;
use crate::give::{Call, Forward, Nothing, TypedCall, TypedWith, Value, With};
use crate::handle::Handle;
use crate::held::Held;
use crate::http_way::HttpWay;
use crate::key::{Keep, Keyed, NoKey};
use crate::reply::Reply;
use crate::service::FallbackService;
use crate::shared::Shared;
use crate::typed_way::TypedWay;
use bartizan_core::{ErrorsFail, Name};
use bartizan_http::{Head, HttpClassifier};
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that applies [`FallbackService`]. Its clones and its services share settings, counts and state.
///
/// It replaces nothing until it is told what by: [`value`](Self::value), [`with`](Self::with), [`call`](Self::call) or
/// [`forward`](Self::forward), of which the last one counts.
#[derive(Debug)]
pub struct FallbackLayer<W = HttpWay> {
    held: Arc<Held<W>>,
}

impl<W> Clone for FallbackLayer<W> {
    fn clone(&self) -> Self {
        Self { held: self.held.clone() }
    }
}

impl FallbackLayer {
    /// Creates a layer in the HTTP flavour.
    #[must_use]
    pub fn new(value: Fallback) -> Self {
        let way = HttpWay { give: Nothing, key: NoKey, classify: HttpClassifier, reads: None };
        Self { held: Arc::new(Held { way, shared: Arc::new(Shared::new(value)) }) }
    }

    /// Turns the layer into the typed flavour, for requests of any type, by a function that says whether one only reads. The closure's
    /// argument needs its type. Comes first: a [rule](Self::reads) or classifier that the layer has is not kept.
    ///
    /// Errors are failures, and every `Ok` is good: [`classify`](FallbackLayer::classify) changes that.
    ///
    /// ```
    /// use bartizan_fallback::{Fallback, FallbackLayer};
    /// use tower::{BoxError, Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let layer = FallbackLayer::new(Fallback::new()).typed(|_: &u32| true).with(|_| Ok(7));
    /// let broken = service_fn(|_: u32| async { Err::<u32, BoxError>("broken".into()) });
    /// assert_eq!(layer.layer(broken).oneshot(1).await?, 7);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn typed<Req, P>(self, reads: P) -> FallbackLayer<TypedWay<P>>
    where
        P: Fn(&Req) -> bool + Clone + Send + Sync + 'static,
    {
        self.map(|_| TypedWay { reads, give: Nothing, key: NoKey, classify: ErrorsFail })
    }
}

impl<F: Clone, G: Clone, C: Clone> FallbackLayer<HttpWay<F, G, C>> {
    /// Says of requests whose method may write whether one only reads all the same: a search by `POST`, a gRPC call by its path. Comes on top of
    /// `GET`, `HEAD`, `OPTIONS` and `TRACE`, of which it is not asked. Default: none does.
    ///
    /// ```
    /// use bartizan_fallback::{Fallback, FallbackLayer};
    ///
    /// let layer = FallbackLayer::new(Fallback::new()).reads(|head| head.uri.path() == "/shop.Stock/Get");
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn reads(self, rule: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.map(|way| HttpWay { reads: Some(Arc::new(rule)), ..way })
    }

    /// Replaces the classifier. Default: [`HttpClassifier`]. What it leaves to the end of the body counts as good.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> FallbackLayer<HttpWay<F, G, D>> {
        self.map(|way| HttpWay { give: way.give, key: way.key, classify, reads: way.reads })
    }
}

impl<C: Clone> FallbackLayer<HttpWay<Nothing, NoKey, C>> {
    /// Keeps something of each request's head, such as a path or an id, for the function that may have to answer it:
    /// [`Failed::key`]. It is taken before the call, of every request that can get a fallback. Comes before the function. Default: nothing.
    ///
    /// ```
    /// use bartizan_fallback::{Fallback, FallbackLayer};
    /// use http::Response;
    ///
    /// let layer = FallbackLayer::new(Fallback::new())
    ///     .key(|head| head.uri.path().to_owned())
    ///     .with(|failed| Response::new(format!("{} is out of reach", failed.key)));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn key<K, G>(self, take: G) -> FallbackLayer<HttpWay<Nothing, Keyed<G, K>, C>>
    where
        G: Fn(&Head<'_>) -> K + Clone + Send + Sync + 'static,
    {
        self.map(|way| HttpWay {
            give: Nothing,
            key: Keyed::new(take),
            classify: way.classify,
            reads: way.reads,
        })
    }
}

impl<F: Clone, G: Keep + Clone, C: Clone> FallbackLayer<HttpWay<F, G, C>> {
    /// Replaces failures by a value: a `http::Response` of bytes or text, or a [`Reply`].
    #[must_use]
    pub fn value(self, reply: impl Into<Reply>) -> FallbackLayer<HttpWay<Value<Reply>, G, C>> {
        self.gives(Value(Arc::new(reply.into())))
    }

    /// Replaces failures by what a function makes of them: a `http::Response` of bytes or text, a [`Reply`], a `Result` of either, or an
    /// `Option`, of which `None` leaves the failure as it is.
    ///
    /// It must not block. Should it panic, that request alone suffers.
    ///
    /// ```
    /// use bartizan_fallback::{Fallback, FallbackLayer};
    /// use http::Response;
    ///
    /// // Says nothing where the service is only throttled.
    /// let layer = FallbackLayer::new(Fallback::new())
    ///     .with(|failed| (failed.outcome().code() != Some(429)).then(|| Response::new("[]")));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn with<R, H>(self, give: H) -> FallbackLayer<HttpWay<With<H>, G, C>>
    where
        H: Fn(&Failed<G::Key>) -> R + Clone + Send + Sync + 'static,
    {
        self.gives(With(give))
    }

    /// Replaces failures by what an asynchronous function makes of them: a `http::Response` of bytes or text, a [`Reply`], or a `Result` of
    /// either. An error of it goes out in place of the failure.
    ///
    /// The failed answer is dropped before, the function runs within the call, and is dropped with it. No more than
    /// [`Fallback::max_in_flight`] run at once.
    ///
    /// ```
    /// use bartizan_fallback::{Fallback, FallbackLayer};
    /// use http::Response;
    /// use std::time::Duration;
    /// # async fn look_up(path: &str) -> String { path.to_owned() }
    ///
    /// let layer = FallbackLayer::new(Fallback::new())
    ///     .key(|head| head.uri.path().to_owned())
    ///     .call(async |failed| Response::new(look_up(&failed.key).await));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn call<H, Fut>(self, give: H) -> FallbackLayer<HttpWay<Call<H>, G, C>>
    where
        H: Fn(Failed<G::Key>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future,
    {
        self.gives(Call(give))
    }

    /// Replaces failures by the answer of another service, whose body is of the same type as that of the inner service and passes untouched, with
    /// its trailers. An error goes out in place of the failure. The body of the request is not there to be sent again.
    ///
    /// As with [`call`](Self::call), the failed answer is dropped before, and no more than [`Fallback::max_in_flight`] wait for the head at once.
    ///
    /// ```
    /// use bartizan_fallback::{Fallback, FallbackLayer};
    /// use http::{Request, Response};
    /// use tower::{BoxError, Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// # type Body = http_body_util::Full<bytes::Bytes>;
    /// let main = service_fn(async |_: Request<Body>| Err::<Response<Body>, BoxError>("down".into()));
    /// let copy = service_fn(async |req: Request<Body>| Ok::<_, BoxError>(Response::new(Body::from(req.uri().to_string()))));
    ///
    /// let layer = FallbackLayer::new(Fallback::new()).key(|head| head.uri.clone()).forward(move |failed| {
    ///     let mut req = Request::new(Body::default());
    ///     *req.uri_mut() = failed.key;
    ///     copy.oneshot(req)
    /// });
    /// let answer = layer.layer(main).oneshot(Request::get("/a").body(Body::default())?).await?;
    /// assert_eq!(answer.status(), 200);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn forward<H, Fut>(self, give: H) -> FallbackLayer<HttpWay<Forward<H>, G, C>>
    where
        H: Fn(Failed<G::Key>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future,
    {
        self.gives(Forward(give))
    }

    fn gives<H>(self, give: H) -> FallbackLayer<HttpWay<H, G, C>> {
        self.map(|way| HttpWay { give, key: way.key, classify: way.classify, reads: way.reads })
    }
}

impl<P: Clone, F: Clone, G: Clone, C: Clone> FallbackLayer<TypedWay<P, F, G, C>> {
    /// Replaces the classifier. Default: [`ErrorsFail`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> FallbackLayer<TypedWay<P, F, G, D>> {
        self.map(|way| TypedWay { reads: way.reads, give: way.give, key: way.key, classify })
    }
}

impl<P: Clone, C: Clone> FallbackLayer<TypedWay<P, Nothing, NoKey, C>> {
    /// Keeps something of each request for the function that may have to answer it: [`Failed::key`]. Comes before the function. Default:
    /// nothing.
    #[must_use]
    pub fn key<Req, K, G>(self, take: G) -> FallbackLayer<TypedWay<P, Nothing, Keyed<G, K>, C>>
    where
        G: Fn(&Req) -> K + Clone + Send + Sync + 'static,
    {
        self.map(|way| TypedWay {
            reads: way.reads,
            give: Nothing,
            key: Keyed::new(take),
            classify: way.classify,
        })
    }
}

impl<P: Clone, F: Clone, G: Keep + Clone, C: Clone> FallbackLayer<TypedWay<P, F, G, C>> {
    /// Replaces failures by a value.
    #[must_use]
    pub fn value<T>(self, answer: T) -> FallbackLayer<TypedWay<P, Value<T>, G, C>> {
        self.gives(Value(Arc::new(answer)))
    }

    /// Replaces failures by what a function makes of them. It must not block. Should it panic, that request alone suffers.
    ///
    /// Where the error type is no boxed one, an error of it carries no cause but what the function puts into it.
    #[must_use]
    pub fn with<T, E, H>(self, give: H) -> FallbackLayer<TypedWay<P, TypedWith<H>, G, C>>
    where
        H: Fn(&Failed<G::Key>) -> Result<T, E> + Clone + Send + Sync + 'static,
    {
        self.gives(TypedWith(give))
    }

    /// Replaces failures by what an asynchronous function makes of them. It runs within the call, and is dropped with it. No more than
    /// [`Fallback::max_in_flight`] run at once.
    #[must_use]
    pub fn call<H, Fut>(self, give: H) -> FallbackLayer<TypedWay<P, TypedCall<H>, G, C>>
    where
        H: Fn(Failed<G::Key>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future,
    {
        self.gives(TypedCall(give))
    }

    fn gives<H>(self, give: H) -> FallbackLayer<TypedWay<P, H, G, C>> {
        self.map(|way| TypedWay { reads: way.reads, give, key: way.key, classify: way.classify })
    }
}

impl<W> FallbackLayer<W> {
    /// Names the layer in its events and in the [registry](bartizan_core::registry). The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.held.shared.set_name(name.into());
        self
    }

    /// Returns a handle, from which the layer is watched and steered.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.held.shared.clone())
    }

    fn map<V>(self, change: impl FnOnce(W) -> V) -> FallbackLayer<V>
    where
        W: Clone,
    {
        let Held { way, shared } = Arc::unwrap_or_clone(self.held);
        FallbackLayer { held: Arc::new(Held { way: change(way), shared }) }
    }
}

impl<S, W> Layer<S> for FallbackLayer<W> {
    type Service = FallbackService<S, W>;

    fn layer(&self, inner: S) -> Self::Service {
        FallbackService::new(inner, self.held.clone())
    }
}
