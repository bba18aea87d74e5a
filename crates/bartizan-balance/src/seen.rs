use std::fmt;

/// A key as people may see it: without the user and the password that an address can have before its host.
pub(crate) struct Seen<'a, K>(pub(crate) &'a K);

impl<K: fmt::Debug> fmt::Debug for Seen<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&seen(format!("{:?}", self.0)))
    }
}

fn seen(mut text: String) -> String {
    if let Some(scheme) = text.find("://") {
        let host = scheme + "://".len();
        let end = text[host..].find(['/', '?', '#']).map_or(text.len(), |end| host + end);
        if let Some(at) = text[host..end].rfind('@') {
            text.replace_range(host..=host + at, "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_http::http::Uri;

    #[test]
    fn nobody_sees_who_is_let_in_and_how() {
        for (key, shown) in [
            ("http://me:secret@10.0.0.1:8080/", "http://10.0.0.1:8080/"),
            ("http://me@stock.internal", "http://stock.internal/"),
            ("http://10.0.0.1:8080/a@b", "http://10.0.0.1:8080/a@b"),
        ] {
            assert_eq!(format!("{:?}", Seen(&key.parse::<Uri>().unwrap())), shown);
        }
        assert_eq!(format!("{:?}", Seen(&"a@b")), "\"a@b\"");
        assert_eq!(format!("{:?}", Seen(&7)), "7");
    }
}
