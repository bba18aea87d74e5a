//! Keeps the instances as they are wanted: up, held or killed. What falls over by itself is started again.

mod child;
mod post;
mod program;
mod running;

use super::services::Seen;
use crate::claim::Claim;
use crate::host::Bound;
use crate::parts::config::{Config, Instance};
use crate::parts::failure::Failure;
use post::Post;
use running::{Running, Starting};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

pub use program::Program;
pub use running::How;

/// The pause before the second start in a row; the first is at once. Doubled with each, up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Who has been up for so long may fall over at no cost: who falls less often than this costs nearly nothing.
const STEADY: Duration = Duration::from_secs(1);

/// So many starts in a row that did not last are no accident.
const LOOP: u32 = 3;

/// How an instance is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    Up,
    Paused,
    Killed,
}

enum Order {
    Want(Instance, Wanted),
    Restart(Instance),
    Replace(Instance, Program),
}

type Done = oneshot::Sender<Result<(), Failure>>;

/// Where orders are left. Clones lead to the same supervisor.
#[derive(Clone, Debug)]
pub struct Supervision(mpsc::Sender<(Order, Done)>);

impl Supervision {
    pub fn new() -> (Self, Orders) {
        let (sender, orders) = mpsc::channel(64);
        (Self(sender), Orders(orders))
    }

    /// Returns when the instance is as it is wanted. Whether it was so before does not matter.
    ///
    /// # Errors
    ///
    /// When it cannot be started now; it is tried again.
    pub async fn want(&self, instance: Instance, wanted: Wanted) -> Result<(), Failure> {
        self.order(Order::Want(instance, wanted)).await
    }

    /// Starts a new instance on the same listening socket, and drains the old one. Returns when the new one can be
    /// asked.
    ///
    /// # Errors
    ///
    /// When it does not run at the moment, or the new one cannot start; the old one stays.
    pub async fn restart(&self, instance: Instance) -> Result<(), Failure> {
        self.order(Order::Restart(instance)).await
    }

    /// Has an instance that is a process run another program from here on: a new one takes over as in a restart, once it is ready.
    /// Who is down is started anew, and who was killed runs it when it is back.
    ///
    /// # Errors
    ///
    /// When it is held at the moment, or the new one does not become ready; the old one stays.
    pub async fn replace(&self, instance: Instance, program: Program) -> Result<(), Failure> {
        self.order(Order::Replace(instance, program)).await
    }

    async fn order(&self, order: Order) -> Result<(), Failure> {
        let (done, outcome) = oneshot::channel();
        let closing = || Failure::new("the shop is closing.");
        self.0.send((order, done)).await.map_err(|_| closing())?;
        outcome.await.unwrap_or_else(|_| Err(closing()))
    }
}

pub struct Orders(mpsc::Receiver<(Order, Done)>);

/// How an instance is started, each time.
pub type Starter = Box<dyn Fn(Instance) -> How>;

/// Supervises instances: threads of this process, and processes of their own.
pub struct Supervisor {
    config: Config,
    starter: Starter,
    posts: Vec<Post>,
    orders: mpsc::Receiver<(Order, Done)>,
    _claim: Claim,
}

enum Event {
    Ordered(Order, Done),
    Fell(usize, String),
    Due(usize),
    Started(usize, Result<Running, Failure>),
    Left(usize),
}

impl Supervisor {
    /// Supervises what is bound; nothing runs yet.
    pub fn new(
        config: &Config,
        bound: Vec<Bound>,
        seen: Vec<Arc<Seen>>,
        orders: Orders,
        claim: Claim,
        starter: Starter,
    ) -> Self {
        let posts = bound.into_iter().zip(seen).map(|(bound, seen)| Post::new(bound, seen)).collect();
        Self { config: config.clone(), starter, posts, orders: orders.0, _claim: claim }
    }

    /// Starts all, each when the one before can be asked.
    ///
    /// # Errors
    ///
    /// When one cannot start; the others are closed then.
    pub async fn open(&mut self) -> Result<(), Failure> {
        for n in 0..self.posts.len() {
            if let Err(failure) = self.start(n).await {
                self.close().await;
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Obeys orders and starts again what falls over, for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the instances as they are at that moment.
    pub async fn run(&mut self) {
        loop {
            let event = tokio::select! {
                Some((order, done)) = self.orders.recv() => Event::Ordered(order, done),
                event = event(&mut self.posts) => event,
            };
            match event {
                Event::Ordered(order, done) => drop(done.send(self.obey(order).await)),
                Event::Fell(n, why) => {
                    tracing::warn!(instance = %self.posts[n].seen.instance, why, "fell over");
                    self.posts[n].fell(&why);
                }
                Event::Left(n) => self.posts[n].lets_go(),
                // The others are not kept waiting.
                Event::Due(n) => match self.begin(n) {
                    Ok(starting) => self.posts[n].starting = Some(starting),
                    Err(failure) => drop(self.started(n, Err(failure))),
                },
                Event::Started(n, started) => {
                    self.posts[n].starting = None;
                    if let Err(failure) = self.started(n, started) {
                        tracing::warn!(instance = %self.posts[n].seen.instance, %failure, "cannot start");
                    }
                }
            }
        }
    }

    /// Drains all, the one that was started last first.
    pub async fn close(&mut self) {
        self.orders.close();
        // Whoever waits for an order that came too late is told so.
        while self.orders.try_recv().is_ok() {}
        // Who is drained may be waiting for somebody who is held.
        self.posts.iter_mut().for_each(|post| post.pauses.clear());
        for post in self.posts.iter_mut().rev() {
            post.drain().await;
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), Failure> {
        match order {
            Order::Restart(instance) => {
                let n = self.post(instance)?;
                self.restart(n).await
            }
            Order::Replace(instance, program) => {
                let n = self.post(instance)?;
                let before = self.posts[n].program.replace(program);
                let replaced = self.replace(n).await;
                if replaced.is_err() {
                    self.posts[n].program = before;
                }
                replaced
            }
            Order::Want(instance, wanted) => {
                let n = self.post(instance)?;
                self.posts[n].wanted = wanted;
                match wanted {
                    Wanted::Killed => self.posts[n].kill().await,
                    Wanted::Paused | Wanted::Up => {
                        if self.posts[n].running.is_none() {
                            self.posts[n].falls = 0;
                            self.start(n).await?;
                        }
                        self.posts[n].hold();
                    }
                }
                Ok(())
            }
        }
    }

    fn post(&self, instance: Instance) -> Result<usize, Failure> {
        let n = self.posts.iter().position(|post| post.seen.instance == instance);
        n.ok_or_else(|| Failure::new(format!("there is no {instance} in this process.")))
    }

    async fn start(&mut self, n: usize) -> Result<(), Failure> {
        let starting = match self.posts[n].starting.take() {
            Some(starting) => Ok(starting),
            None => self.begin(n),
        };
        let started = match starting {
            Ok(starting) => starting.await,
            Err(failure) => Err(failure),
        };
        self.started(n, started)
    }

    fn begin(&mut self, n: usize) -> Result<Starting, Failure> {
        let how = (self.starter)(self.posts[n].seen.instance).of(self.posts[n].program.as_ref());
        Ok(how.start(self.posts[n].bound()?, &self.config))
    }

    fn started(&mut self, n: usize, started: Result<Running, Failure>) -> Result<(), Failure> {
        let failed = |failure: &Failure| self.posts[n].fell(&failure.to_string());
        let running = started.inspect_err(failed)?;
        self.posts[n].runs(running);
        Ok(())
    }

    async fn restart(&mut self, n: usize) -> Result<(), Failure> {
        let post = &mut self.posts[n];
        if post.running.is_none() || post.wanted != Wanted::Up {
            return Err(Failure::new(format!("{} does not run at the moment.", post.seen.instance)));
        }
        let running = self.begin(n)?.await?;
        self.posts[n].takes_over(running);
        Ok(())
    }

    async fn replace(&mut self, n: usize) -> Result<(), Failure> {
        let post = &mut self.posts[n];
        match (post.wanted, &post.running) {
            (Wanted::Killed, _) => Ok(()),
            (Wanted::Paused, _) => {
                Err(Failure::new(format!("{} is held at the moment.", post.seen.instance)))
            }
            (Wanted::Up, None) => {
                (post.starting, post.falls) = (None, 0);
                self.start(n).await
            }
            (Wanted::Up, Some(_)) => {
                let mut running = self.begin(n)?.await?;
                let ready = running.ready().await;
                match &ready {
                    Ok(()) => self.posts[n].takes_over(running),
                    // It has been asked, and answers before it goes.
                    Err(_) => self.posts[n].leaves(Some(running)),
                }
                ready
            }
        }
    }
}

/// The next thing that happens by itself.
async fn event(posts: &mut [Post]) -> Event {
    let mut happenings: Vec<_> =
        posts.iter_mut().enumerate().map(|(n, post)| Box::pin(happening(n, post))).collect();
    poll_fn(|cx| {
        let first = happenings.iter_mut().find_map(|happening| match pin!(happening).poll(cx) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        });
        first.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

async fn happening(n: usize, post: &mut Post) -> Event {
    let leaving = &mut post.leaving;
    let left = poll_fn(|cx| match leaving.iter_mut().any(|leaving| leaving.poll_ended(cx).is_ready()) {
        true => Poll::Ready(Event::Left(n)),
        false => Poll::Pending,
    });
    let own = own(n, &mut post.running, &mut post.starting, post.wanted, post.due);
    tokio::select! {
        event = left => event,
        event = own => event,
    }
}

async fn own(
    n: usize,
    running: &mut Option<Running>,
    starting: &mut Option<Starting>,
    wanted: Wanted,
    due: Instant,
) -> Event {
    match (running, starting) {
        (Some(running), _) => Event::Fell(n, poll_fn(|cx| running.poll_ended(cx)).await),
        (None, Some(starting)) => Event::Started(n, starting.await),
        (None, None) if wanted == Wanted::Killed => pending().await,
        (None, None) => {
            sleep_until(due).await;
            Event::Due(n)
        }
    }
}

#[cfg(test)]
mod tests;
