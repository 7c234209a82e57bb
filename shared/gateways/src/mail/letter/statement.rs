//! The lines of an invoice or credit note inside a letter, and what they sum to.

use super::OneLine;

/// Mail programs cut a mail off beyond some 100 kB; a document with more lines than this is read in the product, the mail
/// says how many are left out.
const MAX_LINES_SHOWN: usize = 40;

/// Lines with what they sum to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// In their order.
    pub lines: Vec<StatementLine>,
    /// What leads from the lines to the total: its label and amount.
    pub sums: Vec<(OneLine, OneLine)>,
    /// What is to be paid.
    pub total: OneLine,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// What it is for.
    pub description: OneLine,
    /// When and how much of it, e.g. `1 Jul – 31 Jul 2026 · 1,204`; may be empty.
    pub details: OneLine,
    /// What it costs.
    pub amount: OneLine,
}

impl Statement {
    pub(super) fn shown(&self) -> &[StatementLine] {
        &self.lines[..self.lines.len().min(MAX_LINES_SHOWN)]
    }

    pub(super) fn left_out(&self) -> usize {
        self.lines.len() - self.shown().len()
    }
}
