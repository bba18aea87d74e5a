use crate::asking::{Ask, Asking, Found, streams};
use crate::error::BoxError;
use crate::known::Known;
use crate::{Error, pace, place};
use bartizan_core::{Dice, Invalid, Member};
use futures_util::FutureExt;
use http::Uri;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A source that asks the system's resolver for all addresses of a host, again and again.
///
/// Each address is a member: the `Uri` with the address in place of the host; scheme, port and path stay. A set is told when it
/// is another than the last one, whatever the order of the answer. When a look-up fails, takes too long or finds nothing, that is
/// an error, never an empty set, and it is tried again sooner: after about a second, then twice as long each time, up to
/// [`every`](Self::every).
///
/// Over `https` the member's certificate would have to name its address. Where it names the host, leave the resolving to the client.
///
/// It needs tokio's timers, and moves when it is polled. Settings are read when it is polled first, later ones have no effect.
pub struct Dns {
    asking: Asking<LookUp>,
}

streams!(Dns);

type LookedUp = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

struct LookUp {
    uri: Uri,
    every: Duration,
    jitter: f64,
    time_out: Duration,
    resolver: Arc<dyn Fn(String, u16) -> LookedUp + Send + Sync>,
    dice: Dice,
    known: Known,
    /// Failures in a row, or none before the first look-up.
    failures: Option<u32>,
}

impl Dns {
    /// Time between two look-ups for which none was set: 30 s.
    pub const DEFAULT_EVERY: Duration = Duration::from_secs(30);
    /// Share by which that time varies if none was set: 0.1.
    pub const DEFAULT_JITTER: f64 = 0.1;
    /// Longest look-up if none was set: 10 s.
    pub const DEFAULT_TIME_OUT: Duration = Duration::from_secs(10);

    const INVALID: Invalid = Invalid::new("uri", "uri must have a scheme and a host, and no port 0");

    /// Creates a source of the addresses of the `Uri`'s host, such as `http://product.internal:8080`.
    ///
    /// # Panics
    ///
    /// If it is no `Uri` with a scheme and a host.
    #[must_use]
    #[track_caller]
    pub fn new<U: TryInto<Uri>>(uri: U) -> Self {
        match Self::try_new(uri) {
            Ok(dns) => dns,
            Err(invalid) => panic!("{invalid}"),
        }
    }

    /// As [`new`](Self::new), for a `Uri` out of a file.
    ///
    /// # Errors
    ///
    /// If it is no `Uri` with a scheme and a host.
    pub fn try_new<U: TryInto<Uri>>(uri: U) -> Result<Self, Invalid> {
        Ok(Self {
            asking: Asking::Idle(LookUp {
                uri: place::required(uri, Self::INVALID)?,
                every: Self::DEFAULT_EVERY,
                jitter: Self::DEFAULT_JITTER,
                time_out: Self::DEFAULT_TIME_OUT,
                resolver: Arc::new(|host, port| Box::pin(by_system(host, port))),
                dice: Dice::new(None),
                known: Known::default(),
                failures: None,
            }),
        })
    }

    /// Sets the time between two look-ups. At least 1 ms. Default: [`DEFAULT_EVERY`](Self::DEFAULT_EVERY).
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        self.with(|up| up.every = pace::interval(every))
    }

    /// Sets the share, within 0 to 1, by which that time is longer or shorter. Default: [`DEFAULT_JITTER`](Self::DEFAULT_JITTER).
    #[must_use]
    pub fn jitter(self, share: f64) -> Self {
        self.with(|up| up.jitter = pace::share(share))
    }

    /// Sets how long a look-up may take. The system's resolver cannot be stopped: it ends in its own time, on a thread that it keeps.
    /// Default: [`DEFAULT_TIME_OUT`](Self::DEFAULT_TIME_OUT).
    #[must_use]
    pub fn time_out(self, time_out: Duration) -> Self {
        self.with(|up| up.time_out = pace::interval(time_out))
    }

    /// Sets who is asked instead of the system's resolver: a function of host and port. The ports of its answer count.
    #[must_use]
    pub fn resolver<F, R>(self, resolver: F) -> Self
    where
        F: Fn(String, u16) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        self.with(|up| up.resolver = Arc::new(move |host, port| Box::pin(resolver(host, port))))
    }

    /// Sets the seed of the jitter. Default: one that nobody knows.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.with(|up| up.dice.reseed(seed))
    }

    fn with(self, change: impl FnOnce(&mut LookUp)) -> Self {
        Self { asking: self.asking.with(change) }
    }
}

async fn by_system(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

impl LookUp {
    async fn look_up(&self) -> Result<Vec<Member<Uri>>, Error> {
        let (host, port) = (place::host(&self.uri), place::port(&self.uri));
        let failed = |text: &str| Error::new(format!("dns {host}"), text);
        // A resolver that panics is no reason to ask no more.
        let asked =
            AssertUnwindSafe(async { (self.resolver)(String::from(host), port).await }).catch_unwind();
        let asked = asked.map(|said| said.unwrap_or_else(|_| Err(io::Error::other("it panicked"))));
        let addresses = match timeout(self.time_out, asked).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(cause)) => return Err(failed("cannot be resolved").because(BoxError::from(cause))),
            Err(_) => return Err(failed("did not resolve in time")),
        };
        let members: Vec<_> = addresses.into_iter().filter_map(|at| member(&self.uri, at)).collect();
        if members.is_empty() { Err(failed("has no address")) } else { Ok(members) }
    }

    fn wait(&self) -> Duration {
        match self.failures {
            None => Duration::ZERO,
            Some(0) => pace::spread(self.every, self.jitter, self.dice.unit()),
            Some(failures) => pace::back_off(failures, self.every, self.dice.unit()),
        }
    }
}

impl Ask for LookUp {
    async fn ask(&mut self) -> Found {
        loop {
            sleep(self.wait()).await;
            match self.look_up().await {
                Ok(members) => {
                    self.failures = Some(0);
                    if let Some(news) = self.known.news(members) {
                        return Ok(news);
                    }
                }
                Err(error) => {
                    self.failures = Some(self.failures.unwrap_or(0).saturating_add(1));
                    return Err(error);
                }
            }
        }
    }
}

/// The `Uri` at an address. Its port is written where it was, or where it is another than the scheme's. Port 0 is nowhere.
fn member(uri: &Uri, at: SocketAddr) -> Option<Member<Uri>> {
    let written = uri.port_u16().is_some() || at.port() != place::port(uri);
    let authority = place::authority(&at.ip().to_string(), written.then_some(at.port()))?;
    if at.port() == 0 { None } else { place::moved(uri, authority).map(Member::new) }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dns").field(&self.asking).finish()
    }
}

impl fmt::Debug for LookUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uri, every, jitter, time_out, .. } = self;
        write!(f, "{uri} every {every:?} ± {jitter}, within {time_out:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_in_place_of_the_host() {
        for (uri, at, expected) in [
            ("http://a:8080", "10.0.0.1:8080", Some("http://10.0.0.1:8080/")),
            ("http://a/base", "10.0.0.1:80", Some("http://10.0.0.1/base")),
            ("https://a", "10.0.0.1:443", Some("https://10.0.0.1/")),
            ("https://a", "10.0.0.1:8443", Some("https://10.0.0.1:8443/")),
            ("http://user:secret@a:1", "[::1]:1", Some("http://[::1]:1/")),
            ("http://a", "[fe80::1]:80", Some("http://[fe80::1]/")),
            ("http://a", "10.0.0.1:0", None),
        ] {
            let found =
                member(&Uri::from_static(uri), at.parse().unwrap()).map(|member| member.key.to_string());
            assert_eq!(found.as_deref(), expected, "{uri} at {at}");
        }
    }
}
