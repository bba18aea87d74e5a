use crate::fields::Fields;
use bartizan_core::{Permit, Verdict};

/// Permit of a request within the limit. It holds nothing but what the answer is to tell; tokens come back by time alone.
#[derive(Debug, Default)]
pub struct Pass(Option<Box<Fields>>);

impl Pass {
    pub(crate) fn telling(fields: Fields) -> Self {
        Self(Some(Box::new(fields)))
    }
}

impl Permit for Pass {
    #[inline]
    fn record(&mut self, _: Verdict) {}

    #[inline]
    fn tells(&self) -> bool {
        self.0.is_some()
    }

    fn fields(&self, say: &mut dyn FnMut(&'static str, &str)) {
        if let Some(fields) = &self.0 {
            fields.say(say);
        }
    }
}
