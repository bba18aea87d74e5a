//! What stays on its thread, for layers that ask for what may leave it. A simulation has one thread, and none of them does.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::HashMap,
    marker::PhantomData,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

thread_local! {
    static SHELF: RefCell<HashMap<u64, Rc<dyn Any>>> = RefCell::default();
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Holds a value that stays on this thread. Asked for it elsewhere, it panics.
pub(crate) struct Kept<T> {
    key: u64,
    value: PhantomData<fn() -> T>,
}

impl<T: 'static> Kept<T> {
    pub(crate) fn new(value: T) -> Self {
        let key = LAST.get() + 1;
        LAST.set(key);
        SHELF.with_borrow_mut(|shelf| shelf.insert(key, Rc::new(value)));
        Self { key, value: PhantomData }
    }

    pub(crate) fn get(&self) -> Rc<T> {
        let value = SHELF.with_borrow(|shelf| shelf.get(&self.key).cloned());
        value.and_then(|value| value.downcast().ok()).expect("a simulation has one thread")
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        // What is dropped may hold others; and at the end of the thread there is no shelf.
        let value = SHELF.try_with(|shelf| shelf.borrow_mut().remove(&self.key));
        drop(value);
    }
}

/// A future that stays on this thread.
pub(crate) struct KeptFuture<O>(Kept<RefCell<Pin<Box<dyn Future<Output = O>>>>>);

impl<O: 'static> KeptFuture<O> {
    pub(crate) fn new(future: impl Future<Output = O> + 'static) -> Self {
        Self(Kept::new(RefCell::new(Box::pin(future))))
    }
}

impl<O: 'static> Future for KeptFuture<O> {
    type Output = O;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        let future = self.0.get();
        future.borrow_mut().as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_leave<T: Send + Sync>(value: T) -> T {
        value
    }

    #[test]
    fn what_is_kept_goes_with_its_holder() {
        let value = Rc::new(7);
        let kept = may_leave(Kept::new(value.clone()));
        assert_eq!((**kept.get(), Rc::strong_count(&value)), (7, 2));
        let inside = Kept::new(kept);
        drop(inside);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn a_kept_future_is_polled_where_it_is() {
        let value = Rc::new(7);
        let future = may_leave(KeptFuture::new(async move { *value }));
        assert_eq!(crate::ground::finish(future), 7);
    }
}
