//! How many can be in flight before the first of them waits.

use super::dip::Found;
use super::rule::Window;

/// So many minutes are remembered.
const MINUTES: usize = 10;
/// Windows are put together until they hold so many answers and seconds; seldom asked, so many; or after so many seconds.
const ENOUGH: [(f64, f64); 3] = [(100.0, 0.1), (10.0, 1.0), (0.0, 10.0)];
/// Standard deviations that are left for chance.
const CHANCE: f64 = 1.5;
/// So many answers of a dip weigh as much as what was known before.
const WEIGHT: f64 = 40.0;
/// A dip finds the knee far above where it was if it is so much higher, beside what chance does.
const FAR: f64 = 1.08;

/// The knee of the curve of throughput over requests in flight, and the time of an answer below it.
///
/// Below the knee throughput grows with what is in flight, above it only the wait does. It is the product of the largest throughput and the
/// shortest mean time of an answer, as in N. Cardwell, Y. Cheng and others, "BBR: Congestion-Based Congestion Control", ACM Queue 2016.
#[derive(Clone, Debug)]
pub(super) struct Knee {
    value: f64,
    service: f64,
    group: Window,
    minutes: [Minute; MINUTES],
}

#[derive(Clone, Copy, Debug)]
struct Minute {
    number: u64,
    /// The largest throughput.
    rate: f64,
    /// The shortest mean time of an answer.
    service: f64,
}

impl Minute {
    fn knee(&self) -> f64 {
        self.rate * self.service
    }
}

const EMPTY: Window = Window { length: 0.0, ended: 0.0, taken: 0.0, refused: 0.0, minute: 0 };

impl Knee {
    pub(super) fn new() -> Self {
        let never = Minute { number: u64::MAX, rate: 0.0, service: 0.0 };
        Self { value: 0.0, service: 0.0, group: EMPTY, minutes: [never; MINUTES] }
    }

    /// Takes the first window for what it is worth.
    pub(super) fn begin(&mut self, window: &Window) {
        (self.value, self.service) = (window.in_flight(), window.latency());
    }

    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Seconds that an answer took which waited for nothing.
    pub(super) fn service(&self) -> f64 {
        self.service
    }

    /// Forgets the windows that are not yet enough.
    pub(super) fn interrupt(&mut self) {
        self.group = EMPTY;
    }

    /// Learns from a window. A saturated service can raise the knee, but not lower it: its answers have waited.
    pub(super) fn learn(&mut self, window: &Window, saturated: bool) {
        self.group.length += window.length;
        self.group.ended += window.ended;
        self.group.taken += window.taken;
        let group = self.group;
        let is_enough = |&(ended, length): &(f64, f64)| group.ended >= ended && group.length >= length;
        if !ENOUGH.iter().any(is_enough) {
            return;
        }
        self.interrupt();
        let chance = CHANCE / group.ended.sqrt();
        let fresh = if saturated { self.service } else { f64::MAX };
        let minute = self.minute(window.minute, fresh);
        minute.rate = minute.rate.max(group.rate() * if saturated { 1.0 - chance } else { 1.0 });
        minute.service = minute.service.min(group.latency() * (1.0 + chance));
        self.service = minute.service;
        let knee = self.minutes.iter().map(Minute::knee).fold(0.0, f64::max);
        self.value = if saturated { self.value.max(knee) } else { knee };
    }

    /// Corrects it by what a dip has found, and returns whether that is far above what was known.
    pub(super) fn correct(&mut self, found: &Found, throughput: f64, minute: u64) -> bool {
        let knee = throughput * found.latency();
        let far = knee / self.value > FAR + CHANCE / found.ended.sqrt();
        let weight = if far { 1.0 } else { found.ended / (found.ended + WEIGHT) };
        self.value += weight * (knee - self.value);
        let value = self.value;
        for known in self.minutes.iter_mut().filter(|known| known.knee() > value) {
            known.rate = value / known.service;
        }
        let service = self.service;
        let now = self.minute(minute, service);
        now.rate = value / now.service;
        far
    }

    /// What is known of a minute; if that has just begun, of the service nothing but this.
    fn minute(&mut self, number: u64, service: f64) -> &mut Minute {
        let place = &mut self.minutes[(number % MINUTES as u64) as usize];
        if place.number != number {
            *place = Minute { number, rate: 0.0, service };
        }
        place
    }
}
