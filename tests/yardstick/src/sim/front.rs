//! The standard stack of a server at the door of an overloaded service. Its time-outs fire while nobody comes or leaves.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bartizan_http::wire::REQUEST_TIMEOUT;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::{
    runtime::{Builder, Runtime},
    task::unconstrained,
    time::{Instant, sleep_until},
};
use tower::service_fn;
use tower_service::Service;

use super::{
    clock,
    doors::Desk,
    overload::{Door, Guest, Log, Run},
    stage::{Cue, Ready},
};
use crate::{ground::BoxError, ours::stack};

type Wire = Full<Bytes>;

/// A request that was let in.
type Inside = Pin<Box<dyn Future<Output = ()>>>;

/// Plays a run with the standard stack at the door.
pub(crate) fn play(run: &Run<'_>) -> Log {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O asks nothing of the system");
    let _inside = runtime.enter();
    let (desk, asked) = (Desk::default(), Rc::new(Cell::new(0)));
    let (sits, seat) = (desk.clone(), asked.clone());
    let handler = service_fn(move |_: Request<Wire>| {
        let sitting = sits.clone().call(seat.get());
        async move {
            sitting.await.expect("who sits is served");
            Ok::<_, Infallible>(Response::new(Wire::default()))
        }
    });
    run.play(&mut Front {
        runtime: &runtime,
        start: Instant::now(),
        service: stack::server(handler, run.seed),
        desk,
        asked,
        inside: Vec::new(),
        ready: Arc::default(),
    })
}

struct Front<'a, S> {
    runtime: &'a Runtime,
    start: Instant,
    service: S,
    desk: Desk,
    /// Whose request the handler is asked next.
    asked: Rc<Cell<usize>>,
    inside: Vec<Option<Inside>>,
    ready: Arc<Ready>,
}

impl<S, B> Front<'_, S>
where
    S: Service<Request<Wire>, Response = Response<B>, Error = Infallible, Future: 'static>,
    B: Body<Error: Into<BoxError>> + 'static,
{
    fn elapsed(&self) -> Duration {
        Instant::now() - self.start
    }

    /// Moves the clock, and lets the timers on the way fire, which tokio has do so on whole milliseconds.
    fn pass_until(&mut self, now: Duration) {
        let tick = Duration::from_millis(now.as_millis() as u64);
        if self.elapsed() < tick {
            let over = self.elapsed().as_nanos() % 1_000_000;
            if over > 0 {
                clock::pass(Duration::from_nanos((1_000_000 - over) as u64));
            }
            let mut timer = pin!(sleep_until(self.start + tick));
            let (ready, inside) = (&self.ready, &mut self.inside);
            self.runtime.block_on(unconstrained(poll_fn(|cx| {
                ready.busy();
                while let Some(seat) = ready.next() {
                    poll(ready, inside, seat);
                }
                let ended = timer.as_mut().poll(cx);
                if ended.is_pending() {
                    ready.idle(cx.waker());
                }
                ended
            })));
        }
        clock::pass(now.saturating_sub(self.elapsed()));
    }
}

/// Lets the request in a seat do what it can; afterwards it is gone if it was answered.
fn poll(ready: &Arc<Ready>, inside: &mut [Option<Inside>], seat: usize) -> bool {
    let Some(answer) = &mut inside[seat] else { return true };
    let waker = Waker::from(Arc::new(Cue { part: seat, ready: ready.clone() }));
    let answered = answer.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    if answered {
        inside[seat] = None;
    }
    answered
}

impl<S, B> Door for Front<'_, S>
where
    S: Service<Request<Wire>, Response = Response<B>, Error = Infallible, Future: 'static>,
    B: Body<Error: Into<BoxError>> + 'static,
{
    fn enter(&mut self, guest: Guest) -> bool {
        self.pass_until(guest.now);
        let readiness = self.service.poll_ready(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(readiness, Poll::Ready(Ok(()))), "a layer over a ready service is ready");
        let mut request = Request::new(Wire::default());
        request.headers_mut().insert(REQUEST_TIMEOUT, (guest.deadline.as_millis() as u64).into());
        self.asked.set(guest.seat);
        let answer = self.service.call(request);
        if guest.seat >= self.inside.len() {
            self.inside.resize_with(guest.seat + 1, || None);
        }
        self.inside[guest.seat] = Some(Box::pin(async move {
            let body = answer.await.expect("answers are HTTP's").into_body();
            // One that is late breaks off.
            _ = body.collect().await;
        }));
        !poll(&self.ready, &mut self.inside, guest.seat)
    }

    fn leave(&mut self, seat: usize, now: Duration) {
        self.pass_until(now);
        self.desk.set(seat, true);
        assert!(poll(&self.ready, &mut self.inside, seat), "who was let in is served");
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::overload::{Phase, Shape},
        *,
    };

    fn goodput(load: f64) -> f64 {
        let phases = [Phase::new(10.0, 0.7), Phase::new(10.0, load)];
        let run = Run { shape: Shape::USUAL, workers: 16, phases: &phases, critical: None, seed: 1 };
        play(&run).tallies[1].goodput()
    }

    #[test]
    fn it_serves_what_can_be_served() {
        for (load, least) in [(0.5, 99.5), (3.0, 90.0)] {
            let goodput = goodput(load);
            assert!(goodput > least, "{load}: {goodput}");
        }
    }
}
