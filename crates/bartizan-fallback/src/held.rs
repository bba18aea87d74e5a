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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failed;
    use crate::fallback::Fallback;
    use crate::give::{TypedCall, TypedWith, Value};
    use crate::on::FallbackOn;
    use std::convert::Infallible;
    use std::future::ready;

    /// Whether a call holds its layer.
    fn holds<F: Give<(), u8, Infallible>>(value: Fallback, watched: bool, give: &F) -> bool {
        let shared = Arc::new(Shared::new(value));
        if watched {
            shared.watch();
        }
        let flags = shared.flags();
        let held = Arc::new(Held { way: (), shared });
        Tie::new(&held, flags, give).shared().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_holds_no_more_than_it_needs() {
        let (plain, number) = (Fallback::new(), 7);
        let function = TypedWith(|_: &Failed| Ok(7));
        assert!(!holds(plain, false, &function), "a mere function is free");
        assert!(holds(plain, true, &function), "somebody watches");
        assert!(holds(plain.on(FallbackOn::code(404)), false, &function), "there is more to know than fits");
        assert!(holds(plain, false, &TypedWith(move |_: &Failed| Ok(number))), "it captures");
        assert!(holds(plain, false, &TypedCall(|_: Failed| ready(Ok(7)))), "it is asynchronous");
        assert!(holds(plain, false, &Value(Arc::new(7))), "a value has its place");
    }
}
