//! What a benchmark found: [`Report`], as a table for the terminal, as JSON and as a chart.
//!
//! Owns what is compared with what: units, ratios and targets. A target is printed as kept or missed; it never decides
//! the exit code, because a machine that is busy with something else is no defect.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use crate::chart;

/// The figures of one benchmark, and how they came about.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Its name, and that of its files.
    pub(crate) benchmark: &'static str,
    pub(crate) title: &'static str,
    /// The machine and the amounts, in one line.
    pub(crate) setting: String,
    pub(crate) rows: Vec<Row>,
    /// What one has to know to read the figures, a sentence each.
    pub(crate) notes: Vec<&'static str>,
}

/// One thing measured on several sides.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "Judged")]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) ratchet: f64,
    /// The least that it can take, from the same run.
    pub(crate) floor: Option<f64>,
    /// What stock apalis-redis makes of it.
    pub(crate) stock: Option<f64>,
    pub(crate) target: Target,
}

/// A row as it is written: with what follows from its figures.
#[derive(Serialize)]
struct Judged {
    name: String,
    unit: Unit,
    ratchet: f64,
    floor: Option<f64>,
    stock: Option<f64>,
    /// How many times the floor's work it is; 1 is as good as the floor.
    times_floor: Option<f64>,
    /// How many times Ratchet's work the stock side does.
    stock_times_ratchet: Option<f64>,
    target: String,
    holds: bool,
}

impl From<Row> for Judged {
    fn from(row: Row) -> Self {
        Self {
            times_floor: row.times_floor().map(rounded),
            stock_times_ratchet: row.stock_times_ratchet().map(rounded),
            target: row.target_text(),
            holds: row.holds(),
            name: row.name,
            unit: row.unit,
            ratchet: rounded(row.ratchet),
            floor: row.floor.map(rounded),
            stock: row.stock.map(rounded),
        }
    }
}

/// To thousandths: more digits would pretend to a precision that no measurement here has.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    JobsPerSecond,
    BytesPerJob,
    Milliseconds,
    Seconds,
    Jobs,
}

impl Unit {
    /// A figure with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::JobsPerSecond => format!("{}/s", grouped(value)),
            Self::BytesPerJob => format!("{} B", grouped(value)),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Seconds => format!("{value:.1} s"),
            Self::Jobs => grouped(value),
        }
    }

    /// What a chart of it is headed with.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::JobsPerSecond => "Jobs per second, longer is better",
            Self::BytesPerJob => "Redis memory per job in bytes, shorter is better",
            Self::Milliseconds => "Milliseconds, shorter is better",
            Self::Seconds => "Seconds, shorter is better",
            Self::Jobs => "Jobs, shorter is better",
        }
    }

    /// How many times the work of `other` it takes to get `value`; none if one of them shows as nothing, because
    /// their ratio would be one of remnants.
    fn times(self, value: f64, other: f64) -> Option<f64> {
        let counted = |value: f64| if matches!(self, Self::BytesPerJob | Self::Jobs) { value.round() } else { value };
        let (value, other) = (counted(value), counted(other));
        let (more, less) = if self == Self::JobsPerSecond { (other, value) } else { (value, other) };
        let ratio = more / less;
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// At most so many times the floor's work.
    TimesFloor(f64),
    /// At most so much, in the row's unit and rounded as it is shown.
    AtMost(f64),
    /// Less than so much, in the row's unit.
    Below(f64),
}

impl Row {
    fn times_floor(&self) -> Option<f64> {
        self.unit.times(self.ratchet, self.floor?)
    }

    fn stock_times_ratchet(&self) -> Option<f64> {
        self.unit.times(self.stock?, self.ratchet)
    }

    fn target_text(&self) -> String {
        match self.target {
            Target::TimesFloor(limit) => format!("≤ {limit:.1}× floor"),
            Target::AtMost(limit) => format!("≤ {}", self.unit.show(limit)),
            Target::Below(limit) => format!("< {}", self.unit.show(limit)),
        }
    }

    fn holds(&self) -> bool {
        match self.target {
            Target::TimesFloor(limit) => self.times_floor().is_some_and(|ratio| ratio <= limit),
            Target::AtMost(limit) => self.ratchet.round() <= limit,
            Target::Below(limit) => self.ratchet < limit,
        }
    }

    /// The target as a figure of this row's unit.
    pub(crate) fn target_value(&self) -> Option<f64> {
        match (self.target, self.floor) {
            (Target::TimesFloor(limit), Some(floor)) if self.unit == Unit::JobsPerSecond => Some(floor / limit),
            (Target::TimesFloor(limit), Some(floor)) => Some(floor * limit),
            (Target::TimesFloor(_), None) => None,
            (Target::AtMost(limit) | Target::Below(limit), _) => Some(limit),
        }
    }

    /// How it stands to the floor, in words.
    pub(crate) fn beside_floor(&self) -> Option<String> {
        let what = if self.unit == Unit::BytesPerJob { "floor" } else { "floor's time" };
        self.times_floor().map(|ratio| format!("{ratio:.2}× the {what}"))
    }
}

impl Report {
    /// Prints the table.
    pub(crate) fn print(&self) {
        println!("\n{} ({})\n{}", self.title, self.benchmark, self.setting);
        println!("{}", self.table());
        for note in &self.notes {
            println!("· {note}");
        }
    }

    fn table(&self) -> Table {
        let with_floor = self.rows.iter().any(|row| row.floor.is_some());
        let with_stock = self.rows.iter().any(|row| row.stock.is_some());
        let mut header = vec!["", "Ratchet"];
        header.extend(with_floor.then_some(["floor", "Ratchet / floor"]).into_iter().flatten());
        header.extend(with_stock.then_some(["apalis-redis", "apalis-redis / Ratchet"]).into_iter().flatten());
        header.extend(["target", ""]);
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
        for row in &self.rows {
            let figure = |value: Option<f64>| value.map(|value| row.unit.show(value)).unwrap_or_default();
            let ratio = |value: Option<f64>| value.map(|value| format!("{value:.2}×")).unwrap_or_default();
            let mut cells = vec![row.name.clone(), figure(Some(row.ratchet))];
            if with_floor {
                cells.extend([figure(row.floor), ratio(row.times_floor())]);
            }
            if with_stock {
                cells.extend([figure(row.stock), ratio(row.stock_times_ratchet())]);
            }
            cells.push(row.target_text());
            let verdict = if row.holds() { "holds" } else { "missed" };
            let aligned = cells.into_iter().enumerate().map(|(column, text)| {
                Cell::new(text).set_alignment(if column == 0 { CellAlignment::Left } else { CellAlignment::Right })
            });
            table.add_row(aligned.chain([Cell::new(verdict)]));
        }
        table
    }

    /// Writes `<benchmark>.json` and `<benchmark>.svg` into the folder, which is made if it is not there.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut json = serde_json::to_string_pretty(self).context("encoding the report")?;
        json.push('\n');
        let files = [("json", json), ("svg", chart::draw(self)?)];
        for (extension, text) in files {
            let path = folder.join(self.benchmark).with_extension(extension);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            println!("{}", path.display());
        }
        Ok(())
    }
}

/// A rounded number with its digits in groups of three.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Unit, ratchet: f64, target: Target) -> Row {
        Row { name: "row".to_owned(), unit, ratchet, floor: Some(100.0), stock: Some(25.0), target }
    }

    #[test]
    fn a_ratio_is_one_of_work_whichever_way_the_unit_counts() {
        let rate = row(Unit::JobsPerSecond, 50.0, Target::TimesFloor(2.0));
        assert_eq!((rate.times_floor(), rate.stock_times_ratchet()), (Some(2.0), Some(2.0)));
        assert_eq!(rate.target_value(), Some(50.0));
        assert!(rate.holds());

        let time = row(Unit::Milliseconds, 200.0, Target::TimesFloor(1.5));
        assert_eq!((time.times_floor(), time.stock_times_ratchet()), (Some(2.0), Some(0.125)));
        assert_eq!(time.target_value(), Some(150.0));
        assert!(!time.holds());
    }

    #[test]
    fn nothing_left_is_a_figure_and_no_ratio() {
        let bytes = Row { floor: Some(0.003), ..row(Unit::BytesPerJob, 0.004, Target::AtMost(0.0)) };
        assert!(bytes.holds());
        assert_eq!((bytes.times_floor(), bytes.stock_times_ratchet()), (None, None));
        assert!(!row(Unit::BytesPerJob, 0.6, Target::AtMost(0.0)).holds());
        assert!(!row(Unit::Seconds, 15.0, Target::Below(15.0)).holds());
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(Unit::JobsPerSecond.show(1_234_567.8), "1,234,568/s");
        assert_eq!(Unit::BytesPerJob.show(-3.0), "0 B");
        assert_eq!(Unit::Milliseconds.show(0.456), "0.46 ms");
    }
}
