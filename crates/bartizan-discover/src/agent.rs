use crate::error::BoxError;
use crate::exchange::{Client, Limits, Payload};
use crate::place;
use bartizan_core::Invalid;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use std::fmt::Write;
use std::time::Duration;

/// Consul's HTTP API: where it is, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    base: Uri,
    token: Option<HeaderValue>,
    pub(crate) client: Client,
    /// Of a request that does not wait for news, and of reading any answer.
    pub(crate) time_out: Duration,
}

/// What it answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// An answer that is longer is not read on.
const LONGEST: usize = 4 << 20;

impl Agent {
    pub(crate) const DEFAULT_TIME_OUT: Duration = Duration::from_secs(10);

    const INVALID: Invalid = Invalid::new("base", "base must have a scheme and a host, and no port 0");
    const INVALID_TOKEN: Invalid = Invalid::new("token", "token must be text that can stand in a header");

    pub(crate) fn new<U: TryInto<Uri>>(base: U) -> Result<Self, Invalid> {
        let base = place::required(base, Self::INVALID)?;
        Ok(Self { base, token: None, client: Client::default(), time_out: Self::DEFAULT_TIME_OUT })
    }

    pub(crate) fn set_token(&mut self, token: &str) -> Result<(), Invalid> {
        let mut token = HeaderValue::try_from(token).map_err(|_| Self::INVALID_TOKEN)?;
        token.set_sensitive(true);
        self.token = Some(token);
        Ok(())
    }

    /// Sends a request to a path below the base, of which each part is [`encode`]d. For news it waits as long as it is told.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        news: Option<Duration>,
    ) -> Result<Answer, BoxError> {
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(format!("{}{path}", self.base.path().trim_end_matches('/')).parse()?);
        let json = !body.is_empty();
        let mut request = Request::new(Payload::from(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(parts)?;
        if json {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(token) = &self.token {
            request.headers_mut().insert("x-consul-token", token.clone());
        }
        let limits = Limits {
            connect: Some(self.time_out),
            head: Some(self.time_out + news.unwrap_or_default()),
            body: Some((self.time_out, LONGEST)),
        };
        let (parts, body) = self.client.exchange(request, limits).await?.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Answer {
    /// What an answer says that is none of the expected ones: the status, and the beginning of the text.
    pub(crate) fn unexpected(&self) -> BoxError {
        let text: String =
            String::from_utf8_lossy(&self.body).chars().filter(|c| !c.is_control()).take(200).collect();
        BoxError::from(format!("answered {} {text}", self.status).trim_end())
    }
}

/// A name as it stands in a path or a query.
pub(crate) fn encode(name: &str) -> String {
    name.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Into a string it never fails.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// A time as Go reads it. Whole seconds where it can be.
pub(crate) fn go_time(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_are_written_for_consul() {
        assert_eq!(encode("shop-1.a_b~"), "shop-1.a_b~");
        assert_eq!(encode("a/b ?é"), "a%2Fb%20%3F%C3%A9");
        assert_eq!([15_000, 1_500].map(|millis| go_time(Duration::from_millis(millis))), ["15s", "1500ms"]);
    }

    #[test]
    fn a_token_is_not_shown() {
        let mut agent = Agent::new("http://127.0.0.1:8500").unwrap();
        assert!(agent.set_token("a\nb").is_err());
        agent.set_token("secret").unwrap();
        assert!(!format!("{agent:?}").contains("secret"));
    }
}
