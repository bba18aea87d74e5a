//! A stage on which the layers' own tokio timers play beside exact events.
//!
//! The simulation's events happen at the very nanosecond they are set for. tokio's timers, on which layers back off and hedge, fire in
//! steps of 1 ms, in the order of time with the events. Where 1 ms is much, a stage is stretched: everything in it, the layers' time
//! constants included, lasts so many times as long, and reads as if it did not.

use std::{
    cell::{Cell, RefCell},
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::{
    runtime::Builder,
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

use super::clock;

/// What a simulation sees of its stage. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stage(Rc<Inner>);

struct Inner {
    start: Instant,
    stretch: u32,
    events: RefCell<BinaryHeap<Reverse<Event>>>,
    made: Cell<u64>,
    cast: RefCell<Cast>,
    ready: Arc<Ready>,
}

/// Something that happens at an instant; of two at the same, the one that was set first comes first.
struct Event {
    at: Duration,
    number: u64,
    act: Box<dyn FnOnce()>,
}

type Part = Pin<Box<dyn Future<Output = ()>>>;

/// All that runs on the stage. Places are used again.
#[derive(Default)]
struct Cast {
    parts: Vec<Option<Part>>,
    wakers: Vec<Waker>,
    free: Vec<usize>,
}

/// The parts that have something to do.
#[derive(Default)]
pub(super) struct Ready {
    queue: Mutex<VecDeque<usize>>,
    /// Of the runtime, while the stage is not at work itself.
    director: Mutex<Option<Waker>>,
}

/// Wakes a part.
pub(super) struct Cue {
    pub(super) part: usize,
    pub(super) ready: Arc<Ready>,
}

/// Plays `script` to its end on a clock that stands still but for what the stage and the layers' timers wait for. Everything lasts
/// `stretch` times as long as it says.
pub(crate) fn play<F: Future + 'static>(stretch: u32, script: impl FnOnce(Stage) -> F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O asks nothing of the system");
    let (stage, output) = {
        let _inside = runtime.enter();
        let stage = Stage(Rc::new(Inner {
            start: Instant::now(),
            stretch,
            events: RefCell::default(),
            made: Cell::new(0),
            cast: RefCell::default(),
            ready: Arc::default(),
        }));
        let output: Rc<RefCell<Option<F::Output>>> = Rc::default();
        let (script, put) = (script(stage.clone()), output.clone());
        stage.enter(async move { *put.borrow_mut() = Some(script.await) });
        (stage, output)
    };
    let ended = output.clone();
    let director = Director { stage: stage.clone(), timer: None, ended: move || ended.borrow().is_some() };
    runtime.block_on(unconstrained(director));
    let _inside = runtime.enter();
    stage.clear();
    output.take().expect("the stage is played until the script has ended")
}

impl Stage {
    /// The time since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.elapsed() / self.0.stretch
    }

    /// A layer's time constant as long as it must be on this stage.
    pub(crate) fn stretched(&self, time: Duration) -> Duration {
        time * self.0.stretch
    }

    /// Has something happen so much later.
    pub(crate) fn later(&self, time: Duration, act: impl FnOnce() + 'static) {
        self.0.made.set(self.0.made.get() + 1);
        let event = Event {
            at: self.elapsed() + self.stretched(time),
            number: self.0.made.get(),
            act: Box::new(act),
        };
        self.0.events.borrow_mut().push(Reverse(event));
    }

    /// Waits so long, to the nanosecond.
    pub(crate) fn sleep(&self, time: Duration) -> Answer<()> {
        let (asked, answer) = question();
        self.later(time, move || asked.answer(()));
        answer
    }

    /// Runs `part` beside what runs already.
    pub(crate) fn enter(&self, part: impl Future<Output = ()> + 'static) {
        let mut cast = self.0.cast.borrow_mut();
        let place = match cast.free.pop() {
            Some(place) => place,
            None => {
                let part = cast.parts.len();
                let cue = Cue { part, ready: self.0.ready.clone() };
                cast.parts.push(None);
                cast.wakers.push(Waker::from(Arc::new(cue)));
                part
            }
        };
        cast.parts[place] = Some(Box::pin(part));
        cast.wakers[place].wake_by_ref();
    }

    fn elapsed(&self) -> Duration {
        Instant::now() - self.0.start
    }

    /// Moves the clock to the next whole millisecond: tokio itself moves it by whole ones alone, past where it should stop.
    fn round_up(&self) {
        const TICK: u128 = 1_000_000;
        let over = self.elapsed().as_nanos() % TICK;
        if over > 0 {
            clock::pass(Duration::from_nanos((TICK - over) as u64));
        }
    }

    /// Lets all parts do what they can at this instant.
    fn act(&self) {
        while let Some(place) = self.0.ready.next() {
            let (part, waker) = {
                let mut cast = self.0.cast.borrow_mut();
                (cast.parts[place].take(), cast.wakers[place].clone())
            };
            let Some(mut part) = part else { continue };
            let ended = part.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            let mut cast = self.0.cast.borrow_mut();
            if ended {
                cast.free.push(place);
            } else {
                cast.parts[place] = Some(part);
            }
        }
    }

    /// Sends everybody home, who may have something to say on the way.
    fn clear(&self) {
        loop {
            let cast = std::mem::take(&mut *self.0.cast.borrow_mut());
            let events = std::mem::take(&mut *self.0.events.borrow_mut());
            if cast.parts.is_empty() && events.is_empty() {
                return;
            }
            drop((cast, events));
        }
    }
}

/// Moves the clock from event to event.
struct Director<E> {
    stage: Stage,
    timer: Option<Pin<Box<Sleep>>>,
    ended: E,
}

impl<E: Fn() -> bool + Unpin> Future for Director<E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.stage.0.ready.busy();
        loop {
            this.stage.act();
            if (this.ended)() {
                return Poll::Ready(());
            }
            let next = this.stage.0.events.borrow().peek().map(|Reverse(event)| event.at);
            // Timers fire on whole milliseconds. Those until the next event come first.
            let tick = next.map(|at| Duration::from_millis(at.as_millis() as u64));
            if tick.is_none_or(|tick| this.stage.elapsed() < tick) {
                this.stage.round_up();
            }
            let Some((at, tick)) = next.zip(tick) else {
                this.stage.0.ready.idle(cx.waker());
                return Poll::Pending;
            };
            if this.stage.elapsed() < tick {
                let tick = this.stage.0.start + tick;
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(tick)));
                timer.as_mut().reset(tick);
                if timer.as_mut().poll(cx).is_pending() {
                    this.stage.0.ready.idle(cx.waker());
                    return Poll::Pending;
                }
                continue;
            }
            let now = this.stage.elapsed();
            if at > now {
                clock::pass(at - now);
            }
            let Reverse(event) = this.stage.0.events.borrow_mut().pop().expect("there was one");
            (event.act)();
        }
    }
}

impl Ready {
    pub(super) fn next(&self) -> Option<usize> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn busy(&self) {
        *self.director.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn idle(&self, waker: &Waker) {
        *self.director.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

impl Wake for Cue {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Given twice, a cue has its part look twice, which does no harm.
        self.ready.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.part);
        if let Some(director) = self.ready.director.lock().unwrap_or_else(PoisonError::into_inner).take() {
            director.wake();
        }
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

/// A question, for the one who will answer it, and the answer, for the one who waits.
pub(crate) fn question<T>() -> (Question<T>, Answer<T>) {
    let shared = Rc::new(RefCell::new(Asked { said: None, waiting: None }));
    (Question(shared.clone()), Answer(shared))
}

struct Asked<T> {
    said: Option<T>,
    waiting: Option<Waker>,
}

/// What somebody waits for.
pub(crate) struct Question<T>(Rc<RefCell<Asked<T>>>);

impl<T> Question<T> {
    pub(crate) fn answer(self, say: T) {
        let waiting = {
            let mut asked = self.0.borrow_mut();
            asked.said = Some(say);
            asked.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

/// Future of a [`Question`].
pub(crate) struct Answer<T>(Rc<RefCell<Asked<T>>>);

impl<T> Future for Answer<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut asked = self.0.borrow_mut();
        match asked.said.take() {
            Some(said) => Poll::Ready(said),
            None => {
                asked.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Waits for `work`, so long at most.
pub(crate) async fn within<F: Future>(stage: &Stage, time: Duration, work: F) -> Option<F::Output> {
    let (mut work, mut end) = (pin!(work), pin!(stage.sleep(time)));
    std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => end.as_mut().poll(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn events_are_exact_and_timers_come_between_them_in_steps() {
        let seen = play(1, |stage| async move {
            let seen = Rc::new(RefCell::new(Vec::new()));
            for (name, time) in [("late", 3_999), ("early", 700), ("tie", 700)] {
                let (seen, at) = (seen.clone(), stage.clone());
                stage.later(micros(time), move || seen.borrow_mut().push((name, at.now())));
            }
            let (noted, at) = (seen.clone(), stage.clone());
            stage.enter(async move {
                tokio::time::sleep(micros(1_500)).await;
                noted.borrow_mut().push(("timer", at.now()));
            });
            stage.sleep(micros(10_000)).await;
            seen.take()
        });
        let expected = [("early", 700), ("tie", 700), ("timer", 2_000), ("late", 3_999)];
        assert_eq!(seen, expected.map(|(name, time)| (name, micros(time))));
    }

    #[test]
    fn a_timer_alone_moves_the_clock() {
        let now = play(1, |stage| async move {
            tokio::time::sleep(micros(5_000)).await;
            stage.now()
        });
        assert_eq!(now, micros(5_000));
    }

    #[test]
    fn on_a_stretched_stage_timers_are_finer() {
        let now = play(100, |stage| async move {
            tokio::time::sleep(stage.stretched(micros(1_504))).await;
            let first = stage.now();
            stage.sleep(micros(100)).await;
            (first, stage.now())
        });
        assert_eq!(now, (micros(1_510), micros(1_610)));
    }

    #[test]
    fn what_takes_too_long_is_dropped() {
        let ended = play(1, |stage| async move {
            let slow = within(&stage, micros(10), stage.sleep(micros(20))).await;
            let fast = within(&stage, micros(10), stage.sleep(micros(5))).await;
            (slow, fast, stage.now())
        });
        assert_eq!(ended, (None, Some(()), micros(15)));
    }
}
