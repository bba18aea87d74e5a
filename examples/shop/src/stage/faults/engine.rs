//! Puts faults in, and takes them out again when they are cleared or their time is over.
//!
//! One task owns them all, so that a fault which is set, cleared and expires at once is still in or out.

use super::Shop;
use super::kind::{Kind, Target};
use super::lock::Lock;
use super::records::Records;
use super::wish::Fault;
use crate::parts::clock::now_ms;
use crate::parts::config::{Instance, Name};
use crate::parts::failure::Failure;
use crate::parts::faults::{Detour, Detoured, Faults, SCOPE};
use crate::parts::problem::Problem;
use crate::stage::load::{Surge, Surges};
use crate::stage::proxy::Proxy;
use crate::stage::supervisor::Wanted;
use bartizan::fault::{FaultId, Handle};
use http::{HeaderValue, StatusCode};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

/// Where faults are asked for. Clones lead to the same task.
#[derive(Clone, Debug)]
pub struct Engine(mpsc::Sender<Order>);

enum Order {
    Set(Fault, Target, oneshot::Sender<Result<(), Problem>>),
    Clear(String, oneshot::Sender<bool>),
    ClearAll(oneshot::Sender<()>),
    List(oneshot::Sender<Vec<Fault>>),
}

impl Engine {
    /// Starts the task on the current runtime, with the faults that lasted when the shop was closed.
    ///
    /// # Errors
    ///
    /// When the records cannot be read.
    pub(super) async fn start(
        records: Records,
        places: Faults,
        surges: Surges,
        shop: Shop,
    ) -> Result<Self, Failure> {
        let lasting = records.lasting().await;
        let lasting = lasting.map_err(|why| Failure::new(format!("the faults cannot be read: {why}.")))?;
        let (sender, orders) = mpsc::channel(64);
        let (active, wanted) = (Vec::new(), Vec::new());
        let work = Work { records, places, surges, shop, active, wanted };
        tokio::spawn(work.run(lasting, orders));
        Ok(Self(sender))
    }

    /// Puts a fault in, and returns when it works.
    pub async fn set(&self, fault: Fault, target: Target) -> Result<(), Problem> {
        self.order(|done| Order::Set(fault, target, done)).await?
    }

    /// Takes a fault out; false when there is none with this id.
    pub async fn clear(&self, id: String) -> Result<bool, Problem> {
        self.order(|done| Order::Clear(id, done)).await
    }

    pub async fn clear_all(&self) -> Result<(), Problem> {
        self.order(Order::ClearAll).await
    }

    pub async fn list(&self) -> Result<Vec<Fault>, Problem> {
        self.order(Order::List).await
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Problem> {
        let (done, outcome) = oneshot::channel();
        let gone = || Problem::unavailable("the shop is closing");
        self.0.send(order(done)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())
    }
}

/// A fault that is in.
struct Active {
    fault: Fault,
    target: Target,
    /// What has to be taken out of the places of calls. It leaves when this is dropped.
    _put: Vec<Put>,
    /// The crowd that it sends. It leaves when this is dropped.
    _surge: Option<Surge>,
    /// The store that it holds.
    lock: Option<Lock>,
    /// Where connections go by it. They are cut when this is dropped.
    _detours: Vec<(Detoured, Proxy)>,
}

/// A fault that is in one place of calls, until this is dropped.
#[derive(Debug)]
pub struct Put {
    place: Handle,
    id: FaultId,
}

/// Puts a fault of calls in where it is done in an instance that is a process of its own.
pub fn put_in(places: &Faults, instance: Instance, fault: &Fault) -> Vec<Put> {
    let target = Target::parse(&fault.target);
    let here = |place: &String| {
        *place == instance.to_string()
            || place.split_once("->").is_some_and(|(from, _)| from == instance.service.as_str())
    };
    let here = target.iter().flat_map(Target::places).filter(here);
    here.filter_map(|place| Put::new(places, &place, fault)).collect()
}

impl Put {
    /// Nothing, for what is done to processes.
    fn new(places: &Faults, place: &str, fault: &Fault) -> Option<Self> {
        let time = Duration::from_millis(fault.ms.unsigned_abs());
        let mut injected = fault.kind.injected(time)?.share(fault.share);
        if let Some(value) = &fault.header {
            injected = injected.header(SCOPE, HeaderValue::from_str(value).ok()?);
        }
        let place = places.layer(&fault.kind.place(place)).handle();
        let id = place.inject(injected).ok()?;
        Some(Self { place, id })
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        self.place.lift(self.id);
    }
}

struct Work {
    records: Records,
    places: Faults,
    surges: Surges,
    shop: Shop,
    active: Vec<Active>,
    /// What was last asked of each instance that is not simply wanted up.
    wanted: Vec<(Instance, Wanted)>,
}

impl Work {
    async fn run(mut self, lasting: Vec<Fault>, mut orders: mpsc::Receiver<Order>) {
        for fault in lasting {
            let Some(target) = Target::parse(&fault.target) else { continue };
            // The shop was closed in the middle of a restart, and has been opened since.
            if fault.kind.is_momentary() {
                let _ = self.records.end(&fault.id).await;
            } else {
                let lock = self.lock(&fault).await.unwrap_or_else(|problem| {
                    tracing::warn!(target = fault.target, ?problem, "a store is not locked any more");
                    None
                });
                self.put_in(fault, target, lock).await;
            }
        }
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                () = expiry(&self.active) => self.expire().await,
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Set(fault, target, done) => drop(done.send(self.set(fault, target).await)),
            Order::Clear(id, done) => {
                let there = self.active.iter().any(|active| active.fault.id == id);
                self.take_out(|fault| fault.id == id).await;
                let _ = done.send(there);
            }
            Order::ClearAll(done) => {
                self.take_out(|_| true).await;
                let _ = done.send(());
            }
            Order::List(done) => {
                let _ = done.send(self.active.iter().map(|active| active.fault.clone()).collect());
            }
        }
    }

    async fn set(&mut self, fault: Fault, target: Target) -> Result<(), Problem> {
        let elsewhere = target.instances().iter().any(|instance| !self.shop.here.contains(instance));
        if elsewhere && fault.kind.is_of_processes() {
            let detail =
                format!("`target` {} is not in this shop, but where its variable says", fault.target);
            return Err(Problem::invalid(detail));
        }
        // There is no layer that could do the same as a proxy.
        if fault.kind == Kind::Refuse && self.shop.reach.is_some() {
            let detail = "the services of this shop are processes of their own, whose connections go no other way; \
                open it without --procs for that";
            return Err(Problem::new(StatusCode::CONFLICT, "out-of-reach", detail));
        }
        if fault.kind == Kind::Load && self.active.iter().any(|active| active.fault.kind == Kind::Load) {
            let detail = "a crowd is there already; it can be cleared, and another sent";
            return Err(Problem::new(StatusCode::CONFLICT, "crowded", detail));
        }
        let lock = self.lock(&fault).await?;
        self.records.add(&fault).await?;
        if fault.kind.is_momentary() {
            return self.renew(&fault, &target).await;
        }
        self.put_in(fault, target, lock).await;
        Ok(())
    }

    /// Takes the lock of the store that a fault locks, if it locks one.
    async fn lock(&self, fault: &Fault) -> Result<Option<Lock>, Problem> {
        if fault.kind != Kind::DbLocked {
            return Ok(None);
        }
        if self.active.iter().any(|active| active.lock.is_some() && active.fault.target == fault.target) {
            let detail = format!("the store of {} is locked already", fault.target);
            return Err(Problem::new(StatusCode::CONFLICT, "locked", detail));
        }
        match Lock::take(&self.shop.config, &fault.target).await {
            Ok(lock) => Ok(Some(lock)),
            Err(why) => {
                Err(Problem::unavailable(format!("the store of {} cannot be locked: {why}", fault.target)))
            }
        }
    }

    /// Starts new instances in the place of the old ones: all at once, or one after another. What is killed or held by
    /// another fault stays so.
    async fn renew(&mut self, fault: &Fault, target: &Target) -> Result<(), Problem> {
        let held = |instance: &&Instance| self.wanted.iter().any(|(known, _)| known == *instance);
        let running: Vec<_> = target.instances().iter().filter(|instance| !held(instance)).collect();
        let mut outcome = Ok(());
        if running.is_empty() {
            let detail = format!("{} is killed or held at the moment, and cannot be restarted", fault.target);
            outcome = Err(Problem::new(StatusCode::CONFLICT, "not-running", detail));
        }
        for instance in running {
            if let Err(failure) = self.shop.supervision.restart(*instance).await {
                outcome = Err(Problem::unavailable(failure.to_string()));
                if fault.kind == Kind::Rolling {
                    break;
                }
            }
        }
        self.records.end(&fault.id).await?;
        outcome
    }

    async fn put_in(&mut self, fault: Fault, target: Target, lock: Option<Lock>) {
        tracing::info!(target = fault.target, kind = fault.kind.as_str(), "fault set");
        // What is done in another process is told to that.
        let beside = |instance: &Instance| matches!(instance.service, Name::Registry | Name::Config);
        let here = self.shop.reach.is_none()
            || !target.instances().is_empty() && target.instances().iter().all(beside);
        let detours = self.detours(&fault, &target).await;
        let put = |place: &String| Put::new(&self.places, place, &fault);
        // What is done to connections is not done to calls once more.
        let places = if here && detours.is_empty() { target.places() } else { Vec::new() };
        let put = places.iter().filter_map(put).collect();
        let left = Duration::from_millis(fault.expires_at.saturating_sub(now_ms()).max(1) as u64);
        let surge = (fault.kind == Kind::Load).then(|| self.surges.send(fault.share, left)).flatten();
        self.active.push(Active { fault, target, _put: put, _surge: surge, lock, _detours: detours });
        self.settle().await;
        self.tell().await;
    }

    /// Sends the connections by proxies that a fault is done to, if it is done to any. The processes of others go their own way.
    async fn detours(&self, fault: &Fault, target: &Target) -> Vec<(Detoured, Proxy)> {
        let harm = fault.kind.harm(Duration::from_millis(fault.ms.unsigned_abs()));
        let Some(harm) = harm.filter(|_| self.shop.reach.is_none()) else { return Vec::new() };
        let (hop, addresses) = target.addresses(&self.shop.config);
        let mut detours = Vec::new();
        for from in addresses {
            let proxy = match Proxy::open(harm, from).await {
                Ok(proxy) => proxy,
                Err(error) => {
                    tracing::warn!(%error, "there is no port for a proxy");
                    continue;
                }
            };
            let detour = Detour {
                hop: hop.map(str::to_owned),
                from,
                to: proxy.address(),
                share: fault.share,
                stands: fault.kind == Kind::Blackhole,
            };
            detours.extend(self.places.divert(detour).map(|detoured| (detoured, proxy)));
        }
        detours
    }

    async fn take_out(&mut self, which: impl Fn(&Fault) -> bool) {
        for active in self.active.extract_if(.., |active| which(&active.fault)) {
            tracing::info!(target = active.fault.target, kind = active.fault.kind.as_str(), "fault cleared");
            if let Err(error) = self.records.end(&active.fault.id).await {
                tracing::warn!(%error, "the end of a fault could not be written down");
            }
            if let Some(lock) = active.lock {
                lock.release().await;
            }
        }
        self.settle().await;
        self.tell().await;
    }

    /// Tells the services that are processes of what is done to calls.
    async fn tell(&self) {
        if let Some(reach) = &self.shop.reach {
            let faults = self.active.iter().map(|active| &active.fault);
            reach.faults(
                faults.filter(|fault| fault.kind.injected(Duration::ZERO).is_some()).cloned().collect(),
            );
            reach.settled().await;
        }
    }

    async fn expire(&mut self) {
        let now = now_ms();
        self.take_out(|fault| fault.expires_at <= now).await;
    }

    /// Has every instance as the faults that are in want it: killed before held, held before up.
    async fn settle(&mut self) {
        let mut wanted: Vec<(Instance, Wanted)> = Vec::new();
        let killed: fn(Kind) -> bool = Kind::kills;
        for (is, how) in [(killed, Wanted::Killed), (|kind| kind == Kind::Pause, Wanted::Paused)] {
            for active in self.active.iter().filter(|active| is(active.fault.kind)) {
                for instance in active.target.instances() {
                    if !wanted.iter().any(|(known, _)| known == instance) {
                        wanted.push((*instance, how));
                    }
                }
            }
        }
        let up =
            self.wanted.iter().filter(|(known, _)| !wanted.iter().any(|(instance, _)| instance == known));
        let up: Vec<_> = up.map(|(instance, _)| (*instance, Wanted::Up)).collect();
        let changed: Vec<_> = wanted.iter().filter(|wish| !self.wanted.contains(wish)).copied().collect();
        for (instance, how) in changed.into_iter().chain(up) {
            if let Err(failure) = self.shop.supervision.want(instance, how).await {
                tracing::warn!(%instance, %failure, "is not yet as it is wanted");
            }
        }
        self.wanted = wanted;
    }
}

/// Ends when the first fault expires.
async fn expiry(active: &[Active]) {
    match active.iter().map(|active| active.fault.expires_at).min() {
        Some(first) => sleep(Duration::from_millis(first.saturating_sub(now_ms()).max(0) as u64)).await,
        None => std::future::pending().await,
    }
}
