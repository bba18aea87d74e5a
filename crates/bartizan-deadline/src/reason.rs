use bartizan_core::{Kind, Refused};

/// Why a call was refused or ended; a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The deadline had passed when the request arrived.
    Expired,
    /// Less than the least time was left.
    TooLittle,
    /// Less time was left than calls took lately.
    Hopeless,
    /// The deadline passed while the inner service was at work.
    Total,
    /// The head of the response did not come in time.
    Head,
    /// The response body stood still.
    Idle,
    /// The request body stood still.
    Upload,
    /// The reader of the body let the deadline pass before it asked for a frame that was there.
    Late,
}

impl Reason {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Late as usize + 1;

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Expired => "expired on arrival",
            Self::TooLittle => "too little time left",
            Self::Hopeless => "cannot finish in the time left",
            Self::Total => "deadline passed",
            Self::Head => "no head in time",
            Self::Idle => "body stood still",
            Self::Upload => "upload stood still",
            Self::Late => "read too late",
        }
    }

    /// Whether the inner service had been called.
    const fn reached(self) -> bool {
        !matches!(self, Self::Expired | Self::TooLittle | Self::Hopeless)
    }

    /// The reason as a refusal tells it.
    const fn told(self) -> bartizan_core::Reason {
        let told = bartizan_core::Reason::new("deadline", Kind::DeadlineExceeded, self.text());
        match self {
            Self::Late => told.reached().by_caller(),
            _ if self.reached() => told.reached(),
            _ => told,
        }
    }

    /// The refusal for this reason, without a name.
    #[cold]
    pub(crate) fn refused(self) -> Refused {
        static TOLD: [bartizan_core::Reason; Reason::COUNT] = [
            Reason::Expired.told(),
            Reason::TooLittle.told(),
            Reason::Hopeless.told(),
            Reason::Total.told(),
            Reason::Head.told(),
            Reason::Idle.told(),
            Reason::Upload.told(),
            Reason::Late.told(),
        ];
        Refused::new(&TOLD[self as usize])
    }
}
