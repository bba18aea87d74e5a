use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// Lets one stack after another be taken over, on whatever threads they come.
///
/// The layers tell of it while they change, and who hears of that on the same thread may want another stack: it is taken over once the
/// change that was heard of is done. Of several the last one counts.
pub(crate) struct Turn<S> {
    lock: Mutex<()>,
    /// Whose turn it is.
    holder: Mutex<Option<ThreadId>>,
    next: Mutex<Option<S>>,
}

impl<S> Turn<S> {
    pub(crate) const fn new() -> Self {
        Self { lock: Mutex::new(()), holder: Mutex::new(None), next: Mutex::new(None) }
    }

    /// Takes over a stack.
    pub(crate) fn change(&self, stack: S, change: impl Fn(S)) {
        if self.is_held_here() {
            *lock(&self.next) = Some(stack);
        } else {
            self.hold(|| change(stack), &change);
        }
    }

    /// Does something while nobody else changes anything, and then what was wanted meanwhile.
    pub(crate) fn hold<T>(&self, what: impl FnOnce() -> T, change: impl Fn(S)) -> T {
        if self.is_held_here() {
            return what();
        }
        let _turn = lock(&self.lock);
        *lock(&self.holder) = Some(thread::current().id());
        let _held = Held(&self.holder);
        let done = what();
        loop {
            let next = lock(&self.next).take();
            let Some(next) = next else { return done };
            change(next);
        }
    }

    fn is_held_here(&self) -> bool {
        *lock(&self.holder) == Some(thread::current().id())
    }
}

/// Gives the turn back, however it ends.
struct Held<'a>(&'a Mutex<Option<ThreadId>>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
