use bartizan_core::{Kind, Reason, Refused, Refusing};

/// Why a request is refused, with the class in which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) why: Why,
    pub(crate) class: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Limit,
    Wait,
    Ceiling,
    Share,
    Cpu,
    NotReady,
    QueueFull,
    TooLong,
    Late,
}

impl Why {
    pub(crate) const ALL: [Self; 9] = [
        Self::Limit,
        Self::Wait,
        Self::Ceiling,
        Self::Share,
        Self::Cpu,
        Self::NotReady,
        Self::QueueFull,
        Self::TooLong,
        Self::Late,
    ];

    /// The names under which the numbers of refusals are shown, in the order of [`ALL`](Self::ALL).
    pub(crate) const NAMES: [&str; Self::ALL.len()] = [
        "refused_limit",
        "refused_wait",
        "refused_ceiling",
        "refused_share",
        "refused_cpu",
        "refused_not_ready",
        "refused_queue_full",
        "refused_too_long",
        "refused_late",
    ];

    /// The reason in a few words.
    pub(crate) fn text(self) -> &'static str {
        Refused::new(self.reason()).reason()
    }

    pub(crate) fn reason(self) -> &'static Reason {
        const fn reason(text: &'static str) -> Reason {
            Reason::new("shed", Kind::Unavailable, text)
        }
        match self {
            Self::Limit => const { &reason("over the limit") },
            Self::Wait => const { &reason("predicted wait") },
            Self::Ceiling => const { &reason("over the ceiling") },
            Self::Share => const { &reason("over its share") },
            Self::Cpu => const { &reason("cpu") },
            Self::NotReady => const { &reason("not ready") },
            Self::QueueFull => const { &reason("queue full") },
            Self::TooLong => const { &reason("waited too long") },
            Self::Late => const { &reason("would miss its deadline") },
        }
    }
}

impl From<Denial> for Refusing {
    fn from(denial: Denial) -> Self {
        Self(denial.why as u64 | (denial.class as u64) << 8)
    }
}

impl From<Refusing> for Denial {
    fn from(refusing: Refusing) -> Self {
        let why = Why::ALL.get((refusing.0 & 0xff) as usize).copied().unwrap_or(Why::Limit);
        Self { why, class: (refusing.0 >> 8) as usize % 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_survives_its_word() {
        for why in Why::ALL {
            for class in 0..3 {
                let denial = Denial { why, class };
                assert_eq!(Denial::from(Refusing::from(denial)), denial);
            }
        }
    }
}
