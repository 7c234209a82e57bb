//! What the customer has: a balance and wallets, from which invoices are paid.

use domain::{AmountError, InvoiceContent, Wallet, apply_credits, restore_credits};
use jiff::Timestamp;

use crate::{
    Scenario, SimulationError,
    output::CustomerOutput,
    timeline::{Entry, TopUpWallet},
};

/// The customer's credit.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    pub(crate) balance_minor: i64,
    wallets: Vec<Wallet>,
}

impl Purse {
    /// Pays an invoice as far as the credit goes.
    ///
    /// # Errors
    /// `Overflow` when the balance does not fit 64 bits.
    pub(crate) fn pay(&mut self, content: InvoiceContent, now: Timestamp) -> Result<InvoiceContent, AmountError> {
        apply_credits(content, &mut self.wallets, &mut self.balance_minor, now)
    }

    /// Takes a void invoice's payments back.
    ///
    /// # Errors
    /// When what it gave to the balance has been used.
    pub(crate) fn restore(&mut self, entry: &Entry, content: &InvoiceContent) -> Result<(), SimulationError> {
        let restored = restore_credits(content, &mut self.wallets, &mut self.balance_minor);
        restored.map_err(|error| entry.error("invoice", format!("cannot be voided: {error}")))
    }

    /// Adds to the balance.
    ///
    /// # Errors
    /// When it does not fit 64 bits.
    pub(crate) fn credit(&mut self, entry: &Entry, amount_minor: i64) -> Result<(), SimulationError> {
        let sum = self.balance_minor.checked_add(amount_minor);
        self.balance_minor = sum.ok_or_else(|| entry.error("amount_minor", "is too large for the balance"))?;
        Ok(())
    }

    /// `top_up_wallet`.
    pub(crate) fn top_up(&mut self, top_up: &TopUpWallet) {
        self.wallets.push(Wallet {
            id: format!("{}", self.wallets.len() + 1),
            balance_minor: top_up.amount_minor,
            applies_to: top_up.applies_to.clone(),
            expires_at: top_up.expires_at,
        });
    }

    /// How it stands at the end.
    pub(crate) fn output(&self, scenario: &Scenario) -> CustomerOutput {
        let usable = self.wallets.iter().filter(|wallet| wallet.is_usable(scenario.until));
        CustomerOutput {
            balance_minor: self.balance_minor,
            wallet_minor: usable.fold(0, |sum, wallet| sum.saturating_add(wallet.balance_minor)),
            currency: scenario.customer.currency,
            timezone: scenario.customer.timezone.clone(),
        }
    }
}
