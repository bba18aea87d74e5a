use super::*;
use std::io::ErrorKind;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

/// Says all that it hears.
async fn echo() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((connection, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut from, mut to) = connection.into_split();
                let _ = copy(&mut from, &mut to).await;
            });
        }
    });
    (address, echo)
}

async fn through(harm: Harm) -> (Proxy, io::Result<TcpStream>) {
    let (address, _echo) = echo().await;
    let proxy = Proxy::open(harm, address).await.unwrap();
    let connection = TcpStream::connect(proxy.address()).await;
    (proxy, connection)
}

#[tokio::test]
async fn an_answer_is_late_by_as_much_as_is_said_and_whole() {
    let by = Duration::from_millis(200);
    let (_proxy, connection) = through(Harm::Latency(by)).await;
    let (mut hears, mut asks) = connection.unwrap().into_split();
    // More than is ever in hand.
    let question: Vec<u8> = (0..WAITING * CHUNK * 4).map(|n| (n % 251) as u8).collect();
    let (began, said) = (Instant::now(), question.clone());
    let asking = tokio::spawn(async move {
        asks.write_all(&question).await.unwrap();
        asks.shutdown().await.unwrap();
    });
    let mut answer = vec![0];
    timeout(LONG, hears.read_exact(&mut answer)).await.unwrap().unwrap();
    assert!(Instant::now() - began >= by);
    timeout(LONG, hears.read_to_end(&mut answer)).await.unwrap().unwrap();
    asking.await.unwrap();
    assert!(answer == said, "{} bytes of {}", answer.len(), said.len());
}

#[tokio::test]
async fn an_answer_comes_in_drips() {
    let pause = Duration::from_millis(20);
    let (_proxy, connection) = through(Harm::Drip(NonZeroUsize::new(64).unwrap(), pause)).await;
    let mut connection = connection.unwrap();
    let began = Instant::now();
    connection.write_all(&[7; 640]).await.unwrap();
    let mut answer = vec![0; 640];
    timeout(LONG, connection.read_exact(&mut answer)).await.unwrap().unwrap();
    assert!(answer == [7; 640] && Instant::now() - began >= pause * 10);
}

#[tokio::test]
async fn a_black_hole_says_nothing_until_it_is_gone() {
    let (proxy, connection) = through(Harm::Blackhole).await;
    let mut connection = connection.unwrap();
    connection.write_all(b"is anybody there?").await.unwrap();
    let mut answer = [0];
    let silent = timeout(Duration::from_millis(300), connection.read(&mut answer)).await;
    assert!(silent.is_err(), "{silent:?}");
    drop(proxy);
    let said = timeout(LONG, connection.read(&mut answer)).await.expect("it is over");
    assert!(matches!(said, Ok(0) | Err(_)), "{said:?}");
}

#[tokio::test]
async fn a_connection_is_reset() {
    let (_proxy, connection) = through(Harm::Reset).await;
    // It may be so quick that there is not even a connection.
    let Ok(mut connection) = connection else { return };
    let said = timeout(LONG, connection.read(&mut [0])).await.unwrap();
    assert_eq!(said.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_connection_is_refused() {
    let (_proxy, connection) = through(Harm::Refuse).await;
    assert_eq!(connection.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn who_is_not_there_is_not_there_behind_a_proxy() {
    let (address, echo) = echo().await;
    echo.abort();
    let _ = echo.await;
    let proxy = Proxy::open(Harm::Latency(Duration::ZERO), address).await.unwrap();
    let Ok(mut connection) = TcpStream::connect(proxy.address()).await else { return };
    let said = timeout(LONG, connection.read(&mut [0])).await.unwrap();
    assert!(matches!(said, Ok(0) | Err(_)), "{said:?}");
}
