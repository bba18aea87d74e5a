//! What a layer asks of a request: functions of the user's, each with a place of its own.

use bartizan_core::{Context, Priority};
use bartizan_http::{Head, Http, Typed, wire};
use http::{Request, Uri};
use std::fmt::{self, Debug};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;

/// The functions of a layer: priority, fairness key, class, exemption.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asks<P = Unset, K = Unset, G = Unset, X = Unset> {
    pub(crate) priority: P,
    pub(crate) key: K,
    pub(crate) class: G,
    pub(crate) exempt: X,
}

/// A function that was not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unset;

/// A function of the user's.
#[derive(Clone, Copy)]
pub struct By<F>(pub(crate) F);

/// A function of the user's that gives a key, of which a hash is taken.
pub struct KeyBy<F, K> {
    pub(crate) function: F,
    pub(crate) salt: u64,
    pub(crate) key: PhantomData<fn() -> K>,
}

impl<F> Debug for By<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("By(..)")
    }
}

impl<F, K> Debug for KeyBy<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBy(..)")
    }
}

impl<F: Clone, K> Clone for KeyBy<F, K> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), salt: self.salt, key: PhantomData }
    }
}

/// The functions of a layer that has a fairness key.
pub type Keyed<P, F, K, G, X> = Asks<P, KeyBy<F, K>, G, X>;

/// A place for a function whose value is a `T`, in the flavour `M`.
pub trait Ask<Req, M, T> {
    /// What the function says of the request; `None` without one.
    fn ask(&self, req: &Req) -> Option<T>;
}

impl<Req, M, T> Ask<Req, M, T> for Unset {
    #[inline(always)]
    fn ask(&self, _: &Req) -> Option<T> {
        None
    }
}

impl<F: Fn(&Head<'_>) -> T, B, T> Ask<Request<B>, Http, T> for By<F> {
    #[inline]
    fn ask(&self, req: &Request<B>) -> Option<T> {
        Some((self.0)(&Head::of(req)))
    }
}

impl<F: Fn(&Req) -> T, Req, T> Ask<Req, Typed, T> for By<F> {
    #[inline]
    fn ask(&self, req: &Req) -> Option<T> {
        Some((self.0)(req))
    }
}

impl<F: Fn(&Head<'_>) -> K, K: Hash, B> Ask<Request<B>, Http, u64> for KeyBy<F, K> {
    #[inline]
    fn ask(&self, req: &Request<B>) -> Option<u64> {
        Some(hash(self.salt, &(self.function)(&Head::of(req))))
    }
}

impl<F: Fn(&Req) -> K, K: Hash, Req> Ask<Req, Typed, u64> for KeyBy<F, K> {
    #[inline]
    fn ask(&self, req: &Req) -> Option<u64> {
        Some(hash(self.salt, &(self.function)(req)))
    }
}

/// SipHash over a salt and the key: who does not know the salt cannot choose keys that fall together.
fn hash(salt: u64, key: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(salt);
    key.hash(&mut hasher);
    hasher.finish()
}

/// What a request wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pub(crate) priority: Priority,
    pub(crate) key: Option<u64>,
    pub(crate) class: Option<usize>,
}

/// All that is asked of a request of type `Req` in the flavour `M`.
pub trait Asking<Req, M>: Clone + Send + Sync + 'static {
    /// What it wishes; `None` if it is exempt.
    fn wish(&self, req: &Req, trusted_edge: bool) -> Option<Wish>;
}

impl<P, K, G, X, B> Asking<Request<B>, Http> for Asks<P, K, G, X>
where
    Self: Clone + Send + Sync + 'static,
    P: Ask<Request<B>, Http, Priority>,
    K: Ask<Request<B>, Http, u64>,
    G: Ask<Request<B>, Http, usize>,
    X: Ask<Request<B>, Http, bool>,
{
    #[inline]
    fn wish(&self, req: &Request<B>, trusted_edge: bool) -> Option<Wish> {
        if is_open_door(req.uri()) || self.exempt.ask(req) == Some(true) {
            return None;
        }
        let priority = match self.priority.ask(req) {
            Some(priority) => priority,
            None => priority_of(req, trusted_edge),
        };
        Some(Wish { priority, key: self.key.ask(req), class: self.class.ask(req) })
    }
}

impl<P, K, G, X, Req> Asking<Req, Typed> for Asks<P, K, G, X>
where
    Self: Clone + Send + Sync + 'static,
    P: Ask<Req, Typed, Priority>,
    K: Ask<Req, Typed, u64>,
    G: Ask<Req, Typed, usize>,
    X: Ask<Req, Typed, bool>,
{
    #[inline]
    fn wish(&self, req: &Req, _: bool) -> Option<Wish> {
        if self.exempt.ask(req) == Some(true) {
            return None;
        }
        let priority = match self.priority.ask(req) {
            Some(priority) => priority,
            None => ambient(),
        };
        Some(Wish { priority, key: self.key.ask(req), class: self.class.ask(req) })
    }
}

#[inline]
fn ambient() -> Priority {
    Context::current().map_or(Priority::NORMAL, |context| context.priority())
}

/// The priority in the extensions, which the application has put there; else that of the context, which the header may lower.
#[inline]
fn priority_of<B>(req: &Request<B>, trusted_edge: bool) -> Priority {
    if let Some(priority) = req.extensions().get::<Priority>() {
        return *priority;
    }
    // The guard has entered a context that was in the extensions.
    let given = ambient();
    if req.headers().is_empty() {
        return given;
    }
    match wire::read_priority(req.headers()).value() {
        Some(said) if trusted_edge => said,
        Some(said) => said.max(given),
        None => given,
    }
}

/// Whether it is asked how the server is. Who asks must hear it above all when there is too much to do.
#[inline]
fn is_open_door(uri: &Uri) -> bool {
    const HEALTH: &str = "/grpc.health.v1.Health/";
    match uri.path().len() {
        6 => uri.path() == "/livez",
        7 => uri.path() == "/readyz",
        8 => matches!(uri.path(), "/healthz" | "/metrics"),
        _ => uri.path().starts_with(HEALTH),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

    use super::*;

    fn wish(req: &Request<()>, trusted_edge: bool) -> Option<Wish> {
        Asking::<_, Http>::wish(&Asks::<Unset, Unset, Unset, Unset>::default(), req, trusted_edge)
    }

    fn said(header: &'static str) -> Request<()> {
        Request::get("/").header("x-request-priority", header).body(()).unwrap()
    }

    #[test]
    fn doors_are_open_and_their_likes_are_not() {
        let is_open = |path: &'static str| is_open_door(&Uri::from_static(path));
        for path in
            ["/healthz", "/readyz", "/livez", "/metrics", "/grpc.health.v1.Health/Check", "/healthz?full"]
        {
            assert!(is_open(path), "{path}");
        }
        for path in ["/", "/healthy", "/healthz/", "/metrics/x", "/x/readyz", "/grpc.health.v1.Healthy/Check"]
        {
            assert!(!is_open(path), "{path}");
        }
        assert_eq!(wish(&Request::get("/readyz").body(()).unwrap(), false), None);
    }

    #[test]
    fn a_header_lowers_and_raises_only_at_a_trusted_edge() {
        let level = |header, trusted| wish(&said(header), trusted).map(|wish| wish.priority.level());
        assert_eq!([level("critical", false), level("critical", true)], [Some(128), Some(0)]);
        assert_eq!([level("sheddable", false), level("sheddable", true)], [Some(255), Some(255)]);
        assert_eq!(level("urgent", true), Some(128), "malformed is absent");
        let context = Context::new().with_priority(Priority::new(7));
        assert_eq!(context.enter(|| level("9", false)), Some(9));
        assert_eq!(context.enter(|| level("5", false)), Some(7));
        assert_eq!(context.enter(|| level("5", true)), Some(5));
    }

    #[test]
    fn the_extension_decides_and_a_function_above_it() {
        let mut req = said("sheddable");
        req.extensions_mut().insert(Priority::CRITICAL);
        assert_eq!(wish(&req, false).map(|wish| wish.priority), Some(Priority::CRITICAL));
        let priority = By(|head: &Head<'_>| Priority::new(head.uri.path().len() as u8));
        let asks = Asks { priority, key: Unset, class: Unset, exempt: Unset };
        assert_eq!(
            Asking::<_, Http>::wish(&asks, &req, false).map(|wish| wish.priority),
            Some(Priority::new(1))
        );
    }

    #[test]
    fn keys_that_are_equal_hash_alike_under_one_salt() {
        let key = |salt| KeyBy {
            function: |head: &Head<'_>| head.uri.path().to_owned(),
            salt,
            key: PhantomData::<fn() -> String>,
        };
        let (a, b) = (Request::get("/a").body(()).unwrap(), Request::get("/b").body(()).unwrap());
        assert_eq!(key(1).ask(&a), key(1).ask(&a));
        assert_ne!(key(1).ask(&a), key(1).ask(&b));
        assert_ne!(key(1).ask(&a), key(2).ask(&a));
    }
}
