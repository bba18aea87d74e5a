use crate::{Body, Error};
use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{Extensions, HeaderMap, StatusCode, Uri, Version};
use http_body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;

/// An answer, of which the head is here and the body is on its way.
///
/// It may be any answer of the server's, of any status. A layer's own no is none: `send` returns that as
/// [`Error::Refused`].
#[derive(Debug)]
#[must_use = "an answer may tell of a failure: see `error_for_status`"]
pub struct Response {
    head: Parts,
    body: Body,
    uri: Uri,
    max_body: usize,
}

/// Left in the extensions of a response where a redirect was followed, as `ReqwestService` does: whence it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirected(pub Uri);

impl Response {
    pub(crate) fn new(response: http::Response<Body>, sent_to: Uri, max_body: usize) -> Self {
        let (head, body) = response.into_parts();
        let uri = head.extensions.get::<Redirected>().map_or(sent_to, |whence| whence.0.clone());
        Self { head, body, uri, max_body }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The version of HTTP by which it came.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.head.version
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// What the layers and the client left with the answer.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.head.extensions
    }

    /// Whence it came, after redirects.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// How many bytes are left of the body, where that is known. After decompression it is not.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Turns an answer of 4xx or 5xx into an error.
    ///
    /// # Errors
    ///
    /// [`Error::Status`]; the body is dropped.
    pub fn error_for_status(self) -> Result<Self, Error> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(Error::Status { status, uri: self.uri });
        }
        Ok(self)
    }

    /// Reads the next piece of the body as it comes, `None` at its end. Trailers are skipped, see [`into_body`](Self::into_body).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where a layer cut the body off, such as a deadline; [`Error::Body`] for any other error.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
            let frame = frame.map_err(|error| Error::of(error, Error::Body))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Reads the body to its end, up to the limit of [`max_body`](crate::Client::max_body).
    ///
    /// # Errors
    ///
    /// Those of [`chunk`](Self::chunk), and [`Error::TooLarge`]: before anything is read where the server tells the
    /// size, else when the limit is passed.
    ///
    /// # Cancel safety
    ///
    /// The body is lost when the future is dropped. So it is for `text` and `json`.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        let max_body = self.max_body;
        let fits =
            |size: u64| if size <= max_body as u64 { Ok(()) } else { Err(Error::TooLarge { max_body }) };
        fits(self.body.size_hint().lower())?;
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        fits(first.len() as u64)?;
        let mut all = BytesMut::from(first);
        while let Some(data) = self.chunk().await? {
            fits(all.len() as u64 + data.len() as u64)?;
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    /// Reads the body as UTF-8, whatever the server says of it; what is none becomes `U+FFFD`.
    ///
    /// # Errors
    ///
    /// Those of [`bytes`](Self::bytes).
    pub async fn text(self) -> Result<String, Error> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8(bytes.into())
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Reads the body as JSON, whatever the server says of it.
    ///
    /// # Errors
    ///
    /// Those of [`bytes`](Self::bytes), and [`Error::Malformed`] where it is not the JSON of a `T`.
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, Error> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Malformed(error.into()))
    }

    /// Takes the body out, to be streamed on. It has no limit; its errors are those of the stack.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }
}

impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> Self {
        Self::from_parts(response.head, response.body)
    }
}
