//! Money that arrives by itself: a bank transfer, a cheque, cash. Whoever records it says that it has moved; nothing is ever
//! unknown, and nothing can be looked up.

use jiff::Timestamp;

use super::charge::{ChargeOutcome, ChargeRequest};
use super::port::{Call, Enrolment, Payer, PaymentGateway, PaymentPage, RefundOutcome, RefundRequest, Sought};

/// The gateway of recorded payments. A charge has been paid already, under the reference that is its payment token.
#[derive(Debug, Clone, Copy, Default)]
pub struct ManualGateway;

fn ready<'a, T: Send + 'a>(value: T) -> Call<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl PaymentGateway for ManualGateway {
    fn enrol<'a>(&'a self, payer: &'a Payer) -> Call<'a, Enrolment> {
        ready(Enrolment::Enrolled { customer: payer.customer.clone(), method: payer.token.clone() })
    }

    fn charge<'a>(&'a self, request: &'a ChargeRequest) -> Call<'a, ChargeOutcome> {
        ready(ChargeOutcome::Succeeded { payment_id: request.payment_token.clone() })
    }

    fn find_charge<'a>(&'a self, _: &'a Sought) -> Call<'a, Option<ChargeOutcome>> {
        ready(None)
    }

    fn give_up<'a>(&'a self, payment_id: &'a str) -> Call<'a, ChargeOutcome> {
        ready(ChargeOutcome::Succeeded { payment_id: payment_id.to_owned() })
    }

    /// Whoever records the refund sends the money back.
    fn refund<'a>(&'a self, request: &'a RefundRequest) -> Call<'a, RefundOutcome> {
        ready(RefundOutcome::Succeeded { refund_id: request.refund.clone() })
    }

    fn find_refund<'a>(&'a self, _: &'a RefundRequest) -> Call<'a, Option<RefundOutcome>> {
        ready(None)
    }

    fn payments_since<'a>(&'a self, _: Timestamp, _: Option<&'a str>) -> Call<'a, PaymentPage> {
        ready(PaymentPage { payments: Vec::new(), next: None })
    }
}
