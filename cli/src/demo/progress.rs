//! Progress bars that degrade to plain lines where there is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for `length` steps of something.
pub(super) fn bar(name: &'static str, length: usize) -> ProgressBar {
    let bar = ProgressBar::new(length as u64).with_prefix(name).with_style(style());
    if bar.is_hidden() {
        eprintln!("  {name}: {length}");
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("  {prefix:<16} {bar:40.cyan/dim} {human_pos:>7} / {human_len:<7} {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
