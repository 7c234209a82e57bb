//! Amounts for human readers. Integers only; the text is exact.

/// `USD 1,234.50`: the upper-case code, thousands separated by commas, as many decimals as the
/// currency's `exponent` (jpy 0, usd 2, kwd 3). The sign stands before the digits.
#[must_use]
pub fn format_amount(minor: i64, exponent: u32, currency: &str) -> String {
    let decimals = exponent as usize;
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
    let (major, fraction) = digits.split_at(digits.len() - decimals);
    let mut text = currency.to_ascii_uppercase();
    text.push(' ');
    if minor < 0 {
        text.push('-');
    }
    for (at, digit) in major.chars().enumerate() {
        if at > 0 && (major.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::format_amount;

    #[test]
    fn amounts_are_exact_in_every_currency() {
        let cases = [
            (123_450, 2, "usd", "USD 1,234.50"),
            (0, 2, "usd", "USD 0.00"),
            (5, 2, "eur", "EUR 0.05"),
            (-5, 2, "eur", "EUR -0.05"),
            (-123_456_789, 2, "usd", "USD -1,234,567.89"),
            (1_000, 0, "jpy", "JPY 1,000"),
            (999, 0, "jpy", "JPY 999"),
            (1_234_567, 3, "kwd", "KWD 1,234.567"),
            (i64::MIN, 2, "usd", "USD -92,233,720,368,547,758.08"),
        ];
        for (minor, exponent, currency, expected) in cases {
            assert_eq!(format_amount(minor, exponent, currency), expected);
        }
    }
}
