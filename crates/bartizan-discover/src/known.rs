use bartizan_core::{Change, Member};
use http::Uri;

/// The set that was told last, by which is seen whether there is anything new.
#[derive(Debug, Default)]
pub(crate) struct Known(Option<Vec<Member<Uri>>>);

impl Known {
    /// Takes a set in whatever order, the first of each key counts, and returns it if it is another than the last.
    pub(crate) fn news(&mut self, mut members: Vec<Member<Uri>>) -> Option<Change<Uri>> {
        members.sort_by_cached_key(|member| member.key.to_string());
        members.dedup_by(|later, first| later.key == first.key);
        if self.0.as_ref() == Some(&members) {
            return None;
        }
        self.0 = Some(members.clone());
        Some(Change::Set(members))
    }

    /// Whether no set was told, or an empty one.
    #[cfg(feature = "consul")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&'static str]) -> Vec<Member<Uri>> {
        names.iter().map(|name| Member::new(Uri::from_static(name))).collect()
    }

    #[test]
    fn only_another_set_is_news() {
        let mut known = Known::default();
        let (a, b, c) = ("http://a", "http://b", "http://c");
        assert_eq!(known.news(set(&[b, a, b])), Some(Change::Set(set(&[a, b]))));
        assert_eq!(known.news(set(&[a, b])), None);
        assert_eq!(known.news(set(&[b, a])), None);
        assert_eq!(known.news(set(&[c, a])), Some(Change::Set(set(&[a, c]))));
        let heavier = vec![Member::new(Uri::from_static(a)).weight(2), Member::new(Uri::from_static(c))];
        assert_eq!(known.news(heavier.clone()), Some(Change::Set(heavier)), "a weight is news too");
        assert_eq!(known.news(Vec::new()), Some(Change::Set(Vec::new())));
    }
}
