use crate::failure::Failure;
use crate::on::Outcome;
use bartizan_core::{Kind, Refused};
use bartizan_http::bytes::Bytes;
use bartizan_http::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bartizan_http::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bartizan_http::{Form, grpc_message, is_grpc};

/// What takes the place of a failed call over HTTP or gRPC: a head, a body, and for gRPC trailers.
///
/// Any `http::Response` of bytes or text is one. For a gRPC call it has to be [`grpc`](Self::grpc) or
/// [`grpc_status`](Self::grpc_status): what is none is not sent to its client, who could not read it. It gets the failure's own code.
#[derive(Clone, Debug)]
pub struct Reply {
    response: Response<Bytes>,
    trailers: Option<HeaderMap>,
}

/// What takes the place of a failed call: something of our own, or the answer of another service, with a body as the inner service's.
#[derive(Debug)]
pub enum Substitute<B> {
    /// What was made here.
    Own(Reply),
    /// What another service has answered.
    Other(Response<B>),
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const NO_GRPC: &str = "the fallback is no gRPC answer";

impl Reply {
    /// A gRPC answer of one message, which is given as it is encoded, without the frame around it. Its status is `OK`.
    ///
    /// ```
    /// use bartizan_fallback::Reply;
    ///
    /// // What prost's `encode_to_vec` makes of a message whose first field is the number 7.
    /// let encoded = vec![0x08, 0x07];
    /// let reply = Reply::grpc(encoded);
    /// assert_eq!(reply.response().body().len(), 5 + 2);
    /// ```
    ///
    /// # Panics
    ///
    /// If the message is of 4 GiB or more.
    #[must_use]
    pub fn grpc(message: impl AsRef<[u8]>) -> Self {
        Self::grpc_stream([message])
    }

    /// A gRPC answer of any number of messages, each as it is encoded.
    ///
    /// # Panics
    ///
    /// If a message is of 4 GiB or more.
    #[must_use]
    pub fn grpc_stream(messages: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut frames = Vec::new();
        for message in messages {
            let message = message.as_ref();
            let length = u32::try_from(message.len()).expect("a gRPC message has less than 4 GiB");
            frames.push(0);
            frames.extend(length.to_be_bytes());
            frames.extend(message);
        }
        let mut response = Response::new(frames.into());
        response.headers_mut().insert(CONTENT_TYPE, GRPC);
        let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
        Self { response, trailers: Some(trailers) }
    }

    /// A gRPC answer without a message: a code, and why.
    #[must_use]
    pub fn grpc_status(code: u16, message: &str) -> Self {
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, GRPC);
        headers.insert(GRPC_STATUS, code.into());
        headers.insert(GRPC_MESSAGE, grpc_message(message));
        Self { response, trailers: None }
    }

    /// The head and the body, to be looked at.
    #[must_use]
    pub const fn response(&self) -> &Response<Bytes> {
        &self.response
    }

    /// The head and the body, to be changed.
    pub const fn response_mut(&mut self) -> &mut Response<Bytes> {
        &mut self.response
    }

    pub(crate) fn into_parts(self) -> (Response<Bytes>, Option<HeaderMap>) {
        (self.response, self.trailers)
    }

    /// Makes an answer that the caller can read: who has asked over gRPC must be answered so, and nobody else.
    pub(crate) fn fit(self, form: Form, failure: &Failure) -> Self {
        match (form, is_grpc(self.response.headers())) {
            (Form::Grpc, true) => self,
            (Form::Http, false) => self.with_its_length(),
            (Form::Head, false) => self.without_body(),
            (Form::Grpc, false) => Self::grpc_status(grpc_code(failure), NO_GRPC),
            (Form::Http | Form::Head, true) => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = http_status(failure);
                Self { response, trailers: None }
            }
        }
    }

    /// The same, whose length is that of its body if it says one.
    fn with_its_length(mut self) -> Self {
        let length = self.response.body().len();
        if let Some(said) = self.response.headers_mut().get_mut(CONTENT_LENGTH) {
            *said = length.into();
        }
        self
    }

    /// The same as it is answered to `HEAD`: by HTTP/2 a server sends what there is of a body, and its client takes that for an error.
    fn without_body(mut self) -> Self {
        let body = std::mem::take(self.response.body_mut());
        if !body.is_empty() {
            self.response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        }
        Self { trailers: None, ..self }
    }
}

fn grpc_code(failure: &Failure) -> u16 {
    match (failure.outcome(), failure.refused().map(Refused::kind)) {
        (Outcome::Grpc(code), _) => code,
        (_, Some(Kind::Exhausted)) => 8,
        (_, Some(Kind::DeadlineExceeded)) => 4,
        _ => 14,
    }
}

fn http_status(failure: &Failure) -> StatusCode {
    let status = match failure.outcome() {
        Outcome::Status(status) => StatusCode::from_u16(status).ok(),
        _ => None,
    };
    status.unwrap_or(StatusCode::BAD_GATEWAY)
}

impl<T: Into<Bytes>> From<Response<T>> for Reply {
    fn from(response: Response<T>) -> Self {
        Self { response: response.map(Into::into), trailers: None }
    }
}

/// What an asynchronous function may end with in the HTTP flavour: a [`Reply`], an `http::Response` of bytes or text, or a `Result` of
/// either with an error that becomes the inner service's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no answer in place of a failed call",
    note = "give a `Reply`, an `http::Response` of bytes or text, or a `Result` of either whose error is into `{E}`"
)]
pub trait IntoReply<E> {
    /// Makes the reply, or the error.
    ///
    /// # Errors
    ///
    /// When the fallback has failed as well.
    fn into_reply(self) -> Result<Reply, E>;
}

/// What a function may return in the HTTP flavour: what an asynchronous one may, or an `Option` of it. `None` leaves the failure as it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no answer in place of a failed call",
    note = "give a `Reply`, an `http::Response` of bytes or text, a `Result` of either whose error is into `{E}`, or an `Option`"
)]
pub trait IntoOffer<E> {
    /// Makes the reply, or the error. `None` leaves the failure as it is.
    fn into_offer(self) -> Option<Result<Reply, E>>;
}

impl<E> IntoReply<E> for Reply {
    fn into_reply(self) -> Result<Reply, E> {
        Ok(self)
    }
}

impl<T: Into<Bytes>, E> IntoReply<E> for Response<T> {
    fn into_reply(self) -> Result<Reply, E> {
        Ok(self.into())
    }
}

impl<R: IntoReply<E>, F: Into<E>, E> IntoReply<E> for Result<R, F> {
    fn into_reply(self) -> Result<Reply, E> {
        self.map_err(Into::into)?.into_reply()
    }
}

impl<E> IntoOffer<E> for Reply {
    fn into_offer(self) -> Option<Result<Reply, E>> {
        Some(self.into_reply())
    }
}

impl<T: Into<Bytes>, E> IntoOffer<E> for Response<T> {
    fn into_offer(self) -> Option<Result<Reply, E>> {
        Some(self.into_reply())
    }
}

impl<R: IntoReply<E>, F: Into<E>, E> IntoOffer<E> for Result<R, F> {
    fn into_offer(self) -> Option<Result<Reply, E>> {
        Some(self.into_reply())
    }
}

impl<R: IntoReply<E>, E> IntoOffer<E> for Option<R> {
    fn into_offer(self) -> Option<Result<Reply, E>> {
        self.map(IntoReply::into_reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_message_is_framed() {
        let (response, trailers) = Reply::grpc(b"abc").into_parts();
        assert_eq!(response.body(), &b"\0\0\0\0\x03abc"[..]);
        assert!(is_grpc(response.headers()));
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
        let (response, _) = Reply::grpc_stream([&b"a"[..], b""]).into_parts();
        assert_eq!(response.body(), &b"\0\0\0\0\x01a\0\0\0\0\0"[..]);
        let (response, trailers) = Reply::grpc_status(5, "50 % gone\n").into_parts();
        assert_eq!((response.body().len(), trailers), (0, None));
        assert_eq!(response.headers()["grpc-message"], "50 %25 gone%0A");
    }

    #[test]
    fn nobody_is_answered_in_a_protocol_that_it_does_not_speak() {
        let failure =
            |status: u16| Failure::of_response(&Response::builder().status(status).body(()).unwrap());
        let text = Reply::from(Response::new("text"));
        assert_eq!(text.clone().fit(Form::Http, &failure(503)).response().body(), "text");
        let (response, _) = text.fit(Form::Grpc, &failure(503)).into_parts();
        assert_eq!(response.headers()["grpc-status"], "14");
        let grpc = Reply::grpc(b"");
        assert_eq!(grpc.clone().fit(Form::Grpc, &failure(503)).response().body().len(), 5);
        assert_eq!(grpc.clone().fit(Form::Http, &failure(503)).response().status(), 503);
        assert_eq!(grpc.fit(Form::Http, &Failure::unready()).response().status(), 502);
    }
}
