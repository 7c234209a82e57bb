//! Who writes to whom, and how that reader writes dates and amounts.

use domain::{BillingPeriod, Locale, Money, Zone};
use gateways::mail::{
    MailError,
    letter::{Action, Brand, Colour, Letter, Link, OneLine, Tone},
};
use jiff::{Timestamp, civil::Date};
use store::{Customer, SecretText, Tenant, User};

/// Who reads a mail.
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) zone: Zone,
    pub(super) locale: Locale,
}

impl Reader {
    pub(super) fn customer(customer: &Customer) -> Self {
        Self {
            name: customer.name.clone(),
            email: customer.email.clone(),
            zone: customer.timezone.clone(),
            locale: customer.locale,
        }
    }

    pub(super) fn user(user: &User) -> Self {
        Self { name: user.name.clone(), email: user.email.clone(), zone: Zone::UTC, locale: Locale::default() }
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
            brand: self.brand(),
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

    fn brand(&self) -> Brand {
        let Tenant { name, brand, .. } = self.tenant;
        let colour = brand.colour.as_deref().and_then(|colour| colour.parse().ok());
        let support = brand.support_email.as_deref().map(OneLine::from);
        Brand { name: OneLine::from(name), colour: colour.unwrap_or(Colour::DEFAULT), support }
    }

    /// The first paragraph: what is the matter, said to the reader by name.
    pub(super) fn greeting(&self, matter: &str) -> OneLine {
        OneLine::paragraph(format!("Hello {}, {matter}", OneLine::from(&self.reader.name)))
    }

    /// The tenant's name.
    pub(super) fn tenant(&self) -> OneLine {
        OneLine::from(&self.tenant.name)
    }

    pub(super) fn amount(&self, amount: Money) -> OneLine {
        self.reader.locale.amount(amount).into()
    }

    /// A decimal as the reader writes it.
    pub(super) fn number(&self, plain: &str) -> OneLine {
        self.reader.locale.number(plain).into()
    }

    /// The reader's date at an instant.
    pub(super) fn day(&self, at: Timestamp) -> OneLine {
        self.date(self.reader.zone.date_of(at))
    }

    pub(super) fn date(&self, date: Date) -> OneLine {
        self.reader.locale.date(date).into()
    }

    /// The days of a period as people write them: the first to the last.
    pub(super) fn period(&self, period: BillingPeriod) -> OneLine {
        let last = period.end.yesterday().unwrap_or(period.end);
        format!("{} – {}", self.date(period.start), self.date(last)).into()
    }
}

/// A link that can be followed.
///
/// # Errors
/// `Permanent` when it was forgotten, because the mail has been sent, or leads nowhere.
pub(super) fn followed(link: &str) -> Result<Link, MailError> {
    Link::parse(link).ok_or_else(|| MailError::Permanent { detail: "it has no link to follow".to_owned() })
}

/// A button for a link that is a secret.
///
/// # Errors
/// Those of [`followed`].
pub(super) fn secret_action(label: &str, link: &SecretText) -> Result<Action, MailError> {
    Ok(Action { label: label.into(), link: followed(link.expose())? })
}
