//! Random readers of random bodies, beside a model that keeps nothing but numbers.

use super::poll_by;
use super::source::{Count, Script, Step, Watch};
use bartizan_http::{Replay, ReplayLimit, ReplayTooLarge, Replays};
use bytes::Bytes;
use fastrand::Rng;
use http::HeaderMap;
use http_body::{Body, Frame};
use std::sync::Arc;
use std::task::{Poll, Waker};

struct Reader {
    body: Replay<Script>,
    seen: usize,
    count: Arc<Count>,
    /// How often it had been woken when it was last told to wait.
    waits_since: Option<usize>,
    doomed: bool,
    done: bool,
    /// Its task does not poll, however often it is woken.
    stalled: bool,
}

struct Run {
    dice: Rng,
    /// `None` stands for trailers.
    frames: Vec<Option<Bytes>>,
    fails: bool,
    exact: bool,
    limit: ReplayLimit,
    most: usize,
    keeping: bool,
    replays: Option<Replays<Script>>,
    watch: Arc<Watch>,
    readers: Vec<Reader>,
    /// Frames that the source has yielded.
    far: usize,
}

/// Now and then a source has nothing for a while, or wakes from within its poll.
fn pause(steps: &mut Vec<Step>, dice: &mut Rng) {
    while dice.u8(..3) == 0 {
        if dice.bool() {
            steps.push(Step::Do(Box::new(Waker::wake_by_ref)));
        }
        steps.push(Step::Pending);
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        let mut frames: Vec<_> =
            (0..dice.usize(..20)).map(|n| Some(Bytes::from(vec![n as u8; dice.usize(..30)]))).collect();
        let trailers = dice.bool();
        let fails = !trailers && dice.bool();
        frames.extend(trailers.then_some(None));
        let mut steps = Vec::new();
        for frame in &frames {
            pause(&mut steps, &mut dice);
            let frame = frame.clone().map_or_else(|| Frame::trailers(HeaderMap::new()), Frame::data);
            steps.push(Step::Frame(frame));
        }
        if !trailers {
            pause(&mut steps, &mut dice);
            steps.extend(fails.then_some(Step::Error));
        }
        let mut script = Script::new(steps);
        script.tells_end = dice.bool();
        let watch = script.watch.clone();
        let most = if dice.bool() { 1 << 20 } else { dice.usize(..300) };
        let (limit, of_body) = if dice.bool() {
            (ReplayLimit::new(most, usize::MAX), most)
        } else {
            (ReplayLimit::new(usize::MAX, most), usize::MAX)
        };
        let size: usize = frames.iter().flatten().map(Bytes::len).sum();
        let exact = dice.bool();
        if exact {
            script.exact = Some(size as u64);
        }
        let (first, replays) = Replay::split(script, &limit);
        let mut run = Self {
            dice,
            frames,
            fails,
            exact,
            limit,
            most,
            keeping: !exact || size <= of_body,
            replays: Some(replays),
            watch,
            readers: Vec::new(),
            far: 0,
        };
        run.enter(first);
        run
    }

    fn enter(&mut self, body: Replay<Script>) {
        self.readers.push(Reader {
            body,
            seen: 0,
            count: Arc::default(),
            waits_since: None,
            doomed: false,
            done: false,
            stalled: false,
        });
    }

    fn bytes(&self, frames: std::ops::Range<usize>) -> usize {
        self.frames[frames].iter().flatten().map(Bytes::len).sum()
    }

    /// The first frame that somebody may need.
    fn needed(&self) -> usize {
        let live = self.readers.iter().filter(|reader| !reader.doomed && !reader.done);
        if self.keeping { 0 } else { live.map(|reader| reader.seen).min().unwrap_or(self.far) }
    }

    /// What the limit does to a frame that the source has just yielded.
    fn apply_limit(&mut self) {
        let number = self.far;
        self.far += 1;
        if self.bytes(number..self.far) == 0 {
            return;
        }
        if self.bytes(self.needed()..self.far) > self.most {
            self.keeping = false;
        }
        if self.bytes(self.needed()..self.far) > self.most {
            for reader in self.readers.iter_mut().filter(|reader| reader.seen <= number) {
                reader.doomed = true;
            }
        }
    }

    fn poll(&mut self, at: usize) {
        let reader = &mut self.readers[at];
        let end = reader.body.is_end_stream();
        let hint = reader.body.size_hint();
        let waker = Waker::from(reader.count.clone());
        // What wakes within the poll counts.
        let woken = reader.count.get();
        let polled = poll_by(&mut reader.body, &waker);
        reader.waits_since = None;
        let (seen, done, doomed) = (reader.seen, reader.done, reader.doomed);
        if self.exact && !done && !doomed {
            assert_eq!(hint.exact(), Some(self.bytes(seen..self.frames.len()) as u64));
        }
        assert!(!end || matches!(polled, Poll::Ready(None)), "it had said that it was at its end");
        match polled {
            Poll::Pending => {
                assert!(!done && !doomed && seen == self.far, "there was something to read");
                self.readers[at].waits_since = Some(woken);
            }
            Poll::Ready(Some(Ok(frame))) => {
                assert!(!done && !doomed);
                match (&self.frames[seen], frame.data_ref()) {
                    // Not only the same bytes, but in the same place.
                    (Some(ought), Some(data)) => {
                        assert_eq!((ought.as_ptr(), ought.len()), (data.as_ptr(), data.len()));
                    }
                    (None, None) => {}
                    other => panic!("{other:?}"),
                }
                self.readers[at].seen += 1;
                if seen == self.far {
                    self.apply_limit();
                }
            }
            Poll::Ready(Some(Err(error))) => {
                assert!(!done);
                if doomed {
                    assert!(error.is::<ReplayTooLarge>());
                } else {
                    assert!(self.fails && seen == self.frames.len());
                    assert_eq!(error.to_string(), "torn");
                }
                self.readers[at].done = true;
            }
            Poll::Ready(None) => {
                assert!(done || !doomed && !self.fails && seen == self.frames.len());
                self.readers[at].done = true;
            }
        }
    }

    fn is_runnable(&self, at: usize) -> bool {
        let reader = &self.readers[at];
        !reader.stalled && !reader.done && reader.waits_since.is_none_or(|since| reader.count.get() > since)
    }

    fn check(&self) {
        assert_eq!(self.limit.kept(), self.bytes(self.needed()..self.far));
    }

    fn act(&mut self) {
        let at = self.dice.usize(..self.readers.len().max(1));
        match self.dice.u8(..40) {
            0..5 => {
                if let Some(replays) = &self.replays {
                    let again = replays.again();
                    assert_eq!(again.is_some(), self.keeping);
                    again.into_iter().for_each(|body| self.enter(body));
                }
            }
            5 if self.dice.u8(..4) == 0 && self.replays.take().is_some() => self.keeping = false,
            6 if !self.readers.is_empty() => drop(self.readers.swap_remove(at)),
            7 if !self.readers.is_empty() => self.readers[at].stalled ^= true,
            // Somebody polls without having been woken.
            8 if !self.readers.is_empty() => self.poll(at),
            9 => drop(self.watch.wake()),
            _ if !self.readers.is_empty() && self.is_runnable(at) => self.poll(at),
            _ => {}
        }
        self.check();
    }

    /// Lets all read to the end that are not stalled, and only if they were woken.
    fn finish(&mut self) {
        while self.readers.iter().any(|reader| !reader.stalled && !reader.done) {
            match (0..self.readers.len()).find(|at| self.is_runnable(*at)) {
                Some(at) => self.poll(at),
                None => assert!(self.watch.wake(), "all wait, and nobody will wake them"),
            }
            self.check();
        }
    }
}

#[test]
fn readers_see_what_the_source_yields_and_the_limit_allows() {
    let (mut whole, mut doomed) = (0, 0);
    for seed in 0..20_000 {
        let mut run = Run::new(seed);
        (0..run.dice.usize(..120)).for_each(|_| run.act());
        run.finish();
        whole += run.readers.iter().filter(|reader| reader.done && !reader.doomed).count();
        doomed += run.readers.iter().filter(|reader| reader.done && reader.doomed).count();
        let limit = run.limit.clone();
        drop(run);
        assert_eq!(limit.kept(), 0);
    }
    assert!(whole > 10_000 && doomed > 1_000, "{whole} read all, {doomed} were left behind");
}
