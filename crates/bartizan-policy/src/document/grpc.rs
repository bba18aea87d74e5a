//! The codes of gRPC by their names.

use crate::words;
use serde::de::Error;
use serde_json::{Value, json};

/// All but `OK`, which is no failure.
pub(super) const NAMES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What the schema says of them.
pub(super) fn schema() -> Value {
    json!({ "description": "the name of a gRPC code, such as `UNAVAILABLE`", "enum": NAMES })
}

/// The code of a name.
pub(super) fn code(name: &str) -> Option<u16> {
    let word = crate::tree::one_word(name);
    // They are numbered from one on.
    (1..).zip(NAMES).find(|(_, name)| name.eq_ignore_ascii_case(&word)).map(|(code, _)| code)
}

/// Says of a word that it is neither one of these nor a name of a code.
pub(super) fn unknown<E: Error>(word: &str, groups: &[&str]) -> E {
    let all: Vec<&str> = groups.iter().copied().chain(NAMES).collect();
    let hint = match words::meant(word, &all) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}, and gRPC's codes, such as `UNAVAILABLE`", words::listed(groups)),
    };
    E::custom(format!("unknown word `{word}`, {hint}"))
}
