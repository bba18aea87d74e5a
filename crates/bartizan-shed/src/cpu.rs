//! How much of the CPUs that it may use this process uses, as Linux tells it in `/proc/self/stat`.

use crate::gate::Class;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// It is looked at no more often: 250 ms.
const EVERY: u64 = 250_000_000;
/// A tick of the file's times. Linux has told them in hundredths of a second on every machine for twenty years (`proc(5)`, USER_HZ).
const TICK: u64 = 10_000_000;
/// How much a look weighs against what was known before: a tick is a coarse unit.
const SHARE: f64 = 0.5;

#[derive(Debug)]
pub(crate) struct Cpu {
    /// The bits of the share from which on requests are refused.
    most: AtomicU64,
    due: AtomicU64,
    /// The bits of the share.
    share: AtomicU64,
    last: Mutex<Option<Look>>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: u64,
    used: u64,
}

impl Cpu {
    pub(crate) fn new() -> Self {
        Self {
            most: AtomicU64::new(0),
            due: AtomicU64::new(0),
            share: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }

    /// Sets from which share on requests are refused.
    pub(crate) fn set(&self, most: f64) {
        self.most.store(most.to_bits(), Relaxed);
    }

    /// Whether a class has to be refused; looks anew if it is time.
    pub(crate) fn refuses(&self, class: Class, now: u64) -> bool {
        if now >= self.due.load(Relaxed) {
            self.look(now, used);
        }
        let most = f64::from_bits(self.most.load(Relaxed));
        match class {
            0 => false,
            1 => self.known() >= f64::midpoint(most, 1.0),
            _ => self.known() >= most,
        }
    }

    /// The share that was seen last.
    pub(crate) fn known(&self) -> f64 {
        f64::from_bits(self.share.load(Relaxed))
    }

    #[cold]
    fn look(&self, now: u64, used: impl FnOnce() -> Option<u64>) {
        let Ok(mut last) = self.last.try_lock() else { return };
        self.due.store(now.saturating_add(EVERY), Relaxed);
        let Some(used) = used() else { return };
        let look = Look { at: now, used };
        if let Some(last) = last.replace(look).filter(|last| last.at < now) {
            let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            let share = used.saturating_sub(last.used) as f64 / (now - last.at) as f64 / cpus as f64;
            let known = self.known();
            self.share.store((known + SHARE * (share - known)).to_bits(), Relaxed);
        }
    }
}

/// The CPU time of this process so far, in nanoseconds; none where it is not told.
fn used() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Adds fields 14 and 15, user and system time. The second, the program's name, is in brackets and may hold anything.
fn parse(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system).saturating_mul(TICK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_stand_behind_any_name() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(parse(stat), Some(300 * TICK));
        assert_eq!(parse("7 (a"), None);
        assert_eq!(parse("7 (a) S 1"), None);
    }

    #[test]
    fn a_busy_process_is_seen_within_a_few_looks() {
        let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
        let cpu = Cpu::new();
        for n in 0..9 {
            cpu.look(n * EVERY, || Some(n * EVERY * cpus));
        }
        assert!(cpu.known() > 0.99, "{}", cpu.known());
        cpu.set(0.9);
        cpu.due.store(u64::MAX, Relaxed);
        assert_eq!([0, 1, 2].map(|class| cpu.refuses(class, 0)), [false, true, true]);
        for n in 9..18 {
            cpu.look(n * EVERY, || Some(9 * EVERY * cpus));
        }
        assert!(cpu.known() < 0.01, "{}", cpu.known());
    }

    #[test]
    fn what_is_not_told_has_no_effect() {
        let cpu = Cpu::new();
        (0..9).for_each(|n| cpu.look(n * EVERY, || None));
        assert_eq!(cpu.known(), 0.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_it() {
        assert!(used().is_some());
    }
}
