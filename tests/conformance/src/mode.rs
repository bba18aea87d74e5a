use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Waker};
use tower::Service;

/// How a row reaches the service that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On one instance, call after call.
    Direct,
    /// On a fresh clone for every call, as axum, tonic and hyper do.
    Clones,
    /// On a fresh clone, after a like call on another clone was polled once and dropped.
    Bystander,
}

impl Mode {
    /// The modes in which every row runs.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Clones, Self::Bystander];

    /// How many calls reach the service for one call of a row.
    #[must_use]
    pub const fn calls(self) -> u64 {
        match self {
            Self::Direct | Self::Clones => 1,
            Self::Bystander => 2,
        }
    }

    /// Makes the service ready, calls it and waits for the answer.
    ///
    /// # Errors
    ///
    /// Those of the service.
    pub async fn call<S, Req>(
        self,
        service: &mut S,
        request: impl Fn() -> Req,
    ) -> Result<S::Response, S::Error>
    where
        S: Service<Req> + Clone,
    {
        self.start(service, request).await?.await
    }

    /// Makes the service ready and calls it.
    ///
    /// # Errors
    ///
    /// Those of its readiness.
    pub async fn start<S, Req>(
        self,
        service: &mut S,
        request: impl Fn() -> Req,
    ) -> Result<S::Future, S::Error>
    where
        S: Service<Req> + Clone,
    {
        if self == Self::Direct {
            return ready_call(service, request()).await;
        }
        if self == Self::Bystander {
            let mut bystander = pin!(ready_call(&mut service.clone(), request()).await?);
            let _ = bystander.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        ready_call(&mut service.clone(), request()).await
    }
}

async fn ready_call<S: Service<Req>, Req>(service: &mut S, request: Req) -> Result<S::Future, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    Ok(service.call(request))
}
