use crate::failure::Failed;
use crate::reply::{IntoOffer, IntoReply, Reply, Substitute};
use bartizan_http::http::Response;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Ready;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// What takes the place of a failed call. A layer is given one by [`value`](crate::FallbackLayer::value),
/// [`with`](crate::FallbackLayer::with), [`call`](crate::FallbackLayer::call) or [`forward`](crate::FallbackLayer::forward).
pub trait Give<K, T, E>: Clone + Send + Sync + 'static {
    /// Future of an asynchronous function.
    type Later: Future<Output = Result<T, E>>;
    /// Whether there is anything to give.
    const GIVES: bool = true;
    /// Whether it takes time to find it.
    const LATER: bool = false;

    /// Finds it at once. `None` leaves the failure as it is.
    fn now(&self, failed: &Failed<K>) -> Option<Result<T, E>>;

    /// Begins to find it. Asked only where that takes time.
    fn later(&self, failed: Failed<K>) -> Self::Later;
}

const NOT_LATER: &str = "it was found at once";

/// Nothing: the failure goes out as it is.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl<K, T: 'static, E: 'static> Give<K, T, E> for Nothing {
    type Later = Ready<Result<T, E>>;
    const GIVES: bool = false;

    fn now(&self, _: &Failed<K>) -> Option<Result<T, E>> {
        None
    }

    fn later(&self, _: Failed<K>) -> Self::Later {
        unreachable!("{NOT_LATER}")
    }
}

/// The same value each time.
#[derive(Debug)]
pub struct Value<T>(pub(crate) Arc<T>);

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, T: Clone + Send + Sync + 'static, E: 'static> Give<K, T, E> for Value<T> {
    type Later = Ready<Result<T, E>>;

    fn now(&self, _: &Failed<K>) -> Option<Result<T, E>> {
        Some(Ok(T::clone(&self.0)))
    }

    fn later(&self, _: Failed<K>) -> Self::Later {
        unreachable!("{NOT_LATER}")
    }
}

impl<K, B: 'static, E: 'static> Give<K, Substitute<B>, E> for Value<Reply> {
    type Later = Ready<Result<Substitute<B>, E>>;

    fn now(&self, _: &Failed<K>) -> Option<Result<Substitute<B>, E>> {
        Some(Ok(Substitute::Own(Reply::clone(&self.0))))
    }

    fn later(&self, _: Failed<K>) -> Self::Later {
        unreachable!("{NOT_LATER}")
    }
}

/// A function of the failure, in the HTTP flavour.
#[derive(Clone, Copy)]
pub struct With<F>(pub(crate) F);

impl<F, R, K, B, E> Give<K, Substitute<B>, E> for With<F>
where
    F: Fn(&Failed<K>) -> R + Clone + Send + Sync + 'static,
    R: IntoOffer<E>,
    B: 'static,
    E: 'static,
{
    type Later = Ready<Result<Substitute<B>, E>>;

    fn now(&self, failed: &Failed<K>) -> Option<Result<Substitute<B>, E>> {
        let offer = (self.0)(failed).into_offer()?;
        Some(offer.map(Substitute::Own))
    }

    fn later(&self, _: Failed<K>) -> Self::Later {
        unreachable!("{NOT_LATER}")
    }
}

/// A function of the failure, in the typed flavour.
#[derive(Clone, Copy)]
pub struct TypedWith<F>(pub(crate) F);

impl<F, K, T, E> Give<K, T, E> for TypedWith<F>
where
    F: Fn(&Failed<K>) -> Result<T, E> + Clone + Send + Sync + 'static,
    T: 'static,
    E: 'static,
{
    type Later = Ready<Result<T, E>>;

    fn now(&self, failed: &Failed<K>) -> Option<Result<T, E>> {
        Some((self.0)(failed))
    }

    fn later(&self, _: Failed<K>) -> Self::Later {
        unreachable!("{NOT_LATER}")
    }
}

/// An asynchronous function of the failure, in the HTTP flavour.
#[derive(Clone, Copy)]
pub struct Call<F>(pub(crate) F);

impl<F, Fut, K, B, E> Give<K, Substitute<B>, E> for Call<F>
where
    F: Fn(Failed<K>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future,
    Fut::Output: IntoReply<E>,
{
    type Later = Replying<Fut, B, E>;
    const LATER: bool = true;

    fn now(&self, _: &Failed<K>) -> Option<Result<Substitute<B>, E>> {
        None
    }

    fn later(&self, failed: Failed<K>) -> Self::Later {
        Replying { future: (self.0)(failed), given: PhantomData }
    }
}

/// An asynchronous function that asks another service, in the HTTP flavour.
#[derive(Clone, Copy)]
pub struct Forward<F>(pub(crate) F);

impl<F, Fut, K, B, X, E> Give<K, Substitute<B>, E> for Forward<F>
where
    F: Fn(Failed<K>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<B>, X>>,
    X: Into<E>,
{
    type Later = Forwarding<Fut, E>;
    const LATER: bool = true;

    fn now(&self, _: &Failed<K>) -> Option<Result<Substitute<B>, E>> {
        None
    }

    fn later(&self, failed: Failed<K>) -> Self::Later {
        Forwarding { future: (self.0)(failed), given: PhantomData }
    }
}

/// An asynchronous function of the failure, in the typed flavour.
#[derive(Clone, Copy)]
pub struct TypedCall<F>(pub(crate) F);

impl<F, Fut, K, T, E> Give<K, T, E> for TypedCall<F>
where
    F: Fn(Failed<K>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>>,
{
    type Later = Fut;
    const LATER: bool = true;

    fn now(&self, _: &Failed<K>) -> Option<Result<T, E>> {
        None
    }

    fn later(&self, failed: Failed<K>) -> Fut {
        (self.0)(failed)
    }
}

pin_project! {
    /// Future of a [`Call`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Replying<Fut, B, E> {
        #[pin]
        future: Fut,
        given: PhantomData<fn() -> (B, E)>,
    }
}

impl<Fut, B, E> Future for Replying<Fut, B, E>
where
    Fut: Future,
    Fut::Output: IntoReply<E>,
{
    type Output = Result<Substitute<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = ready!(self.project().future.poll(cx)).into_reply();
        Poll::Ready(reply.map(Substitute::Own))
    }
}

pin_project! {
    /// Future of a [`Forward`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Forwarding<Fut, E> {
        #[pin]
        future: Fut,
        given: PhantomData<fn() -> E>,
    }
}

impl<Fut, B, X, E> Future for Forwarding<Fut, E>
where
    Fut: Future<Output = Result<Response<B>, X>>,
    X: Into<E>,
{
    type Output = Result<Substitute<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.project().future.poll(cx));
        Poll::Ready(answer.map(Substitute::Other).map_err(Into::into))
    }
}

/// Functions print as `..`.
macro_rules! dotted {
    ($($name:ident<$($of:ident),+>),+) => {$(
        impl<$($of),+> fmt::Debug for $name<$($of),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}

dotted!(With<F>, TypedWith<F>, Call<F>, Forward<F>, TypedCall<F>, Replying<Fut, B, E>, Forwarding<Fut, E>);
