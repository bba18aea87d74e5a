use super::*;
use serde_json::{Value, json};

const SEED: [u8; 32] = [7; 32];
const NOW: i64 = 1_000_000;

fn pair() -> (Key, Keys) {
    let key = Key::from_seed("k1".into(), &SEED);
    let keys = Keys::new(vec![key.public()]);
    (key, keys)
}

fn claims() -> Claims {
    Claims {
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        sub: "u1".into(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 100,
        jti: "s1".into(),
        role: Role::Customer,
        epoch: 0,
    }
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k1" })
}

/// What is signed, as it stands.
fn signed(header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = SigningKey::from_bytes(&SEED).sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// A value with some of its fields set, or taken out where they are null.
fn with(mut value: Value, fields: &Value) -> Vec<u8> {
    for (name, field) in fields.as_object().unwrap() {
        match field {
            Value::Null => drop(value.as_object_mut().unwrap().remove(name)),
            field => value[name] = field.clone(),
        }
    }
    value.to_string().into_bytes()
}

#[test]
fn a_token_says_who_until_it_expires() {
    let (key, keys) = pair();
    let token = key.sign(&claims());
    assert!(token.len() < MOST / 2, "{}", token.len());
    for (now, said) in [
        (NOW - LEEWAY - 1, Err(Bad::Invalid)),
        (NOW - LEEWAY, Ok(claims())),
        (NOW, Ok(claims())),
        (NOW + 99, Ok(claims())),
        (NOW + 100, Err(Bad::Expired)),
    ] {
        assert_eq!(keys.check(&token, now), said, "{now}");
    }
    let other = Key::from_seed("k2".into(), &[8; 32]);
    assert_eq!(keys.check(&other.sign(&claims()), NOW), Err(Bad::UnknownKey));
    let thief = Key::from_seed("k1".into(), &[9; 32]);
    assert_eq!(keys.check(&thief.sign(&claims()), NOW), Err(Bad::Invalid));
}

#[test]
fn no_other_header_is_taken() {
    let (_, keys) = pair();
    let good = serde_json::to_vec(&claims()).unwrap();
    assert!(keys.check(&signed(header().to_string().as_bytes(), &good), NOW).is_ok());
    let long = "k".repeat(600);
    let bad = [
        json!({ "alg": "none" }),
        json!({ "alg": "None" }),
        json!({ "alg": "NONE" }),
        json!({ "alg": "nOnE" }),
        json!({ "alg": "" }),
        json!({ "alg": null }),
        json!({ "alg": ["EdDSA"] }),
        json!({ "alg": "eddsa" }),
        json!({ "alg": "EdDSA " }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": "ES256K" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "PS512" }),
        json!({ "alg": "Ed448" }),
        json!({ "typ": null }),
        json!({ "typ": "jwt" }),
        json!({ "typ": "at+jwt" }),
        json!({ "kid": null }),
        json!({ "kid": "" }),
        json!({ "kid": 1 }),
        json!({ "kid": "../../dev/null" }),
        json!({ "kid": "http://127.0.0.1/k1" }),
        json!({ "kid": "k1' OR '1'='1" }),
        json!({ "kid": "k1\u{200b}" }),
        json!({ "kid": long }),
        json!({ "jku": "http://127.0.0.1/jwks.json" }),
        json!({ "x5u": "http://127.0.0.1/key.pem" }),
        json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AAAA" } }),
        json!({ "crit": ["exp"] }),
        json!({ "crit": [] }),
        json!({ "b64": false }),
        json!({ "zip": "DEF" }),
        json!({ "enc": "A256GCM" }),
        json!({ "cty": "JWT" }),
    ];
    for fields in bad {
        let token = signed(&with(header(), &fields), &good);
        assert_eq!(keys.check(&token, NOW), Err(Bad::Invalid), "{fields}");
    }
    for (why, odd) in [
        ("a field twice", &br#"{"alg":"EdDSA","typ":"JWT","kid":"k1","kid":"k1"}"#[..]),
        ("a field twice, in another spelling", br#"{"alg":"EdDSA","typ":"JWT","kid":"k1","\u006bid":"k1"}"#),
        ("an array", br#"["EdDSA","JWT","k1"]"#),
        ("more than one value", br#"{"alg":"EdDSA","typ":"JWT","kid":"k1"}{}"#),
        ("no text", b"\xff\xfe"),
        ("nothing", b""),
        ("a byte order mark", b"\xef\xbb\xbf{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"k1\"}"),
    ] {
        assert_eq!(keys.check(&signed(odd, &good), NOW), Err(Bad::Invalid), "{why}");
    }
}

#[test]
fn no_other_claims_are_taken() {
    let (_, keys) = pair();
    let (header, good) = (header().to_string(), serde_json::to_value(claims()).unwrap());
    let check = |claims: &[u8]| keys.check(&signed(header.as_bytes(), claims), NOW);
    assert_eq!(check(&with(good.clone(), &json!({ "nonce": "unknown claims say nothing" }))), Ok(claims()));
    let long = "u".repeat(41);
    let bad = [
        json!({ "exp": null }),
        json!({ "exp": -1 }),
        json!({ "exp": NOW as f64 + 50.5 }),
        json!({ "exp": "2000000" }),
        json!({ "exp": true }),
        json!({ "exp": NOW + LONGEST + 1 }),
        json!({ "exp": i64::MAX }),
        json!({ "exp": u64::MAX }),
        json!({ "exp": i64::MIN }),
        json!({ "iat": i64::MIN }),
        json!({ "iat": null }),
        json!({ "iat": -1, "exp": 5 }),
        json!({ "iat": NOW + LEEWAY + 1 }),
        json!({ "nbf": NOW + LEEWAY + 1 }),
        json!({ "nbf": null }),
        json!({ "nbf": -1 }),
        json!({ "aud": "another" }),
        json!({ "aud": ["shop"] }),
        json!({ "aud": null }),
        json!({ "aud": "shop\u{200b}" }),
        json!({ "iss": "shop" }),
        json!({ "iss": null }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "sub": long }),
        json!({ "sub": "u1\u{0}" }),
        json!({ "sub": "../u1" }),
        json!({ "jti": "" }),
        json!({ "jti": null }),
        json!({ "role": "root" }),
        json!({ "role": "Admin" }),
        json!({ "role": ["admin"] }),
        json!({ "role": null }),
        json!({ "epoch": -1 }),
        json!({ "epoch": null }),
    ];
    for fields in bad {
        assert_eq!(check(&with(good.clone(), &fields)), Err(Bad::Invalid), "{fields}");
    }
    let text = good.to_string();
    for odd in ["1e400", "NaN", "Infinity", "9223372036854775808", "1e30", "01000050"] {
        let odd = text.replace(&format!("\"exp\":{}", NOW + 100), &format!("\"exp\":{odd}"));
        assert_ne!(odd, text);
        assert_eq!(check(odd.as_bytes()), Err(Bad::Invalid), "{odd}");
    }
    let twice = text.replacen('{', "{\"sub\":\"u2\",", 1);
    assert_eq!(check(twice.as_bytes()), Err(Bad::Invalid));
}

#[test]
fn there_is_one_way_to_write_a_token() {
    let (key, keys) = pair();
    let token = key.sign(&claims());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, said) = message.split_once('.').unwrap();
    let other = key.sign(&Claims { sub: "u2".into(), ..claims() });
    let (_, others) = other.rsplit_once('.').unwrap();
    // The last character of 64 bytes has four bits that say nothing, and ours are zero.
    let odd = char::from(signature.as_bytes()[signature.len() - 1] + 1);
    // S + L is the same scalar as S.
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut malleable = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut carry = 0;
    for (byte, add) in malleable[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + add + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    for (why, bad) in [
        ("nothing", String::new()),
        ("one part", "a".into()),
        ("three parts of nothing", "..".into()),
        ("no signature", format!("{message}.")),
        ("no dot before the signature", message.to_owned()),
        ("padding", format!("{token}==")),
        ("bits that say nothing", format!("{}{odd}", &token[..token.len() - 1])),
        ("the other alphabet", format!("{header}.{said}.{}", "+/".repeat(43))),
        ("the signature of another token", format!("{message}.{others}")),
        ("the claims of another token", other.replace(others, signature)),
        ("cut at its end", token[..token.len() - 2].into()),
        ("cut at its beginning", token[1..].into()),
        ("a blank", format!("{message} .{signature}")),
        ("a character that is not seen", format!("{message}\u{200b}.{signature}")),
        ("a line's end", format!("{token}\n")),
        ("four parts", format!("{token}.a")),
        ("five parts, as if it were encrypted", format!("{header}.a.{said}.b.{signature}")),
        ("10 kB more", format!("{token}{}", "A".repeat(10_000))),
        ("a malleable signature", format!("{message}.{}", URL_SAFE_NO_PAD.encode(&malleable))),
        ("a signature of zeros", format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
    ] {
        assert_eq!(keys.check(&bad, NOW), Err(Bad::Invalid), "{why}");
    }
    assert!(keys.check(&token, NOW).is_ok());
}

#[test]
fn keys_that_anybody_could_sign_for_are_left_out() {
    let good = pair().0.public();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for x in [neutral, [0; 32]] {
        assert!(Keys::new(vec![Jwk { x: URL_SAFE_NO_PAD.encode(x), ..good.clone() }]).0.is_empty());
    }
    for other in [
        Jwk { kty: "oct".into(), ..good.clone() },
        Jwk { kty: "RSA".into(), ..good.clone() },
        Jwk { crv: "X25519".into(), ..good.clone() },
        Jwk { alg: "HS256".into(), ..good.clone() },
        Jwk { x: "AAAA".into(), ..good.clone() },
    ] {
        assert!(Keys::new(vec![other.clone()]).0.is_empty(), "{other:?}");
    }
    assert_eq!(Keys::new(vec![good]).0.len(), 1);
}
