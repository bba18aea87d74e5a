use super::entry::Entry;
use super::flights::{Flights, Turn};
use super::key::Key;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The right to go out while equal reads wait. Dropped, with its call or with the body of the answer, it goes to the next of them.
pub(crate) struct Lease {
    /// None once it is settled.
    flights: Option<Arc<Flights>>,
    key: Key,
    id: u64,
}

/// A place among those who wait.
pub(crate) struct Seat {
    flights: Arc<Flights>,
    key: Key,
    id: u64,
    turn: oneshot::Receiver<Turn>,
}

impl Lease {
    pub(super) const fn new(flights: Arc<Flights>, key: Key, id: u64) -> Self {
        Self { flights: Some(flights), key, id }
    }

    /// Shares an answer with those who wait.
    pub(crate) fn share(self, answer: &Arc<Entry>) {
        self.land(Some(answer), false);
    }

    /// Sends those who wait out at once, each for itself, for this once.
    pub(crate) fn release(self) {
        self.land(None, false);
    }

    /// Sends those who wait out at once, and those who come as well until an answer can be shared.
    pub(crate) fn release_all(self) {
        self.land(None, true);
    }

    fn land(mut self, answer: Option<&Arc<Entry>>, is_private: bool) {
        if let Some(flights) = self.flights.take() {
            flights.land(&self.key, self.id, answer, is_private);
        }
    }

    /// Leaves the lease to who asks, by its number.
    pub(super) fn forget(mut self) -> u64 {
        self.flights = None;
        self.id
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(flights) = self.flights.take() {
            flights.pass_on(&self.key, self.id);
        }
    }
}

impl Seat {
    pub(super) const fn new(flights: Arc<Flights>, key: Key, id: u64, turn: oneshot::Receiver<Turn>) -> Self {
        Self { flights, key, id, turn }
    }

    /// Ready once there is something to hear.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        // A turn that was never taken comes of a flight that was dropped with all of its layer.
        Pin::new(&mut self.turn).poll(cx).map(|turn| turn.unwrap_or(Turn::Alone))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.flights.leave(&self.key, self.id);
        // A turn that nobody has heard is dropped with the channel: a lease in it goes on to the next.
        self.turn.close();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::age::Times;
    use super::super::entry::Kept;
    use super::super::flights::Joined;
    use super::super::key::Keys;
    use super::*;
    use bartizan_core::Instant;
    use bartizan_http::Head;
    use bartizan_http::bytes::Bytes;
    use bartizan_http::http::{HeaderMap, Request, Response};
    use std::time::Duration;
    use tokio_test::task::spawn;
    use tokio_test::{assert_pending, assert_ready};

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> Key {
        Keys::default().key(&Head::of(&Request::new(())))
    }

    fn entry() -> Arc<Entry> {
        let now = Instant::now();
        let times = Times { sent: now, received: now, wall: SECOND };
        let head = Response::new(()).into_parts().0;
        Arc::new(Kept::new(&head, &HeaderMap::new(), &times).unwrap().with(Bytes::new()))
    }

    fn lead(flights: &Arc<Flights>, key: Key) -> Lease {
        match flights.join(key, Instant::now(), SECOND, 100) {
            Joined::Lead(lease) => lease,
            _ => panic!("somebody leads already"),
        }
    }

    fn seats(flights: &Arc<Flights>, key: Key, count: usize) -> Vec<Seat> {
        let join = |_| match flights.join(key, Instant::now(), SECOND, 100) {
            Joined::Wait(seat) => seat,
            _ => panic!("nobody leads"),
        };
        (0..count).map(join).collect()
    }

    fn turn(seat: &mut Seat) -> Poll<Turn> {
        spawn(()).enter(|cx, _| seat.poll(cx))
    }

    /// Lets a lease end, and who watches it have his turn.
    async fn pass() {
        tokio::time::sleep(SECOND + SECOND / 10).await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_share_an_answer_or_all_go_out() {
        let (flights, key) = (Arc::new(Flights::default()), key());
        let lease = lead(&flights, key);
        let mut waiting = seats(&flights, key, 10);
        assert_eq!(flights.waiting(), 10);
        assert!(waiting.iter_mut().all(|seat| turn(seat).is_pending()));
        lease.share(&entry());
        assert!(flights.is_empty());
        assert!(waiting.iter_mut().all(|seat| matches!(turn(seat), Poll::Ready(Turn::Shared(_)))));
        let lease = lead(&flights, key);
        let mut waiting = seats(&flights, key, 10);
        lease.release();
        assert!(waiting.iter_mut().all(|seat| matches!(turn(seat), Poll::Ready(Turn::Alone))));
        lead(&flights, key).release_all();
        assert!(matches!(flights.join(key, Instant::now(), SECOND, 100), Joined::Alone));
        flights.is_shareable(&key);
        drop(lead(&flights, key));
        assert!(flights.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_goes_to_one() {
        let (flights, key) = (Arc::new(Flights::default()), key());
        let lease = lead(&flights, key);
        let mut waiting = seats(&flights, key, 5);
        drop(waiting.remove(0));
        assert_eq!(flights.waiting(), 4);
        drop(lease);
        let Poll::Ready(Turn::Lead(lease)) = turn(&mut waiting[0]) else { panic!("the next leads") };
        assert!(waiting[1..].iter_mut().all(|seat| turn(seat).is_pending()));
        // The next is told, and leaves before it hears of it.
        drop(lease);
        drop(waiting.remove(1));
        let Poll::Ready(Turn::Lead(lease)) = turn(&mut waiting[1]) else { panic!("the one after leads") };
        drop(waiting);
        assert_eq!(flights.waiting(), 0);
        drop(lease);
        assert!(flights.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_and_a_late_answer_changes_nothing() {
        let (flights, key) = (Arc::new(Flights::default()), key());
        let late = lead(&flights, key);
        let mut first = spawn(seats(&flights, key, 1).remove(0));
        let mut second = spawn(seats(&flights, key, 1).remove(0));
        assert_pending!(first.enter(|cx, mut seat| seat.poll(cx)));
        assert_pending!(second.enter(|cx, mut seat| seat.poll(cx)));
        pass().await;
        assert!(first.is_woken() && !second.is_woken());
        let lease = assert_ready!(first.enter(|cx, mut seat| seat.poll(cx)));
        late.share(&entry());
        assert_pending!(second.enter(|cx, mut seat| seat.poll(cx)));
        pass().await;
        assert!(second.is_woken(), "the next lease ends as well");
        drop((first, second, lease));
        assert!(flights.is_empty());
        let late = lead(&flights, key);
        pass().await;
        let next = lead(&flights, key);
        drop(late);
        assert_eq!(seats(&flights, key, 3).len(), 3);
        drop(next);
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn no_more_wait_than_may() {
        let (flights, key) = (Arc::new(Flights::default()), key());
        let lease = lead(&flights, key);
        let seats = seats(&flights, key, 100);
        assert!(matches!(flights.join(key, Instant::now(), Duration::MAX, 100), Joined::Alone));
        drop(lease);
        drop(seats);
        assert!(flights.is_empty());
    }
}
