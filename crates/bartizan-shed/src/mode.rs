/// What a layer does with what it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuses when it is time to.
    #[default]
    Normal,
    /// Decides and refuses nothing; what it would refuse is counted.
    Shadow,
    /// Admits everything and counts nothing.
    Disabled,
}

impl Mode {
    /// The mode that a verb of a handle sets.
    pub(crate) fn of(verb: &str) -> Option<Self> {
        Some(match verb {
            "disable" => Self::Disabled,
            "shadow" => Self::Shadow,
            "resume" => Self::Normal,
            _ => return None,
        })
    }
}
