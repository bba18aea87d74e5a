use crate::beat::{Beat, Turn};
use crate::hysteresis::Hysteresis;
use crate::{Heartbeats, Probe, pace};
use bartizan_core::{Change, Dice, Instant, Member};
use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// A stream of changes to which [`Heartbeats`] of its members are added. It is made by [`Heartbeats::watch`].
///
/// A `Health` comes after every heartbeat that agrees with how its member is taken to be, and after the one that changes this: `Up`
/// means that it has just answered well. A heartbeat that does not agree is counted, and is not told.
///
/// The heartbeats live in the stream and not in tasks: they move when it is polled, and end when it is dropped. A member is never
/// asked twice at a time. One that leaves is asked no more, one that stays keeps what is known of it, and one that joins is asked at
/// once, but for the jitter. When the stream of members ends, those it named last are watched on.
pub struct Watched<S, P> {
    /// None: it has ended.
    members: Option<Pin<Box<S>>>,
    by: Heartbeats<P>,
    dice: Dice,
    watched: HashMap<Uri, Watch>,
    beats: FuturesUnordered<Turn>,
}

/// What is known of one member.
#[derive(Debug)]
struct Watch {
    heard: Hysteresis,
    due: Instant,
    /// Where to ask it.
    at: Uri,
    /// Its turn ends when this is dropped.
    staying: Option<oneshot::Sender<()>>,
}

impl<S, P> Watched<S, P> {
    pub(crate) fn new(members: S, by: Heartbeats<P>, dice: Dice) -> Self {
        let (watched, beats) = (HashMap::new(), FuturesUnordered::new());
        Self { members: Some(Box::pin(members)), by, dice, watched, beats }
    }
}

impl<S, P: Probe> Watched<S, P> {
    /// Does to the watched members what the change says.
    fn follow(&mut self, change: &Change<Uri>, now: Instant) {
        match change {
            Change::Set(members) => {
                let stay: HashSet<&Uri> = members.iter().map(|member| &member.key).collect();
                self.watched.retain(|key, _| stay.contains(key));
                for member in members {
                    self.begin(member, now);
                }
            }
            Change::Insert(member) => self.begin(member, now),
            Change::Remove(key) => drop(self.watched.remove(key)),
            Change::Health(..) => {}
        }
    }

    fn begin(&mut self, member: &Member<Uri>, now: Instant) {
        if self.watched.contains_key(&member.key) {
            return;
        }
        let due = now + self.by.every.mul_f64(self.by.jitter * self.dice.unit());
        let at = self.by.at(&member.key);
        let watch = Watch { heard: Hysteresis::default(), due, at, staying: None };
        self.watched.insert(member.key.clone(), watch);
        self.schedule(&member.key);
    }

    /// Begins the next turn of a member.
    fn schedule(&mut self, key: &Uri) {
        if let Some(watch) = self.watched.get_mut(key) {
            let (staying, left) = oneshot::channel();
            watch.staying = Some(staying);
            let asked = (watch.due, self.by.time_out);
            self.beats.push(Turn::new(key.clone(), left, asked, self.by.probe.clone(), watch.at.clone()));
        }
    }

    /// Hears a beat, and returns what there is to tell.
    fn hear(&mut self, beat: Beat, now: Instant) -> Option<Change<Uri>> {
        let Heartbeats { rise, fall, every, jitter, .. } = self.by;
        let watch = self.watched.get_mut(&beat.key)?;
        let before = watch.heard.is();
        let told = watch.heard.hear(beat.health, rise, fall);
        watch.due = pace::next(watch.due, pace::spread(every, jitter, self.dice.unit()), now);
        self.schedule(&beat.key);
        let is = told?;
        if is != before {
            let (member, is, was) = (tracing::field::display(&beat.key), is.as_str(), before.as_str());
            match &beat.cause {
                Some(cause) => tracing::warn!(member, is, was, %cause, "heartbeats changed"),
                None => tracing::info!(member, is, was, "heartbeats changed"),
            }
        }
        Some(Change::Health(beat.key, is))
    }
}

impl<S, P, E> Stream for Watched<S, P>
where
    S: Stream<Item = Result<Change<Uri>, E>>,
    P: Probe,
{
    type Item = Result<Change<Uri>, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(members) = &mut this.members {
            match members.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if let Ok(change) = &item {
                        this.follow(change, Instant::now());
                    }
                    return Poll::Ready(Some(item));
                }
                Poll::Ready(None) => this.members = None,
                Poll::Pending => {}
            }
        }
        loop {
            match Pin::new(&mut this.beats).poll_next(cx) {
                Poll::Ready(Some(Some(beat))) => {
                    if let Some(change) = this.hear(beat, Instant::now()) {
                        return Poll::Ready(Some(Ok(change)));
                    }
                }
                // Its member has left.
                Poll::Ready(Some(None)) => {}
                Poll::Ready(None) if this.members.is_none() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

// It holds the stream in a box of its own.
impl<S, P> Unpin for Watched<S, P> {}

impl<S, P> fmt::Debug for Watched<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.watched.iter().map(|(key, watch)| (key, watch.heard.is()))).finish()
    }
}
