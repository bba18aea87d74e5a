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
