//! Prequal's rule, with its defaults: Wydrowski, Kleinberg, Rumble, Archer: "Load is not what you should balance: Introducing Prequal",
//! NSDI 2024.
//!
//! Of its heuristics against sinkholes, the paper says only that there are some. Here, a failed call drops what is known of its server, whose
//! probes are then not used for as long as probes live.

use std::{collections::VecDeque, time::Duration};

use fastrand::Rng;

/// What one client knows.
pub(crate) struct Pool {
    servers: Vec<usize>,
    probes: Vec<Probe>,
    /// Requests in flight as the latest probes told them.
    heard: VecDeque<usize>,
    /// Servers that failed, and when.
    failed: Vec<(usize, Duration)>,
    worst_next: bool,
    dice: Rng,
}

/// One answer of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Probe {
    server: usize,
    in_flight: usize,
    seconds: f64,
    at: Duration,
    uses: u32,
}

impl Pool {
    const SIZE: usize = 16;
    const PROBES_PER_CALL: usize = 3;
    const REMOVED_PER_CALL: f64 = 1.0;
    const AGE: Duration = Duration::from_secs(1);
    /// Q_RIF = 2^-0.25.
    const HOT: f64 = 0.840_896_415_253_714_6;
    /// δ, which rules how fast probes gather.
    const GATHER: f64 = 1.0;
    /// With fewer probes than this, a server is taken at random.
    const LEAST: usize = 2;
    /// Probes over which the distribution of requests in flight is estimated.
    const HEARD: usize = 64;

    pub(crate) fn new(servers: impl IntoIterator<Item = usize>, dice: Rng) -> Self {
        Self {
            servers: servers.into_iter().collect(),
            probes: Vec::with_capacity(Self::SIZE),
            heard: VecDeque::with_capacity(Self::HEARD),
            failed: Vec::new(),
            worst_next: false,
            dice,
        }
    }

    pub(crate) fn join(&mut self, server: usize) {
        self.servers.push(server);
    }

    pub(crate) fn leave(&mut self, server: usize) {
        self.servers.retain(|&member| member != server);
        self.probes.retain(|probe| probe.server != server);
    }

    /// Chooses a server for a call.
    pub(crate) fn choose(&mut self, now: Duration) -> usize {
        self.probes.retain(|probe| now - probe.at <= Self::AGE);
        if self.probes.len() < Self::LEAST {
            return self.servers[self.dice.usize(..self.servers.len())];
        }
        let hot = self.threshold();
        let best = self.place_of(|a, b| rank(hot, a, b).is_lt());
        let chosen = &mut self.probes[best];
        let server = chosen.server;
        chosen.uses -= 1;
        // The call itself is one more in flight than the probe knew of.
        chosen.in_flight += 1;
        if chosen.uses == 0 {
            self.probes.swap_remove(best);
        }
        self.remove(hot);
        server
    }

    /// The servers that are asked beside a call.
    pub(crate) fn asked_beside(&mut self) -> Vec<usize> {
        let count = Self::PROBES_PER_CALL.min(self.servers.len());
        self.dice.choose_multiple(self.servers.iter().copied(), count)
    }

    /// Takes a server's answer in.
    pub(crate) fn hear(&mut self, server: usize, in_flight: usize, seconds: f64, now: Duration) {
        if self.heard.len() == Self::HEARD {
            self.heard.pop_front();
        }
        self.heard.push_back(in_flight);
        self.failed.retain(|(_, at)| now - *at < Self::AGE);
        if self.failed.iter().any(|(failed, _)| *failed == server) {
            return;
        }
        // Of a server's answers, the last one counts.
        self.probes.retain(|probe| probe.server != server);
        if self.probes.len() == Self::SIZE {
            let oldest = self.place_of(|a, b| a.at < b.at);
            self.probes.swap_remove(oldest);
        }
        let uses = self.uses();
        self.probes.push(Probe { server, in_flight, seconds, at: now, uses });
    }

    /// Takes notice of a failed call.
    pub(crate) fn failed(&mut self, server: usize, now: Duration) {
        self.probes.retain(|probe| probe.server != server);
        self.failed.push((server, now));
    }

    /// How often a probe may be used: max{1, (1 + δ) / ((1 − m/n) r_probe − r_remove)}, rounded at random. In a small fleet, whose probes go faster
    /// than they come, that is once.
    fn uses(&mut self) -> u32 {
        let known = Self::SIZE as f64 / self.servers.len() as f64;
        let gain = (1.0 - known) * Self::PROBES_PER_CALL as f64 - Self::REMOVED_PER_CALL;
        if gain <= 0.0 {
            return 1;
        }
        let uses = ((1.0 + Self::GATHER) / gain).max(1.0);
        uses as u32 + u32::from(self.dice.f64() < uses.fract())
    }

    /// Removes the oldest probe and the worst one in turn.
    fn remove(&mut self, hot: usize) {
        if !self.probes.is_empty() {
            let place = if self.worst_next {
                self.place_of(|a, b| rank(hot, a, b).is_gt())
            } else {
                self.place_of(|a, b| a.at < b.at)
            };
            self.probes.swap_remove(place);
        }
        self.worst_next = !self.worst_next;
    }

    /// What the most of the servers do not exceed.
    fn threshold(&self) -> usize {
        let mut heard: Vec<usize> = self.heard.iter().copied().collect();
        let place = ((heard.len() - 1) as f64 * Self::HOT) as usize;
        *heard.select_nth_unstable(place).1
    }

    /// The place of the first probe of which `before` says so of all others.
    fn place_of(&self, before: impl Fn(&Probe, &Probe) -> bool) -> usize {
        (1..self.probes.len())
            .fold(0, |best, place| if before(&self.probes[place], &self.probes[best]) { place } else { best })
    }
}

/// The hot-cold lexicographic rule: cold ones first, by latency; then hot ones, by requests in flight.
fn rank(hot: usize, a: &Probe, b: &Probe) -> std::cmp::Ordering {
    match (a.in_flight > hot, b.in_flight > hot) {
        (false, false) => a.seconds.total_cmp(&b.seconds),
        (true, true) => a.in_flight.cmp(&b.in_flight),
        (a, b) => a.cmp(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn pool(servers: usize) -> Pool {
        Pool::new(0..servers, Rng::with_seed(1))
    }

    fn known(pool: &Pool) -> Vec<usize> {
        let mut known: Vec<usize> = pool.probes.iter().map(|probe| probe.server).collect();
        known.sort_unstable();
        known
    }

    #[test]
    fn of_cold_servers_the_fastest_is_chosen() {
        let mut pool = pool(100);
        for (server, in_flight, seconds) in [(0, 1, 0.9), (1, 2, 0.4), (2, 3, 0.8), (3, 10, 0.1)] {
            pool.hear(server, in_flight, seconds, NOW);
        }
        assert_eq!(pool.choose(NOW), 1, "three in flight are not exceeded by 84 %");
    }

    #[test]
    fn of_hot_servers_the_least_busy_is_chosen() {
        let mut pool = pool(100);
        (0..Pool::HEARD).for_each(|_| pool.heard.push_back(1));
        for (server, in_flight, seconds) in [(0, 9, 0.1), (1, 5, 0.9), (2, 7, 0.2)] {
            pool.hear(server, in_flight, seconds, NOW);
        }
        assert_eq!(pool.choose(NOW), 1);
    }

    #[test]
    fn a_call_is_counted_where_it_goes() {
        // With 30 servers, 2 / ((1 − 16/30) × 3 − 1) = 5 uses.
        let mut pool = pool(30);
        (0..4).for_each(|server| pool.hear(server, 0, 1.0 - 0.1 * server as f64, NOW));
        assert_eq!(pool.choose(NOW), 3, "the fastest");
        assert!(pool.probes.iter().any(|probe| (probe.server, probe.in_flight) == (3, 1)));
        // The oldest was removed with it.
        assert_eq!(known(&pool), [1, 2, 3]);
    }

    #[test]
    fn oldest_and_worst_are_removed_in_turn() {
        let mut pool = pool(20);
        (0..6).for_each(|server| {
            pool.hear(server, 0, 0.1 * server as f64, NOW + Duration::from_millis(server as u64));
        });
        let hot = pool.threshold();
        pool.remove(hot);
        assert_eq!(known(&pool), [1, 2, 3, 4, 5], "the oldest");
        pool.remove(hot);
        assert_eq!(known(&pool), [1, 2, 3, 4], "the slowest");
        pool.remove(hot);
        assert_eq!(known(&pool), [2, 3, 4], "the oldest");
        pool.hear(9, 7, 0.0, NOW);
        pool.remove(hot);
        assert_eq!(known(&pool), [2, 3, 4], "the hot one");
    }

    #[test]
    fn a_probe_is_used_up_and_ages() {
        // 100 servers: 2 / ((1 − 0.16) × 3 − 1) = 1.32 uses in the mean.
        let mut many = pool(100);
        let uses: u32 = (0..10_000).map(|_| many.uses()).sum();
        assert!((12_800..13_500).contains(&uses), "{uses}");
        assert_eq!(pool(20).uses(), 1);

        let mut pool = pool(100);
        (0..3).for_each(|server| pool.hear(server, 0, 0.1, NOW));
        pool.choose(NOW + Pool::AGE + Duration::from_millis(1));
        assert!(pool.probes.is_empty());
    }

    #[test]
    fn the_pool_holds_sixteen_and_the_last_answer_of_each() {
        let mut pool = pool(100);
        (0..30).for_each(|server| pool.hear(server, 0, 0.1, NOW + Duration::from_millis(server as u64)));
        assert_eq!(known(&pool), (14..30).collect::<Vec<_>>());
        pool.hear(20, 5, 0.1, NOW + Duration::from_millis(50));
        assert_eq!(pool.probes.len(), Pool::SIZE);
        assert_eq!(pool.probes.iter().filter(|probe| probe.server == 20).count(), 1);
    }

    #[test]
    fn probes_go_to_different_servers() {
        let mut pool = pool(3);
        let mut asked = pool.asked_beside();
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2]);
        pool.leave(1);
        let mut asked = pool.asked_beside();
        asked.sort_unstable();
        assert_eq!(asked, [0, 2]);
    }

    #[test]
    fn a_failed_server_is_left_alone_for_a_second() {
        let mut pool = pool(20);
        (0..3).for_each(|server| pool.hear(server, 0, 0.1, NOW));
        pool.failed(1, NOW);
        pool.hear(1, 0, 0.0, NOW + Duration::from_millis(999));
        assert_eq!(known(&pool), [0, 2]);
        pool.hear(1, 0, 0.0, NOW + Duration::from_millis(1001));
        assert_eq!(known(&pool), [0, 1, 2]);
    }
}
