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
        let _held = Held(self);
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

/// Gives the turn back, however it ends. What was wanted within a change that panicked is no longer.
struct Held<'a, S>(&'a Turn<S>);

impl<S> Drop for Held<'_, S> {
    fn drop(&mut self) {
        let _unwanted = lock(&self.0.next).take();
        *lock(&self.0.holder) = None;
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn changes_come_one_after_the_other() {
        let (turn, made) = (Turn::new(), Mutex::new(Vec::new()));
        let make = |stack: u32| lock(&made).push(stack);
        let change = |stack: u32| {
            make(stack);
            if stack < 10 {
                // Of several the last one counts, and what is asked for meanwhile goes on.
                turn.change(11, make);
                turn.change(stack + 10, make);
                turn.hold(|| make(100 + stack), make);
            }
        };
        turn.change(1, change);
        turn.change(2, change);
        assert_eq!(*lock(&made), [1, 101, 11, 2, 102, 12]);
    }

    #[test]
    fn what_a_panic_left_behind_is_not_made_later() {
        let (turn, made) = (Turn::new(), Mutex::new(Vec::new()));
        let lost = |_: u32| {
            turn.change(2, |_| {});
            panic!("on purpose");
        };
        assert!(catch_unwind(AssertUnwindSafe(|| turn.change(1, lost))).is_err());
        turn.change(3, |stack| lock(&made).push(stack));
        assert_eq!(*lock(&made), [3]);
    }
}
