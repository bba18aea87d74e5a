use crate::Mode;
use crate::shed::Shed;

/// What a request needs to know of the settings, in one word; and whether the layer sheds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings(pub(crate) u64);

impl Settings {
    const LIMIT: u64 = (1 << 24) - 1;
    const FIXED: u64 = 1 << 24;
    const DISABLED: u64 = 1 << 25;
    const SHADOW: u64 = 1 << 26;
    const TO_HEAD: u64 = 1 << 27;
    const TRUSTED: u64 = 1 << 28;
    const CPU: u64 = 1 << 29;
    const CEILING: u64 = 1 << 30;
    /// Somebody was refused lately.
    pub(crate) const PRESSED: u64 = 1 << 31;

    const NOT_PLAIN: u64 = Self::DISABLED | Self::SHADOW | Self::CPU | Self::CEILING | Self::PRESSED;

    /// The word of new settings, which keeps whether the layer sheds.
    pub(crate) fn of(value: &Shed, old: Self) -> Self {
        let flag = |flag: u64, is: bool| if is { flag } else { 0 };
        Self(
            value.fixed.map_or(0, |limit| u64::from(limit) | Self::FIXED)
                | flag(Self::DISABLED, value.mode == Mode::Disabled)
                | flag(Self::SHADOW, value.mode == Mode::Shadow)
                | flag(Self::TO_HEAD, !value.count_bodies)
                | flag(Self::TRUSTED, value.trusted_edge)
                | flag(Self::CPU, value.cpu.is_some())
                | flag(Self::CEILING, value.ceiling.is_some() && value.fixed.is_none())
                | old.0 & Self::PRESSED,
        )
    }

    /// The fixed limit, if that is all that there is to look at.
    #[inline]
    pub(crate) fn plain_limit(self) -> Option<u64> {
        let is_plain = self.0 & (Self::FIXED | Self::NOT_PLAIN) == Self::FIXED;
        is_plain.then_some(self.0 & Self::LIMIT)
    }

    /// Whether the prediction is all that there is to look at.
    #[inline]
    pub(crate) fn is_plainly_adaptive(self) -> bool {
        self.0 & (Self::FIXED | Self::NOT_PLAIN) == 0
    }

    /// The fixed limit.
    #[inline]
    pub(crate) fn limit(self) -> Option<u64> {
        (self.0 & Self::FIXED != 0).then_some(self.0 & Self::LIMIT)
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
    pub(crate) fn is_to_head(self) -> bool {
        self.0 & Self::TO_HEAD != 0
    }

    #[inline]
    pub(crate) fn is_trusted(self) -> bool {
        self.0 & Self::TRUSTED != 0
    }

    #[inline]
    pub(crate) fn has_cpu(self) -> bool {
        self.0 & Self::CPU != 0
    }

    #[inline]
    pub(crate) fn has_ceiling(self) -> bool {
        self.0 & Self::CEILING != 0
    }

    #[inline]
    pub(crate) fn is_pressed(self) -> bool {
        self.0 & Self::PRESSED != 0
    }

    pub(crate) fn mode(self) -> Mode {
        match (self.is_disabled(), self.is_shadow()) {
            (true, _) => Mode::Disabled,
            (false, true) => Mode::Shadow,
            (false, false) => Mode::Normal,
        }
    }
}
