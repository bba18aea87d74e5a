use bartizan_core::Context;
use http::{Extensions, HeaderMap, Method, Request, Uri};

/// What a user's function may see of a request: all but its body.
///
/// One type whatever the body, so that a closure needs no annotation and serves axum and tonic alike.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target, with scheme and authority on a client, often without on a server.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The extensions.
    pub extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    /// Borrows the head of a request.
    #[inline]
    pub fn of<B>(req: &'a Request<B>) -> Self {
        Self { method: req.method(), uri: req.uri(), headers: req.headers(), extensions: req.extensions() }
    }

    /// The context of the request: the one in its extensions, else the ambient one.
    #[inline]
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        self.extensions.get::<Context>().copied().or_else(Context::current)
    }
}
