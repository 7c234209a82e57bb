//! The plain text body's two columns: words on the left, amounts flush right.

/// Fits an unscrolled window of any mail program, also quoted once.
pub(super) const WIDTH: usize = 64;

/// `left` and `right` at the two edges; if they do not fit, `right` goes on a line of its own.
pub(super) fn row(left: impl AsRef<str>, right: impl AsRef<str>) -> String {
    let (left, right) = (left.as_ref(), right.as_ref());
    let used = left.chars().count() + right.chars().count();
    if used + 2 <= WIDTH {
        return format!("{left}{:space$}{right}", "", space = WIDTH - used);
    }
    format!("{left}\n{right:>WIDTH$}")
}

/// A line across the whole width.
pub(super) fn rule() -> String {
    "-".repeat(WIDTH)
}

/// Breaks running text at spaces so that no line is wider than the window.
pub(super) fn wrap(text: impl AsRef<str>) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.as_ref().split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_end_at_the_right_edge_whatever_stands_left() {
        for left in ["", "Base", &"x".repeat(60), &"ö".repeat(200)] {
            let row = row(left, "USD 1.00");
            let last = row.lines().last().unwrap();
            assert_eq!(last.chars().count(), WIDTH, "{row}");
            assert!(row.ends_with("USD 1.00") && row.starts_with(left));
        }
    }

    #[test]
    fn wrapping_keeps_every_word() {
        let text = "one two three ".repeat(30);
        let wrapped = wrap(&text);
        assert!(wrapped.lines().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(wrapped.replace('\n', " "), text);
    }
}
