use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The streams that are open, and whom to wake when they are closed.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    closed: bool,
    next: u64,
    wakers: BTreeMap<u64, Option<Waker>>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    Full,
    Closed,
}

/// A place that is taken, and given back in `Drop`.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    pub(crate) fn take(self: &Arc<Self>, most: usize) -> Result<Place, NoPlace> {
        let mut open = self.lock();
        if open.closed {
            return Err(NoPlace::Closed);
        }
        if open.wakers.len() >= most {
            return Err(NoPlace::Full);
        }
        let number = open.next;
        open.next += 1;
        open.wakers.insert(number, None);
        Ok(Place { places: self.clone(), number })
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().wakers.len()
    }

    pub(crate) fn are_closed(&self) -> bool {
        self.lock().closed
    }

    /// Wakes all, outside of the lock: who is woken may drop a place.
    pub(crate) fn close(&self) {
        let mut open = self.lock();
        open.closed = true;
        let woken: Vec<Waker> = open.wakers.values_mut().filter_map(Option::take).collect();
        drop(open);
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether it was closed; if it was not, `waker` is woken when it is.
    pub(crate) fn is_closed(&self, waker: &Waker) -> bool {
        let mut open = self.places.lock();
        if !open.closed {
            open.wakers.insert(self.number, Some(waker.clone()));
        }
        open.closed
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = self.places.lock().wakers.remove(&self.number);
        // A waker may run code of its own when it is dropped; the lock is free again.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_when_it_is_dropped() {
        let places = Arc::<Places>::default();
        let held = [places.take(2).unwrap(), places.take(2).unwrap()];
        assert_eq!(places.take(2).unwrap_err(), NoPlace::Full);
        drop(held);
        assert_eq!(places.count(), 0);
        assert!(places.take(1).is_ok());
        assert_eq!(places.take(0).unwrap_err(), NoPlace::Full);
    }

    #[test]
    fn closing_is_for_good() {
        let places = Arc::<Places>::default();
        let place = places.take(1).unwrap();
        assert!(!place.is_closed(Waker::noop()));
        places.close();
        assert!(place.is_closed(Waker::noop()));
        drop(place);
        assert_eq!(places.take(1).unwrap_err(), NoPlace::Closed);
    }
}
