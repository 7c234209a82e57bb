//! Grace: how long a periodic invoice stays a draft, in which usage still counts.

use jiff::{Span, Timestamp};

use crate::{InvoiceContent, InvoiceReason, Zone};

/// The local midnight at which an invoice is a draft no more, so many days after it is issued; none for one that never is.
#[must_use]
pub fn grace_end(content: &InvoiceContent, days: u16, zone: &Zone) -> Option<Timestamp> {
    if days == 0 || content.reason != InvoiceReason::Period {
        return None;
    }
    let issued = zone.date_of(content.issued_at);
    Some(zone.start_of_day(issued.saturating_add(Span::new().days(days))))
}
