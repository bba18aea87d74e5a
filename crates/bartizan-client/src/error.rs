use bartizan_core::{Refused, find_cause};
use http::{StatusCode, Uri};
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why there is no answer, or none of use.
///
/// The cause is its [`source`](StdError::source) and is not printed as well.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A layer of the stack said no: before the request was sent, or, by a deadline, at any time until the body ended.
    /// The server said nothing of the kind.
    Refused(Refused),
    /// The request could not be built, and was not sent.
    Invalid {
        /// What of it: `url`, `query`, `header name`, `value of header x-a`, `headers`, `json`, `form`.
        part: Cow<'static, str>,
        /// What is wrong with it.
        source: BoxError,
    },
    /// The stack failed to answer. Inside is the error of the client, unchanged.
    Unanswered(BoxError),
    /// The body of the response broke off. Inside is its error, unchanged.
    Body(BoxError),
    /// The body of the response is larger than [`max_body`](crate::Client::max_body) allows.
    TooLarge {
        /// How many bytes are allowed.
        max_body: usize,
    },
    /// The body of the response is not what was asked for.
    Malformed(BoxError),
    /// The server answered with 4xx or 5xx, and [`error_for_status`](crate::Response::error_for_status) was asked.
    Status {
        /// The status.
        status: StatusCode,
        /// Whence, after redirects.
        uri: Uri,
    },
}

impl Error {
    pub(crate) fn invalid(part: impl Into<Cow<'static, str>>, source: impl Into<BoxError>) -> Self {
        Self::Invalid { part: part.into(), source: source.into() }
    }

    /// A refusal where there is one in the chain, else what `otherwise` makes of the error.
    pub(crate) fn of(error: BoxError, otherwise: fn(BoxError) -> Self) -> Self {
        match find_cause::<Refused>(&*error) {
            Some(refused) => Self::Refused(refused.clone()),
            None => otherwise(error),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_) => f.write_str("not served"),
            Self::Invalid { part, .. } => write!(f, "invalid {part}"),
            Self::Unanswered(_) => f.write_str("no answer"),
            Self::Body(_) => f.write_str("the body broke off"),
            Self::TooLarge { max_body } => write!(f, "the body is larger than {max_body} bytes"),
            Self::Malformed(_) => f.write_str("malformed body"),
            // The query stays out of logs, and so does a user with a password: they may be secret.
            Self::Status { status, uri } => match (uri.scheme_str(), uri.authority()) {
                (Some(scheme), Some(authority)) => {
                    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
                    write!(f, "{status} from {scheme}://{host}{}", uri.path())
                }
                _ => write!(f, "{status} from {}", uri.path()),
            },
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Invalid { source, .. } => Some(&**source),
            Self::Unanswered(error) | Self::Body(error) | Self::Malformed(error) => Some(&**error),
            Self::TooLarge { .. } | Self::Status { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::{Kind, Reason};

    fn chain(error: &dyn StdError) -> String {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        text
    }

    #[test]
    fn chains_read_once() {
        let refused = Refused::new(const { &Reason::new("breaker", Kind::Unavailable, "open") });
        let uri = Uri::from_static("http://user:secret@host:81/path?token=secret");
        for (error, ought) in [
            (Error::from(refused), "not served: refused by breaker: open"),
            (Error::invalid("url", "empty host"), "invalid url: empty host"),
            (Error::Unanswered("torn".into()), "no answer: torn"),
            (Error::Body("torn".into()), "the body broke off: torn"),
            (Error::TooLarge { max_body: 7 }, "the body is larger than 7 bytes"),
            (Error::Malformed("expected value".into()), "malformed body: expected value"),
            (Error::Status { status: StatusCode::NOT_FOUND, uri }, "404 Not Found from http://host:81/path"),
        ] {
            assert_eq!(chain(&error), ought);
        }
    }

    #[test]
    fn a_refusal_is_found_in_the_chain_and_again() {
        let refused = Refused::new(const { &Reason::new("deadline", Kind::DeadlineExceeded, "late") });
        let error = Error::of(std::io::Error::other(refused.clone()).into(), Error::Body);
        assert!(matches!(&error, Error::Refused(found) if *found == refused));
        assert_eq!(find_cause::<Refused>(&error), Some(&refused));
        assert!(matches!(Error::of("torn".into(), Error::Body), Error::Body(_)));
    }
}
