//! What to say of a word that nobody knows.

/// Says of a word that is not known which one was meant, or else those that are known.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    match meant(word, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", listed(known)),
    }
}

/// The known word that differs from this one by the least, if that is little.
pub(crate) fn meant<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    let (steps, meant) = known.iter().map(|known| (distance(&word, &known.to_lowercase()), *known)).min()?;
    (steps <= 1 + meant.len() / 5 && steps < meant.len()).then_some(meant)
}

/// Words one after the other.
pub(crate) fn listed<W: AsRef<str>>(words: &[W]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// How many letters have to be put in, taken out, exchanged, or swapped with the next: the optimal string alignment distance.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut steps = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + other);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                steps = steps.min(rows[i - 2][j - 2] + 1);
            }
            row.push(steps);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood() {
        for (word, expected) in [
            ("max_retires", Some("max_retries")),
            ("retries", None),
            ("budge", Some("budget")),
            ("Budget", Some("budget")),
            ("xyz", None),
            ("n", Some("on")),
            ("", None),
        ] {
            assert_eq!(meant(word, &["max_retries", "budget", "on"]), expected, "{word}");
        }
        assert_eq!(distance("abcd", "acbd"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
