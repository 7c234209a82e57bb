//! The payment method tokens and what each does to a charge. What a token says is the whole truth about a sandbox card,
//! unless an admin call lets it behave as another one.

use std::time::Duration;

/// Stripe's wording for a card the bank refused without saying why.
const DECLINED: &str = "Your card was declined.";
/// Before a slow card answers: longer than a person likes to wait, shorter than a client gives up.
const SLOW: Duration = Duration::from_secs(3);
/// Before a card answers that lets every client give up after it was charged.
const NEVER: Duration = Duration::from_secs(10 * 60);

/// What happens to a charge with some token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaves {
    /// The charge succeeds, and is answered after this long.
    Succeeds(Duration),
    /// The bank refuses it.
    Declines(Decline),
    /// The bank wants the customer to take part: refused off session, and confirmed on a page of the gateway's.
    Authenticates,
    /// A 500 before execution on the first try of each idempotency key; then it succeeds.
    FailsOnce,
    /// The charge succeeds and is answered with a 500, which is stored and replayed.
    FailsAfterCharging,
    /// It succeeds, and every refund of it fails.
    RefundFails,
    /// It succeeds, and every refund of it waits until an admin call decides.
    RefundPends,
    /// It succeeds, and the customer's bank calls it back at once.
    Disputes,
}

/// A refusal, as it appears in the error and in the intent's `last_payment_error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) advice_code: Option<&'static str>,
    pub(crate) message: &'static str,
}

const fn declined(decline_code: &'static str, advice_code: Option<&'static str>, message: &'static str) -> Decline {
    Decline { code: "card_declined", decline_code, advice_code, message }
}

/// How a charge is refused that needs its customer.
pub(crate) const AUTHENTICATION_REQUIRED: Decline = Decline {
    code: "authentication_required",
    decline_code: "authentication_required",
    advice_code: None,
    message: "Your card was declined. This transaction requires authentication.",
};

/// How a confirmation ends that the customer refuses.
pub(crate) const AUTHENTICATION_FAILED: Decline = Decline {
    code: "payment_intent_authentication_failure",
    decline_code: "authentication_required",
    advice_code: None,
    message: "The customer did not confirm the payment.",
};

const AGAIN: Option<&str> = Some("try_again_later");
const NEVER_AGAIN: Option<&str> = Some("do_not_try_again");
const CHECK_CARD: Option<&str> = Some("confirm_card_data");

/// Refusals by the last part of `pm_sandbox_decline_...`.
const DECLINES: [(&str, Decline); 10] = [
    ("insufficient_funds", declined("insufficient_funds", AGAIN, "Your card has insufficient funds.")),
    ("try_again_later", declined("try_again_later", AGAIN, DECLINED)),
    ("do_not_honor", declined("do_not_honor", None, DECLINED)),
    ("do_not_try_again", declined("do_not_try_again", NEVER_AGAIN, DECLINED)),
    ("lost_card", declined("lost_card", NEVER_AGAIN, DECLINED)),
    ("stolen_card", declined("stolen_card", NEVER_AGAIN, DECLINED)),
    ("fraudulent", declined("fraudulent", None, DECLINED)),
    (
        "expired_card",
        Decline {
            code: "expired_card",
            decline_code: "expired_card",
            advice_code: CHECK_CARD,
            message: "Your card has expired.",
        },
    ),
    (
        "incorrect_cvc",
        Decline {
            code: "incorrect_cvc",
            decline_code: "incorrect_cvc",
            advice_code: CHECK_CARD,
            message: "Your card's security code is incorrect.",
        },
    ),
    (
        "processing_error",
        Decline {
            code: "processing_error",
            decline_code: "processing_error",
            advice_code: AGAIN,
            message: "An error occurred while processing your card. Try again in a little bit.",
        },
    ),
];

const GENERIC: Decline = declined("generic_decline", None, DECLINED);

/// Looks a token up; `None` is an unknown payment method.
pub(crate) fn behaviour_of(token: &str) -> Option<Behaves> {
    if let Some(reason) = token.strip_prefix("pm_sandbox_decline_") {
        let found = DECLINES.iter().find(|(name, _)| *name == reason);
        return found.map(|(_, decline)| Behaves::Declines(*decline));
    }
    Some(match token {
        "pm_sandbox_ok" | "pm_card_visa" => Behaves::Succeeds(Duration::ZERO),
        "pm_sandbox_slow" => Behaves::Succeeds(SLOW),
        "pm_sandbox_timeout_after_charge" => Behaves::Succeeds(NEVER),
        "pm_sandbox_decline" | "pm_card_chargeDeclined" => Behaves::Declines(GENERIC),
        "pm_card_chargeDeclinedInsufficientFunds" => behaviour_of("pm_sandbox_decline_insufficient_funds")?,
        "pm_sandbox_authenticate" | "pm_card_authenticationRequired" => Behaves::Authenticates,
        "pm_sandbox_fail_once" => Behaves::FailsOnce,
        "pm_sandbox_fail_after_charge" => Behaves::FailsAfterCharging,
        "pm_sandbox_refund_fails" | "pm_card_refundFail" => Behaves::RefundFails,
        "pm_sandbox_refund_pends" | "pm_card_pendingRefund" => Behaves::RefundPends,
        "pm_sandbox_dispute" | "pm_card_createDispute" => Behaves::Disputes,
        _ => return None,
    })
}
