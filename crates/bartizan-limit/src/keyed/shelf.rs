use super::Table;
use crate::common::Common;
use crate::denial::Denial;
use crate::line::Waiters;
use crate::pace::Pace;
use crate::shelf::Shelf;
use std::convert::Infallible;

impl Shelf for Table {
    fn common(&self) -> &Common {
        &self.common
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    #[inline]
    fn take(&self, number: u64, cost: u32, now: u64) -> Result<u64, Denial> {
        self.tend(now);
        let mut shard = self.shard(number);
        let pace = shard.pace;
        if pace.is_off() {
            return Ok(0);
        }
        let now = shard.at(now);
        match shard.find(number) {
            Some(full) => {
                *full = pace.take(*full, cost, now)?;
                Ok(*full - now)
            }
            None => {
                drop(shard);
                self.anew(number, now, |pace, full, now| pace.take(full, cost, now))
                    .unwrap_or_else(|| self.shared().take(cost, now))
            }
        }
    }

    fn peek(&self, number: u64, cost: u32, now: u64) -> Result<(), Denial> {
        let mut shard = self.shard(number);
        let (now, pace) = (shard.at(now), shard.pace);
        if pace.is_off() {
            return Ok(());
        }
        let found = shard.find(number).copied();
        drop(shard);
        let full = found.unwrap_or_else(|| self.of_the_absent());
        pace.take(full, cost, now).map(|_| ())
    }

    fn charge(&self, number: u64, cost: u32, now: u64) {
        self.tend(now);
        let mut shard = self.shard(number);
        let (at, pace) = (shard.at(now), shard.pace);
        if let Some(full) = shard.find(number) {
            *full = pace.charge(*full, cost, at);
        } else if !pace.is_off() {
            drop(shard);
            let charge = |pace: Pace, full, now| Ok::<_, Infallible>(pace.charge(full, cost, now));
            if self.anew(number, at, charge).is_none() {
                self.shared().charge(cost, at);
            }
        }
    }

    fn learn(&self, number: u64, back: u32, told: u64) {
        let now = self.common.now();
        let mut shard = self.shard(number);
        let (now, pace) = (shard.at(now), shard.pace);
        if let Some(full) = shard.find(number) {
            *full = pace.learn(*full, back, told);
        } else if told > now {
            drop(shard);
            // It was swept since. The shared bucket hears nothing of a single key.
            let _ = self.anew(number, now, |_, full, _| Ok::<_, Infallible>(full.max(told)));
        }
    }

    fn knows(&self, number: u64) -> bool {
        self.shard(number).find(number).is_some()
    }

    fn wait(&self, number: u64, tokens: u64, now: u64) -> u64 {
        let mut shard = self.shard(number);
        let (now, pace) = (shard.at(now), shard.pace);
        let found = shard.find(number).copied();
        drop(shard);
        pace.wait(found.unwrap_or_else(|| self.of_the_absent()), tokens, now)
    }
}
