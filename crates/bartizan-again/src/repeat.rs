use bartizan_http::Head;
use http::{HeaderName, Method};

/// The header by which a server tells a repeated request from a new one ("The Idempotency-Key HTTP Header Field", IETF draft).
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says, in the extensions of a request, whether to send it twice does no more than to send it once. It wins over what its method and
/// its headers say.
///
/// Over gRPC every call is a `POST`: mark those that only read, and give the others a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeatable(pub bool);

/// Says whether a request may be sent again though it may have had its effect: its mark, [`Repeatable`], else an idempotent method
/// (RFC 9110 §9.2.2), or an [`IDEMPOTENCY_KEY`].
#[must_use]
pub fn is_repeatable(head: &Head<'_>) -> bool {
    match head.extensions.get::<Repeatable>() {
        Some(Repeatable(said)) => *said,
        None => is_idempotent(head.method) || head.headers.contains_key(IDEMPOTENCY_KEY),
    }
}

/// `CONNECT` opens a tunnel, and is none of them.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn check(method: &Method, key: bool, mark: Option<bool>) -> bool {
        let mut req = Request::new(());
        *req.method_mut() = method.clone();
        if key {
            req.headers_mut().insert(IDEMPOTENCY_KEY, 7.into());
        }
        if let Some(mark) = mark {
            req.extensions_mut().insert(Repeatable(mark));
        }
        is_repeatable(&Head::of(&req))
    }

    #[test]
    fn the_mark_wins_over_method_and_key() {
        use Method as M;
        for method in [M::GET, M::HEAD, M::OPTIONS, M::TRACE, M::PUT, M::DELETE] {
            assert!(check(&method, false, None), "{method}");
            assert!(!check(&method, true, Some(false)), "{method}");
        }
        for method in [M::POST, M::PATCH, M::CONNECT] {
            assert!(!check(&method, false, None), "{method}");
            assert!(check(&method, true, None), "{method}");
            assert!(check(&method, false, Some(true)), "{method}");
        }
    }
}
