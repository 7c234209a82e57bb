//! How the operators' commands print: tables on a terminal, JSON for scripts, times as people say them.
//!
//! **Invariant:** what a colour says, a word beside it says as well. Colours are only used on a terminal, and not with
//! `NO_COLOR`.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, TableComponent, presets,
};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::Serialize;

/// A wide message is cut in tables; the whole of it is one command away.
const MAX_MESSAGE_CHARS: usize = 72;

/// What a table takes beside the contents of each column.
const PADDING: usize = 3;

/// The least that is left for a last column of text, before other columns go.
const LEAST_TEXT: usize = 32;

/// Heights of a bar, from nothing to all.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How something is, in words that are coloured on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Attention,
    Bad,
    Plain,
}

/// A table with a header and no lines but one below it.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.remove_style(TableComponent::HorizontalLines).remove_style(TableComponent::MiddleIntersections);
    let heading = |name| if coloured() { Cell::new(name).add_attribute(Attribute::Bold) } else { Cell::new(name) };
    table.set_header(header.map(heading));
    table
}

/// What the last column of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// Text, which may be broken into lines.
    Text,
    /// As short as the others.
    Figure,
}

/// Makes a table fit the terminal: of the columns that may go, as many go as must, in that order, and no id or figure is
/// broken into lines. All columns are there where the output is no terminal.
pub(crate) fn fit(mut table: Table, last: Last, may_go: &[usize]) -> Table {
    let Some(room) = table.width().map(usize::from) else { return table };
    let widths: Vec<usize> = table.column_max_content_widths().into_iter().map(usize::from).collect();
    let is_text = |column: usize| last == Last::Text && column + 1 == widths.len();
    let least = |column: usize| if is_text(column) { widths[column].min(LEAST_TEXT) } else { widths[column] };
    let mut needed: usize = (0..widths.len()).map(|column| least(column) + PADDING).sum();
    for column in 0..widths.len() {
        let constraint = if is_text(column) { None } else { Some(ColumnConstraint::ContentWidth) };
        if let (Some(constraint), Some(column)) = (constraint, table.column_mut(column)) {
            column.set_constraint(constraint);
        }
    }
    for &column in may_go {
        if needed <= room {
            break;
        }
        needed -= least(column) + PADDING;
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
    table
}

/// A cell of text.
pub(crate) fn text(value: impl ToString) -> Cell {
    Cell::new(value)
}

/// A cell of a figure; nothing is shown as a dash.
pub(crate) fn figure(value: Option<impl ToString>) -> Cell {
    let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// A cell of a word that says how something is.
pub(crate) fn word(value: &str, tone: Tone) -> Cell {
    let cell = Cell::new(value);
    match tone {
        _ if !coloured() => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Attention => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Tone::Plain => cell,
    }
}

fn coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none() && io::stdout().is_terminal()
}

/// How the text of invoices is shown here.
pub(crate) fn style() -> simulation::Style {
    if coloured() { simulation::Style::Ansi } else { simulation::Style::Plain }
}

/// Prints a line.
///
/// # Errors
/// Nobody reads any more; see [`is_unread`].
pub(crate) fn say(line: impl Display) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Prints a value as JSON, indented.
///
/// # Errors
/// As for [`say`].
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string_pretty(value)?)
}

/// Whether a command ended because the program that reads its output has seen enough, as `head` has: no failure.
pub(crate) fn is_unread(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A span as people say it: `850 ms`, `12 s`, `2 min`, `3 h`, `5 d`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span.as_millis() < 1 => "0 s".to_owned(),
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => match seconds % 3_600 / 60 {
            0 => format!("{} h", seconds / 3_600),
            minutes => format!("{} h {minutes} min", seconds / 3_600),
        },
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago, or how far ahead, an instant is.
pub(crate) fn when(at: Timestamp, now: Timestamp) -> String {
    let since = now.duration_since(at);
    if since < SignedDuration::ZERO {
        return format!("in {}", span(since.unsigned_abs()));
    }
    format!("{} ago", span(since.unsigned_abs()))
}

/// An instant to the second, in UTC.
pub(crate) fn instant(at: Timestamp) -> String {
    at.round(Unit::Second).unwrap_or(at).to_string()
}

/// One line of a message, cut for a table.
pub(crate) fn one_line(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_MESSAGE_CHARS {
        return line;
    }
    let cut: String = line.chars().take(MAX_MESSAGE_CHARS - 1).collect();
    format!("{cut}…")
}

/// A small chart: one sign a figure, the largest as high as a line.
pub(crate) fn chart(figures: &[u64]) -> String {
    let largest = figures.iter().copied().max().unwrap_or_default();
    let bar = |figure: &u64| match (*figure, largest) {
        (0, _) => ' ',
        (figure, largest) => {
            // At most the last one, since the figure is at most the largest.
            let height = (u128::from(figure) * BARS.len() as u128).div_ceil(u128::from(largest)) - 1;
            BARS[usize::try_from(height).unwrap_or_default()]
        }
    };
    figures.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Last, chart, fit, one_line, span, table, text, when};

    #[test]
    fn columns_go_before_anything_is_broken() {
        let shown = |width: u16| {
            let mut wide = table(["id", "tenant", "queue", "message"]);
            wide.add_row([
                text("job_00000000000001"),
                text("x".repeat(40)),
                text("payments"),
                text("a message ".repeat(6)),
            ]);
            wide.set_width(width);
            fit(wide, Last::Text, &[1, 2]).to_string()
        };
        let all = shown(160);
        assert!(all.contains("tenant") && all.contains("payments"), "{all}");
        let fewer = shown(80);
        assert!(!fewer.contains("tenant") && fewer.contains("payments"), "{fewer}");
        let fewest = shown(60);
        assert!(!fewest.contains("payments") && fewest.contains("job_00000000000001"), "{fewest}");
        assert!(fewest.lines().all(|line| line.chars().count() <= 60), "{fewest}");
    }

    #[test]
    fn spans_are_said_as_people_say_them() {
        for (ms, said) in [
            (0, "0 s"),
            (850, "850 ms"),
            (59_999, "59 s"),
            (120_000, "2 min"),
            (3_600_000, "1 h"),
            (5_400_000, "1 h 30 min"),
            (90_000_000, "1 d"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), said);
        }
        let at = |text: &str| text.parse().expect("an instant");
        assert_eq!(when(at("2026-08-01T12:00:00Z"), at("2026-08-01T12:02:30Z")), "2 min ago");
        assert_eq!(when(at("2026-08-01T12:00:09Z"), at("2026-08-01T12:00:00Z")), "in 9 s");
    }

    #[test]
    fn a_chart_is_as_high_as_its_largest_figure() {
        assert_eq!(chart(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(chart(&[0, 0]), "  ");
        assert_eq!(chart(&[u64::MAX]), "█");
    }

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(one_line("a\n  b"), "a b");
        assert_eq!(one_line(&"x".repeat(100)).chars().count(), 72);
    }
}
