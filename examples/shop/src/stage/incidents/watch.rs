//! Looks again and again, and writes down what starts, who sees it, and what is over.

use super::cause::Place;
use super::open::{Incident, QUIET};
use super::records::{Records, Set};
use super::signs::{self, Seen, Sight};
use crate::parts::clock::now_ms;
use crate::parts::store::Store;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often.
const BEAT: Duration = Duration::from_millis(250);

/// Watches for ever. What is open from before is gone on with.
///
/// # Cancel safety
///
/// Dropped, it leaves what it has written.
pub async fn watch(store: Store) {
    let mut watch = Watch { records: Records::new(store), book: None };
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        if let Err(error) = watch.look().await {
            tracing::warn!(%error, "incidents cannot be written down");
        }
    }
}

struct Watch {
    records: Records,
    /// None before the first look.
    book: Option<Book>,
}

/// What is going on.
#[derive(Default)]
struct Book {
    open: Vec<Incident>,
    sight: Sight,
    /// When something was first wrong, and last.
    since: BTreeMap<(&'static str, String), (i64, i64)>,
    /// The faults that are incidents, of the last ones.
    known: Vec<String>,
}

impl Watch {
    async fn look(&mut self) -> sqlx::Result<()> {
        if self.book.is_none() {
            self.book = Some(Book::open(self.records.open().await?, now_ms()));
        }
        let Some(book) = &mut self.book else { return Ok(()) };
        let faults = self.records.faults().await?;
        for fault in &faults {
            if !book.known.contains(&fault.id) && self.records.has(&fault.id).await? {
                book.known.push(fault.id.clone());
            }
        }
        let sight = signs::look(&book.sight);
        let is_new = book.turn(&faults, sight, signs::under_way(), now_ms());
        for incident in book.open.iter_mut().filter(|incident| incident.life.is_news) {
            self.records.keep(incident).await?;
            incident.life.is_news = false;
        }
        book.open.retain(|incident| incident.resolved.is_none());
        if is_new { self.records.prune().await } else { Ok(()) }
    }
}

impl Book {
    /// What was going on when nobody looked any more.
    fn open(mut open: Vec<Incident>, now: i64) -> Self {
        for incident in &mut open {
            // Since when it has not been seen, nobody knows.
            incident.life.last = incident.detected.map(|_| now);
        }
        Self { open, ..Self::default() }
    }

    /// Goes on with another look. Returns whether there is a new incident.
    fn turn(&mut self, faults: &[Set], sight: Sight, under_way: u64, now: i64) -> bool {
        let begun = self.open.len();
        self.hear_of(faults);
        let before = std::mem::replace(&mut self.sight, sight);
        let wrong = self.sight.iter().filter(|(_, seen)| seen.wrong.is_some());
        let mut wrong: Vec<_> = wrong.map(|(name, seen)| (name.clone(), seen.clone())).collect();
        self.since.retain(|_, (_, last)| now - *last < QUIET);
        // Who is gone is why others complain, and who is called is why who calls does.
        wrong.sort_by_key(|((layer, name), _)| {
            (*layer != "service", signs::place(layer, name).map_or(0, Place::height))
        });
        for (name, seen) in wrong {
            let (since, last) = self.since.entry(name.clone()).or_insert((now, now));
            *last = now;
            let since = *since;
            self.place(&name, &seen, before.get(&name), since, now);
        }
        let sight = &self.sight;
        let orders = signs::place("orders", "orders");
        for incident in &mut self.open {
            let seen = |sign: &_| sight.get(sign).map(|seen| (seen.state.clone(), seen.wrong.is_none()));
            incident.looks_again(seen, now);
            if incident.detected.is_some() && orders.is_some_and(|orders| incident.explains(orders)) {
                incident.counts(under_way);
            }
            incident.settle(now);
        }
        self.open.len() > begun
    }

    /// Has each fault for an incident, once.
    fn hear_of(&mut self, faults: &[Set]) {
        for fault in faults.iter().filter(|fault| !self.known.contains(&fault.id)) {
            self.open.push(Incident::new(&fault.kind, &fault.target, Some(&fault.id), fault.started));
        }
        self.known = faults.iter().map(|fault| fault.id.clone()).collect();
        for incident in self.open.iter_mut().filter(|incident| incident.life.ended.is_none()) {
            let Some(id) = &incident.fault else { continue };
            incident.life.ended = match faults.iter().find(|fault| fault.id == *id) {
                Some(fault) => fault.ended,
                // It was set so long ago that it is over.
                None => Some(incident.started),
            };
        }
    }

    /// Puts a sign to the incidents that explain it, or makes one of it when it has lasted.
    fn place(
        &mut self,
        (layer, name): &(&'static str, String),
        seen: &Seen,
        before: Option<&Seen>,
        since: i64,
        now: i64,
    ) {
        let Some(wrong) = seen.wrong else { return };
        let sign = (*layer, name.as_str());
        let is_own = matches!(wrong.kind, Some("dead_letters" | "invariant_broken"));
        let place = signs::place(layer, name).filter(|_| !is_own);
        let mut is_known = false;
        for incident in &mut self.open {
            let is_same = is_own && wrong.kind == Some(&incident.kind) && incident.cause == cause(name);
            if is_same || place.is_some_and(|place| incident.explains(place)) {
                incident.sees(sign, before, seen, now);
                is_known = true;
            }
        }
        let Some(kind) = wrong.kind.filter(|_| !is_known) else { return };
        if now - since >= wrong.after.as_millis() as i64 {
            let mut incident = Incident::new(kind, cause(name), None, since);
            incident.sees(sign, before, seen, now);
            self.open.push(incident);
        }
    }
}

/// Where something is, whichever replica is called there.
fn cause(name: &str) -> &str {
    let is_call = name.contains("->");
    let name = if is_call { name.split(['/', ' ', ',']).next().unwrap_or(name) } else { name };
    match name.rsplit_once('-') {
        Some((call, number)) if is_call && number.bytes().all(|byte| byte.is_ascii_digit()) => call,
        _ => name,
    }
}

#[cfg(test)]
mod tests;
