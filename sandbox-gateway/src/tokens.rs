//! The payment method tokens and what each does to a charge. A token is the whole truth about a
//! sandbox card: no state is kept for it here.

/// Stripe's wording for a card the bank refused without saying why.
const DECLINED: &str = "Your card was declined.";

/// What happens to a charge with some token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaves {
    /// The charge succeeds.
    Succeeds,
    /// The bank refuses it.
    Declines(Decline),
    /// A 500 before execution on the first try of each idempotency key; then it succeeds.
    FailsOnce,
    /// The charge succeeds and is answered with a 500, which is stored and replayed.
    FailsAfterCharging,
}

/// A refusal, as it appears in the error and in the intent's `last_payment_error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) message: &'static str,
}

const GENERIC: Decline = Decline { code: "card_declined", decline_code: "generic_decline", message: DECLINED };

const INSUFFICIENT_FUNDS: Decline =
    Decline { code: "card_declined", decline_code: "insufficient_funds", message: "Your card has insufficient funds." };

const AUTHENTICATION_REQUIRED: Decline = Decline {
    code: "authentication_required",
    decline_code: "authentication_required",
    message: "Your card was declined. This transaction requires authentication.",
};

/// Looks a token up; `None` is an unknown payment method.
pub(crate) fn behaviour_of(token: &str) -> Option<Behaves> {
    Some(match token {
        "pm_sandbox_ok" | "pm_card_visa" => Behaves::Succeeds,
        "pm_sandbox_decline" | "pm_card_chargeDeclined" => Behaves::Declines(GENERIC),
        "pm_sandbox_decline_insufficient_funds" | "pm_card_chargeDeclinedInsufficientFunds" => {
            Behaves::Declines(INSUFFICIENT_FUNDS)
        }
        "pm_card_authenticationRequired" => Behaves::Declines(AUTHENTICATION_REQUIRED),
        "pm_sandbox_fail_once" => Behaves::FailsOnce,
        "pm_sandbox_fail_after_charge" => Behaves::FailsAfterCharging,
        _ => return None,
    })
}
