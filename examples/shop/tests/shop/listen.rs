//! Where a service that runs alone listens.

use super::process::{LONG, client, folder, free_base, program, signal_to, stderr};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

/// Starts a bank, and returns the line that it says, what it answers at an address, and what it had to complain about.
async fn bank(args: &[&str], listen: Option<&str>, base: u16, at: &str) -> (String, u16, String) {
    let folder = folder();
    let mut command = program(&[&["run", "bank"], args].concat(), folder.path(), base);
    command.envs(listen.map(|listen| ("SHOP_LISTEN", listen))).env("SHOP_TLS", "0");
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap().unwrap_or_default();
    let answer = client(LONG).get(format!("http://{at}/readyz")).send().await.unwrap();
    signal_to(&process, "TERM").await;
    let said = stderr(&mut process).await;
    assert_eq!(
        timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(),
        Some(0),
        "{said}"
    );
    (line, answer.status().as_u16(), said)
}

#[tokio::test]
async fn a_service_listens_where_it_is_told() {
    let base = free_base();
    // All of 127.0.0.0/8 is loopback.
    for (n, host, listen) in
        [(1, "127.0.0.1", None), (2, "127.0.0.2", Some("127.0.0.2")), (3, "127.0.0.1", Some("localhost"))]
    {
        let (port, at) = ((base + n).to_string(), format!("{host}:{}", base + n));
        let (line, status, said) = bank(&["--port", &port], listen, base, &at).await;
        assert_eq!((line, status), (format!("bank is open at http://{at}"), 200));
        assert_eq!(said, "", "nobody else is there");
    }
    // The flag is stronger than the variable.
    let (port, at) = ((base + 4).to_string(), format!("127.0.0.3:{}", base + 4));
    let (line, status, _) =
        bank(&["--port", &port, "--listen", "127.0.0.3"], Some("127.0.0.9"), base, &at).await;
    assert_eq!((line, status), (format!("bank is open at http://{at}"), 200));
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_a_sentence() {
    // No name may be as long, so nobody is asked for it.
    let (nobody, long) = (format!("127.0.0.1:{}", free_base()), "x".repeat(64));
    for (listen, consul, says) in [
        ("192.0.2.1", None, "192.0.2.1:"),
        (&*long, None, "is no address of this machine"),
        ("0.0.0.0", Some(nobody), "nobody can be sent there"),
    ] {
        let folder = folder();
        let mut command = program(&["run", "bank", "--listen", listen], folder.path(), free_base());
        command.envs(consul.map(|consul| ("CONSUL_HTTP_ADDR", consul)));
        let mut process = command.spawn().unwrap();
        let said = stderr(&mut process).await;
        assert_eq!(timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(), Some(1));
        let last = said.trim_end().lines().last().unwrap_or_default();
        assert!(last.starts_with("shop: ") && last.contains(says), "{said}");
        // Who would be heard beyond this machine is told.
        assert_eq!(said.contains("beyond loopback"), listen.starts_with("192"), "{said}");
    }
}
