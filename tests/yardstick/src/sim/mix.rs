//! Hosts of which many are slow, and some noisy, and what they are now changes.

use std::{cell::Cell, rc::Rc, time::Duration};

use clap::Args;
use fastrand::Rng;

use super::{dice, fleet::Fleet, stage::Stage};
use crate::options::positive;

/// The half of slow and the third of noisy hosts, and how their speed changes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Mix {
    /// Servers.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    pub(crate) servers: usize,
    /// Requests that each works on at once.
    #[arg(long, default_value_t = 4, value_parser = positive)]
    pub(crate) slots: usize,
    /// Share of the servers that are slow.
    #[arg(long, default_value_t = 0.5)]
    slow: f64,
    /// Their speed.
    #[arg(long, default_value_t = 0.5)]
    slow_speed: f64,
    /// Share of the servers that are noisy.
    #[arg(long, default_value_t = 0.3)]
    noisy: f64,
    /// Mean seconds after which a server's speed changes.
    #[arg(long, default_value_t = 1.0)]
    moody: f64,
}

impl Mix {
    /// What each server's speed is multiplied with, for about a second each.
    const HOBBLED: [f64; 2] = [0.3, 0.7];
    const EVEN: [f64; 2] = [0.9, 1.3];
    const QUIET: [f64; 2] = [1.2, 2.0];

    fn base(&self, host: usize) -> f64 {
        let slow = (host as f64 + 0.5) / (self.servers as f64) < self.slow;
        if slow { self.slow_speed } else { 1.0 }
    }

    /// Noisy hosts are spread evenly over fast and slow ones.
    fn is_noisy(&self, host: usize) -> bool {
        let upto = |hosts: usize| (hosts as f64 * self.noisy + 1e-9).floor();
        upto(host + 1) > upto(host)
    }

    fn factor(&self, host: usize, dice: &mut Rng) -> f64 {
        let [low, high] = match (self.is_noisy(host), dice.bool()) {
            (true, true) => Self::HOBBLED,
            (true, false) => Self::EVEN,
            (false, _) => Self::QUIET,
        };
        low + (high - low) * dice.f64()
    }

    /// Requests per second that all of them can serve in the mean.
    pub(crate) fn capacity(&self, mean: Duration) -> f64 {
        let middle = |[low, high]: [f64; 2]| (low + high) / 2.0;
        let noisy = (middle(Self::HOBBLED) + middle(Self::EVEN)) / 2.0;
        let factor = |host| if self.is_noisy(host) { noisy } else { middle(Self::QUIET) };
        let speed: f64 = (0..self.servers).map(|host| self.base(host) * factor(host)).sum();
        speed * self.slots as f64 / mean.as_secs_f64()
    }

    /// Has the first hosts of `fleet` be such a mix.
    pub(crate) fn begin(self, stage: &Stage, fleet: &Fleet, seed: u64) {
        for host in 0..self.servers {
            let dice = Rc::new(Cell::new(dice::of(seed, u64::MAX - 1, host as u64)));
            self.change(stage.clone(), fleet.clone(), host, dice);
        }
    }

    fn change(self, stage: Stage, fleet: Fleet, host: usize, dice: Rc<Cell<Rng>>) {
        let mut thrown = dice.replace(Rng::with_seed(0));
        fleet.set_speed(host, self.base(host) * self.factor(host, &mut thrown));
        let next = Duration::from_secs_f64(self.moody * (0.5 + thrown.f64()));
        dice.set(thrown);
        stage.clone().later(next, move || self.change(stage, fleet, host, dice));
    }

    /// What tests take.
    #[cfg(test)]
    pub(crate) const fn for_tests() -> Self {
        Self { servers: 20, slots: 4, slow: 0.5, slow_speed: 0.5, noisy: 0.3, moody: 1.0 }
    }

    /// How the experiment's row was read.
    pub(crate) fn note(&self) -> String {
        format!(
            "{} servers of {} slots and one FIFO queue; the first {:.0} % have speed {}. Each draws what its speed is multiplied with anew after {}–{} s: {:.0} % are noisy (a coin decides between U(0.3, 0.7) and U(0.9, 1.3)), the others draw U(1.2, 2.0). The load is a share of the mean of these speeds, times slots, by mean service time.",
            self.servers,
            self.slots,
            self.slow * 100.0,
            self.slow_speed,
            self.moody * 0.5,
            self.moody * 1.5,
            self.noisy * 100.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_mix_is_slow_and_noise_is_spread() {
        let mix = Mix::for_tests();
        assert_eq!((0..20).filter(|&host| mix.base(host) < 1.0).count(), 10);
        assert_eq!((0..10).filter(|&host| mix.is_noisy(host)).count(), 3);
        assert_eq!((10..20).filter(|&host| mix.is_noisy(host)).count(), 3);
        // 4 slots × (10 × 0.5 + 10) × (0.7 × 1.6 + 0.3 × 0.8) by 40 ms.
        assert!((mix.capacity(Duration::from_millis(40)) - 2040.0).abs() < 1e-6);
    }
}
