//! Keeps the instances as they are wanted: up, held or killed. What falls over by itself is started again.

use super::services::{Seen, Standing};
use crate::claim::Claim;
use crate::host::{self, Bound, Build, Pause, Running, bind_again};
use crate::parts::config::{Config, Instance};
use crate::parts::failure::Failure;
use std::future::{pending, poll_fn};
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The pause before the second start in a row; the first is at once. Doubled with each, up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Who has been up for so long may fall over at no cost.
const STEADY: Duration = Duration::from_secs(30);

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

    async fn order(&self, order: Order) -> Result<(), Failure> {
        let (done, outcome) = oneshot::channel();
        let closing = || Failure::new("the shop is closing.");
        self.0.send((order, done)).await.map_err(|_| closing())?;
        outcome.await.unwrap_or_else(|_| Err(closing()))
    }
}

pub struct Orders(mpsc::Receiver<(Order, Done)>);

/// How the routes of an instance are made, each time that it starts.
pub type Builder = Box<dyn Fn(Instance) -> Build>;

/// Supervises instances of this process.
pub struct Supervisor {
    config: Config,
    builder: Builder,
    posts: Vec<Post>,
    orders: mpsc::Receiver<(Order, Done)>,
    _claim: Claim,
}

/// One instance, and what is wanted of it.
struct Post {
    seen: Arc<Seen>,
    /// The listening socket once more, so that there is one while instances change. Not there while it is killed.
    socket: Option<TcpListener>,
    running: Option<Running>,
    /// Those who have been replaced, and have not ended yet.
    leaving: Vec<Running>,
    /// One of each who runs or leaves, while it is wanted held.
    pauses: Vec<Pause>,
    wanted: Wanted,
    started: Instant,
    /// Starts in a row that did not last.
    falls: u32,
    due: Instant,
}

enum Event {
    Ordered(Order, Done),
    Fell(usize),
    Due(usize),
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
        builder: Builder,
    ) -> Self {
        let posts = bound.into_iter().zip(seen).map(|(bound, seen)| Post::new(bound, seen)).collect();
        Self { config: config.clone(), builder, posts, orders: orders.0, _claim: claim }
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
                Event::Fell(n) => {
                    tracing::warn!(instance = %self.posts[n].seen.instance, "fell over");
                    self.posts[n].fell();
                }
                Event::Left(n) => self.posts[n].lets_go(),
                Event::Due(n) => {
                    if let Err(failure) = self.start(n).await {
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
        let build = (self.builder)(self.posts[n].seen.instance);
        let started = match self.posts[n].bound() {
            Ok(bound) => host::start(bound, &self.config, build).await,
            Err(failure) => Err(failure),
        };
        match started {
            Ok(running) => {
                self.posts[n].runs(running);
                Ok(())
            }
            Err(failure) => {
                self.posts[n].fell();
                Err(failure)
            }
        }
    }

    async fn restart(&mut self, n: usize) -> Result<(), Failure> {
        let post = &mut self.posts[n];
        if post.running.is_none() || post.wanted != Wanted::Up {
            return Err(Failure::new(format!("{} does not run at the moment.", post.seen.instance)));
        }
        let (bound, build) = (post.bound()?, (self.builder)(post.seen.instance));
        let running = host::start(bound, &self.config, build).await?;
        let old = self.posts[n].runs(running);
        self.posts[n].leaves(old);
        self.posts[n].seen.restarted();
        Ok(())
    }
}

impl Post {
    fn new(bound: Bound, seen: Arc<Seen>) -> Self {
        let now = Instant::now();
        Self {
            seen,
            socket: Some(bound.listener),
            running: None,
            leaving: Vec::new(),
            pauses: Vec::new(),
            wanted: Wanted::Up,
            started: now,
            falls: 0,
            due: now,
        }
    }

    /// The socket of a new instance: the one that is there, or, after a kill, the same port again.
    fn bound(&mut self) -> Result<Bound, Failure> {
        let (instance, address) = (self.seen.instance, self.seen.address);
        let failed =
            |why| Failure::new(format!("the port {} of {instance} cannot be opened: {why}.", address.port()));
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => bind_again(instance, address).map_err(failed)?.listener,
        };
        let listener = socket.try_clone().map_err(failed)?;
        self.socket = Some(socket);
        Ok(Bound { instance, listener, address })
    }

    /// Takes over a new instance, and returns the old one.
    fn runs(&mut self, running: Running) -> Option<Running> {
        self.started = Instant::now();
        let old = self.running.replace(running);
        self.hold();
        old
    }

    /// Hands over from an old instance. Its customers are still answered.
    fn leaves(&mut self, old: Option<Running>) {
        if let Some(old) = old {
            old.hand_over();
            self.leaving.push(old);
        }
    }

    fn lets_go(&mut self) {
        self.leaving.retain_mut(|leaving| !leaving.has_ended());
    }

    /// Holds the instance, or lets it go on, as it is wanted.
    fn hold(&mut self) {
        let Some(running) = &self.running else { return };
        if self.wanted == Wanted::Paused {
            if self.pauses.is_empty() {
                self.pauses = self.leaving.iter().chain([running]).map(Running::pause).collect();
            }
            self.seen.stands(Standing::Paused);
        } else {
            self.pauses.clear();
            self.seen.stands(Standing::Up);
        }
    }

    async fn kill(&mut self) {
        self.socket = None;
        self.seen.stands(Standing::Killed);
        self.all().map(Running::kill).collect::<JoinSet<_>>().join_all().await;
        // A held instance is let go when it can do nothing any more.
        self.pauses.clear();
    }

    async fn drain(&mut self) {
        self.all().map(Running::drain).collect::<JoinSet<_>>().join_all().await;
    }

    /// Who runs, and those who leave.
    fn all(&mut self) -> impl Iterator<Item = Running> {
        self.leaving.drain(..).chain(self.running.take())
    }

    fn fell(&mut self) {
        let now = Instant::now();
        // Who did not even start has not been up.
        if self.running.take().is_some() {
            self.seen.restarted();
            if now.duration_since(self.started) > STEADY {
                self.falls = 0;
            }
        }
        self.due = match self.falls {
            0 => now,
            falls => now + PAUSE.saturating_mul(1 << (falls - 1).min(8)).min(LONGEST_PAUSE),
        };
        self.falls += 1;
        self.pauses.clear();
        self.seen.stands(Standing::Down);
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
    let own = own(n, &mut post.running, post.wanted, post.due);
    tokio::select! {
        event = left => event,
        event = own => event,
    }
}

async fn own(n: usize, running: &mut Option<Running>, wanted: Wanted, due: Instant) -> Event {
    match running {
        Some(running) => {
            running.ended().await;
            Event::Fell(n)
        }
        None if wanted == Wanted::Killed => pending().await,
        None => {
            sleep_until(due).await;
            Event::Due(n)
        }
    }
}

#[cfg(test)]
mod tests;
