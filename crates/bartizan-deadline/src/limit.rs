use crate::arrival::Arrival;
use crate::settings::{Flags, Settings};
use crate::shared::Shared;
use crate::span::Span;
use crate::watch::Watch;
use bartizan_core::{Context, Instant, Refused};
use std::sync::Arc;

/// What bounds a call of the typed flavour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// The own total, which starts when the inner service is first found pending.
    Own(Span),
    /// The deadline of a context, which is entered wherever foreign code runs.
    Within(Context),
    /// None.
    Never,
}

impl Limit {
    /// Returns the own total, if it alone bounds the call and nobody watches: such a call needs no clock and no state.
    #[inline]
    pub(crate) fn own(settings: &Settings) -> Option<Span> {
        let own = settings.total();
        (settings.flags().alone() && own > Span::ZERO && given_deadline().is_none()).then_some(own)
    }

    /// Admits a call under the ambient context, or refuses it.
    #[inline(always)]
    pub(crate) fn begin(shared: &Arc<Shared>) -> Result<(Self, Watch), Refused> {
        let flags = shared.settings.flags();
        if !flags.has(Flags::ENABLED) {
            return Ok((Self::Never, Watch::NONE));
        }
        let (own, context) = (shared.settings.total(), given_deadline());
        if flags.timeless() && own > Span::ZERO && context.is_none() {
            return Ok((Self::Own(own), Watch::new(shared, flags, None)));
        }
        let now = Instant::now();
        let least = shared.settings.min_remaining();
        let deadline = shared.admit(flags, &Arrival { now, own, context, header: None, least })?;
        let watch = Watch::new(shared, flags, Some(now));
        let limit = match deadline {
            None => Self::Never,
            Some(_) if context.is_none() && !flags.has(Flags::FROM_CALL) => Self::Own(own),
            Some(deadline) => Self::Within(Context::current().unwrap_or_default().with_deadline(deadline)),
        };
        Ok((limit, watch))
    }

    /// Runs a step of the inner service within the context.
    #[inline]
    pub(crate) fn enter<R>(&self, step: impl FnOnce() -> R) -> R {
        match self {
            Self::Within(context) => context.enter(step),
            Self::Own(_) | Self::Never => step(),
        }
    }
}

#[inline]
fn given_deadline() -> Option<Instant> {
    Context::current().and_then(|given| given.deadline())
}
