//! Session tokens: JWTs signed with EdDSA over Ed25519 (RFC 7519, RFC 8037, RFC 8725), and nothing else. What the header
//! says beside `alg`, `typ` and `kid` could ask for other keys or other rules, so such a token is refused, whatever its
//! signature.

use super::super::id::is_one;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Who signs.
pub const ISSUER: &str = "shop-user";

/// For whom it is signed.
pub const AUDIENCE: &str = "shop";

/// How far the clock of who checks may be behind that of who signed, in seconds: so long a token may come from the
/// future. What has expired has expired.
const LEEWAY: i64 = 5;

/// The longest life of a token, in seconds: a year. What lasts longer is none of ours.
pub const LONGEST: i64 = 31_536_000;

/// The longest token that is looked at, in bytes. Ours have less than 500.
const MOST: usize = 1024;

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "JWT";

/// What a user may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    Customer,
    /// Reads every order and payment, and puts products on the shelves.
    Admin,
}

/// What a token says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// The user's id.
    pub sub: String,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970. Before, the token is refused.
    pub nbf: i64,
    /// Seconds since 1970. From then on the token is refused.
    pub exp: i64,
    /// The session's id.
    pub jti: String,
    pub role: Role,
    /// How often the user had ended all sessions when this one began.
    pub epoch: i64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
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
        let header = Header { alg: ALGORITHM.into(), typ: TYPE.into(), kid: self.kid.clone() };
        let message = format!("{}.{}", encode(&header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.secret.sign(message.as_bytes()).to_bytes());
        format!("{message}.{signature}")
    }

    pub fn public(&self) -> Jwk {
        let x = URL_SAFE_NO_PAD.encode(self.secret.verifying_key().as_bytes());
        Jwk { kty: "OKP".into(), crv: "Ed25519".into(), alg: ALGORITHM.into(), kid: self.kid.clone(), x }
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
    /// Takes the Ed25519 keys out of a set and leaves the others, and those that anybody could sign for.
    pub fn new(keys: Vec<Jwk>) -> Self {
        let key = |jwk: Jwk| {
            let x: [u8; 32] = URL_SAFE_NO_PAD.decode(&jwk.x).ok()?.try_into().ok()?;
            let key = VerifyingKey::from_bytes(&x).ok()?;
            let ours = jwk.kty == "OKP" && jwk.crv == "Ed25519" && jwk.alg == ALGORITHM && !key.is_weak();
            ours.then_some((jwk.kid, key))
        };
        Self(keys.into_iter().filter_map(key).collect())
    }

    /// Checks a token at `now`, in seconds since 1970.
    pub fn check(&self, token: &str, now: i64) -> Result<Claims, Bad> {
        if token.len() > MOST {
            return Err(Bad::Invalid);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Bad::Invalid)?;
        let (header, claims) = message.split_once('.').ok_or(Bad::Invalid)?;
        let header: Header = decode(header)?;
        if header.alg != ALGORITHM || header.typ != TYPE || !is_one(&header.kid) {
            return Err(Bad::Invalid);
        }
        let key = self.0.get(&header.kid).ok_or(Bad::UnknownKey)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Bad::Invalid)?;
        let signature = Signature::from_slice(&signature).map_err(|_| Bad::Invalid)?;
        key.verify_strict(message.as_bytes(), &signature).map_err(|_| Bad::Invalid)?;
        decode::<Claims>(claims)?.at(now)
    }
}

impl Claims {
    /// Whether they are in force.
    fn at(self, now: i64) -> Result<Self, Bad> {
        let names = is_one(&self.sub) && is_one(&self.jti);
        let ours = self.iss == ISSUER && self.aud == AUDIENCE && self.epoch >= 0;
        let begun = self.iat.max(self.nbf) <= now + LEEWAY && self.iat >= 0 && self.nbf >= 0;
        let lasts = self.exp.checked_sub(self.iat).is_some_and(|lasts| (0..=LONGEST).contains(&lasts));
        match names && ours && begun && lasts {
            true if self.exp <= now => Err(Bad::Expired),
            true => Ok(self),
            false => Err(Bad::Invalid),
        }
    }
}

fn encode(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).expect("a struct of strings and numbers is JSON"))
}

/// An object, in the one way in which it can be written in base64url. A field that is named twice is refused.
fn decode<T: DeserializeOwned>(part: &str) -> Result<T, Bad> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Bad::Invalid)?;
    match json.first() {
        Some(b'{') => serde_json::from_slice(&json).map_err(|_| Bad::Invalid),
        _ => Err(Bad::Invalid),
    }
}

#[cfg(test)]
mod tests;
