use std::any::Any;
use std::cell::{Cell, RefCell};

/// Gives a request that was not sent back to who made the call.
///
/// A layer that refuses a request would drop it, and whoever could send it elsewhere would have had to keep a copy of every request
/// for that. Instead it asks for it back: around the call of one service it watches, and a layer inside that refuses within the call,
/// before the inner service has seen the request, hands it over. While nobody watches, nothing is kept.
///
/// What comes back is the request as the refusing layer was given it, which is of another type if a layer between has changed it. What a
/// layer between has written into its headers stays there.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unsent;

thread_local! {
    /// How many watch, and whether something was left for them.
    static DESK: Cell<Desk> = const { Cell::new(Desk { watchers: 0, left: false }) };
    /// What was left. Beside the desk, as what has to be dropped costs more to look at.
    static LEFT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

#[derive(Clone, Copy)]
struct Desk {
    watchers: u32,
    left: bool,
}

impl Unsent {
    /// Runs `call`, and returns with its result the request that was given back within it, if one of this type was.
    #[inline(always)]
    pub fn watch<Req: 'static, R>(call: impl FnOnce() -> R) -> (R, Option<Req>) {
        let watch = Watch::begin();
        let out = call();
        let left = watch.end();
        (out, left.and_then(|left| left.downcast().ok()).map(|left| *left))
    }

    /// Gives a request back that was refused. It is dropped unless somebody watches.
    #[cold]
    pub fn give_back<Req: 'static>(req: Req) {
        let desk = DESK.get();
        if desk.watchers > 0 {
            // What was left before is dropped after the borrow: it may do anything.
            let _before = LEFT.with(|left| left.borrow_mut().replace(Box::new(req)));
            DESK.set(Desk { left: true, ..desk });
        }
    }

    #[cold]
    fn take() -> Option<Box<dyn Any>> {
        LEFT.with(|left| left.borrow_mut().take())
    }
}

/// Ends the watch, though the call may panic.
struct Watch;

impl Watch {
    #[inline(always)]
    fn begin() -> Self {
        let desk = DESK.get();
        DESK.set(Desk { watchers: desk.watchers + 1, ..desk });
        Self
    }

    #[inline(always)]
    fn end(self) -> Option<Box<dyn Any>> {
        std::mem::forget(self);
        if Self::leave() { Unsent::take() } else { None }
    }

    /// Whether something was left.
    #[inline(always)]
    fn leave() -> bool {
        let desk = DESK.get();
        DESK.set(Desk { watchers: desk.watchers - 1, left: false });
        desk.left
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if Self::leave() {
            drop(Unsent::take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn who_watches_gets_the_request_back() {
        let (out, left) = Unsent::watch::<String, _>(|| {
            Unsent::give_back(String::from("order"));
            7
        });
        assert_eq!((out, left.as_deref()), (7, Some("order")));
        assert_eq!(Unsent::watch::<String, _>(|| ()).1, None);
    }

    #[test]
    fn nothing_is_kept_for_nobody_or_of_another_type() {
        let request = Rc::new(());
        Unsent::give_back(request.clone());
        assert_eq!(Rc::strong_count(&request), 1);
        assert_eq!(Unsent::watch::<String, _>(|| Unsent::give_back(request.clone())).1, None);
        assert_eq!(Rc::strong_count(&request), 1);
        let panicked = std::panic::catch_unwind(|| Unsent::watch::<String, ()>(|| panic!("as told")));
        assert!(panicked.is_err());
        Unsent::give_back(request.clone());
        assert_eq!(Rc::strong_count(&request), 1, "the watch of the call that panicked is over");
    }

    #[test]
    fn the_inner_watcher_comes_first() {
        let (inner, outer) =
            Unsent::watch::<u32, _>(|| Unsent::watch::<u32, _>(|| Unsent::give_back(7_u32)).1);
        assert_eq!((inner, outer), (Some(7), None));
    }
}
