//! Payments, over gRPC. `proto/README.md` says how the code is generated.

use serde::Serialize;

#[allow(clippy::all, clippy::pedantic, unused_qualifications, reason = "generated")]
mod generated {
    include!("proto/shop.payment.v1.rs");
}

pub use generated::*;

/// `GET /api/v1/payments/{id}` → 200: a payment as JSON.
#[derive(Serialize)]
pub struct PaymentView {
    pub id: String,
    pub order_id: String,
    pub amount_cents: i64,
    /// `UNKNOWN`, `CAPTURED`, `DECLINED`, `REFUNDING` or `REFUNDED`.
    pub status: &'static str,
    pub reason: Option<String>,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        let status = payment.state().as_str_name().trim_start_matches("STATE_");
        let reason = (!payment.reason.is_empty()).then_some(payment.reason);
        Self {
            id: payment.id,
            order_id: payment.order_id,
            amount_cents: payment.amount_cents,
            status,
            reason,
        }
    }
}
