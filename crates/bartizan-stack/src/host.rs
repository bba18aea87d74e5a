use bartizan_http::Head;
use bartizan_http::http::Uri;
use bartizan_http::http::uri::Authority;
use std::fmt;

/// Whom a call goes to: host and port of its address. What has a circuit of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
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
