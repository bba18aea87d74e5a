use super::error::{Panicked, ReplayTooLarge, Same};
use super::limit::ReplayLimit;
use super::waiting::Waiting;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::error::Error;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most frames of one body that are kept: each costs some memory of its own, even if it is empty.
const MOST_FRAMES: usize = 1024;

/// What the readers of a body share.
///
/// The lock is held for bookkeeping alone. The source is taken out while it is polled, and what is freed is dropped
/// outside: both are somebody else's code, which may come back to this body.
pub(super) struct Shared<B> {
    /// What the source said of itself at the start.
    hint: SizeHint,
    limit: ReplayLimit,
    pub(super) waiting: Arc<Waiting>,
    state: Mutex<State<B>>,
}

struct State<B> {
    source: Source<B>,
    frames: VecDeque<Kept>,
    /// Number of the first frame that is kept. The first frame of all is 0.
    base: u64,
    /// Bytes in `frames`.
    bytes: usize,
    /// Whether all frames are kept, for readers that do not exist yet.
    keeping: bool,
    readers: Vec<Place>,
    ids: u64,
    /// Whether a reader found the source away since it was taken.
    knocked: bool,
    /// Whether the source was ever asked for a frame.
    asked: bool,
}

enum Source<B> {
    Here(Pin<Box<B>>),
    /// Some reader polls it.
    Away,
    Ended,
    Failed(Same),
}

/// A frame in less room than a [`Frame`] takes.
enum Kept {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

/// How far a reader is: the number of the frame that it sees next.
struct Place {
    id: u64,
    at: u64,
}

/// What a reader finds.
pub(super) enum Next<'a, B> {
    Frame(Frame<Bytes>),
    End,
    Failed(Box<dyn Error + Send + Sync>),
    /// Another reader polls the source, and will wake those that wait.
    Busy,
    /// It is this reader's turn to poll the source; and whether it is the only one.
    Source(Turn<'a, B>, bool),
}

/// The source, while a reader polls it. Dropped while it still holds it, the poll has panicked.
pub(super) struct Turn<'a, B> {
    shared: &'a Shared<B>,
    id: u64,
    source: Option<Pin<Box<B>>>,
}

impl<B: Body> Shared<B> {
    pub(super) fn new(body: B, limit: ReplayLimit) -> Self {
        let hint = body.size_hint();
        let state = State {
            source: Source::Here(Box::pin(body)),
            frames: VecDeque::new(),
            base: 0,
            bytes: 0,
            keeping: usize::try_from(hint.lower()).is_ok_and(|lower| lower <= limit.body()),
            readers: Vec::with_capacity(1),
            ids: 0,
            knocked: false,
            asked: false,
        };
        Self { hint, limit, waiting: Arc::default(), state: Mutex::new(state) }
    }
}

impl<B> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hint(&self) -> &SizeHint {
        &self.hint
    }

    /// Lets the first reader in.
    pub(super) fn enter(&self) -> u64 {
        self.lock().enter()
    }

    /// Lets another reader in, if all is there that it needs.
    pub(super) fn enter_again(&self) -> Option<u64> {
        let mut state = self.lock();
        state.keeping.then(|| state.enter())
    }

    pub(super) fn leave(&self, id: u64) {
        self.free(|state| state.readers.retain(|reader| reader.id != id));
        self.waiting.remove(id);
    }

    pub(super) fn stop_keeping(&self) {
        self.free(|state| state.keeping = false);
    }

    /// Lets go of the frames that nobody needs after a change.
    fn free(&self, change: impl FnOnce(&mut State<B>)) {
        let mut state = self.lock();
        change(&mut state);
        let freed = state.release(&self.limit);
        drop(state);
        drop(freed);
    }

    pub(super) fn was_asked(&self) -> bool {
        self.lock().asked
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.lock().source, Source::Failed(_))
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.lock().source, Source::Ended | Source::Failed(_))
    }

    pub(super) fn is_ended_for(&self, id: u64) -> bool {
        let state = self.lock();
        matches!(state.source, Source::Ended) && state.place(id).is_some_and(|at| at == state.end())
    }

    /// What a reader sees next.
    pub(super) fn next(&self, id: u64) -> Next<'_, B> {
        let mut state = self.lock();
        let Some(at) = state.place(id) else { return Next::Failed(ReplayTooLarge.into()) };
        if at < state.end() {
            let frame = state.frames[(at - state.base) as usize].frame();
            state.advance(id);
            let freed = state.release(&self.limit);
            drop(state);
            drop(freed);
            return Next::Frame(frame);
        }
        match mem::replace(&mut state.source, Source::Away) {
            Source::Here(source) => {
                state.knocked = false;
                state.asked = true;
                let alone = state.readers.len() == 1;
                Next::Source(Turn { shared: self, id, source: Some(source) }, alone)
            }
            Source::Away => {
                state.knocked = true;
                Next::Busy
            }
            Source::Ended => {
                state.source = Source::Ended;
                Next::End
            }
            Source::Failed(error) => {
                state.source = Source::Failed(error.clone());
                Next::Failed(error.into())
            }
        }
    }
}

impl<B> State<B> {
    fn enter(&mut self) -> u64 {
        self.ids += 1;
        self.readers.push(Place { id: self.ids, at: 0 });
        self.ids
    }

    /// Number of the frame that the source yields next.
    fn end(&self) -> u64 {
        self.base + self.frames.len() as u64
    }

    /// Where a reader is; `None` if it was left behind.
    fn place(&self, id: u64) -> Option<u64> {
        self.readers.iter().find(|reader| reader.id == id).map(|reader| reader.at)
    }

    fn advance(&mut self, id: u64) {
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) {
            reader.at += 1;
        }
    }

    fn is_wanted(&self, frame: u64) -> bool {
        self.keeping || self.readers.iter().any(|reader| reader.at <= frame)
    }

    /// Takes out the frames that nobody needs any more.
    #[must_use = "it is dropped outside the lock"]
    fn release(&mut self, limit: &ReplayLimit) -> Vec<Kept> {
        let needed = self.readers.iter().map(|reader| reader.at).min();
        let first = if self.keeping { self.base } else { needed.unwrap_or(u64::MAX) };
        // Who receives a frame is past it before it is kept.
        let past = (first.min(self.end()) - self.base) as usize;
        let freed: Vec<_> = self.frames.drain(..past).collect();
        let bytes = freed.iter().map(Kept::len).sum();
        self.base += past as u64;
        self.bytes -= bytes;
        limit.give_back(bytes);
        freed
    }

    fn has_room(&self, bytes: usize, limit: &ReplayLimit) -> bool {
        self.frames.len() < MOST_FRAMES && limit.take(self.bytes, bytes)
    }

    /// Notes the frame that a reader at the end has received, and keeps it if it is wanted and there is room.
    #[must_use = "it is dropped outside the lock"]
    fn note(&mut self, id: u64, frame: &Frame<Bytes>, limit: &ReplayLimit) -> Vec<Kept> {
        let number = self.end();
        self.advance(id);
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let mut freed = Vec::new();
        let mut room = self.is_wanted(number) && self.has_room(bytes, limit);
        if !room && self.is_wanted(number) {
            self.keeping = false;
            freed = self.release(limit);
            room = self.is_wanted(number) && self.has_room(bytes, limit);
        }
        if !room {
            self.readers.retain(|reader| reader.at > number);
            freed.extend(self.release(limit));
        }
        match room.then(|| Kept::of(frame)).flatten() {
            Some(kept) => {
                self.frames.push_back(kept);
                self.bytes += bytes;
            }
            None => self.base = number + 1,
        }
        freed
    }
}

impl<B: Body<Data = Bytes>> Turn<'_, B> {
    pub(super) fn source(&mut self) -> Pin<&mut B> {
        self.source.as_mut().expect("a turn holds the source until it is over").as_mut()
    }

    /// The source has nothing yet.
    pub(super) fn pending(mut self) {
        let source = self.source.take();
        let mut state = self.shared.lock();
        if let Some(source) = source {
            state.source = Source::Here(source);
        }
        let knocked = state.knocked;
        drop(state);
        if knocked {
            // Those who knocked may have come too late for the source's waker.
            self.shared.waiting.wake_others(self.id);
        }
    }

    /// The source has yielded a frame.
    pub(super) fn frame(mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        // Trailers are the last frame, and who has read them does not always poll on.
        let ended = frame.is_trailers() || self.source().is_end_stream();
        let source = self.source.take();
        let mut state = self.shared.lock();
        let freed = state.note(self.id, &frame, &self.shared.limit);
        let gone = match source {
            Some(source) if !ended => {
                state.source = Source::Here(source);
                None
            }
            gone => {
                state.source = Source::Ended;
                gone
            }
        };
        drop(state);
        self.shared.waiting.remove(self.id);
        self.shared.waiting.wake_all();
        drop((freed, gone));
        frame
    }

    /// The source has ended.
    pub(super) fn end(self) {
        self.finish(Source::Ended);
    }

    /// The source has failed. Returns what its reader receives.
    pub(super) fn fail(self, error: Box<dyn Error + Send + Sync>) -> Box<dyn Error + Send + Sync> {
        let state = self.shared.lock();
        let alone = !state.keeping && state.readers.len() == 1;
        drop(state);
        if alone {
            self.finish(Source::Ended);
            return error;
        }
        let error = Same::new(error);
        self.finish(Source::Failed(error.clone()));
        error.into()
    }
}

impl<B> Turn<'_, B> {
    fn finish(mut self, with: Source<B>) {
        self.close(with);
    }

    fn close(&mut self, with: Source<B>) {
        let source = self.source.take();
        self.shared.lock().source = with;
        self.shared.waiting.remove(self.id);
        self.shared.waiting.wake_all();
        drop(source);
    }
}

impl<B> Drop for Turn<'_, B> {
    fn drop(&mut self) {
        if self.source.is_some() {
            self.close(Source::Failed(Same::new(Panicked.into())));
        }
    }
}

impl Kept {
    fn of(frame: &Frame<Bytes>) -> Option<Self> {
        let data = frame.data_ref().map(|data| Self::Data(data.clone()));
        data.or_else(|| Some(Self::Trailers(Box::new(frame.trailers_ref()?.clone()))))
    }

    fn frame(&self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data.clone()),
            Self::Trailers(trailers) => Frame::trailers(HeaderMap::clone(trailers)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}
