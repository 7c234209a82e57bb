//! What the demo prints.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use super::{
    DemoArgs,
    books::{Books, Counts, Invoice, Mails},
    checks::Check,
    processes::Addresses,
    run::Run,
    setup::Changed,
};

/// Prints what was billed, by local month of the boundary, and the sums.
pub(super) fn print(books: &Books, run: &Run, changed: &Changed, before: &Counts) {
    println!("{}", months(&books.invoices));
    println!("{}", sums(books, run));
    if changed.customers == 0 && changed.events == 0 && changed.subscriptions == 0 {
        let new_charges = books.ledger.succeeded - before.charges;
        let mails = |mails: Option<Mails>| mails.unwrap_or_default().distinct;
        let new_mails = mails(books.mails) - mails(before.mails);
        println!(
            "This was a repeat: no new customers, events, subscriptions; {new_charges} new charges, {new_mails} new mails."
        );
    }
}

fn months(invoices: &[Invoice]) -> Table {
    let mut months: BTreeMap<&str, (u64, i64, i64)> = BTreeMap::new();
    for invoice in invoices {
        let month = months.entry(&invoice.boundary[..7]).or_default();
        month.0 += 1;
        month.1 += invoice.amount_due_minor;
        if invoice.status == "paid" {
            month.2 += invoice.amount_due_minor;
        }
    }
    let mut table = table(["month", "invoices", "invoiced", "collected"]);
    for (month, (count, invoiced, collected)) in months {
        table.add_row(row(month, [count.to_string(), usd(invoiced), usd(collected)]));
    }
    table
}

fn sums(books: &Books, run: &Run) -> Table {
    let invoices = &books.invoices;
    let count = |keep: &dyn Fn(&Invoice) -> bool| invoices.iter().filter(|invoice| keep(invoice)).count();
    let sum = |keep: &dyn Fn(&Invoice) -> bool| -> i64 {
        invoices.iter().filter(|invoice| keep(invoice)).map(|invoice| invoice.amount_due_minor).sum()
    };
    let initial = count(&|invoice| invoice.reason == "subscription_create");
    let mut table = table(["total", ""]);
    let rows = [
        ("subscriptions", initial.to_string()),
        ("invoices, initial", initial.to_string()),
        ("invoices, by the run", (invoices.len() - initial).to_string()),
        ("invoiced", usd(sum(&|_| true))),
        ("collected", usd(sum(&|invoice| invoice.status == "paid"))),
        ("open", usd(sum(&|invoice| invoice.status == "open"))),
        ("declined payments", count(&Invoice::is_declined).to_string()),
        ("mails", books.mails.map_or("not counted".to_owned(), |mails| mails.distinct.to_string())),
        ("dead letters", books.dead_letters.to_string()),
        ("invoices per second", run.rate_per_second.map_or("none".to_owned(), |rate| rate.round().to_string())),
    ];
    for (name, value) in rows {
        table.add_row(row(name, [value]));
    }
    table
}

/// Prints each check and whether it holds.
pub(super) fn print_checks(checks: &[Check]) {
    for check in checks {
        let mark = if check.holds { "holds" } else { "FAILS" };
        println!("  [{mark}] {} ({})", check.claim, check.figures);
    }
}

/// Says where to look while the demo keeps serving.
pub(super) fn where_to_look(args: &DemoArgs, addresses: &Addresses, (email, password): (&str, &str)) {
    println!();
    println!("Everything keeps serving until Ctrl-C:");
    println!("  API       http://{}/openapi.json", addresses.api);
    println!("  log in    curl -s http://{}/v1/auth/login -H 'content-type: application/json' \\", addresses.api);
    println!("              -d '{{\"email\":\"{email}\",\"password\":\"{password}\"}}'");
    if let Some(mails) = &args.mail_catcher_url {
        println!("  mails     {mails}");
    }
    println!("  gateway   http://{}/_sandbox/ledger", addresses.gateway);
    println!("  logs      {}/logs", args.data_dir.display());
    println!("  one more  source {}/env && ratchet worker", args.data_dir.display());
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn row<const N: usize>(name: &str, values: [String; N]) -> Vec<Cell> {
    let values = values.into_iter().map(|value| Cell::new(value).set_alignment(CellAlignment::Right));
    std::iter::once(Cell::new(name)).chain(values).collect()
}

fn usd(minor: i64) -> String {
    let (dollars, cents) = (minor / 100, minor % 100);
    format!("{dollars}.{cents:02}")
}
