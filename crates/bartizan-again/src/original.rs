use bartizan_http::Head;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// The head of a request that may be sent again. Its fields stand in a row, as it takes less to copy them there than to copy a map,
/// and few requests are sent again.
#[derive(Debug)]
pub(crate) struct Original {
    method: Method,
    uri: Uri,
    version: Version,
    fields: Box<[(HeaderName, HeaderValue)]>,
    pub(crate) extensions: Extensions,
}

impl Original {
    #[inline(always)]
    pub(crate) fn of<B>(req: &Request<B>) -> Self {
        Self {
            method: req.method().clone(),
            uri: req.uri().clone(),
            version: req.version(),
            fields: fields_of(req.headers()),
            extensions: req.extensions().clone(),
        }
    }

    /// A request with this head. Its fields are in the same order.
    pub(crate) fn request<B>(&self, body: B) -> Request<B> {
        let mut req = Request::new(body);
        *req.method_mut() = self.method.clone();
        *req.uri_mut() = self.uri.clone();
        *req.version_mut() = self.version;
        *req.headers_mut() = self.headers();
        *req.extensions_mut() = self.extensions.clone();
        req
    }

    /// Shows the head to a user's function.
    pub(crate) fn show<R>(&self, look: impl FnOnce(&Head<'_>) -> R) -> R {
        let headers = self.headers();
        look(&Head { method: &self.method, uri: &self.uri, headers: &headers, extensions: &self.extensions })
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in &self.fields {
            headers.append(name.clone(), value.clone());
        }
        headers
    }
}

fn fields_of(headers: &HeaderMap) -> Box<[(HeaderName, HeaderValue)]> {
    let mut fields = Vec::with_capacity(headers.len());
    fields.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    fields.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_what_the_request_was() {
        let mut req = Request::put("http://a/b?c=d")
            .version(Version::HTTP_2)
            .extension(7_u32)
            .body(())
            .expect("a request");
        for (name, value) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4")] {
            req.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let original = Original::of(&req);
        let copy = original.request(());
        assert_eq!((copy.method(), copy.uri(), copy.version()), (req.method(), req.uri(), req.version()));
        assert!(copy.headers().iter().eq(req.headers()), "in the same order");
        assert_eq!(copy.headers(), req.headers());
        assert_eq!(copy.extensions().get::<u32>(), Some(&7));
        assert!(original.show(|head| head.headers == req.headers()));
    }
}
