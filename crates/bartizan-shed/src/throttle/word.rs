use super::value::Throttle;
use crate::Mode;

/// What a request must know at once, in one word: the mode, two switches, and the number of resets so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const SHADOW: u64 = 1;
const DISABLED: u64 = 1 << 1;
const FAILURES: u64 = 1 << 2;
const REJECTIONS: u64 = 1 << 3;
const GENERATION: u64 = 1 << 4;

impl Word {
    pub(super) fn new(value: &Throttle) -> Self {
        let switch = |switch: u64, is: bool| if is { switch } else { 0 };
        Self(
            switch(SHADOW, value.mode == Mode::Shadow)
                | switch(DISABLED, value.mode == Mode::Disabled)
                | switch(FAILURES, value.failures)
                | switch(REJECTIONS, value.count_rejections),
        )
    }

    #[inline]
    pub(super) const fn mode(self) -> Mode {
        match self.0 & (SHADOW | DISABLED) {
            0 => Mode::Normal,
            SHADOW => Mode::Shadow,
            _ => Mode::Disabled,
        }
    }

    #[inline]
    pub(super) const fn counts_failures(self) -> bool {
        self.0 & FAILURES != 0
    }

    pub(super) const fn counts_rejections(self) -> bool {
        self.0 & REJECTIONS != 0
    }

    #[inline]
    pub(super) const fn is_of_generation(self, other: Self) -> bool {
        (self.0 ^ other.0) < GENERATION
    }

    /// With these switches, in the generation of another.
    pub(super) const fn of_generation(self, other: Self) -> Self {
        Self((self.0 % GENERATION) | (other.0 & !(GENERATION - 1)))
    }

    pub(super) const fn next_generation(self) -> Self {
        Self(self.0.wrapping_add(GENERATION))
    }
}
