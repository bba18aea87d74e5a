//! Certificates in files, as somebody else has made them: `SHOP_TLS_CA`, `SHOP_TLS_CERT` and `SHOP_TLS_KEY`.

use super::super::config::{set, switch};
use super::super::failure::Failure;
use super::{Identity, TLS, Tls};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore};

/// The roots that are trusted, the certificate that is shown with those that lead to a root, and its key.
const CA: &str = "SHOP_TLS_CA";
const CERT: &str = "SHOP_TLS_CERT";
const KEY: &str = "SHOP_TLS_KEY";

/// A file that a variable names.
struct Given {
    name: &'static str,
    path: PathBuf,
}

impl Tls {
    /// What the environment says: plain HTTP, or TLS with the certificates of files. When it names none, somebody has yet to be
    /// trusted.
    ///
    /// # Errors
    ///
    /// When a file is missing, or no good; the sentence names it.
    pub fn given() -> Result<Self, Failure> {
        let (ca, cert, key) = (Given::of(CA)?, Given::of(CERT)?, Given::of(KEY)?);
        let on = switch(TLS)?;
        if on != Some(true) {
            let named = [&ca, &cert, &key].into_iter().flatten().next();
            return match named {
                Some(Given { name, .. }) if on.is_none() => {
                    Err(Failure::new(format!("{name} is set, but {TLS} is not: set it to 1, or to 0.")))
                }
                _ => Ok(Self::default()),
            };
        }
        match (ca, cert, key) {
            (None, None, None) => Ok(Self::wanted()),
            (Some(ca), None, None) => {
                let roots = ca.roots()?;
                Self::new(roots, None).map_err(|why| ca.no_good(&why))
            }
            (Some(ca), Some(cert), Some(key)) => {
                let (roots, identity) = (ca.roots()?, (cert.chain()?, key.key()?));
                vouched(&roots, &identity).map_err(|why| cert.not_vouched(&ca, &why))?;
                Self::new(roots, Some(identity)).map_err(|why| match why {
                    Error::InconsistentKeys(_) => Failure::new(format!("{key} is not the key of {cert}.")),
                    why => cert.no_good(&why),
                })
            }
            (ca, cert, _) => {
                let missing = if ca.is_none() {
                    CA
                } else if cert.is_none() {
                    CERT
                } else {
                    KEY
                };
                Err(Failure::new(format!(
                    "{CA}, {CERT} and {KEY} belong together, and {missing} is not set."
                )))
            }
        }
    }
}

/// What is said to who is to speak TLS, and can show nobody who it is.
pub(super) fn nothing() -> Failure {
    Failure::new(format!("{TLS} is 1, but there is no certificate to show: set {CA}, {CERT} and {KEY}."))
}

/// Whether those who trust the roots believe the certificate. The names that it is for are known to who asks for one.
fn vouched(roots: &RootCertStore, (chain, _): &Identity) -> Result<(), Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), provider).build();
    let verifier = verifier.map_err(|why| Error::General(why.to_string()))?;
    let Some((leaf, others)) = chain.split_first() else { return Err(Error::NoCertificatesPresented) };
    let anybody = ServerName::try_from("localhost").expect("it is a name");
    match verifier.verify_server_cert(leaf, others, &anybody, &[], UnixTime::now()) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Ok(()),
        Err(why) => Err(why),
    }
}

impl Given {
    fn of(name: &'static str) -> Result<Option<Self>, Failure> {
        Ok(set(name)?.map(|path| Self { name, path: path.into() }))
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        std::fs::read(&self.path).map_err(|why| Failure::new(format!("{self} cannot be read: {why}.")))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let text = self.read()?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        match chain {
            Ok(chain) if !chain.is_empty() => Ok(chain),
            _ => Err(Failure::new(format!("{self} holds no certificate in PEM."))),
        }
    }

    fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        for root in self.chain()? {
            roots.add(root).map_err(|why| self.no_good(&why))?;
        }
        Ok(roots)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, Failure> {
        PrivateKeyDer::from_pem_slice(&self.read()?)
            .map_err(|_| Failure::new(format!("{self} holds no private key in PEM.")))
    }

    fn no_good(&self, why: &Error) -> Failure {
        Failure::new(format!("{self} cannot be used: {why}."))
    }

    fn not_vouched(&self, ca: &Self, why: &Error) -> Failure {
        use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext, UnknownIssuer};
        Failure::new(match why {
            Error::InvalidCertificate(Expired | ExpiredContext { .. }) => format!("{self} has expired."),
            Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
                format!("{self} is not valid yet.")
            }
            Error::InvalidCertificate(UnknownIssuer) => format!("{self} is not signed by {ca}."),
            why => format!("{self} is not believed by who trusts {ca}: {why}."),
        })
    }
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.path.display())
    }
}
