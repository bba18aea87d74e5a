use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The tasks whose readers wait for the source, and the waker that wakes them all.
///
/// It stands apart from the rest, so that a source which holds the waker does not hold itself. A waker is somebody
/// else's code: it is cloned, woken and dropped outside the lock.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Vec<(u64, Waker)>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the waker of a reader.
    pub(super) fn put(&self, id: u64, waker: &Waker) {
        if self.lock().iter().any(|(of, known)| *of == id && known.will_wake(waker)) {
            return;
        }
        let waker = waker.clone();
        let mut all = self.lock();
        let old = match all.iter_mut().find(|(of, _)| *of == id) {
            Some((_, known)) => Some(mem::replace(known, waker)),
            None => {
                all.push((id, waker));
                None
            }
        };
        drop(all);
        drop(old);
    }

    /// Forgets a reader.
    pub(super) fn remove(&self, id: u64) {
        let mut all = self.lock();
        let gone = all.iter().position(|(of, _)| *of == id).map(|at| all.swap_remove(at));
        drop(all);
        drop(gone);
    }

    /// Wakes all but one reader, who goes on waiting.
    pub(super) fn wake_others(&self, id: u64) {
        let mut all = self.lock();
        let mut others = mem::take(&mut *all);
        all.extend(others.iter().position(|(of, _)| *of == id).map(|at| others.swap_remove(at)));
        drop(all);
        others.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub(super) fn wake_all(&self) {
        let all = mem::take(&mut *self.lock());
        all.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}
