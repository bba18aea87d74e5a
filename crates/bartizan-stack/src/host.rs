use bartizan_http::Head;
use bartizan_http::http::Uri;
use bartizan_http::http::uri::Authority;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Whom a call goes to: host and port of its address. What has a circuit of its own.
///
/// Two are equal that are written alike: `a.example` and `A.example` are two.
#[derive(Clone)]
pub struct Host(Option<Authority>);

impl Host {
    /// The host of an address.
    #[must_use]
    pub fn of(uri: &Uri) -> Self {
        Self(uri.authority().cloned())
    }

    /// The host of a request.
    pub(crate) fn asked(head: &Head<'_>) -> Self {
        Self::of(head.uri)
    }

    /// Host and port, as the address has them. Empty where it has none, as over a channel that knows itself where it goes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", Authority::as_str)
    }
}

// As a whole: an `Authority`, to which capitals do not matter, is hashed letter by letter.

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Host {}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<Authority> for Host {
    fn from(authority: Authority) -> Self {
        Self(Some(authority))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As it is shown: it is the name of a circuit in events.
impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, RandomState};

    #[test]
    fn a_host_is_its_letters() {
        let host = |uri: &'static str| Host::of(&Uri::from_static(uri));
        let hasher = RandomState::new();
        assert_eq!(host("http://a:80/x?y"), host("https://a:80"));
        assert_eq!(
            hasher.hash_one(host("http://a:80/x")),
            hasher.hash_one(Host::from(Authority::from_static("a:80")))
        );
        assert_ne!(host("http://a:80"), host("http://A:80"));
        assert_ne!(host("http://a:80"), host("http://a"));
        assert_eq!(
            (host("/x").as_str(), host("http://a").to_string(), format!("{:?}", host("http://a:1"))),
            ("", "a".into(), "a:1".into())
        );
    }
}
