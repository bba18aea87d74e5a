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

    /// Says that requests are refused while the inner service is pending: then the layer is ready, and refuses. By default,
    /// `None`, it is as pending as the inner service.
    #[inline]
    fn pending(&self) -> Option<Refusing> {
        None
    }

    /// Admits the request, or says that it does not.
    ///
    /// # Errors
    ///
    /// A number of the policy's own, of which [`refuse`](Self::refuse) makes the refusal.
    fn admit(&self, req: &Req) -> Result<Self::Permit, Refusing>;

    /// Makes the refusal of one request, after [`refusing`](Self::refusing), [`pending`](Self::pending) or
    /// [`admit`](Self::admit) said so.
    fn refuse(&self, refusing: Refusing) -> Refused;

    /// Says what the answer to a refused request tells beside the refusal, as header fields: a name in lower case and a value. By
    /// default nothing. Only a protocol that has such fields asks.
    fn fields(&self, _refusing: Refusing, _say: &mut dyn FnMut(&'static str, &str)) {}
}

/// An [`Admit`] under which requests may wait for their turn.
pub trait Queue<Req>: Admit<Req> {
    /// A place in the queue. It is given back by being dropped.
    type Wait: Future<Output = Result<Self::Permit, Refusing>> + Send + 'static;

    /// Admits the request, refuses it, or gives it a place in the queue.
    fn queue(&self, req: &Req) -> Turn<Self::Permit, Self::Wait>;
}

/// What a [`Queue`] says to a request.
#[derive(Debug)]
pub enum Turn<P, W> {
    /// It may go on at once.
    Admitted(P),
    /// It may not.
    Refused(Refusing),
    /// It may go on when this is done.
    Waiting(W),
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

    /// Hears that the head was good and that the end of the body will decide. Called at most once, after
    /// [`answered`](Self::answered).
    #[inline]
    fn streaming(&mut self) {}

    /// Hears how the request ended. Called at most once.
    fn record(&mut self, verdict: Verdict);

    /// Whether [`fields`](Self::fields) has something to say. By default not.
    #[inline]
    fn tells(&self) -> bool {
        false
    }

    /// Says what the head of the answer tells of the layer, as [`Admit::fields`] does for a refusal. Asked if it
    /// [tells](Self::tells).
    fn fields(&self, _say: &mut dyn FnMut(&'static str, &str)) {}
}

/// The permit of a policy that keeps no count.
impl Permit for () {
    #[inline]
    fn record(&mut self, _: Verdict) {}
}
