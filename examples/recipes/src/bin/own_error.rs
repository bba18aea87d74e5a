//! The typed flavour: a service of any request, with an error type of one's own.

use bartizan::breaker::Consecutive;
use bartizan::{Breaker, BreakerLayer, DeadlineLayer, Refused};
use std::time::Duration;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

#[derive(Debug)]
enum Trouble {
    /// A layer said no. One `From` is all that the layers ask for.
    Refused(Refused),
    Disk(std::io::Error),
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

struct Read {
    page: u32,
}

async fn disk(read: Read) -> Result<String, Trouble> {
    match read.page {
        0 => std::future::pending().await,
        13 => Err(Trouble::Disk(std::io::Error::other("bad sector"))),
        page => Ok(format!("page {page}")),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let pages = ServiceBuilder::new()
        .layer(BreakerLayer::new(Breaker::new().consecutive(Consecutive::new(3))).typed())
        .layer(DeadlineLayer::new(Duration::from_millis(20)).typed())
        .service(service_fn(disk));
    let read = |page| pages.clone().oneshot(Read { page });

    assert_eq!(read(1).await.expect("a page"), "page 1");
    assert!(matches!(read(13).await, Err(Trouble::Disk(error)) if error.to_string() == "bad sector"));
    for _ in 0..2 {
        assert!(matches!(read(0).await, Err(Trouble::Refused(refused)) if refused.layer() == "deadline"));
    }
    // Three failures in a row, of which two by time-out: the disk is left in peace for a while.
    assert!(matches!(read(1).await, Err(Trouble::Refused(refused)) if refused.layer() == "breaker"));
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
