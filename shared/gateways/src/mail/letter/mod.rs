//! How every mail looks: one letter, in text and in HTML. Owns looks alone; words, and amounts and dates as their reader
//! writes them, arrive ready.
//!
//! **Invariant:** whatever is shown is an [`OneLine`] or a [`Link`]: it cannot break out of its line in the text body, and
//! askama escapes it in the HTML body. The HTML loads nothing from outside.

mod brand;
mod columns;
mod link;
mod one_line;
mod statement;

use askama::Template;

use super::error::MailError;

pub use brand::{Brand, Colour};
pub use link::Link;
pub use one_line::OneLine;
pub use statement::{Statement, StatementLine};

/// One mail's content, section by section in the order in which it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Who writes.
    pub brand: Brand,
    pub subject: OneLine,
    pub tone: Tone,
    /// What the headline is about, in two or three words.
    pub label: OneLine,
    /// What the reader looks for first: an amount, or the matter itself.
    pub headline: OneLine,
    /// Running text; the first addresses the reader.
    pub paragraphs: Vec<OneLine>,
    /// What it is about, by name.
    pub facts: Vec<(OneLine, OneLine)>,
    pub statement: Option<Statement>,
    /// The one thing that the reader can do from here.
    pub action: Option<Action>,
    /// What happens next.
    pub note: Option<OneLine>,
    /// Why the reader gets this mail.
    pub reason: OneLine,
    /// Where the reader can stop mails of this kind; absent for those that nobody may miss.
    pub unsubscribe: Option<Link>,
}

/// Whether something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Calm,
    Alarm,
}

/// A link that is asked to be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What it does: `Confirm your address`.
    pub label: OneLine,
    pub link: Link,
}

/// A rendered mail, ready to be addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The plain text body.
    pub text: String,
    /// The HTML body: self-contained, for light and dark, for desk and phone.
    pub html: String,
}

impl Letter {
    /// Renders both bodies.
    ///
    /// # Errors
    /// [`MailError::Permanent`] if a template is broken: no input can cause it.
    pub fn render(&self) -> Result<Rendered, MailError> {
        let failed = |error: askama::Error| MailError::permanent(format!("rendering: {error}"));
        Ok(Rendered {
            subject: self.subject.to_string(),
            text: Text { letter: self }.render().map_err(failed)?,
            html: Html { letter: self }.render().map_err(failed)?,
        })
    }

    /// What mail programs show beside the subject.
    fn preview(&self) -> &str {
        self.note.as_ref().or(self.paragraphs.first()).map_or("", OneLine::as_str)
    }
}

impl Tone {
    /// The class of what is coloured by it.
    fn class(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Alarm => "alarm",
        }
    }

    /// Its colour on white paper.
    fn colour(self, brand: &Brand) -> Colour {
        match self {
            Self::Calm => brand.colour.on_white(),
            Self::Alarm => Colour::ALARM,
        }
    }
}

#[derive(Template)]
#[template(path = "letter.txt")]
struct Text<'a> {
    letter: &'a Letter,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a> {
    letter: &'a Letter,
}
