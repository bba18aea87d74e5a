//! Who stands at the door of an overloaded service: nobody, a fixed limit, a published rule, or ours.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bartizan_core::{Context as Ambient, Priority};
use tokio::time::Instant;
use tower_service::Service;

use super::{
    clock, front,
    limits::{Aimd, Envoy, Gradient2, Rule, Seen, Vegas},
    overload::{Class, Door, Guest, Log, Run},
};
use crate::{board::Role, ground::Fault, ours, peers};

/// Whose shedding a simulation looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shedder {
    None,
    /// tower's fixed limit, of so many requests for each worker.
    Tower(f64),
    Aimd,
    Vegas,
    Gradient2,
    Envoy,
    Ours,
    /// The standard stack of a server.
    Standard,
}

impl Shedder {
    /// All but the standard stack.
    pub(crate) const fn all(per_worker: f64) -> [Self; 7] {
        [
            Self::None,
            Self::Tower(per_worker),
            Self::Aimd,
            Self::Vegas,
            Self::Gradient2,
            Self::Envoy,
            Self::Ours,
        ]
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::None => "no shedding".into(),
            Self::Tower(per_worker) => format!("{}, {per_worker} per worker", peers::shed::TOWER),
            Self::Aimd => "AIMD (Netflix)".into(),
            Self::Vegas => "Vegas (Netflix)".into(),
            Self::Gradient2 => "Gradient2 (Netflix)".into(),
            Self::Envoy => "gradient (Envoy)".into(),
            Self::Ours => "ours".into(),
            Self::Standard => ours::stack::NAME.into(),
        }
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::None => Role::Bare,
            Self::Ours | Self::Standard => Role::Ours,
            _ => Role::Peer,
        }
    }

    /// Plays a run with this one at the door.
    pub(crate) fn play(self, run: &Run<'_>) -> Log {
        let play = |rule: Box<dyn Rule>| run.play(&mut Ruled { rule, inside: 0, seats: Vec::new() });
        match self {
            Self::None => run.play(&mut Nobody),
            Self::Tower(per_worker) => {
                let limit = (run.workers as f64 * per_worker).ceil().max(1.0) as usize;
                run.play(&mut Layered::new(|desk| peers::shed::tower(desk, limit)))
            }
            Self::Aimd => play(Box::new(Aimd::new())),
            Self::Vegas => play(Box::new(Vegas::new(run.seed))),
            Self::Gradient2 => play(Box::new(Gradient2::new())),
            Self::Envoy => play(Box::new(Envoy::new(run.seed))),
            Self::Ours => clock::paused(|| run.play(&mut Layered::new(ours::shed::adaptive))),
            Self::Standard => front::play(run),
        }
    }
}

struct Nobody;

impl Door for Nobody {
    fn enter(&mut self, _: Guest) -> bool {
        true
    }

    fn leave(&mut self, _: usize, _: Duration) {}
}

/// A published rule.
struct Ruled {
    rule: Box<dyn Rule>,
    inside: usize,
    /// When who is inside came, how many were inside then, and until when its answer is of use.
    seats: Vec<(Duration, usize, Duration)>,
}

impl Door for Ruled {
    fn enter(&mut self, guest: Guest) -> bool {
        if self.inside >= self.rule.limit() {
            return false;
        }
        self.inside += 1;
        let seat = (guest.now, self.inside, guest.now + guest.deadline);
        if guest.seat >= self.seats.len() {
            self.seats.resize(guest.seat + 1, seat);
        }
        self.seats[guest.seat] = seat;
        true
    }

    fn leave(&mut self, seat: usize, now: Duration) {
        self.inside -= 1;
        let (came, in_flight, until) = self.seats[seat];
        // No answer takes no time at all.
        let took = now.saturating_sub(came).max(Duration::from_nanos(1));
        self.rule.learn(Seen { now, took, in_flight, dropped: now > until });
    }
}

/// The service behind a layer: each call sits there until it is told to leave.
#[derive(Clone, Default)]
pub(crate) struct Desk(Rc<RefCell<Vec<bool>>>);

impl Desk {
    pub(super) fn set(&self, seat: usize, may_leave: bool) {
        let mut seats = self.0.borrow_mut();
        if seat >= seats.len() {
            seats.resize(seat + 1, false);
        }
        seats[seat] = may_leave;
    }
}

impl Service<usize> for Desk {
    type Response = ();
    type Error = Fault;
    type Future = Sitting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, seat: usize) -> Sitting {
        self.set(seat, false);
        Sitting { desk: self.clone(), seat }
    }
}

/// Future of a [`Desk`].
pub(crate) struct Sitting {
    desk: Desk,
    seat: usize,
}

impl Future for Sitting {
    type Output = Result<(), Fault>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.desk.0.borrow()[self.seat] { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

/// A real layer, through its service. A service that is not ready refuses, as tower's LoadShed has it.
struct Layered<S: Service<usize>> {
    service: S,
    desk: Desk,
    seats: Vec<Option<Pin<Box<S::Future>>>>,
    now: Duration,
}

impl<S: Service<usize>> Layered<S> {
    fn new(layer: impl FnOnce(Desk) -> S) -> Self {
        let desk = Desk::default();
        Self { service: layer(desk.clone()), desk, seats: Vec::new(), now: Duration::ZERO }
    }

    /// Moves tokio's clock, where there is one.
    fn pass_until(&mut self, now: Duration) {
        if tokio::runtime::Handle::try_current().is_ok() && now > self.now {
            clock::pass(now - self.now);
        }
        self.now = now;
    }
}

fn priority(class: Class) -> Priority {
    match class {
        Class::Critical => Priority::CRITICAL,
        Class::Normal => Priority::NORMAL,
        Class::Sheddable => Priority::SHEDDABLE,
    }
}

impl<S: Service<usize>> Door for Layered<S> {
    fn enter(&mut self, guest: Guest) -> bool {
        self.pass_until(guest.now);
        let cx = &mut Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(())) = self.service.poll_ready(cx) else { return false };
        let ambient = Ambient::new()
            .with_deadline(Instant::now() + guest.deadline)
            .with_priority(priority(guest.class));
        let mut answer = Box::pin(ambient.enter(|| self.service.call(guest.seat)));
        if answer.as_mut().poll(cx).is_ready() {
            return false;
        }
        if guest.seat >= self.seats.len() {
            self.seats.resize_with(guest.seat + 1, || None);
        }
        self.seats[guest.seat] = Some(answer);
        true
    }

    fn leave(&mut self, seat: usize, now: Duration) {
        self.pass_until(now);
        self.desk.set(seat, true);
        let mut answer = self.seats[seat].take().expect("who leaves has entered");
        let answered = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(answered, Poll::Ready(Ok(_))), "who was let in is served");
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::overload::{Phase, Shape},
        *,
    };

    fn goodput(shedder: Shedder, load: f64) -> f64 {
        let phases = [Phase::new(10.0, 0.7), Phase::new(10.0, load)];
        let run = Run { shape: Shape::USUAL, workers: 16, phases: &phases, critical: None, seed: 1 };
        shedder.play(&run).tallies[1].goodput()
    }

    #[test]
    fn who_is_not_busy_serves_all() {
        for shedder in [Shedder::None, Shedder::Tower(4.0), Shedder::Ours] {
            let goodput = goodput(shedder, 0.5);
            assert!(goodput > 99.5, "{shedder:?}: {goodput}");
        }
    }

    #[test]
    fn ours_serves_what_can_be_served() {
        assert!(goodput(Shedder::None, 3.0) < 5.0);
        let ours = goodput(Shedder::Ours, 3.0);
        assert!(ours > 95.0, "{ours}");
    }

    #[test]
    fn rules_learn_from_what_leaves() {
        for shedder in [Shedder::Aimd, Shedder::Vegas, Shedder::Gradient2, Shedder::Envoy] {
            let goodput = goodput(shedder, 1.5);
            assert!((10.0..101.0).contains(&goodput), "{shedder:?}: {goodput}");
        }
    }
}
