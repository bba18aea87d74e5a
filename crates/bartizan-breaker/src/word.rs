//! One word that says what a request needs to know of the machine, so that a good one takes no lock.

use crate::breaker::Mode;
use crate::machine::Machine;
use crate::state::{Cause, State};

/// A copy of the machine's state: flags, cause and generation. Written under the machine's lock, read without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    /// Closed with all traffic back: admit without asking.
    const FREE: u64 = 1;
    /// Free, and a good call changes nothing but the count of good calls.
    const QUIET: u64 = 1 << 1;
    /// Nothing is admitted until the instant beside the word.
    const REFUSING: u64 = 1 << 2;
    /// Open, and not half-open.
    const OPEN: u64 = 1 << 3;
    const FORCED: u64 = 1 << 4;
    const DISABLED: u64 = 1 << 5;
    const SHADOW: u64 = 1 << 6;
    /// It matters how long a call takes.
    const TIMED: u64 = 1 << 7;
    const CAUSE: u32 = 8;
    const GENERATION: u32 = 16;

    pub(crate) fn of(machine: &Machine) -> Self {
        let flag = |flag: u64, is: bool| if is { flag } else { 0 };
        let state = machine.state();
        let cause = machine.cause().map_or(0, |cause| cause as u64 + 1);
        Self(
            flag(Self::FREE, machine.is_free())
                | flag(Self::QUIET, machine.is_quiet())
                | flag(Self::REFUSING, machine.refusing_until().is_some())
                | flag(Self::OPEN, state == State::Open)
                | flag(Self::FORCED, state == State::ForcedOpen)
                | flag(Self::DISABLED, state == State::Disabled)
                | flag(Self::SHADOW, machine.mode() == Mode::Shadow)
                | flag(Self::TIMED, machine.is_timed())
                | cause << Self::CAUSE
                | machine.generation() << Self::GENERATION,
        )
    }

    #[inline]
    pub(crate) fn is_free(self) -> bool {
        self.0 & Self::FREE != 0
    }

    /// Whether a good call of this generation changes nothing but the count of good calls.
    #[inline]
    pub(crate) fn is_quiet_in(self, generation: u64) -> bool {
        self.0 & Self::QUIET != 0 && self.generation() == generation
    }

    #[inline]
    pub(crate) fn is_refusing(self) -> bool {
        self.0 & Self::REFUSING != 0
    }

    #[inline]
    pub(crate) fn is_open(self) -> bool {
        self.0 & Self::OPEN != 0
    }

    #[inline]
    pub(crate) fn is_forced(self) -> bool {
        self.0 & Self::FORCED != 0
    }

    #[inline]
    pub(crate) fn is_disabled(self) -> bool {
        self.0 & Self::DISABLED != 0
    }

    #[inline]
    pub(crate) fn is_shadow(self) -> bool {
        self.0 & Self::SHADOW != 0
    }

    #[inline]
    pub(crate) fn is_timed(self) -> bool {
        self.0 & Self::TIMED != 0
    }

    #[inline]
    pub(crate) fn generation(self) -> u64 {
        self.0 >> Self::GENERATION
    }

    pub(crate) fn cause(self) -> Option<Cause> {
        let index = (self.0 >> Self::CAUSE & 0xff) as usize;
        Cause::ALL.get(index.wrapping_sub(1)).copied()
    }
}
