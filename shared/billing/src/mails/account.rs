//! Mails about accounts: to users, with a link that is a secret.

use gateways::mail::{
    MailError,
    letter::{Letter, OneLine},
};
use store::SecretText;

use super::writer::{Writer, secret_action};

/// Welcome, and please confirm the address.
pub(super) fn verify_email(writer: &Writer<'_>, link: &SecretText) -> Result<Letter, MailError> {
    let matter =
        format!("thank you for signing up with {}. One step is left: please confirm your address.", writer.tenant());
    Ok(Letter {
        label: "Welcome".into(),
        headline: "Confirm your address".into(),
        paragraphs: vec![writer.greeting(&matter)],
        action: Some(secret_action("Confirm address", link)?),
        note: Some(OneLine::paragraph(
            "The link works once and for a limited time. If you did not sign up, ignore this mail: nothing happens \
             without your confirmation.",
        )),
        ..writer.letter("confirm your address", "somebody signed up with your address")
    })
}

/// You have an account already.
pub(super) fn already_registered(writer: &Writer<'_>) -> Letter {
    let matter = "somebody, probably you, signed up with your address. It signs in already, so nothing was changed.";
    Letter {
        label: "Your account".into(),
        headline: "You are signed up already".into(),
        paragraphs: vec![writer.greeting(matter)],
        note: Some(OneLine::paragraph(
            "If you have forgotten your password, ask for another one. If it was not you, ignore this mail.",
        )),
        ..writer.letter("you are signed up already", "somebody signed up with your address")
    }
}

/// Please join.
pub(super) fn invitation(writer: &Writer<'_>, by: &str, link: &SecretText) -> Result<Letter, MailError> {
    let matter = format!("{} invites you to work with the billing of {}.", OneLine::from(by), writer.tenant());
    Ok(Letter {
        label: "Invitation".into(),
        headline: format!("Join {}", writer.tenant()).into(),
        paragraphs: vec![writer.greeting(&matter)],
        action: Some(secret_action("Accept invitation", link)?),
        note: Some(OneLine::paragraph(
            "The link works once and for a limited time. You choose your password when you follow it.",
        )),
        ..writer.letter("you are invited", "one of its users invited you")
    })
}

/// Choose a new password.
pub(super) fn password_reset(writer: &Writer<'_>, link: &SecretText) -> Result<Letter, MailError> {
    Ok(Letter {
        label: "Your account".into(),
        headline: "Choose a new password".into(),
        paragraphs: vec![writer.greeting("somebody, probably you, asked for a new password.")],
        action: Some(secret_action("Choose password", link)?),
        note: Some(OneLine::paragraph(
            "The link works once and for a limited time. If it was not you, ignore this mail: your password stays as \
             it is.",
        )),
        ..writer.letter("choose a new password", "a new password was asked for at your address")
    })
}
