//! One call of a simulated client, whatever copies of it are sent.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use tower_service::Service;

/// A call. Its clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Call(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    number: u64,
    copies: Cell<u64>,
    servers: RefCell<Vec<usize>>,
}

impl Call {
    pub(crate) fn new(number: u64) -> Self {
        Self(Rc::new(Shared { number, copies: Cell::new(0), servers: RefCell::default() }))
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    /// Which copy of the call has just arrived where it is served; the first is 0.
    pub(crate) fn copy(&self) -> u64 {
        let copy = self.0.copies.get();
        self.0.copies.set(copy + 1);
        copy
    }

    /// Picks a server that no copy has gone to, while there is one.
    pub(crate) fn server(&self, of: usize, dice: &mut fastrand::Rng) -> usize {
        let mut servers = self.0.servers.borrow_mut();
        let mut server = dice.usize(..of);
        while servers.len() < of && servers.contains(&server) {
            server = dice.usize(..of);
        }
        servers.push(server);
        server
    }
}

/// A client's way to call, whatever layer it calls through: whether the call succeeds.
pub(crate) type Caller = Box<dyn FnMut(Call) -> Pin<Box<dyn Future<Output = bool>>>>;

/// Calls through `service`, which is always ready.
pub(crate) fn through<S>(mut service: S) -> Caller
where
    S: Service<Call, Future: 'static> + 'static,
{
    Box::new(move |call| {
        let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(ready, Poll::Ready(Ok(()))), "a layer over a ready service is ready");
        let answer = service.call(call);
        Box::pin(async move { answer.await.is_ok() })
    })
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn no_copy_goes_where_another_went_while_there_is_a_choice() {
        let (call, mut dice) = (Call::new(1), Rng::with_seed(1));
        let mut servers: Vec<usize> = (0..5).map(|_| call.clone().server(5, &mut dice)).collect();
        servers.sort_unstable();
        assert_eq!(servers, [0, 1, 2, 3, 4]);
        call.server(5, &mut dice);
    }

    #[test]
    fn copies_are_counted_over_all_clones() {
        let call = Call::new(1);
        assert_eq!((call.clone().copy(), call.copy()), (0, 1));
    }
}
