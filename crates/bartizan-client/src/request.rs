use crate::exchange::exchange;
use crate::{Body, BoxError, Error, Response, target};
use bartizan_core::{Context, Instant};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use std::fmt::{self, Display};
use tower_service::Service;
use url::Url;

/// A request that is being built. The first thing that is wrong with it is told by [`send`](Self::send).
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<S> {
    stack: S,
    max_body: usize,
    draft: Result<Draft, Error>,
}

#[derive(Debug)]
struct Draft {
    method: Method,
    url: Url,
    headers: HeaderMap,
    extensions: Extensions,
    body: Body,
}

impl<S> RequestBuilder<S> {
    pub(crate) fn new(stack: S, max_body: usize, method: Method, base: Option<&Uri>, url: &str) -> Self {
        let draft = target::resolve(base, url).map(|url| Draft {
            method,
            url,
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            body: Body::empty(),
        });
        Self { stack, max_body, draft }
    }

    fn edit(mut self, edit: impl FnOnce(&mut Draft) -> Result<(), Error>) -> Self {
        self.draft = self.draft.and_then(|mut draft| edit(&mut draft).map(|()| draft));
        self
    }

    /// Adds a header; one of the same name stays.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName>,
        K::Error: Into<http::Error>,
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        self.edit(|draft| {
            let name = name.try_into().map_err(|error| Error::invalid("header name", error.into()))?;
            let value = value.try_into().map_err(|error| invalid_value(&name, error))?;
            draft.headers.try_append(name, value).map_err(|error| Error::invalid("headers", error))?;
            Ok(())
        })
    }

    /// Sets headers, in place of those of the same names.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.edit(|draft| {
            draft.headers.extend(headers);
            Ok(())
        })
    }

    /// Adds `Authorization: Bearer …`, which is not shown by `Debug`.
    pub fn bearer_auth(self, token: impl Display) -> Self {
        self.authorization(format!("Bearer {token}"))
    }

    /// Adds `Authorization: Basic …`, which is not shown by `Debug`.
    pub fn basic_auth(self, user: impl Display, password: Option<impl Display>) -> Self {
        let pair = match password {
            Some(password) => format!("{user}:{password}"),
            None => format!("{user}:"),
        };
        self.authorization(format!("Basic {}", BASE64_STANDARD.encode(pair)))
    }

    fn authorization(self, value: String) -> Self {
        self.edit(|draft| {
            let mut value =
                HeaderValue::try_from(value).map_err(|error| invalid_value(&AUTHORIZATION, error))?;
            value.set_sensitive(true);
            draft.headers.append(AUTHORIZATION, value);
            Ok(())
        })
    }

    /// Adds pairs to the query of the url: a map, a slice of pairs or a struct.
    #[cfg(feature = "form")]
    pub fn query<T: serde::Serialize + ?Sized>(self, query: &T) -> Self {
        self.edit(|draft| {
            query
                .serialize(serde_urlencoded::Serializer::new(&mut draft.url.query_pairs_mut()))
                .map_err(|error| Error::invalid("query", error))?;
            if draft.url.query() == Some("") {
                draft.url.set_query(None);
            }
            Ok(())
        })
    }

    /// Sets the body to a form, and its `Content-Type` where none was set.
    #[cfg(feature = "form")]
    pub fn form<T: serde::Serialize + ?Sized>(self, form: &T) -> Self {
        self.edit(|draft| {
            let body = serde_urlencoded::to_string(form).map_err(|error| Error::invalid("form", error))?;
            draft.content("application/x-www-form-urlencoded", body.into());
            Ok(())
        })
    }

    /// Sets the body to JSON, and its `Content-Type` where none was set.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(self, json: &T) -> Self {
        self.edit(|draft| {
            let body = serde_json::to_vec(json).map_err(|error| Error::invalid("json", error))?;
            draft.content("application/json", body.into());
            Ok(())
        })
    }

    /// Sets the body: bytes, text, or with [`Body::new`] any other, which is streamed.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.edit(|draft| {
            draft.body = body.into();
            Ok(())
        })
    }

    /// Puts a value into the extensions of the request, for a layer that looks for it there.
    pub fn extension<T: Clone + Send + Sync + 'static>(self, value: T) -> Self {
        self.edit(|draft| {
            draft.extensions.insert(value);
            Ok(())
        })
    }

    /// Marks the request with an instant after which its answer is of no use. It shortens the deadline of the
    /// [`Context`] that is current where this is called, and never widens it.
    ///
    /// It is kept by the deadline layer of the stack. Without one, nobody keeps it.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.edit(|draft| {
            let known =
                draft.extensions.get::<Context>().copied().or_else(Context::current).unwrap_or_default();
            let deadline = known.deadline().map_or(deadline, |known| known.min(deadline));
            draft.extensions.insert(known.with_deadline(deadline));
            Ok(())
        })
    }

    /// Finishes the request without sending it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for the first thing that was wrong.
    pub fn build(self) -> Result<Request<Body>, Error> {
        self.draft?.finish()
    }

    /// Sends the request, and waits for the head of the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the request could not be built, [`Error::Refused`] where a layer of the stack said no,
    /// whether as a response or as an error, [`Error::Unanswered`] for any other error of the stack. A status that the
    /// server sent is no error, see [`error_for_status`](Response::error_for_status).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any time. The layers give back what they hold for the request, and a request that
    /// was being sent is aborted; the server may have seen it.
    pub async fn send<B>(self) -> Result<Response, Error>
    where
        S: Service<Request<Body>, Response = http::Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Self { stack, max_body, draft } = self;
        exchange(stack, draft?.finish()?, max_body).await
    }
}

impl Draft {
    #[cfg(any(feature = "form", feature = "json"))]
    fn content(&mut self, kind: &'static str, body: Body) {
        let kind = HeaderValue::from_static(kind);
        self.headers.entry(http::header::CONTENT_TYPE).or_insert(kind);
        self.body = body;
    }

    fn finish(self) -> Result<Request<Body>, Error> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = target::to_uri(&self.url)?;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        Ok(request)
    }
}

fn invalid_value(name: &HeaderName, error: impl Into<http::Error>) -> Error {
    Error::invalid(format!("value of header {name}"), error.into())
}

impl<S> fmt::Debug for RequestBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder").field("draft", &self.draft).finish_non_exhaustive()
    }
}
