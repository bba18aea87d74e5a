use super::*;

#[test]
fn without_tls_nobody_needs_a_certificate() {
    let plain = Tls::default();
    assert!(plain.acceptor().unwrap().is_none() && plain.each().is_none());
    assert_eq!((plain.scheme(), plain.is_in_want()), (Scheme::HTTP, false));
}

#[test]
fn with_tls_who_serves_needs_one() {
    for tls in [Tls::wanted(), Tls::new(RootCertStore::empty(), None).unwrap()] {
        assert_eq!((tls.scheme(), tls.is_in_want()), (Scheme::HTTPS, true));
        assert!(tls.acceptor().err().unwrap().to_string().contains("SHOP_TLS_CERT"));
    }
}
