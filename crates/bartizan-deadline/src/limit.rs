use crate::arrival::Arrival;
use crate::settings::Flags;
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
    /// The own total, started.
    At(Instant),
    /// The deadline of a context, which is entered wherever foreign code runs.
    Within(Context),
    /// None.
    Never,
}

impl Limit {
    /// Admits a call under the ambient context, or refuses it.
    #[inline]
    pub(crate) fn begin(shared: &Arc<Shared>) -> Result<(Self, Watch), Refused> {
        let flags = shared.settings.flags();
        let own = shared.settings.total();
        let given = Context::current();
        if flags.timeless() && own > Span::ZERO && given.is_none_or(|given| given.deadline().is_none()) {
            return Ok((Self::Own(own), Watch::new(shared, flags, None)));
        }
        Self::begin_slowly(shared, flags, own, given)
    }

    fn begin_slowly(
        shared: &Arc<Shared>,
        flags: Flags,
        own: Span,
        given: Option<Context>,
    ) -> Result<(Self, Watch), Refused> {
        if !flags.has(Flags::ENABLED) {
            return Ok((Self::Never, Watch::NONE));
        }
        let context = given.and_then(|given| given.deadline());
        let now = Instant::now();
        let least = shared.settings.min_remaining();
        let deadline = shared.admit(flags, &Arrival { now, own, context, header: None, least })?;
        let watch = Watch::new(shared, flags, Some(now));
        let limit = match deadline {
            None => Self::Never,
            Some(_) if context.is_none() && !flags.has(Flags::FROM_CALL) => Self::Own(own),
            Some(deadline) => Self::Within(given.unwrap_or_default().with_deadline(deadline)),
        };
        Ok((limit, watch))
    }

    /// Runs a step of the inner service within the context.
    #[inline]
    pub(crate) fn enter<R>(&self, step: impl FnOnce() -> R) -> R {
        match self {
            Self::Within(context) => context.enter(step),
            Self::Own(_) | Self::At(_) | Self::Never => step(),
        }
    }

    /// When the call ends, which an own total decides when it is first asked.
    #[inline]
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        if let Self::Own(own) = *self {
            *self = own.after(Instant::now()).map_or(Self::Never, Self::At);
        }
        match self {
            Self::At(deadline) => Some(*deadline),
            Self::Within(context) => context.deadline(),
            Self::Own(_) | Self::Never => None,
        }
    }
}
