use crate::give::Give;
use crate::shared::{Flags, Shared};
use std::sync::Arc;

/// What a layer and all its services hold in common: what is to be done, and the state.
#[derive(Clone, Debug)]
pub(crate) struct Held<W> {
    pub(crate) way: W,
    pub(crate) shared: Arc<Shared>,
}

/// What a call holds of its layer: all of it, or where nobody watches and nothing but the function is needed, which is a mere
/// address in the program, only that. A clone of the `Arc` is most of what a good call would cost.
#[derive(Debug)]
pub(crate) enum Tie<W, F> {
    Free(F),
    Held(Arc<Held<W>>),
}

impl<W, F> Tie<W, F> {
    #[inline(always)]
    pub(crate) fn new<K, T, E>(held: &Arc<Held<W>>, flags: Flags, give: &F) -> Self
    where
        F: Give<K, T, E>,
    {
        let free = const { size_of::<F>() == 0 && !F::LATER };
        if free && !flags.has(Flags::WATCHED | Flags::CODES) {
            Self::Free(give.clone())
        } else {
            Self::Held(held.clone())
        }
    }

    /// The state, if the call holds it.
    #[inline(always)]
    pub(crate) fn shared(&self) -> Option<&Shared> {
        match self {
            Self::Free(_) => None,
            Self::Held(held) => Some(&held.shared),
        }
    }
}
