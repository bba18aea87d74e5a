//! A CA for development, where no certificates are given: made when it is missing, and kept in the data folder.
//!
//! Its key signs for the loopback names of this machine and for nothing else. The key of what it signs is never written down.

use crate::args::Command;
use crate::parts::clock::now_ms;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::tls::{Identity, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Below the data folder.
const FOLDER: &str = "tls";
const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a CA is good, and what it signs. A start with a CA that is good for less than that makes a new one.
const LASTS: Duration = DAY.saturating_mul(365);
const LEAF: Duration = DAY.saturating_mul(90);

/// Clocks differ.
const SLACK: Duration = Duration::from_secs(60 * 60);

/// The same configuration, with the CA of the data folder where TLS is wanted and nobody is given to trust. Who serves makes it
/// when it is missing, and is signed by it; who asks reads it.
///
/// # Errors
///
/// When it cannot be read, or written.
pub fn lent(config: Config, command: &Command) -> Result<Config, Failure> {
    let asks_nobody = matches!(command, Command::Check(_) | Command::Backup(_) | Command::Restore(_));
    if !config.tls.is_in_want() || asks_nobody {
        return Ok(config);
    }
    let folder = config.data_dir.join(FOLDER);
    let tls = match command {
        Command::Up(_) | Command::Run { .. } => serving(&folder),
        _ => asking(&folder),
    };
    Ok(Config { tls: tls?, ..config })
}

/// The same configuration for who only asks; without the CA, where there is none yet.
pub fn known(config: &Config) -> Config {
    let tls = config.tls.is_in_want().then(|| asking(&config.data_dir.join(FOLDER)));
    let tls = tls.and_then(Result::ok).unwrap_or_else(|| config.tls.clone());
    Config { tls, ..config.clone() }
}

fn asking(folder: &Path) -> Result<Tls, Failure> {
    let file = folder.join(CERTIFICATE);
    let none = |why: &dyn std::fmt::Display| {
        Failure::new(format!(
            "no shop has been open with SHOP_TLS=1 on this --data-dir ({}: {why}).",
            file.display()
        ))
    };
    let text = std::fs::read(&file).map_err(|why| none(&why))?;
    let certificate = CertificateDer::from_pem_slice(&text).map_err(|why| none(&why))?;
    trusting(certificate, None)
}

fn serving(folder: &Path) -> Result<Tls, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(format!("the development CA in {} cannot be used: {why}.", folder.display()))
    };
    let authority = Authority::of(folder, today()).map_err(|why| failed(&why))?;
    let identity = authority.sign(today()).map_err(|why| failed(&why))?;
    trusting(authority.certificate, Some(identity))
}

fn trusting(root: CertificateDer<'static>, identity: Option<Identity>) -> Result<Tls, Failure> {
    let no_good = |why| Failure::new(format!("the development CA cannot be used: {why}."));
    let mut roots = RootCertStore::empty();
    roots.add(root).map_err(no_good)?;
    Tls::new(roots, identity).map_err(no_good)
}

/// A CA that is good for a while.
struct Authority {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    /// The one of the folder, or a new one when there is none, or none that lasts long enough. Processes that start together on
    /// one folder have the same.
    fn of(folder: &Path, now: Duration) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        match Self::read(&certificate, &key)? {
            Some(kept) if kept.lasts(now) => return Ok(kept),
            Some(_) => {}
            None if !certificate.exists() => {}
            None => {
                tracing::warn!(folder = %folder.display(), "the development CA is no good, and is made anew");
            }
        }
        let (new, text) = Self::make(now).map_err(io::Error::other)?;
        replace(&key, 0o600, &new.key.serialize_pem())?;
        replace(&certificate, 0o644, &text)?;
        Ok(new)
    }

    /// None: there is nothing that can be used.
    fn read(certificate: &Path, key: &Path) -> io::Result<Option<Self>> {
        let (certificate, key) = match (std::fs::read(certificate), std::fs::read_to_string(key)) {
            (Ok(certificate), Ok(key)) => (certificate, key),
            (Err(why), _) | (_, Err(why)) => {
                let gone = matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData);
                return if gone { Ok(None) } else { Err(why) };
            }
        };
        let (Ok(certificate), Ok(key)) =
            (CertificateDer::from_pem_slice(&certificate), KeyPair::from_pem(&key))
        else {
            return Ok(None);
        };
        let own = key.public_key_raw();
        let belongs = certificate.windows(own.len()).any(|window| window == own);
        Ok(belongs.then_some(Self { certificate, key }))
    }

    fn make(now: Duration) -> Result<(Self, String), rcgen::Error> {
        let mut params = params();
        valid(&mut params, now, LASTS);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let text = certificate.pem();
        Ok((Self { certificate: certificate.der().clone(), key }, text))
    }

    /// Whether it outlives what it signs now.
    fn lasts(&self, now: Duration) -> bool {
        is_good(&self.certificate, now + LEAF)
    }

    /// A certificate for this machine's loopback names, with a key of its own.
    fn sign(&self, now: Duration) -> Result<Identity, rcgen::Error> {
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name = called("Shop");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        valid(&mut leaf, now, LEAF);
        let key = KeyPair::generate()?;
        let signed = leaf.signed_by(&key, &Issuer::new(params(), &self.key))?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![signed.der().clone()], key))
    }
}

/// What all of these CAs have in common.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = called("Shop development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".into()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
                128,
            )),
        ],
        excluded_subtrees: Vec::new(),
    });
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Since 1970, in whole seconds, as certificates have it.
fn today() -> Duration {
    Duration::from_secs(now_ms().unsigned_abs() / 1000)
}

/// From shortly before a moment, for so long.
fn valid(params: &mut CertificateParams, now: Duration, lasts: Duration) {
    let at = |time| date_time_ymd(1970, 1, 1) + time;
    (params.not_before, params.not_after) = (at(now - SLACK), at(now + lasts));
}

/// Whether a certificate is good on the day of a moment. It is one that was made here: both ends are written with two digits of
/// the year.
fn is_good(certificate: &[u8], moment: Duration) -> bool {
    const VALIDITY: [u8; 4] = [0x30, 0x1e, 0x17, 13];
    let mut windows = certificate.windows(4 + 13 + 2 + 13);
    let Some(validity) = windows.find(|window| window.starts_with(&VALIDITY)) else { return false };
    let two = |at: usize| std::str::from_utf8(&validity[19 + at..21 + at]).ok()?.parse::<u8>().ok();
    let (Some(year), Some(month @ 1..=12), Some(day @ 1..=31)) = (two(0), two(2), two(4)) else {
        return false;
    };
    date_time_ymd(2000 + i32::from(year), month, day.min(28)) >= date_time_ymd(1970, 1, 1) + moment
}

/// Writes a file as a whole, or not at all.
fn replace(file: &Path, mode: u32, text: &str) -> io::Result<()> {
    let new: PathBuf = file.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut opened = File::options().write(true).create_new(true).mode(mode).open(&new)?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()?;
    std::fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn authority(folder: &Path, now: Duration) -> Authority {
        Authority::of(folder, now).unwrap()
    }

    #[test]
    fn it_is_kept_while_it_lasts() {
        let (folder, now) = (tempfile::tempdir().unwrap(), today());
        let first = authority(folder.path(), now);
        for days in [1, 100, 270] {
            assert_eq!(authority(folder.path(), now + DAY * days).certificate, first.certificate, "{days}");
        }
        let second = authority(folder.path(), now + DAY * 280);
        assert_ne!(second.certificate, first.certificate, "else what it signs would outlive it");
        assert_eq!(authority(folder.path(), now + DAY * 281).certificate, second.certificate);
        let mode = std::fs::metadata(folder.path().join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_torn_or_foreign_is_made_anew() {
        let (folder, now) = (tempfile::tempdir().unwrap(), today());
        let other = tempfile::tempdir().unwrap();
        authority(other.path(), now);
        for file in [CERTIFICATE, KEY] {
            let whole = authority(folder.path(), now).certificate;
            let path = folder.path().join(file);
            let text = std::fs::read(&path).unwrap();
            std::fs::write(&path, &text[..text.len() / 2]).unwrap();
            let new = authority(folder.path(), now).certificate;
            assert_ne!(new, whole, "{file} is torn");
            std::fs::copy(other.path().join(file), &path).unwrap();
            assert_ne!(authority(folder.path(), now).certificate, new, "{file} is of another");
            std::fs::remove_file(&path).unwrap();
            serving(folder.path()).unwrap();
        }
    }

    #[test]
    fn those_who_start_together_have_the_same() {
        let (folder, now) = (tempfile::tempdir().unwrap(), today());
        let start = || authority(folder.path(), now).certificate;
        let all = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(all.iter().all(|one| *one == all[0]));
    }

    #[test]
    fn who_asks_makes_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(asking(folder.path()).unwrap_err().to_string().contains("no shop has been open"));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        serving(folder.path()).unwrap();
        asking(folder.path()).unwrap();
    }
}
