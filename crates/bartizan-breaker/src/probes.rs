//! The round of probes of a half-open circuit.

use crate::permit::Pass;

/// Probes under way, each a lease, and what has come of the others.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    leases: Vec<Lease>,
    next: u16,
    ended: u32,
    pub(crate) bad: u32,
    pub(crate) slow: u32,
}

#[derive(Debug)]
struct Lease {
    probe: u16,
    expires: u64,
    answered: bool,
}

impl Probes {
    /// Leases a place of `all` until `expires`, or says that none is free.
    pub(crate) fn lease(&mut self, all: u32, expires: u64) -> Option<u16> {
        if self.leases.len() as u32 + self.ended >= all {
            return None;
        }
        let probe = self.next;
        self.next = (self.next + 1) % Pass::PROBES;
        self.leases.push(Lease { probe, expires, answered: false });
        Some(probe)
    }

    /// Notes that the answer to a probe has begun.
    pub(crate) fn answered(&mut self, probe: u16) {
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.probe == probe) {
            lease.answered = true;
        }
    }

    /// Whether a probe is under way.
    pub(crate) fn has(&self, probe: u16) -> bool {
        self.leases.iter().any(|lease| lease.probe == probe)
    }

    /// Takes all places back, as those who have them will not be heard any more.
    pub(crate) fn recall(&mut self) {
        self.leases.clear();
    }

    /// Takes a probe's place back; false where its lease was over.
    pub(crate) fn give_back(&mut self, probe: u16) -> bool {
        let before = self.leases.len();
        self.leases.retain(|lease| lease.probe != probe);
        self.leases.len() < before
    }

    /// Counts a probe that has ended.
    pub(crate) fn end(&mut self, bad: bool, slow: bool) {
        self.ended += 1;
        self.bad += u32::from(bad);
        self.slow += u32::from(slow);
    }

    /// Ends the leases that are over. A probe that was being answered was good; the others say nothing.
    pub(crate) fn expire(&mut self, now: u64) {
        let ended = &mut self.ended;
        self.leases.retain(|lease| {
            let over = lease.expires <= now;
            *ended += u32::from(over && lease.answered);
            !over
        });
    }

    /// How many have ended.
    pub(crate) fn ended(&self) -> u32 {
        self.ended
    }

    /// When the next lease is over, where no place is free.
    pub(crate) fn full_until(&self, all: u32) -> Option<u64> {
        let full = self.leases.len() as u32 + self.ended >= all;
        if full { self.leases.iter().map(|lease| lease.expires).min() } else { None }
    }
}
