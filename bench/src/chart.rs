//! A report as a picture: bars in groups, one panel with its own linear scale for each unit. Readable on light and dark
//! ground; what looks how stands in `templates/chart.svg`.

use anyhow::{Context, Result};
use askama::Template;

use crate::report::{Report, Row, Unit};

/// Where bars begin, and how long the longest is.
const BARS_AT: f64 = 190.0;
const LONGEST: f64 = 380.0;

/// Heights, in pixels: what stands above the panels, a panel's heading, a bar, and the gaps.
const TOP: f64 = 112.0;
const HEADING: f64 = 34.0;
const BAR: f64 = 16.0;
const BAR_GAP: f64 = 4.0;
const GROUP_GAP: f64 = 18.0;
const PANEL_GAP: f64 = 22.0;
const BOTTOM: f64 = 14.0;

/// From a bar or a mark to its label, and what a sign of a label takes at most.
const LABEL_GAP: f64 = 8.0;
const SIGN: f64 = 7.5;

#[derive(Template)]
#[template(path = "chart.svg")]
struct Chart<'a> {
    title: &'a str,
    setting: &'a str,
    height: f64,
    keys: Vec<Key>,
    panels: Vec<Panel>,
}

/// An entry of the legend.
struct Key {
    class: &'static str,
    name: &'static str,
    x: f64,
}

struct Panel {
    heading: &'static str,
    y: f64,
    groups: Vec<Group>,
}

struct Group {
    name: String,
    /// Middle of the group, for its name.
    middle: f64,
    bars: Vec<Bar>,
    target: Option<Mark>,
}

struct Bar {
    class: &'static str,
    y: f64,
    width: f64,
    label: String,
    label_x: f64,
}

/// Where the target lies.
struct Mark {
    x: f64,
    top: f64,
    bottom: f64,
}

/// The picture, as SVG.
///
/// # Errors
/// The template cannot be rendered.
pub(crate) fn draw(report: &Report) -> Result<String> {
    let mut y = TOP;
    let mut panels: Vec<Panel> = Vec::new();
    for rows in report.rows.chunk_by(|one, next| one.unit == next.unit) {
        panels.push(panel(rows, &mut y));
    }
    let chart = Chart {
        title: report.title,
        setting: &report.setting,
        height: y - PANEL_GAP + BOTTOM,
        keys: keys(report),
        panels,
    };
    chart.render().context("drawing the chart")
}

fn keys(report: &Report) -> Vec<Key> {
    /// Room for the longest name and its swatch.
    const WIDTH: f64 = 150.0;
    let floor = report.rows.iter().any(|row| row.floor.is_some());
    let stock = report.rows.iter().any(|row| row.stock.is_some());
    let shown = [
        Some(("ratchet", "Ratchet")),
        floor.then_some(("floor", "floor, same run")),
        stock.then_some(("stock", "apalis-redis 1.0.0")),
        Some(("target", "target")),
    ];
    let mut x = 24.0;
    let place = |(class, name)| {
        let key = Key { class, name, x };
        x += WIDTH;
        key
    };
    shown.into_iter().flatten().map(place).collect()
}

fn panel(rows: &[Row], y: &mut f64) -> Panel {
    let unit = rows.first().map_or(Unit::Jobs, |row| row.unit);
    let figures = rows.iter().flat_map(|row| [Some(row.ratchet), row.floor, row.stock, row.target_value()]);
    let longest = figures.flatten().fold(0.0, f64::max);
    let scale = if longest > 0.0 { LONGEST / longest } else { 1.0 };
    let heading_at = *y;
    *y += HEADING;
    let groups = rows.iter().map(|row| group(row, scale, y)).collect();
    *y += PANEL_GAP - GROUP_GAP;
    Panel { heading: unit.heading(), y: heading_at + 14.0, groups }
}

fn group(row: &Row, scale: f64, y: &mut f64) -> Group {
    let top = *y;
    // A target of nothing is where bars begin; there is no need to mark it.
    let target = row.target_value().filter(|&value| value > 0.0);
    let target = target.map(|value| Mark { x: BARS_AT + value * scale, top: top - 4.0, bottom: top + BAR + 4.0 });
    let beside = row.beside_floor().map(|text| format!(" · {text}")).unwrap_or_default();
    let sides = [
        Some(("ratchet", row.ratchet, beside)),
        row.floor.map(|value| ("floor", value, String::new())),
        row.stock.map(|value| ("stock", value, String::new())),
    ];
    let mut bars = Vec::new();
    for (class, value, beside) in sides.into_iter().flatten() {
        let width = (value.max(0.0) * scale).max(1.5);
        let end = BARS_AT + width;
        // The mark of the target crosses the first bar only; what is written there stays clear of it.
        let mark = target.as_ref().filter(|_| bars.is_empty()).map(|mark| mark.x);
        let label = format!("{}{beside}", row.unit.show(value));
        let room = end..end + 2.0 * LABEL_GAP + SIGN * label.chars().count() as f64;
        let label_x = mark.filter(|mark| room.contains(mark)).unwrap_or(end) + LABEL_GAP;
        bars.push(Bar { class, y: *y, width, label, label_x });
        *y += BAR + BAR_GAP;
    }
    let bottom = *y - BAR_GAP;
    *y += GROUP_GAP;
    Group { name: row.name.clone(), middle: f64::midpoint(top, bottom), bars, target }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Target;

    #[test]
    fn a_chart_is_an_svg_with_a_bar_for_each_figure_and_nothing_beyond_its_edge() {
        let row = |name: &str, unit, floor| Row {
            name: name.to_owned(),
            unit,
            ratchet: 50_000.0,
            floor,
            stock: None,
            target: Target::AtMost(80_000.0),
        };
        let report = Report {
            benchmark: "queue",
            title: "A <title> & more",
            setting: "here".to_owned(),
            rows: vec![
                row("enqueue", Unit::JobsPerSecond, Some(60_000.0)),
                row("process", Unit::JobsPerSecond, None),
                row("bytes", Unit::BytesPerJob, None),
            ],
            notes: Vec::new(),
        };
        let text = draw(&report).unwrap();
        let svg = roxmltree::Document::parse(&text).unwrap();
        let with_class = |class| {
            svg.descendants()
                .filter(move |node| node.tag_name().name() == "rect" && node.attribute("class") == Some(class))
        };
        let bars: Vec<_> = with_class("bar ratchet").chain(with_class("bar floor")).collect();
        assert_eq!(bars.len(), 4);
        for bar in bars {
            let width: f64 = bar.attribute("width").unwrap().parse().unwrap();
            assert!(width > 0.0 && width <= LONGEST, "{width}");
        }
        assert!(text.contains("prefers-color-scheme"));
    }
}
