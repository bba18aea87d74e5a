use crate::pace;
use std::time::Duration;

/// What an agent said to a registration or a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Done,
    /// It does not know the check. It has restarted, or thrown the service out.
    Forgotten,
    /// Nothing, or something else.
    Failed,
}

/// How far a registration is: whether the agent knows it, and what to do when.
#[derive(Debug, Default)]
pub(crate) struct Course {
    known: bool,
    failures: u32,
}

impl Course {
    /// Whether the agent knows the service, as far as it has said. If not, it must be registered.
    pub(crate) const fn known(&self) -> bool {
        self.known
    }

    /// Hears what came of it, and returns how long to wait until the next step. `every` is the time between two heartbeats, `unit` a
    /// throw within 0 to 1.
    pub(crate) fn hear(&mut self, said: Said, every: Duration, unit: f64) -> Duration {
        match said {
            Said::Done => {
                *self = Self { known: true, failures: 0 };
                every
            }
            Said::Forgotten if self.known => {
                self.known = false;
                Duration::ZERO
            }
            // One that is asked to register, and says that it forgot, has failed.
            Said::Forgotten | Said::Failed => {
                self.failures = self.failures.saturating_add(1);
                pace::back_off(self.failures, every, unit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Said::{Done, Failed, Forgotten};

    #[test]
    fn a_forgotten_service_is_registered_again_at_once() {
        let mut course = Course::default();
        let steps = [
            (Failed, false, 1),
            (Failed, false, 2),
            (Done, true, 5),
            (Done, true, 5),
            (Failed, true, 1),
            (Failed, true, 2),
            (Failed, true, 4),
            (Failed, true, 5),
            (Forgotten, false, 0),
            (Forgotten, false, 5),
            (Done, true, 5),
            (Forgotten, false, 0),
            (Failed, false, 1),
        ];
        for (at, (said, known, wait)) in steps.into_iter().enumerate() {
            let waited = course.hear(said, Duration::from_secs(5), 0.0);
            assert_eq!((course.known(), waited.as_secs()), (known, wait), "step {at}: {said:?}");
        }
    }
}
