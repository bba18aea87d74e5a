//! The number of a bucket, which must be the same in every process, on every machine.

use std::hash::{Hash, Hasher};

/// The number of the bucket of a key.
///
/// The hash is SipHash-2-4 with 128 bits, so that two keys do not meet by chance, with a key that everybody knows: who may read the store
/// can try out which e-mail address a number belongs to, but does not find it written there. Integers are taken as little-endian and
/// lengths as 64 bits, so that machines of different kinds agree.
pub(crate) fn id(key: &(impl Hash + ?Sized)) -> u128 {
    let mut hasher = Sip128::new(*b"bartizan", *b"limit id");
    key.hash(&mut hasher);
    hasher.finish128()
}

/// SipHash-2-4 with 128 bits: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012.
struct Sip128 {
    v: [u64; 4],
    /// The bytes that are not yet a whole word, the first the lowest.
    tail: u64,
    length: usize,
}

impl Sip128 {
    fn new(k0: [u8; 8], k1: [u8; 8]) -> Self {
        let (k0, k1) = (u64::from_le_bytes(k0), u64::from_le_bytes(k1));
        let v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        Self { v, tail: 0, length: 0 }
    }

    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.v;
        *v0 = v0.wrapping_add(*v1);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v3);
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.wrapping_add(*v3);
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v2 = v2.rotate_left(32);
    }

    fn word(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.round();
        self.v[0] ^= word;
    }

    fn half(&mut self) -> u64 {
        for _ in 0..4 {
            self.round();
        }
        self.v.iter().fold(0, |all, v| all ^ v)
    }

    /// The hash; its lower half comes first in the paper's order of bytes.
    fn finish128(&self) -> u128 {
        let mut end = Self { v: self.v, tail: self.tail, length: self.length };
        end.word(end.tail | ((end.length as u64) << 56));
        end.v[2] ^= 0xee;
        let low = end.half();
        end.v[1] ^= 0xdd;
        let high = end.half();
        (u128::from(high) << 64) | u128::from(low)
    }
}

impl Hasher for Sip128 {
    fn finish(&self) -> u64 {
        self.finish128() as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.tail |= u64::from(byte) << (8 * (self.length % 8));
            self.length = self.length.wrapping_add(1);
            if self.length % 8 == 0 {
                self.word(self.tail);
                self.tail = 0;
            }
        }
    }

    fn write_u16(&mut self, n: u16) {
        self.write(&n.to_le_bytes());
    }

    fn write_u32(&mut self, n: u32) {
        self.write(&n.to_le_bytes());
    }

    fn write_u64(&mut self, n: u64) {
        self.write(&n.to_le_bytes());
    }

    fn write_u128(&mut self, n: u128) {
        self.write(&n.to_le_bytes());
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.write_i64(n as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    /// Hashes the bytes 0, 1, 2, … with the paper's key, in pieces of this size.
    fn hashed(length: u8, piece: usize) -> String {
        let mut hasher = Sip128::new([0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15]);
        let bytes: Vec<u8> = (0..length).collect();
        bytes.chunks(piece).for_each(|piece| hasher.write(piece));
        hasher.finish128().to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn it_is_that_of_the_reference() {
        // `vectors_sip128` of the reference implementation.
        for piece in [1, 3, 8, 64] {
            assert_eq!(hashed(0, piece), "a3817f04ba25a8e66df67214c7550293");
            assert_eq!(hashed(1, piece), "da87c1d86b99af44347659119b22fc45");
            assert_eq!(hashed(15, piece), "5493e99933b0a8117e08ec0f97cfc3d9");
            assert_eq!(hashed(63, piece), "5150d1772f50834a503e069a973fbd7c");
        }
    }

    #[test]
    fn the_number_of_a_key_stays_what_it_is() {
        // Another number would give every key a new bucket, and while a service is rolled out two of them.
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let ids = [id(&()), id("user@example.org"), id(&address), id(&("login", 7_u32, Some(-1_i64)))];
        let ids = ids.map(|id| format!("{id:032x}"));
        let ought = [
            "989fa61883ed1df3f1028bee4a2d68ee",
            "c56b8fb1c0aff2aec4376be493b2ca56",
            "8dd92a157d4f5b98f7e71bc287a10a1e",
            "6c31ac97e21217759efceb282d08451b",
        ];
        assert_eq!(ids, ought);
    }

    #[test]
    fn keys_that_look_alike_are_apart() {
        assert_ne!(id(&("a", "bc")), id(&("ab", "c")));
        assert_ne!(id(&1_u32), id(&1_u64));
        assert_eq!(id(&1_usize), id(&1_u64));
        assert_eq!(id("a"), id(&String::from("a")));
    }
}
