use bartizan_core::Invalid;
use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

/// A secret that those know who may write. It shows itself nowhere.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// Shortest token, in bytes.
    pub(crate) const MIN: usize = 16;

    pub(crate) fn new(secret: Arc<str>) -> Result<Self, Invalid> {
        if secret.len() < Self::MIN {
            return Err(Invalid::new("token", "token is shorter than 16 bytes"));
        }
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::new("token", "token has what is no visible ASCII character"));
        }
        Ok(Self(secret))
    }

    /// Whether the value of an `Authorization` header has it, as RFC 6750 writes it. How long that takes tells nothing of the token but
    /// its length.
    pub(crate) fn is_told_by(&self, value: &[u8]) -> bool {
        const SCHEME: &[u8] = b"bearer ";
        let Some((scheme, told)) = value.split_at_checked(SCHEME.len()) else { return false };
        let own = self.0.as_bytes();
        let is_as_long = told.len() == own.len();
        let differ = own.iter().zip(told).fold(0, |differ, (own, told)| black_box(differ | (own ^ told)));
        scheme.eq_ignore_ascii_case(SCHEME) & is_as_long & (differ == 0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    #[test]
    fn it_is_known_by_all_of_it_and_by_nothing_else() {
        let token = Token::new(SECRET.into()).unwrap();
        for told in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef"] {
            assert!(token.is_told_by(told.as_bytes()), "{told}");
        }
        for told in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcdef0",
            "Bearer  0123456789abcdef",
            "Basic  0123456789abcdef",
            SECRET,
        ] {
            assert!(!token.is_told_by(told.as_bytes()), "{told}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn what_can_be_guessed_or_not_be_sent_is_no_token() {
        assert_eq!(Token::new("0123456789abcde".into()).unwrap_err().field(), "token");
        assert!(Token::new("0123456789abcde ".into()).is_err());
        assert!(Token::new("0123456789abcdé".into()).is_err());
    }
}
