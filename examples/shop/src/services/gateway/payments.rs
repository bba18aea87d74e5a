//! REST to gRPC.

use super::Service;
use crate::contracts::payment::get_request::By;
use crate::contracts::payment::{GetRequest, PaymentView};
use crate::parts::auth::Customer;
use crate::parts::id::Id;
use crate::parts::peer::repeatable;
use crate::parts::problem::Problem;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use tonic::{Code, Status};

/// A payment of this customer, or of anybody for an admin. Another one is not there, as far as this customer can tell.
pub(super) async fn read(
    State(mut service): State<Service>,
    customer: Customer,
    Id(id): Id,
) -> Result<Json<PaymentView>, Problem> {
    let by = Some(By::Id(id));
    let payment = service
        .payments
        .get(repeatable(GetRequest { by }))
        .await
        .map_err(|status| problem(&status))?
        .into_inner();
    if payment.user_id != customer.id && !customer.is_admin() {
        return Err(missing());
    }
    Ok(Json(payment.into()))
}

fn missing() -> Problem {
    Problem::not_found("there is no such payment")
}

fn problem(status: &Status) -> Problem {
    match status.code() {
        Code::NotFound => missing(),
        Code::DeadlineExceeded | Code::Cancelled => {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "payment did not answer in time")
                .retry_after(1)
        }
        Code::Unavailable | Code::ResourceExhausted => Problem::unavailable("payment cannot be reached"),
        code => {
            tracing::warn!(?code, message = status.message(), "payment answered with an error");
            Problem::new(StatusCode::BAD_GATEWAY, "bad-gateway", "payment answered with an error")
        }
    }
}
