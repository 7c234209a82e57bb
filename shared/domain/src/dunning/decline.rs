//! Declines: what a gateway says of a payment that it refused, and whether trying again may help.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Codes of declines that the same payment method will meet again. Any other code, also one that nobody knows, is a soft one:
/// another attempt costs little, and a payment that is never tried again is lost. Sorted, as it is searched.
const HARD_CODES: [&str; 37] = [
    "account_closed",
    "authentication_required",
    "bank_account_restricted",
    "card_not_supported",
    "currency_not_supported",
    "debit_not_authorized",
    "expired_card",
    "fraudulent",
    "highest_risk_level",
    "incorrect_address",
    "incorrect_cvc",
    "incorrect_number",
    "incorrect_pin",
    "incorrect_zip",
    "invalid_account",
    "invalid_card_type",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "live_mode_test_card",
    "lost_card",
    "merchant_blacklist",
    "new_account_information_available",
    "no_account",
    "not_permitted",
    "pickup_card",
    "pin_try_exceeded",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "security_violation",
    "service_not_allowed",
    "stolen_card",
    "stop_payment_order",
    "testmode_decline",
    "transaction_not_allowed",
];

/// What a gateway advises after a decline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// The payment method's details are wrong or out of date.
    ConfirmCardData,
    /// The same payment method will be declined again.
    DoNotTryAgain,
    /// The same payment method may be accepted later.
    TryAgainLater,
}

impl Advice {
    /// The advice with a wire name; none for one that nobody knows.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "confirm_card_data" => Some(Self::ConfirmCardData),
            "do_not_try_again" => Some(Self::DoNotTryAgain),
            "try_again_later" => Some(Self::TryAgainLater),
            _ => None,
        }
    }
}

/// A payment that a gateway refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// Why, as the gateway classifies it: `card_declined`, `expired_card`.
    pub code: String,
    /// Why, as the bank said: `insufficient_funds`, `lost_card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
    /// What to do about it; counts more than the codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// The first instant at which the gateway wants to see the payment again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineKind {
    /// The same payment method may be accepted later.
    Soft,
    /// It takes another payment method, or its owner.
    Hard,
}

impl Decline {
    /// Whether trying again may help: by the gateway's advice, or else by its codes.
    #[must_use]
    pub fn kind(&self) -> DeclineKind {
        let is_hard = match self.advice {
            Some(Advice::ConfirmCardData | Advice::DoNotTryAgain) => true,
            Some(Advice::TryAgainLater) => false,
            None => {
                let codes = [Some(self.code.as_str()), self.decline_code.as_deref()];
                codes.into_iter().flatten().any(|code| HARD_CODES.binary_search(&code).is_ok())
            }
        };
        if is_hard { DeclineKind::Hard } else { DeclineKind::Soft }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str, decline_code: Option<&str>, advice: Option<&str>) -> DeclineKind {
        let decline_code = decline_code.map(ToOwned::to_owned);
        Decline { code: code.to_owned(), decline_code, advice: advice.and_then(Advice::named), not_before: None }.kind()
    }

    #[test]
    fn the_codes_are_sorted_so_that_each_is_found() {
        assert!(HARD_CODES.is_sorted());
        assert!(HARD_CODES.iter().all(|code| kind(code, None, None) == DeclineKind::Hard));
    }

    #[test]
    fn either_code_makes_a_decline_a_hard_one_and_an_unknown_one_is_soft() {
        for soft in ["insufficient_funds", "do_not_honor", "generic_decline", "processing_error", "never_heard_of", ""]
        {
            assert_eq!(kind("card_declined", Some(soft), None), DeclineKind::Soft, "{soft}");
        }
        assert_eq!(kind("card_declined", None, None), DeclineKind::Soft);
        assert_eq!(kind("card_declined", Some("stolen_card"), None), DeclineKind::Hard);
        assert_eq!(kind("expired_card", None, None), DeclineKind::Hard);
        assert_eq!(kind("authentication_required", Some("insufficient_funds"), None), DeclineKind::Hard);
    }

    #[test]
    fn the_gateways_advice_counts_more_than_the_codes() {
        assert_eq!(kind("card_declined", Some("insufficient_funds"), Some("do_not_try_again")), DeclineKind::Hard);
        assert_eq!(kind("card_declined", Some("insufficient_funds"), Some("confirm_card_data")), DeclineKind::Hard);
        assert_eq!(kind("expired_card", None, Some("try_again_later")), DeclineKind::Soft);
        assert_eq!(kind("expired_card", None, Some("wait and see")), DeclineKind::Hard);
    }
}
