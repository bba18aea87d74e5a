use crate::asking::{Ask, Asking, Found, streams};
use crate::known::Known;
use crate::{Error, lines, pace};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// A source that reads a file, again and again, and tells its members when they are others.
///
/// A member a line, with what else there is to say of it, in any order; `#` begins a comment:
///
/// ```text
/// http://10.0.0.1:8080
/// http://10.0.0.2:8080 weight=2 tier=1 zone=eu-1 draining
/// ```
///
/// Replace it as a whole, by renaming a new one or by moving a symbolic link, as Kubernetes does with a `ConfigMap`. Where it is
/// written in place, a change is believed once two readings in a row are the same.
///
/// When it is missing, empty, longer than 4 MiB or wrong in any line, that is an error which names the file and the line; it is told
/// once, until something else is wrong.
///
/// It needs tokio's runtime, which reads on its threads for blocking work, and moves when it is polled. Settings are read when it is
/// polled first, later ones have no effect.
pub struct File {
    asking: Asking<Watch>,
}

streams!(File);

struct Watch {
    path: Arc<Path>,
    every: Duration,
    /// What was read last, and judged.
    seen: Option<Reading>,
    known: Known,
}

/// More is no list of endpoints.
const LONGEST: u64 = 4 << 20;

/// The time between two readings that must be the same.
const SETTLED: Duration = Duration::from_millis(20);

impl File {
    /// Time between two readings for which none was set: 1 s.
    pub const DEFAULT_EVERY: Duration = Duration::from_secs(1);

    /// Creates a source of the file at this path. It need not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = Arc::from(path.into());
        Self {
            asking: Asking::Idle(Watch {
                path,
                every: Self::DEFAULT_EVERY,
                seen: None,
                known: Known::default(),
            }),
        }
    }

    /// Sets the time between two readings. At least 1 ms. Default: [`DEFAULT_EVERY`](Self::DEFAULT_EVERY).
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { asking: self.asking.with(|watch| watch.every = pace::interval(every)) }
    }
}

type Reading = Result<Vec<u8>, String>;

/// Reads until two readings are the same, or the file is as it was seen last, or cannot be read.
async fn settled<R: Future<Output = Reading>>(
    seen: Option<&Reading>,
    mut read: impl FnMut() -> R,
) -> Reading {
    let mut before = read().await;
    while before.is_ok() && seen != Some(&before) {
        sleep(SETTLED).await;
        let now = read().await;
        if now == before {
            break;
        }
        before = now;
    }
    before
}

/// Reads on a thread for blocking work.
async fn read(path: Arc<Path>) -> Reading {
    let read = spawn_blocking(move || content(&path)).await.map_err(io::Error::other);
    read.and_then(|read| read).map_err(|error| format!("cannot be read: {error}"))
}

/// Reads what it is a file of. Anything else, such as a pipe, might keep the thread for good.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LONGEST {
        Err(io::Error::other("it is longer than 4 MiB"))
    } else {
        Ok(content)
    }
}

impl Ask for Watch {
    async fn ask(&mut self) -> Found {
        loop {
            if self.seen.is_some() {
                sleep(self.every).await;
            }
            let now = settled(self.seen.as_ref(), || read(self.path.clone())).await;
            if self.seen.as_ref() == Some(&now) {
                continue;
            }
            let path = self.path.display();
            let found = match &now {
                Ok(content) => lines::read(content).map_err(|wrong| match wrong.line {
                    Some(line) => Error::new(format!("file {path}"), format!("line {line}: {}", wrong.text)),
                    None => Error::new(format!("file {path}"), wrong.text),
                }),
                Err(text) => Err(Error::new(format!("file {path}"), text.as_str())),
            };
            self.seen = Some(now);
            if let Some(news) = found.map(|members| self.known.news(members)).transpose() {
                return news;
            }
        }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.asking).finish()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} every {:?}", self.path.display(), self.every)
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
        let reading =
            |read: Result<&str, &str>| read.map(|text| text.as_bytes().to_vec()).map_err(String::from);
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
    }
}
