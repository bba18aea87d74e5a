use crate::{Probe, Watched, pace};
use bartizan_core::{Change, Dice};
use futures_core::Stream;
use http::Uri;
use std::time::Duration;

/// How members are asked whether they are well: by what, how often, and how much it takes to believe it.
///
/// The first answer of a member decides alone. From then on it takes [`fall`](Self::fall) failures in a row to be down and
/// [`rise`](Self::rise) successes to be up again; that it drains is believed at once.
///
/// ```
/// use bartizan_discover::{Fixed, Heartbeats, Tcp};
/// use http::Uri;
/// use std::time::Duration;
///
/// let members = Fixed::new([Uri::from_static("http://10.0.0.1:8080"), Uri::from_static("http://10.0.0.2:8080")]);
/// let watched = Heartbeats::new(Tcp::new()).every(Duration::from_secs(1)).watch(members);
/// # let _ = watched;
/// ```
#[derive(Clone, Debug)]
pub struct Heartbeats<P> {
    pub(crate) probe: P,
    pub(crate) every: Duration,
    pub(crate) time_out: Duration,
    pub(crate) rise: u32,
    pub(crate) fall: u32,
    pub(crate) jitter: f64,
    pub(crate) port: Option<u16>,
    seed: Option<u64>,
}

impl<P: Probe> Heartbeats<P> {
    /// Time between two heartbeats of a member for which none was set: 2 s.
    pub const DEFAULT_EVERY: Duration = Duration::from_secs(2);
    /// Longest heartbeat if none was set: 1 s.
    pub const DEFAULT_TIME_OUT: Duration = Duration::from_secs(1);
    /// Successes in a row that make a member healthy if no number was set: 2.
    pub const DEFAULT_RISE: u32 = 2;
    /// Failures in a row that make a member unhealthy if no number was set: 3.
    pub const DEFAULT_FALL: u32 = 3;
    /// Share by which the time between two heartbeats varies if none was set: 0.1.
    pub const DEFAULT_JITTER: f64 = 0.1;

    /// Creates heartbeats by a probe: [`Tcp`](crate::Tcp), `Http`, `Grpc`, or a function of a member's
    /// `Uri` whose future returns its health or an error.
    #[must_use]
    pub fn new(probe: P) -> Self {
        Self {
            probe,
            every: Self::DEFAULT_EVERY,
            time_out: Self::DEFAULT_TIME_OUT,
            rise: Self::DEFAULT_RISE,
            fall: Self::DEFAULT_FALL,
            jitter: Self::DEFAULT_JITTER,
            port: None,
            seed: None,
        }
    }

    /// Sets the time between two heartbeats of a member. At least 1 ms. Default: [`DEFAULT_EVERY`](Self::DEFAULT_EVERY).
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = pace::interval(every);
        self
    }

    /// Sets how long a member may take to answer. It is not asked again before that: one that hangs longer than
    /// [`every`](Self::every) misses a turn. Default: [`DEFAULT_TIME_OUT`](Self::DEFAULT_TIME_OUT).
    #[must_use]
    pub fn time_out(mut self, time_out: Duration) -> Self {
        self.time_out = pace::interval(time_out);
        self
    }

    /// Sets how many successes in a row make a member healthy that was not. Zero is taken for one. Default:
    /// [`DEFAULT_RISE`](Self::DEFAULT_RISE).
    #[must_use]
    pub fn rise(mut self, successes: u32) -> Self {
        self.rise = successes;
        self
    }

    /// Sets how many failures in a row make a member unhealthy that was well. Zero is taken for one. Default:
    /// [`DEFAULT_FALL`](Self::DEFAULT_FALL).
    #[must_use]
    pub fn fall(mut self, failures: u32) -> Self {
        self.fall = failures;
        self
    }

    /// Sets the share, within 0 to 1, by which the time between two heartbeats is longer or shorter, so that members are not asked
    /// all at once. The first heartbeat of a member comes within such a share too. Default: [`DEFAULT_JITTER`](Self::DEFAULT_JITTER).
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = pace::share(share);
        self
    }

    /// Sets the port at which members answer heartbeats. Default: the one to which calls go.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the seed of the jitter. Default: one that nobody knows.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Watches the members of a stream. What it yields is passed on, and after each heartbeat that agrees with how its member is
    /// taken to be, a [`Change::Health`] is added.
    pub fn watch<S, E>(self, members: S) -> Watched<S, P>
    where
        S: Stream<Item = Result<Change<Uri>, E>>,
    {
        let dice = Dice::new(self.seed);
        Watched::new(members, self, dice)
    }
}
