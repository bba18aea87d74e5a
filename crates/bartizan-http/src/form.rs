use crate::grpc::is_grpc;
use http::{HeaderMap, Method, Request};

/// How a request wants to be answered: what a refusal looks like to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With a body, as HTTP has it.
    Http,
    /// Without a body (RFC 9110 §9.3.2): over HTTP/2 one would be a protocol error.
    Head,
    /// As gRPC has it.
    Grpc,
}

impl Form {
    /// The form that a request asks for.
    #[inline]
    #[must_use]
    pub fn of<B>(req: &Request<B>) -> Self {
        Self::asked(req.method(), req.headers())
    }

    /// The form that a method and headers ask for.
    #[must_use]
    pub fn asked(method: &Method, headers: &HeaderMap) -> Self {
        Self::known(method, is_grpc(headers))
    }

    /// The form of a request of which it is known already whether it is gRPC.
    #[inline]
    #[must_use]
    pub fn known(method: &Method, grpc: bool) -> Self {
        if grpc {
            Self::Grpc
        } else if *method == Method::HEAD {
            Self::Head
        } else {
            Self::Http
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_known_by_method_and_content_type() {
        let request = |method: &str, content_type: &str| {
            Request::builder()
                .method(method)
                .header("content-type", content_type)
                .body(())
                .expect("it is right")
        };
        assert_eq!(Form::of(&request("GET", "text/plain")), Form::Http);
        assert_eq!(Form::of(&request("HEAD", "text/plain")), Form::Head);
        assert_eq!(Form::of(&request("POST", "application/grpc+proto")), Form::Grpc);
    }
}
