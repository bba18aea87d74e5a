use crate::shared::Shared;
use crate::{Changes, Format, PolicyError, policy};
use bartizan_core::Instant;
use bartizan_core::registry::Observed;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Watches and changes a [`Policy`](crate::Policy). Cheap to clone.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Shared>);

/// What is known of a policy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Where the text comes from that holds: a file, a server, or `code`. `None` for a text that it was made of.
    pub source: Option<String>,
    /// How often another text was taken over.
    pub version: u64,
    /// What the source calls this version: the `version` or the `ETag` of a config server.
    pub label: Option<String>,
    /// Since when it holds.
    pub applied: Instant,
    /// How often a text was refused.
    pub refused: u64,
    /// How often a text could not be had.
    pub unreachable: u64,
    /// Why the last text was refused or could not be had, unless a good one has come since.
    pub error: Option<String>,
    /// The tables that nobody has asked for, such as `clients.stock`; and endpoints that nobody calls, such as `clients.stock.endpoints`, as
    /// code has taken the rest of the table and says itself where the calls go.
    pub unused: Vec<String>,
    /// Stacks before servers that follow it.
    pub servers: usize,
    /// Stacks around clients that follow it.
    pub clients: usize,
}

impl Handle {
    /// The name that the policy was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// What is known of the policy now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// Waits for another [version](Snapshot::version) than this one, and returns it. By then all layers follow it. Who begins with the
    /// version that is known and goes on with what is returned misses none, though of several in a row the last one alone may be seen.
    ///
    /// ```
    /// # use bartizan_policy::{Format, Policy};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan_policy::PolicyError> {
    /// let policy = Policy::parse(Format::Toml, "[clients.stock]\n")?;
    /// let handle = policy.handle();
    /// let changed = handle.changed(handle.snapshot().version);
    /// policy.update(Format::Toml, "[clients.stock]\nretry.max_retries = 1\n")?;
    /// assert_eq!(changed.await, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called anew at any time: what has changed meanwhile is found at once.
    pub async fn changed(&self, since: u64) -> u64 {
        self.0.changed(since).await
    }

    /// Takes over another text, as [`Policy::update`](crate::Policy::update) does.
    ///
    /// # Errors
    ///
    /// If it is wrong anywhere, or does not fit to a layer that lives. All stays as it was.
    pub fn update(&self, format: Format, text: &str) -> Result<Changes, PolicyError> {
        self.0.take(policy::read(format, text), None)
    }
}

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "policy"
    }

    fn name(&self) -> &str {
        self.name().unwrap_or_default()
    }

    fn state(&self) -> &'static str {
        if self.snapshot().error.is_some() { "outdated" } else { "current" }
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        self.snapshot().error.map(Cow::Owned)
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let Snapshot { version, applied, refused, unreachable, unused, servers, clients, .. } =
            self.snapshot();
        show("version", version as f64);
        show("age_seconds", Instant::now().saturating_duration_since(applied).as_secs_f64());
        show("refused", refused as f64);
        show("unreachable", unreachable as f64);
        show("unused", unused.len() as f64);
        show("servers", servers as f64);
        show("clients", clients as f64);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.name()).finish_non_exhaustive()
    }
}
