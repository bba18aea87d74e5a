//! A thousand connections that want nothing but to be in the way.

use super::customer::{Customer, say};
use super::ops::{Ops, check};
use super::process::{LONG, Shop, folder};
use super::surge::all_is_given_back;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::collections::BTreeSet;
use std::fs;
use std::future::pending;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, copy, sink};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const MANY: usize = 1000;

/// Between two drops.
const DRIP: Duration = Duration::from_millis(250);

/// As many requests as there are good customers, with room for those whose place is being given back. The hostile have none.
const GOOD_IN_FLIGHT: u64 = 16;

const HEAD: &[u8] = b"GET /api/v1/products HTTP/1.1\r\nhost: shop\r\nx-drip: ";
const BODY: &[u8] = b"POST /api/v1/sessions HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n\
content-length: 9999\r\n\r\n{\"email\":\"";
const CHUNKS: &[u8] = b"POST /api/v1/orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n\
transfer-encoding: chunked\r\n\r\n";
const PAGES: &[u8] = b"GET /openapi.json HTTP/1.1\r\nhost: shop\r\n\r\n";

/// What somebody says who means no good, and what comes then.
#[derive(Clone, Copy)]
enum Hostile {
    Silent,
    /// Says so much, and then always the same again, bit by bit.
    Dripping(&'static [u8], &'static [u8]),
    /// Says so much, and no more.
    Stopping(&'static [u8]),
    /// Says so much, and that this is all.
    Leaving(&'static [u8]),
    /// Asks for so many pages, and reads none of them.
    Deaf(usize),
}

use Hostile::{Deaf, Dripping, Leaving, Silent, Stopping};

/// A third of each; the others take turns.
fn hostile(nth: usize) -> Hostile {
    const DRIPS: [Hostile; 3] = [Dripping(HEAD, b"x"), Dripping(BODY, b"x"), Dripping(CHUNKS, b"1\r\nx\r\n")];
    const HALVES: [Hostile; 5] =
        [Stopping(HEAD.split_at(20).0), Stopping(BODY), Leaving(HEAD), Leaving(BODY), Deaf(2)];
    match nth % 3 {
        0 => Silent,
        1 => DRIPS[nth / 3 % DRIPS.len()],
        _ => HALVES[nth / 3 % HALVES.len()],
    }
}

impl Hostile {
    async fn connect(self, port: u16) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        if let Deaf(_) = self {
            socket.set_recv_buffer_size(4096).unwrap();
        }
        socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.expect("everybody may come")
    }

    /// Returns when the connection has been cut. Who hears nothing is told.
    async fn bother(self, stream: TcpStream, mut cut: watch::Receiver<bool>) {
        let (mut reads, mut writes) = stream.into_split();
        // Who is cut while they speak is told so, and need not hear more than that.
        match self {
            Silent => {}
            Dripping(said, _) | Stopping(said) => drop(writes.write_all(said).await),
            Leaving(said) => {
                let _ = writes.write_all(said).await;
                let _ = writes.shutdown().await;
            }
            Deaf(pages) => drop(writes.write_all(&PAGES.repeat(pages)).await),
        }
        if let Deaf(_) = self {
            let _ = cut.wait_for(|cut| *cut).await;
        }
        let drip = async {
            if let Dripping(_, bit) = self {
                while writes.write_all(bit).await.is_ok() {
                    sleep(DRIP).await;
                }
            }
            pending::<()>().await;
        };
        let mut nowhere = sink();
        tokio::select! {
            // The end, or a reset.
            _ = copy(&mut reads, &mut nowhere) => {}
            () = drip => {}
        }
    }
}

/// The ports whose connections the process behind a port still holds. Those that the system sees to alone have no inode.
fn held(by: u16, ports: &BTreeSet<u16>) -> usize {
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let table = fs::read_to_string("/proc/net/tcp").expect("the sockets of this machine");
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let theirs = lines.filter(|line| line[9] != "0" && port(line[1]) == Some(by));
    theirs.filter(|line| port(line[2]).is_some_and(|from| ports.contains(&from))).count()
}

/// So many connections have an end here.
fn raise_files() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum.map(|most| most.min(65_536)).or(files.current);
    setrlimit(Resource::Nofile, files).expect("as many files as the system lets us have");
}

/// Looks around and orders, again and again, until it is enough. Nobody may be refused.
async fn shops(customer: &Customer<'_>, enough: watch::Receiver<bool>) -> usize {
    let mut rounds = 0;
    while !*enough.borrow() {
        for path in ["/api/v1/products", "/api/v1/products/tea-mint", "/api/v1/orders"] {
            let said = customer.get(path).await;
            assert_eq!(said.status, 200, "{path}: {said:?}");
        }
        let said = customer.order(&format!("round-{rounds}"), &[("tea-mint", 1)]).await;
        assert!(matches!(said.status.as_u16(), 201 | 202), "{said:?}");
        rounds += 1;
        sleep(Duration::from_millis(100)).await;
    }
    rounds
}

#[tokio::test]
async fn a_thousand_who_only_bother_are_cut_and_nobody_else_is() {
    raise_files();
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let (ada, bob) = (Customer::new(&shop).await, Customer::new(&shop).await);
    let (cut, told) = watch::channel(false);
    let (mut hostiles, mut ports) = (JoinSet::new(), BTreeSet::new());
    for nth in 0..MANY {
        let stream = hostile(nth).connect(shop.base).await;
        ports.insert(stream.local_addr().unwrap().port());
        hostiles.spawn(hostile(nth).bother(stream, told.clone()));
    }
    let watched = async {
        let (mut together, mut served) = (0, 0);
        loop {
            let gateway = ops.layers("shed", "gateway").await;
            let here = gateway.iter().find(|it| it["name"] == "gateway").expect("one layer for all routes");
            served = here["numbers"]["in_flight"].as_u64().expect("a number").max(served);
            let left = held(shop.base, &ports);
            together = left.max(together);
            if left == 0 {
                cut.send_replace(true);
                return (together, served);
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let all = async { tokio::join!(watched, shops(&ada, told.clone()), shops(&bob, told.clone())) };
    let Ok(((together, served), adas, bobs)) = timeout(LONG * 3, all).await else {
        panic!("{} of them are still there", held(shop.base, &ports));
    };
    assert!(together > MANY / 2, "{together} of them were there at once");
    assert!(served <= GOOD_IN_FLIGHT, "{served} requests had a place at once");
    assert!(adas > 0 && bobs > 0, "they have ordered {adas} and {bobs} times meanwhile");

    // Each has seen it: those who listened by now, the others as soon as they do.
    let seen = timeout(LONG, hostiles.join_all()).await;
    assert!(seen.is_ok(), "everybody is told");
    all_is_given_back(&ops).await;
    for shed in ops.layers("shed", "gateway").await {
        let refused =
            shed["numbers"].as_object().unwrap().iter().filter(|(name, _)| name.starts_with("refused"));
        assert!(refused.clone().all(|(_, number)| *number == 0), "{shed:#}");
    }
    assert_eq!(say(shop.http.get(shop.url("/api/v1/products"))).await.status, 200);
    check(folder.path(), shop.base).await;
}
