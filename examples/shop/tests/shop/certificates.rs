//! Certificates of the tests' own. With `SHOP_TEST_TLS=1` all shops of the tests speak TLS by them.

use super::process::{Http, LONG, client_of};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

/// A CA, something that it has signed, and the key of that.
pub struct Certificates {
    folder: TempDir,
}

/// Those of `SHOP_TEST_TLS`, if it is set.
pub fn of_all() -> Option<&'static Certificates> {
    static ALL: LazyLock<Option<Certificates>> = LazyLock::new(|| {
        std::env::var("SHOP_TEST_TLS").is_ok_and(|tls| tls == "1").then(|| Certificates::until(2040))
    });
    ALL.as_ref()
}

impl Certificates {
    /// Good from 2020 to the end of the year before.
    pub fn until(year: i32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
        let mut leaf = CertificateParams::new(["localhost", "127.0.0.1"].map(String::from)).unwrap();
        (leaf.not_before, leaf.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 1, 1));
        let own = KeyPair::generate().unwrap();
        let signed = leaf.signed_by(&own, &Issuer::new(authority, &key)).unwrap();
        std::fs::write(folder.path().join("cert.pem"), signed.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), own.serialize_pem()).unwrap();
        Self { folder }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// What a shop is told, so that it uses them.
    pub fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("SHOP_TLS", "1".into()),
            ("SHOP_TLS_CA", self.ca()),
            ("SHOP_TLS_CERT", self.path("cert.pem")),
            ("SHOP_TLS_KEY", self.path("key.pem")),
        ]
    }
}

/// Who trusts the CA in a file, and nobody else.
pub fn trusting(ca: &Path) -> Http {
    client_of(&std::fs::read(ca).unwrap(), LONG)
}
