//! Which broker, and by which name the shop goes there.

use super::Failure;
use lapin::uri::{AMQPScheme, AMQPUri};
use std::fmt;

/// How often the broker and its client show each other that they are there, in seconds.
const HEARTBEAT: u16 = 10;

const URL: &str = "AMQP_URL must be like amqp://user:password@127.0.0.1:5672 or amqps://broker.example/vhost";

/// A RabbitMQ, and the prefix of everything that this shop has there. It shows neither its user nor their password.
#[derive(Clone, Eq, PartialEq)]
pub struct Broker {
    uri: AMQPUri,
    prefix: String,
}

impl Broker {
    /// Reads `AMQP_URL` and `AMQP_PREFIX`.
    ///
    /// # Errors
    ///
    /// When one of them cannot be understood; the sentence does not repeat the URL, for it may hold a password.
    pub fn parse(url: &str, prefix: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::new(format!("{URL}: {what}."));
        let plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !plain || !(1..=100).contains(&prefix.len()) {
            return Err(Failure::new(format!(
                "AMQP_PREFIX must be 1 to 100 letters, digits, '-', '_' and '.', not {prefix:?}."
            )));
        }
        let url = url.trim();
        let rest = url.strip_prefix("amqp://").or_else(|| url.strip_prefix("amqps://"));
        let rest = rest.ok_or_else(|| wrong("it begins with neither amqp:// nor amqps://"))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let bracketed = place.strip_prefix('[').and_then(|place| place.split_once(']'));
        let host = bracketed.map_or_else(|| place.split(':').next().unwrap_or_default(), |(host, _)| host);
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let mut uri: AMQPUri = url.parse().map_err(|why: String| wrong(&why.to_lowercase()))?;
        if uri.authority.port == 0 {
            return Err(wrong("no broker listens on port 0"));
        }
        // What follows the slash is the virtual host, and without a name nobody means one.
        if uri.vhost.is_empty() {
            uri.vhost = "/".into();
        }
        // Taken for no host otherwise, and this machine asked instead.
        if bracketed.is_some() {
            host.clone_into(&mut uri.authority.host);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self { uri, prefix: prefix.to_owned() })
    }

    pub fn uri(&self) -> AMQPUri {
        self.uri.clone()
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// `amqp://127.0.0.1:5672`
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.uri.scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let (host, port) = (&self.uri.authority.host, self.uri.authority.port);
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} as {}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_understood_and_shown_without_its_password() {
        for (url, shown, vhost) in [
            ("amqp://127.0.0.1", "amqp://127.0.0.1:5672", "/"),
            ("amqp://me:secret@127.0.0.1:1234/", "amqp://127.0.0.1:1234", "/"),
            ("amqps://me:secret@broker.example/shop", "amqps://broker.example:5671", "shop"),
            ("amqp://me:se%40cret@[::1]:99/%2f", "amqp://[::1]:99", "/"),
        ] {
            let broker = Broker::parse(url, "shop").unwrap();
            assert_eq!((broker.to_string().as_str(), broker.uri.vhost.as_str()), (shown, vhost), "{url}");
            assert!(!format!("{broker:?}").contains("cret"), "{broker:?}");
        }
        assert_eq!(Broker::parse("amqp://[::1]", "shop").unwrap().uri.authority.host, "::1");
    }

    #[test]
    fn what_is_no_url_is_refused_without_telling_the_password() {
        for url in [
            "127.0.0.1:5672",
            "http://me:secret@127.0.0.1",
            "amqp://",
            "amqp://me:secret@",
            "amqp://me:secret@:5672",
            "amqp://me:secret@127.0.0.1:port",
            "amqp://me:secret@127.0.0.1:0",
            "amqp://me:secret@127.0.0.1:70000",
            "amqp://me:secret@127.0.0.1?heartbeat=secret",
            "amqp://me:sec ret@ho st",
            "secret",
        ] {
            let sentence = Broker::parse(url, "shop").unwrap_err().to_string();
            assert!(sentence.starts_with(URL) && sentence.ends_with('.'), "{sentence}");
            assert!(!sentence.contains("cret"), "{sentence}");
        }
    }

    #[test]
    fn a_prefix_is_a_word() {
        for prefix in ["shop", "shop-2", "a.b_c", &"x".repeat(100)] {
            assert_eq!(Broker::parse("amqp://127.0.0.1", prefix).unwrap().prefix(), prefix);
        }
        for prefix in ["", "a b", "shop/2", "#", "*", "läden", &"x".repeat(101)] {
            let sentence = Broker::parse("amqp://127.0.0.1", prefix).unwrap_err().to_string();
            assert!(sentence.starts_with("AMQP_PREFIX must be"), "{sentence}");
        }
    }
}
