use bartizan_http::Head;
use std::fmt;

/// No key: faults that ask for one hit nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keyless;

/// A key by a function of the user's.
#[derive(Clone, Copy)]
pub struct By<F>(pub(crate) F);

impl<F> fmt::Debug for By<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("By(..)")
    }
}

/// The key of an HTTP request. Implemented by [`Keyless`], and by what [`FaultLayer::key`](crate::FaultLayer::key) takes.
pub trait HeadKey {
    /// Returns the key of a request, if it has one.
    fn of(&self, head: &Head<'_>) -> Option<String>;
}

/// The key of a request of any type, as [`HeadKey`] for HTTP.
pub trait RequestKey<Req> {
    /// Returns the key of a request, if it has one.
    fn of(&self, req: &Req) -> Option<String>;
}

impl HeadKey for Keyless {
    fn of(&self, _: &Head<'_>) -> Option<String> {
        None
    }
}

impl<Req> RequestKey<Req> for Keyless {
    fn of(&self, _: &Req) -> Option<String> {
        None
    }
}

impl<F: Fn(&Head<'_>) -> Option<String>> HeadKey for By<F> {
    fn of(&self, head: &Head<'_>) -> Option<String> {
        self.0(head)
    }
}

impl<F: Fn(&Req) -> Option<String>, Req> RequestKey<Req> for By<F> {
    fn of(&self, req: &Req) -> Option<String> {
        self.0(req)
    }
}
