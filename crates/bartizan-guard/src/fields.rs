use bartizan_core::{Admit, Refusing};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What a policy tells in the head of a refusal, beside the refusal: mostly nothing, and then it is one word long.
#[derive(Debug, Default)]
pub(crate) struct Fields(Option<Box<HeaderMap>>);

impl Fields {
    /// Asks the policy.
    #[inline]
    pub(crate) fn of<Req>(admit: &impl Admit<Req>, refusing: Refusing) -> Self {
        let mut fields = Self::default();
        admit.fields(refusing, &mut |name, value| insert(fields.0.get_or_insert_default(), name, value));
        fields
    }

    /// Puts them into a head. It has them once.
    pub(crate) fn put(&mut self, headers: &mut HeaderMap) {
        if let Some(fields) = self.0.take() {
            headers.extend(*fields);
        }
    }
}

/// Puts a field into a head, in place of one of its name. What cannot be one is left out.
pub(crate) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}
