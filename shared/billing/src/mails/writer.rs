//! Who writes to whom, and how that reader writes dates and amounts.

use domain::{BillingPeriod, Currency, Zone};
use gateways::mail::{
    MailError,
    letter::{Action, Brand, Colour, Letter, Link, OneLine, Tone, format_amount},
};
use jiff::{Timestamp, civil::Date};
use store::{Customer, SecretLink, Tenant, User};

/// Who reads a mail.
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) zone: Zone,
}

impl Reader {
    pub(super) fn customer(customer: &Customer) -> Self {
        Self { name: customer.name.clone(), email: customer.email.clone(), zone: customer.timezone.clone() }
    }

    pub(super) fn user(user: &User) -> Self {
        Self { name: user.name.clone(), email: user.email.clone(), zone: Zone::UTC }
    }
}

/// A tenant writing to one reader.
pub(super) struct Writer<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) reader: Reader,
}

impl Writer<'_> {
    /// A letter without content: `subject` follows the tenant's name, `reason` says why the reader gets it.
    pub(super) fn letter(&self, subject: &str, reason: &str) -> Letter {
        let tenant = OneLine::from(&self.tenant.name);
        Letter {
            subject: format!("{tenant}: {subject}").into(),
            brand: Brand { name: tenant.clone(), colour: Colour::DEFAULT, support: None },
            tone: Tone::Calm,
            label: OneLine::default(),
            headline: OneLine::default(),
            paragraphs: Vec::new(),
            facts: Vec::new(),
            statement: None,
            action: None,
            note: None,
            reason: OneLine::paragraph(format!("{tenant} sent you this mail because {reason}.")),
            unsubscribe: None,
        }
    }

    /// The first paragraph: what is the matter, said to the reader by name.
    pub(super) fn greeting(&self, matter: &str) -> OneLine {
        OneLine::paragraph(format!("Hello {}, {matter}", OneLine::from(&self.reader.name)))
    }

    /// The tenant's name.
    pub(super) fn tenant(&self) -> OneLine {
        OneLine::from(&self.tenant.name)
    }

    pub(super) fn amount(&self, minor: i64, currency: Currency) -> OneLine {
        format_amount(minor, currency.exponent(), &currency.to_string()).into()
    }

    /// The reader's date at an instant.
    pub(super) fn day(&self, at: Timestamp) -> OneLine {
        self.date(self.reader.zone.date_of(at)).into()
    }

    /// The days of a period as people write them: the first to the last.
    pub(super) fn period(&self, period: BillingPeriod) -> OneLine {
        let last = period.end.yesterday().unwrap_or(period.end);
        format!("{} – {}", self.date(period.start), self.date(last)).into()
    }

    fn date(&self, date: Date) -> String {
        date.strftime("%-d %b %Y").to_string()
    }
}

/// A button for a link that is a secret.
///
/// # Errors
/// `Permanent` when the link was forgotten, because the mail has been sent, or leads nowhere.
pub(super) fn secret_action(label: &str, link: &SecretLink) -> Result<Action, MailError> {
    let parsed = Link::parse(link.expose());
    let link = parsed.ok_or_else(|| MailError::Permanent { detail: "it has no link to follow".to_owned() })?;
    Ok(Action { label: label.into(), link })
}
