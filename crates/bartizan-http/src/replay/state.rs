use super::error::Same;
use super::kept::Kept;
use super::limit::ReplayLimit;
use super::places::Places;
use bytes::Bytes;
use http_body::Frame;
use std::collections::VecDeque;
use std::pin::Pin;

/// Most frames of one body that are kept: each costs some memory of its own, even if it is empty.
const MOST_FRAMES: usize = 1024;

/// What is known of a body that is being read.
pub(super) struct State<B> {
    pub(super) source: Source<B>,
    frames: VecDeque<Kept>,
    /// Number of the first frame that is kept. The first frame of all is 0.
    base: u64,
    /// Bytes in `frames`.
    bytes: usize,
    /// Whether all frames are kept, for readers that do not exist yet.
    pub(super) keeping: bool,
    pub(super) readers: Places,
    /// Whether a reader found the source away since it was taken.
    pub(super) knocked: bool,
    /// Whether the source was ever asked for a frame.
    pub(super) asked: bool,
}

pub(super) enum Source<B> {
    Here(Pin<Box<B>>),
    /// Some reader polls it.
    Away,
    Ended,
    Failed(Same),
}

impl<B> State<B> {
    /// Of a body that one reader begins to read.
    #[inline]
    pub(super) fn new(body: B, keeping: bool) -> Self {
        Self {
            source: Source::Here(Box::pin(body)),
            frames: VecDeque::new(),
            base: 0,
            bytes: 0,
            keeping,
            readers: Places::of_first(),
            knocked: false,
            asked: false,
        }
    }

    /// Bytes that are kept.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of the frame that the source yields next.
    pub(super) fn end(&self) -> u64 {
        self.base + self.frames.len() as u64
    }

    /// The frame of that number, if it is kept.
    pub(super) fn frame(&self, number: u64) -> Option<Frame<Bytes>> {
        self.frames.get(usize::try_from(number.checked_sub(self.base)?).ok()?).map(Kept::frame)
    }

    fn is_wanted(&self, frame: u64) -> bool {
        self.keeping || self.readers.least().is_some_and(|least| least <= frame)
    }

    /// Takes out the frames that nobody needs any more.
    #[must_use = "it is dropped outside the lock"]
    pub(super) fn release(&mut self, limit: &ReplayLimit) -> Vec<Kept> {
        if self.keeping || self.frames.is_empty() {
            return Vec::new();
        }
        let first = self.readers.least().unwrap_or(u64::MAX);
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
    pub(super) fn note(&mut self, id: u64, frame: &Frame<Bytes>, limit: &ReplayLimit) -> Vec<Kept> {
        let number = self.end();
        self.readers.advance(id);
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let mut freed = Vec::new();
        let mut room = self.is_wanted(number) && self.has_room(bytes, limit);
        if !room && self.is_wanted(number) {
            self.keeping = false;
            freed = self.release(limit);
            room = self.is_wanted(number) && self.has_room(bytes, limit);
        }
        if !room {
            self.readers.leave_behind(number);
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
