use crate::failure::Failed;
use crate::reply::{IntoOffer, IntoReply, Reply};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// What takes the place of a failed call. A layer is given one by [`value`](crate::FallbackLayer::value),
/// [`with`](crate::FallbackLayer::with) or [`call`](crate::FallbackLayer::call).
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

    fn later(&self, failed: Failed<K>) -> Self::Later {
        let value = self.now(&failed);
        ready(value.expect("a value is always there"))
    }
}

/// A function of the failure, in the HTTP flavour.
#[derive(Clone, Copy)]
pub struct With<F>(pub(crate) F);

impl<F, R, K, E> Give<K, Reply, E> for With<F>
where
    F: Fn(&Failed<K>) -> R + Clone + Send + Sync + 'static,
    R: IntoOffer<E>,
    E: 'static,
{
    type Later = Ready<Result<Reply, E>>;

    fn now(&self, failed: &Failed<K>) -> Option<Result<Reply, E>> {
        (self.0)(failed).into_offer()
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

impl<F, Fut, K, E> Give<K, Reply, E> for Call<F>
where
    F: Fn(Failed<K>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future,
    Fut::Output: IntoReply<E>,
{
    type Later = Replying<Fut, E>;
    const LATER: bool = true;

    fn now(&self, _: &Failed<K>) -> Option<Result<Reply, E>> {
        None
    }

    fn later(&self, failed: Failed<K>) -> Self::Later {
        Replying { future: (self.0)(failed), error: PhantomData }
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
    pub struct Replying<Fut, E> {
        #[pin]
        future: Fut,
        error: PhantomData<fn() -> E>,
    }
}

impl<Fut, E> Future for Replying<Fut, E>
where
    Fut: Future,
    Fut::Output: IntoReply<E>,
{
    type Output = Result<Reply, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().future.poll(cx)).into_reply())
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

dotted!(With<F>, TypedWith<F>, Call<F>, TypedCall<F>, Replying<Fut, E>);
