//! The gRPC side: checks what comes in, and puts what went wrong into codes.

use super::till::{No, Till};
use crate::contracts::payment::get_request::By;
use crate::contracts::payment::payments_server::Payments;
use crate::contracts::payment::{ChargeRequest, GetRequest, Payment, RefundRequest};
use tonic::{Request, Response, Status};

pub(super) struct Service(Till);

impl Service {
    pub(super) fn new(till: Till) -> Self {
        Self(till)
    }
}

#[tonic::async_trait]
impl Payments for Service {
    async fn charge(&self, request: Request<ChargeRequest>) -> Result<Response<Payment>, Status> {
        let charge = request.into_inner();
        for (name, value) in [
            ("idempotency_key", &charge.idempotency_key),
            ("order_id", &charge.order_id),
            ("user_id", &charge.user_id),
        ] {
            check(name, value)?;
        }
        if charge.amount_cents <= 0 {
            return Err(Status::invalid_argument("amount_cents must be positive"));
        }
        Ok(Response::new(self.0.charge(&charge).await?))
    }

    async fn refund(&self, request: Request<RefundRequest>) -> Result<Response<Payment>, Status> {
        let key = request.into_inner().idempotency_key;
        check("idempotency_key", &key)?;
        Ok(Response::new(self.0.refund(&key).await?))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Payment>, Status> {
        let payment = match request.into_inner().by {
            Some(By::Id(id)) => self.0.by_id(&id).await?,
            Some(By::IdempotencyKey(key)) => self.0.by_key(&key).await?,
            None => return Err(Status::invalid_argument("an id or an idempotency_key is asked for")),
        };
        payment.map(Response::new).ok_or_else(|| Status::not_found("there is no such payment"))
    }
}

fn check(name: &str, value: &str) -> Result<(), Status> {
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if value.is_empty() || value.len() > 40 || !plain {
        return Err(Status::invalid_argument(format!("{name} must have 1 to 40 letters, digits or dashes")));
    }
    Ok(())
}

impl From<No> for Status {
    fn from(no: No) -> Self {
        match no {
            No::KeyReused => Self::invalid_argument("the idempotency_key was used for another charge"),
            No::Store(error) => {
                tracing::warn!(%error, "the store failed");
                Self::unavailable("the store did not answer")
            }
        }
    }
}
