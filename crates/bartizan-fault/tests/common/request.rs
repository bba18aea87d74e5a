//! A request that is nothing but headers.

use http::{HeaderName, HeaderValue, Request};

pub(crate) fn request(headers: &[(HeaderName, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request
}
