//! What must hold after the demo, by witnesses outside the code that is being checked.

use std::collections::BTreeSet;

use super::{books::Books, recompute::Expected};

/// One thing that must hold.
pub(super) struct Check {
    pub claim: &'static str,
    /// The figures compared.
    pub figures: String,
    pub holds: bool,
}

/// All checks.
pub(super) fn all(books: &Books, expected: &Expected) -> Vec<Check> {
    vec![usage(books, expected), once(books), charged_once(books), ledger(books), mails(books), dead_letters(books)]
}

fn usage(books: &Books, expected: &Expected) -> Check {
    let lines = books.invoices.iter().flat_map(|invoice| &invoice.lines).filter(|line| line.kind == "usage");
    let billed: i64 = lines.map(|line| line.amount_minor).sum();
    Check {
        claim: "the usage lines sum to a recomputation from the input",
        figures: format!("{billed} = {} cents for {} events", expected.usage_minor, expected.billed_events),
        holds: billed == expected.usage_minor,
    }
}

fn once(books: &Books) -> Check {
    let boundaries: BTreeSet<(&str, &str)> =
        books.invoices.iter().map(|invoice| (invoice.subscription.as_str(), invoice.boundary.as_str())).collect();
    Check {
        claim: "no boundary of a subscription is billed twice",
        figures: format!("{} invoices, {} boundaries", books.invoices.len(), boundaries.len()),
        holds: boundaries.len() == books.invoices.len(),
    }
}

fn charged_once(books: &Books) -> Check {
    let most = books.ledger.per_invoice.values().copied().max().unwrap_or_default();
    let known: BTreeSet<&str> = books.invoices.iter().map(|invoice| invoice.id.as_str()).collect();
    let foreign = books.ledger.per_invoice.keys().filter(|id| !known.contains(id.as_str())).count();
    Check {
        claim: "the gateway has charged each invoice at most once, and nothing else",
        figures: format!("at most {most} charge an invoice, {foreign} of no invoice"),
        holds: most <= 1 && foreign == 0,
    }
}

fn ledger(books: &Books) -> Check {
    let paid = books.invoices.iter().filter(|invoice| invoice.status == "paid");
    let collected: i64 = paid.map(|invoice| invoice.amount_due_minor).sum();
    Check {
        claim: "what was collected is what the gateway's ledger says",
        figures: format!("{collected} = {} cents", books.ledger.amount_minor),
        holds: collected == books.ledger.amount_minor,
    }
}

fn mails(books: &Books) -> Check {
    let declined = books.invoices.iter().filter(|invoice| invoice.is_declined()).count();
    let wanted = books.invoices.len() + declined;
    Check {
        claim: "one mail for each invoice and each declined payment has arrived",
        figures: books.mails.map_or("no mail catcher to ask".to_owned(), |mails| {
            format!("{} = {wanted} mails, {} second copies", mails.distinct, mails.copies)
        }),
        holds: books.mails.is_none_or(|mails| mails.distinct == wanted),
    }
}

fn dead_letters(books: &Books) -> Check {
    Check {
        claim: "no job is dead",
        figures: format!("{} dead letters", books.dead_letters),
        holds: books.dead_letters == 0,
    }
}
