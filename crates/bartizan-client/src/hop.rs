//! What both clients do with a request that came from elsewhere, such as one that a gateway passes on.

use http::{Request, Version};

/// Forgets that the request came by HTTP/2: the version belongs to the hop that it came over (RFC 9110 §6.2), and the
/// next one speaks what the client speaks. hyper takes the version as a demand, which a connection of HTTP/1 refuses.
pub(crate) fn forget_version<B>(mut req: Request<B>) -> Request<B> {
    if req.version() == Version::HTTP_2 {
        *req.version_mut() = Version::HTTP_11;
    }
    req
}
