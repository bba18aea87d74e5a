//! Session tokens: JWTs signed with EdDSA over Ed25519 (RFC 7519, RFC 8037), and nothing else. A header that asks
//! for another algorithm is refused, whatever its signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a token says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claims {
    /// The user's id.
    pub sub: String,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970. From then on the token is refused.
    pub exp: i64,
}

#[derive(Deserialize, Serialize)]
struct Header {
    alg: String,
    kid: String,
}

/// A public key, RFC 8037.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Jwk {
    pub kty: String,
    pub crv: String,
    pub alg: String,
    pub kid: String,
    pub x: String,
}

/// `GET /.well-known/jwks.json` → 200
#[derive(Debug, Deserialize, Serialize)]
pub struct Jwks {
    pub keys: Vec<Jwk>,
}

/// The key that signs.
pub struct Key {
    kid: String,
    secret: SigningKey,
}

impl Key {
    pub fn from_seed(kid: String, seed: &[u8; 32]) -> Self {
        Self { kid, secret: SigningKey::from_bytes(seed) }
    }

    pub fn sign(&self, claims: &Claims) -> String {
        let header = Header { alg: "EdDSA".into(), kid: self.kid.clone() };
        let message = format!("{}.{}", encode(&header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.secret.sign(message.as_bytes()).to_bytes());
        format!("{message}.{signature}")
    }

    pub fn public(&self) -> Jwk {
        let x = URL_SAFE_NO_PAD.encode(self.secret.verifying_key().as_bytes());
        Jwk { kty: "OKP".into(), crv: "Ed25519".into(), alg: "EdDSA".into(), kid: self.kid.clone(), x }
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bad {
    /// Not a token, not ours, or changed on its way.
    Invalid,
    /// Signed by a key that is not known here; it may be a new one.
    UnknownKey,
    Expired,
}

/// The keys that tokens are checked with, by name.
#[derive(Clone, Debug, Default)]
pub struct Keys(HashMap<String, VerifyingKey>);

impl Keys {
    /// Takes the Ed25519 keys out of a set and leaves the others.
    pub fn new(jwks: Jwks) -> Self {
        let key = |jwk: Jwk| {
            let x: [u8; 32] = URL_SAFE_NO_PAD.decode(&jwk.x).ok()?.try_into().ok()?;
            let key = VerifyingKey::from_bytes(&x).ok()?;
            (jwk.kty == "OKP" && jwk.crv == "Ed25519").then_some((jwk.kid, key))
        };
        Self(jwks.keys.into_iter().filter_map(key).collect())
    }

    /// Checks a token at `now`, in seconds since 1970.
    pub fn check(&self, token: &str, now: i64) -> Result<Claims, Bad> {
        let (message, signature) = token.rsplit_once('.').ok_or(Bad::Invalid)?;
        let (header, claims) = message.split_once('.').ok_or(Bad::Invalid)?;
        let header: Header = decode(header)?;
        if header.alg != "EdDSA" {
            return Err(Bad::Invalid);
        }
        let key = self.0.get(&header.kid).ok_or(Bad::UnknownKey)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Bad::Invalid)?;
        let signature = Signature::from_slice(&signature).map_err(|_| Bad::Invalid)?;
        key.verify_strict(message.as_bytes(), &signature).map_err(|_| Bad::Invalid)?;
        let claims: Claims = decode(claims)?;
        if claims.exp <= now { Err(Bad::Expired) } else { Ok(claims) }
    }
}

fn encode(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).expect("a struct of strings and numbers is JSON"))
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, Bad> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Bad::Invalid)?;
    serde_json::from_slice(&json).map_err(|_| Bad::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Key, Keys) {
        let key = Key::from_seed("k1".into(), &[7; 32]);
        let keys = Keys::new(Jwks { keys: vec![key.public()] });
        (key, keys)
    }

    fn claims() -> Claims {
        Claims { sub: "u1".into(), iat: 100, exp: 200 }
    }

    #[test]
    fn a_token_says_who_until_it_expires() {
        let (key, keys) = pair();
        let token = key.sign(&claims());
        assert_eq!(keys.check(&token, 199), Ok(claims()));
        assert_eq!(keys.check(&token, 200), Err(Bad::Expired));
    }

    #[test]
    fn nothing_else_is_a_token() {
        let (key, keys) = pair();
        let token = key.sign(&claims());
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let forged = encode(&Claims { sub: "u2".into(), ..claims() });
        let none = encode(&Header { alg: "none".into(), kid: "k1".into() });
        for bad in
            ["", "a", "a.b.c", &format!("{header}.{forged}.{signature}"), &format!("{message}."), &token[1..]]
        {
            assert_eq!(keys.check(bad, 150), Err(Bad::Invalid), "{bad}");
        }
        assert_eq!(keys.check(&format!("{none}.{forged}."), 150), Err(Bad::Invalid));
        let other = Key::from_seed("k2".into(), &[8; 32]);
        assert_eq!(keys.check(&other.sign(&claims()), 150), Err(Bad::UnknownKey));
        let thief = Key::from_seed("k1".into(), &[9; 32]);
        assert_eq!(keys.check(&thief.sign(&claims()), 150), Err(Bad::Invalid));
    }
}
