use crate::{Refused, Verdict};

/// A policy that admits or refuses requests. Its clones share one state, held behind an `Arc`.
///
/// Nothing is reserved before [`admit`](Self::admit): a service that was polled ready and forgotten blocks nobody.
pub trait Admit<Req>: Clone + Send + Sync + 'static {
    /// What an admitted request holds until it has ended.
    type Permit: Permit;

    /// Says that every request would be refused now, so that the inner service need not be made ready.
    ///
    /// A policy that decides by the request (a key, a priority) keeps the default, `None`.
    #[inline]
    fn refusing(&self) -> Option<Refusing> {
        None
    }

    /// Admits the request, or says that it does not.
    ///
    /// # Errors
    ///
    /// A number of the policy's own, of which [`refuse`](Self::refuse) makes the refusal.
    fn admit(&self, req: &Req) -> Result<Self::Permit, Refusing>;

    /// Makes the refusal of one request, after [`refusing`](Self::refusing) or [`admit`](Self::admit) said so.
    fn refuse(&self, refusing: Refusing) -> Refused;
}

/// A no in the policy's own words: a number that comes back to it in [`Admit::refuse`]. One word, so that the yes beside it
/// stays in registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusing(pub u64);

/// A place held by an admitted request.
///
/// Dropped unrecorded, the request was abandoned: its caller left. The place comes back either way, in `Drop`.
pub trait Permit: Send + 'static {
    /// Hears that the head of the answer, or the error, is there. Called at most once, before
    /// [`record`](Self::record); time from here on is spent reading the body.
    #[inline]
    fn answered(&mut self) {}

    /// Hears how the request ended. Called at most once.
    fn record(&mut self, verdict: Verdict);
}

/// The permit of a policy that keeps no count.
impl Permit for () {
    #[inline]
    fn record(&mut self, _: Verdict) {}
}
