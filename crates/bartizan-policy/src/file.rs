//! A policy's file, which is read again and again.

use crate::policy;
use crate::shared::{Origin, Shared, Told};
use crate::source::{Askers, Source};
use crate::{Format, PolicyError};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::sleep;

/// More is no policy, in bytes.
const LONGEST: u64 = 4 << 20;

/// The time between two readings that must be the same.
const SETTLED: Duration = Duration::from_millis(20);

/// What is still being written by then is looked at another time.
const READINGS: u32 = 50;

/// Zero would be a loop without a rest, and more than this nobody waits.
pub(crate) const EVERY: (Duration, Duration) =
    (Duration::from_millis(1), Duration::from_secs(365 * 24 * 60 * 60));

/// What a file held, or why it cannot be told.
type Reading = Result<String, String>;

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<String, PolicyError> {
    content(path, LONGEST).map_err(|text| PolicyError::new(&text).origin(&path.display().to_string()))
}

/// Reads what it is a file of, up to a length. Anything else, such as a pipe, might keep the thread for good.
pub(crate) fn content(path: &Path, longest: u64) -> Reading {
    let read = || {
        let mut content = Vec::new();
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        std::fs::File::open(path)?.take(longest + 1).read_to_end(&mut content)?;
        if content.len() as u64 > longest {
            return Err(io::Error::other(format!("it is longer than {} MiB", longest >> 20)));
        }
        String::from_utf8(content).map_err(|_| io::Error::other("it is not UTF-8"))
    };
    read().map_err(|error| format!("cannot be read: {error}"))
}

/// Reads the file of a policy from now on, in a task.
pub(crate) fn watch(shared: &Arc<Shared>, every: Duration) -> Result<(), PolicyError> {
    let state = shared.state();
    let Some((path, content)) = &state.file else {
        return Err(PolicyError::new("there is no file to be watched: the policy was not opened from one"));
    };
    let watch = Watch {
        path: Arc::from(path.as_path()),
        every: every.clamp(EVERY.0, EVERY.1),
        seen: Some(Ok(content.clone())),
    };
    drop(state);
    let runtime = runtime("a file can only be watched")?;
    let (source, askers) = Source::new();
    shared.add(source);
    runtime.spawn(watch.follow(Arc::downgrade(shared), askers));
    Ok(())
}

/// The runtime that a source is asked in.
pub(crate) fn runtime(what: &str) -> Result<Handle, PolicyError> {
    Handle::try_current().map_err(|_| {
        PolicyError::new(&format!("{what} within a tokio runtime: call it from an async function"))
    })
}

struct Watch {
    path: Arc<Path>,
    every: Duration,
    /// What was read last, and judged.
    seen: Option<Reading>,
}

impl Watch {
    /// Reads until the policy is gone.
    async fn follow(mut self, shared: Weak<Shared>, mut askers: Askers) {
        loop {
            let Some(asking) = askers.wait(self.every).await else { return };
            let reading = settled(self.seen.as_ref(), || load(self.path.clone())).await;
            let Some(shared) = shared.upgrade() else { return };
            let told = self.judge(reading, asking.is_anybody(), &shared);
            asking.answer(&told);
        }
    }

    /// Takes over what was read, if it is new, or somebody wants to hear of it.
    fn judge(&mut self, reading: Reading, asked: bool, shared: &Shared) -> Result<(), PolicyError> {
        if self.seen.as_ref() == Some(&reading) && !asked {
            return Ok(());
        }
        let path = self.path.display().to_string();
        let told = match &reading {
            Ok(text) => {
                let origin = Origin::File(self.path.to_path_buf());
                let read = policy::read(Format::of(&self.path), text);
                shared.take(read, Some(Told { origin, label: None })).map(drop)
            }
            Err(text) => {
                let error = PolicyError::new(text).origin(&path);
                shared.unreachable(&error);
                Err(error)
            }
        };
        self.seen = Some(reading);
        told
    }
}

/// Reads until two readings are the same, or the file is as it was seen last, or cannot be read.
async fn settled<R: Future<Output = Reading>>(
    seen: Option<&Reading>,
    mut read: impl FnMut() -> R,
) -> Reading {
    let mut before = read().await;
    for _ in 1..READINGS {
        if before.is_err() || seen == Some(&before) {
            return before;
        }
        sleep(SETTLED).await;
        let now = read().await;
        if now == before {
            return before;
        }
        before = now;
    }
    Err(String::from("is another each time that it is read"))
}

/// Reads on a thread for blocking work.
async fn load(path: Arc<Path>) -> Reading {
    match tokio::task::spawn_blocking(move || content(&path, LONGEST)).await {
        Ok(reading) => reading,
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settles on what is read one after the other, and expects the result after so many readings.
    async fn check(
        seen: Option<&str>,
        readings: &[Result<&str, &str>],
        expected: Result<&str, &str>,
        count: usize,
    ) {
        let reading = |read: Result<&str, &str>| read.map(String::from).map_err(String::from);
        let seen = seen.map(|text| reading(Ok(text)));
        let mut read = 0;
        let found = settled(seen.as_ref(), || {
            read += 1;
            std::future::ready(reading(readings[read - 1]))
        });
        assert_eq!((found.await, read), (reading(expected), count), "{readings:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_waited_for() {
        check(None, &[Ok("a"), Ok("ab"), Ok("abc"), Ok("abc")], Ok("abc"), 4).await;
        check(Some("x"), &[Ok("a"), Ok("a")], Ok("a"), 2).await;
        check(Some("x"), &[Ok("a"), Ok("x")], Ok("x"), 2).await;
        check(Some("x"), &[Ok("x")], Ok("x"), 1).await;
        check(Some("x"), &[Err("gone")], Err("gone"), 1).await;
        check(None, &[Ok("a"), Err("gone")], Err("gone"), 2).await;
        // Who never stops is not waited for.
        let endless = [Ok("a"), Ok("b")].repeat(25);
        check(None, &endless, Err("is another each time that it is read"), 50).await;
    }
}
