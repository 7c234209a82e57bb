//! The invoices of a story, and what becomes of them.

use domain::{
    Coupon, CouponOff, CreditNote as DecidedNote, CreditOutcome, CreditRequest, CreditRequestLine, InvoiceContent,
    InvoiceStatus, LineItem, Settlement, credit_note, settle_credit_note,
};

use crate::{
    SimulationError,
    billing::Recipe,
    error::element,
    output::{CreditNoteOutput, CreditedLineOutput, InvoiceOutput, LineOutput},
    page::amount,
    timeline::{CreditNote, Entry, Pay, PaymentOutcome},
};

/// An invoice that is about to be issued.
pub(crate) struct Issue<'a> {
    /// Its place among the subscriptions; none for a one-off.
    pub(crate) place: Option<usize>,
    /// The subscription's name.
    pub(crate) subscription: Option<&'a str>,
    pub(crate) content: InvoiceContent,
    /// How to make it again, while it is a draft in which usage still counts.
    pub(crate) draft: Option<Recipe<'a>>,
}

/// An invoice that was issued.
#[derive(Debug)]
pub(crate) struct Issued<'a> {
    pub(crate) place: Option<usize>,
    subscription: Option<&'a str>,
    pub(crate) content: InvoiceContent,
    pub(crate) status: InvoiceStatus,
    pub(crate) draft: Option<Recipe<'a>>,
    /// Whether an attempt to collect it was declined.
    is_declined: bool,
    notes: Vec<Note>,
}

/// A credit note, and where its money went.
#[derive(Debug)]
struct Note {
    number: u32,
    decided: DecidedNote,
    outcome: CreditOutcome,
    settlement: Settlement,
}

/// Invoices in the order they were issued; the first one is number 1.
#[derive(Debug, Default)]
pub(crate) struct Invoices<'a> {
    issued: Vec<Issued<'a>>,
    notes: u32,
    lines: usize,
}

impl<'a> Invoices<'a> {
    /// Issues an invoice as a draft and returns its number.
    ///
    /// # Errors
    /// When numbers run out.
    pub(crate) fn issue(&mut self, issue: Issue<'a>) -> Result<u32, SimulationError> {
        let Issue { place, subscription, content, draft } = issue;
        self.lines += content.lines.len();
        let (status, notes) = (InvoiceStatus::Draft, Vec::new());
        self.issued.push(Issued { place, subscription, content, status, draft, is_declined: false, notes });
        u32::try_from(self.issued.len()).map_err(|_| SimulationError::new("until", "is too late"))
    }

    /// Lines of all invoices.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Ends a draft with its final content.
    pub(crate) fn finalize(&mut self, number: u32, content: InvoiceContent) {
        if let Some(issued) = self.get_mut(number) {
            // With nothing due it is paid at once.
            let is_paid = content.amount_due_minor == 0;
            issued.status = if is_paid { InvoiceStatus::Paid } else { InvoiceStatus::Open };
            issued.content = content;
            issued.draft = None;
        }
    }

    /// The invoice with a number, if it is a draft.
    pub(crate) fn draft(&self, number: u32) -> Option<&Issued<'a>> {
        self.get(number).filter(|issued| issued.status == InvoiceStatus::Draft)
    }

    /// Numbers of all drafts.
    pub(crate) fn drafts(&self) -> Vec<u32> {
        let drafts = (1..).zip(&self.issued).filter(|(_, issued)| issued.status == InvoiceStatus::Draft);
        drafts.map(|(number, _)| number).collect()
    }

    /// Gives a draft other content.
    pub(crate) fn refresh(&mut self, number: u32, content: InvoiceContent) {
        if let Some(issued) = self.get_mut(number) {
            issued.content = content;
        }
    }

    /// Checks that an entry's invoice is a draft.
    ///
    /// # Errors
    /// When there is no such invoice yet, or it is no draft.
    pub(crate) fn must_be_draft(&mut self, entry: &Entry, number: u32) -> Result<(), SimulationError> {
        let issued = self.named(entry, number)?;
        if issued.status == InvoiceStatus::Draft {
            return Ok(());
        }
        Err(refused(entry, number, issued.status, "is no draft"))
    }

    /// `pay`: an attempt to collect. A declined one leaves the invoice open.
    ///
    /// # Errors
    /// When there is no such invoice yet, or it is not open.
    pub(crate) fn pay(&mut self, entry: &Entry, pay: &Pay) -> Result<(), SimulationError> {
        let number = pay.invoice.get();
        let issued = self.named(entry, number)?;
        let paid = issued.status.transition_to(InvoiceStatus::Paid);
        let paid = paid.map_err(|_| refused(entry, number, issued.status, "is not open"))?;
        match pay.outcome {
            PaymentOutcome::Succeeded => issued.status = paid,
            PaymentOutcome::Declined => issued.is_declined = true,
        }
        Ok(())
    }

    /// The place of the subscription that an invoice is of, and whether any invoice of it is owed whose payment has failed.
    pub(crate) fn standing(&self, number: u32) -> Option<(usize, bool)> {
        let place = self.get(number)?.place?;
        let mut own = self.issued.iter().filter(|issued| issued.place == Some(place));
        Some((place, own.any(|issued| issued.is_declined && issued.status == InvoiceStatus::Open)))
    }

    /// `void`. Returns the invoice.
    ///
    /// # Errors
    /// When there is no such invoice yet, or it is not open.
    pub(crate) fn void(&mut self, entry: &Entry, number: u32) -> Result<&Issued<'a>, SimulationError> {
        let issued = self.named(entry, number)?;
        let void = issued.status.transition_to(InvoiceStatus::Void);
        issued.status = void.map_err(|_| refused(entry, number, issued.status, "is not open"))?;
        Ok(issued)
    }

    /// `credit_note`. Returns where its money goes.
    ///
    /// # Errors
    /// When there is no such invoice yet, it is neither open nor paid, or so much is not left of it.
    pub(crate) fn credit(&mut self, entry: &Entry, credit: &CreditNote) -> Result<Settlement, SimulationError> {
        let (number, note) = (credit.invoice.get(), self.notes + 1);
        let issued = self.named(entry, number)?;
        if !matches!(issued.status, InvoiceStatus::Open | InvoiceStatus::Paid) {
            return Err(refused(entry, number, issued.status, "cannot be credited"));
        }
        let earlier: Vec<DecidedNote> = issued.notes.iter().map(|note| note.decided.clone()).collect();
        let decided = credit_note(&issued.content, &earlier, &request(entry, credit)?);
        let decided = decided.map_err(|error| entry.error(&error.path, error.rule))?;
        let settlement = issued.settle(&decided, credit.outcome);
        issued.notes.push(Note { number: note, decided, outcome: credit.outcome, settlement });
        self.notes = note;
        Ok(settlement)
    }

    fn get(&self, number: u32) -> Option<&Issued<'a>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.issued.get(index)
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Issued<'a>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.issued.get_mut(index)
    }

    fn named(&mut self, entry: &Entry, number: u32) -> Result<&mut Issued<'a>, SimulationError> {
        let unknown = || entry.error("invoice", format!("is no invoice by then: {number}"));
        self.get_mut(number).ok_or_else(unknown)
    }

    /// All of them, as they stand.
    pub(crate) fn output(&self) -> Vec<InvoiceOutput> {
        (1..).zip(&self.issued).map(|(number, issued)| issued.output(number)).collect()
    }

    /// All credit notes, in the order they were issued.
    pub(crate) fn credit_notes(&self) -> Vec<CreditNoteOutput> {
        let notes = |(number, issued): (u32, &Issued<'a>)| -> Vec<CreditNoteOutput> {
            issued.notes.iter().map(|note| note.output(number)).collect()
        };
        let mut notes: Vec<_> = (1..).zip(&self.issued).flat_map(notes).collect();
        notes.sort_by_key(|note| note.credit_note);
        notes
    }
}

/// What an entry wants credited, in the domain's words.
fn request(entry: &Entry, credit: &CreditNote) -> Result<CreditRequest, SimulationError> {
    let Some(lines) = &credit.lines else { return Ok(CreditRequest::All) };
    let mut requested = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let number = usize::try_from(line.line.get());
        let number = number.map_err(|_| entry.error(&element("lines", index), "is no line of the invoice"))?;
        requested.push(CreditRequestLine { line: number - 1, amount_minor: line.amount_minor });
    }
    Ok(CreditRequest::Lines(requested))
}

fn refused(entry: &Entry, number: u32, status: InvoiceStatus, why: &str) -> SimulationError {
    entry.error("invoice", format!("{why}: {number} is {}", status.as_str()))
}

impl Issued<'_> {
    /// What was left to pay when it was issued, less what credit notes have taken off.
    fn amount_due_minor(&self) -> i64 {
        let offset: i64 = self.notes.iter().map(|note| note.settlement.offset_minor).sum();
        self.content.amount_due_minor - offset
    }

    /// Settles a credit note: off the open amount first.
    fn settle(&mut self, note: &DecidedNote, outcome: CreditOutcome) -> Settlement {
        let due_minor = self.amount_due_minor();
        let refunded: i64 = self.notes.iter().map(|note| note.settlement.refund_minor).sum();
        let is_open = self.status == InvoiceStatus::Open;
        let (open_minor, paid_minor) = if is_open { (due_minor, 0) } else { (0, due_minor - refunded) };
        let settlement = settle_credit_note(note.total_minor, open_minor, outcome, paid_minor);
        if is_open && settlement.offset_minor == due_minor {
            self.status = InvoiceStatus::Paid;
        }
        settlement
    }

    fn output(&self, number: u32) -> InvoiceOutput {
        let content = &self.content;
        InvoiceOutput {
            invoice: number,
            subscription: self.subscription.map(ToOwned::to_owned),
            reason: content.reason,
            status: self.status,
            issued_at: content.issued_at,
            currency: content.currency,
            lines: content.lines.iter().map(|line| self.line(line)).collect(),
            subtotal_minor: content.subtotal_minor,
            discount_minor: content.discount_minor,
            tax_minor: content.tax_minor,
            total_minor: content.total_minor,
            credit_applied_minor: content.credit_applied_minor,
            wallet_applied_minor: content.wallet_applied_minor,
            amount_due_minor: self.amount_due_minor(),
            coupons: coupons(content),
            taxes: taxes(content),
        }
    }

    fn line(&self, line: &LineItem) -> LineOutput {
        LineOutput {
            price: line.price.clone(),
            kind: line.kind,
            description: line.description.clone(),
            period: line.period,
            quantity: line.quantity.to_string(),
            proration: line.proration.map(|part| part.to_string()),
            amount_minor: line.amount_minor,
            discount_minor: line.discount_minor,
            tax_minor: line.tax_minor,
            // It was computed when the line was billed.
            explain: line.explain(self.content.currency).unwrap_or_default(),
        }
    }
}

/// What took something off an invoice, for people.
fn coupons(content: &InvoiceContent) -> Vec<String> {
    // They were computed when it was issued.
    let used = content.used_coupons().unwrap_or_default();
    let shown = |coupon: &Coupon| match coupon.off() {
        CouponOff::Percent(percent) => format!("{}, {}%", coupon.name(), percent.normalize()),
        CouponOff::Amount { minor, .. } => format!("{}, {}", coupon.name(), amount(minor, content.currency)),
    };
    used.into_iter().map(shown).collect()
}

/// The taxes on an invoice, for people; none where lines have their own.
fn taxes(content: &InvoiceContent) -> Vec<String> {
    if content.lines.iter().any(|line| line.tax_rates.is_some()) {
        return Vec::new();
    }
    content.tax_rates.iter().map(|rate| format!("{} {}%", rate.name(), rate.percent().normalize())).collect()
}

impl Note {
    fn output(&self, invoice: u32) -> CreditNoteOutput {
        let decided = &self.decided;
        let line = |line: &domain::CreditedLine| CreditedLineOutput {
            line: u32::try_from(line.line + 1).unwrap_or(u32::MAX),
            amount_minor: line.amount_minor,
            discount_minor: line.discount_minor,
            tax_minor: line.tax_minor,
        };
        CreditNoteOutput {
            credit_note: self.number,
            invoice,
            lines: decided.lines.iter().map(line).collect(),
            amount_minor: decided.amount_minor,
            discount_minor: decided.discount_minor,
            tax_minor: decided.tax_minor,
            total_minor: decided.total_minor,
            outcome: self.outcome,
            offset_minor: self.settlement.offset_minor,
            balance_minor: self.settlement.balance_minor,
            refund_minor: self.settlement.refund_minor,
        }
    }
}
