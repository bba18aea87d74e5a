//! A server with workers and one queue, first come, first served.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use super::stage::{Answer, Question, Stage, question};

/// A server. Its clones are the same one.
#[derive(Clone)]
pub(crate) struct Fifo(Rc<Server>);

struct Server {
    stage: Stage,
    /// Whether it stops working on what nobody waits for.
    cancels: bool,
    speed: Cell<f64>,
    idle: Cell<usize>,
    line: RefCell<VecDeque<Waiting>>,
}

struct Waiting {
    progress: Rc<Cell<Progress>>,
    asked: Question<()>,
    work: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    AtWork,
    Over,
}

impl Fifo {
    pub(crate) fn new(stage: &Stage, workers: usize, cancels: bool) -> Self {
        Self(Rc::new(Server {
            stage: stage.clone(),
            cancels,
            speed: Cell::new(1.0),
            idle: Cell::new(workers),
            line: RefCell::default(),
        }))
    }

    /// Sets how fast it works on what it begins from now on.
    pub(crate) fn set_speed(&self, speed: f64) {
        self.0.speed.set(speed);
    }

    /// Asks for work that takes so long at full speed.
    pub(crate) fn serve(&self, work: Duration) -> Served {
        let progress = Rc::new(Cell::new(Progress::Waiting));
        let (asked, answer) = question();
        self.0.line.borrow_mut().push_back(Waiting { progress: progress.clone(), asked, work });
        self.work();
        Served { server: self.clone(), progress, answer }
    }

    /// Has idle workers take what waits.
    fn work(&self) {
        while self.0.idle.get() > 0 {
            let Some(Waiting { progress, asked, work }) = self.0.line.borrow_mut().pop_front() else {
                return;
            };
            if progress.replace(Progress::AtWork) == Progress::Over {
                progress.set(Progress::Over);
                continue;
            }
            self.0.idle.set(self.0.idle.get() - 1);
            let server = self.clone();
            self.0.stage.later(work.div_f64(self.0.speed.get()), move || {
                if progress.replace(Progress::Over) == Progress::AtWork {
                    asked.answer(());
                    server.release();
                }
            });
        }
    }

    fn release(&self) {
        self.0.idle.set(self.0.idle.get() + 1);
        self.work();
    }
}

/// Future of [`Fifo::serve`].
pub(crate) struct Served {
    server: Fifo,
    progress: Rc<Cell<Progress>>,
    answer: Answer<()>,
}

impl Future for Served {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.answer).poll(cx)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.server.0.cancels && self.progress.replace(Progress::Over) == Progress::AtWork {
            self.server.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::stage::play, *};

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn works_in_turn_at_its_speed() {
        let ends = play(1, |stage| async move {
            let server = Fifo::new(&stage, 1, false);
            let (first, second) = (server.serve(millis(10)), server.serve(millis(10)));
            server.set_speed(0.5);
            first.await;
            let one = stage.now();
            second.await;
            (one, stage.now())
        });
        assert_eq!(ends, (millis(10), millis(30)));
    }

    /// When a call is over before which two stood, of which one was dropped at work and one while it waited.
    fn after_two_dropped(cancels: bool) -> Duration {
        play(1, move |stage| async move {
            let server = Fifo::new(&stage, 1, cancels);
            let (at_work, waits, last) =
                (server.serve(millis(10)), server.serve(millis(10)), server.serve(millis(10)));
            stage.sleep(millis(5)).await;
            drop((at_work, waits));
            last.await;
            stage.now()
        })
    }

    #[test]
    fn works_on_what_nobody_waits_for_unless_told() {
        assert_eq!(after_two_dropped(false), millis(30));
        assert_eq!(after_two_dropped(true), millis(15));
    }
}
