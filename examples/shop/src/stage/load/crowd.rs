//! Customers: they register and log in before the load begins, and log in again when their token is refused.

use super::bar::Bar;
use super::customer::Customer;
use super::gateway::{Gateway, Request, Said, send};
use super::insist::{insist, refused};
use crate::contracts::user::Session;
use crate::parts::failure::Failure;
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Passwords are slow to hash, on purpose. More log-ins at once would only wait in the shop.
const AT_ONCE: usize = 4;

#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) customers: Vec<Customer>,
    desk: Arc<Semaphore>,
    logged_in_again: AtomicU64,
}

/// Brings `count` customers who have just registered and logged in.
///
/// # Errors
///
/// When the gateway cannot be reached, or does not take them.
pub(super) async fn gather(gateway: &Gateway, count: usize, bar: &Bar) -> Result<Crowd, Failure> {
    bar.begin(count as u64, "customers register");
    let desk = Arc::new(Semaphore::new(AT_ONCE));
    let mut coming = JoinSet::new();
    for _ in 0..count {
        let (gateway, desk) = (gateway.clone(), desk.clone());
        coming.spawn(async move {
            let _place = desk.acquire().await;
            come(&gateway).await
        });
    }
    let mut customers = Vec::with_capacity(count);
    while let Some(customer) = coming.join_next().await {
        customers.push(customer.unwrap_or_else(|fell| std::panic::resume_unwind(fell.into_panic()))?);
        bar.step();
    }
    Ok(Crowd { customers, desk, logged_in_again: AtomicU64::new(0) })
}

async fn come(gateway: &Gateway) -> Result<Customer, Failure> {
    let customer = Customer::new();
    let answer = insist(gateway, "let customers register", || customer.register(gateway)).await?;
    // Nobody else has this email: who is told that it is taken was registered by a question whose answer was lost.
    if !matches!(answer.status, StatusCode::CREATED | StatusCode::CONFLICT) {
        let why = format!("it answered {}", answer.status);
        return Err(refused(gateway, "let customers register", &why));
    }
    let answer = insist(gateway, "let customers log in", || customer.log_in(gateway)).await?;
    match serde_json::from_slice::<Session>(&answer.body) {
        Ok(session) if answer.status == StatusCode::OK => customer.set_token(&session.token),
        _ => {
            let why = format!("it answered {}", answer.status);
            return Err(refused(gateway, "let customers log in", &why));
        }
    }
    Ok(customer)
}

impl Crowd {
    /// For those who only look.
    pub(super) fn nobody() -> Self {
        Self {
            customers: Vec::new(),
            desk: Arc::new(Semaphore::new(AT_ONCE)),
            logged_in_again: AtomicU64::new(0),
        }
    }

    pub(super) fn logged_in_again(&self) -> u64 {
        self.logged_in_again.load(Ordering::Relaxed)
    }

    /// Asks with the token of a customer, and once more after a log-in when the token is refused.
    pub(super) async fn ask(
        &self,
        gateway: &Gateway,
        customer: &Customer,
        request: impl Fn() -> Request,
    ) -> Said {
        let token = customer.token();
        let said = send(request().bearer_auth(&token)).await;
        if !matches!(&said, Ok(answer) if answer.status == StatusCode::UNAUTHORIZED) {
            return said;
        }
        match self.log_in_again(gateway, customer, &token).await {
            Ok(()) => send(request().bearer_auth(customer.token())).await,
            Err(said) => *said,
        }
    }

    /// Brings a token in place of one that was refused. Of many who ask for it at once, one logs in.
    async fn log_in_again(&self, gateway: &Gateway, customer: &Customer, old: &str) -> Result<(), Box<Said>> {
        let _turn = customer.logging_in.acquire().await;
        if *customer.token() != *old {
            return Ok(());
        }
        let _place = self.desk.acquire().await;
        let said = send(customer.log_in(gateway)).await;
        let session = match &said {
            Ok(answer) if answer.status == StatusCode::OK => serde_json::from_slice(&answer.body).ok(),
            _ => None,
        };
        let Some(Session { token, .. }) = session else { return Err(Box::new(said)) };
        customer.set_token(&token);
        self.logged_in_again.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
