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
        admit.fields(refusing, &mut |name, value| append(fields.0.get_or_insert_default(), name, value));
        fields
    }

    /// Puts them into a head. It has them once.
    pub(crate) fn put(&mut self, headers: &mut HeaderMap) {
        if let Some(fields) = self.0.take() {
            headers.extend(*fields);
        }
    }
}

/// Adds a field to a head. One of its name that a layer further in has said stays, and they make a list (RFC 9110 §5.3). What cannot
/// be a field is left out.
pub(crate) fn append(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.append(name, value);
    }
}
