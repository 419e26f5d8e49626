//! Numbers for people.

/// A whole number with commas between the thousands: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of three digits with a prefix for the thousands: `2.13 M`, `45.0 k`, `7.10`.
pub fn si(x: f64) -> String {
    // What rounds to 1000 belongs to the next prefix.
    let prefixes = [(" G", 1e9), (" M", 1e6), (" k", 1e3)];
    let (prefix, unit) = prefixes.into_iter().find(|(_, unit)| x >= 0.9995 * unit).unwrap_or(("", 1.0));
    let x = x / unit;
    let decimals = if x >= 99.95 { 0 } else { usize::from(x < 9.995) + 1 };
    format!("{x:.decimals$}{prefix}")
}

/// Digits as few as tell a parameter: `0.001`, `3.8e-6`.
pub(super) fn short(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) {
        let text = format!("{x:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let decimals = (3 - x.abs().max(1e-3).log10().floor() as i32).max(0) as usize;
    let text = format!("{x:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn people_can_read_them() {
        let counts = [0, 12, 123, 1234, 1_234_567].map(count);
        assert_eq!(counts, ["0", "12", "123", "1,234", "1,234,567"]);
        let rates = [0.0, 7.1, 99.96, 999.6, 45_000.0, 2_130_000.0, 1.5e9].map(si);
        assert_eq!(rates, ["0.00", "7.10", "100", "1.00 k", "45.0 k", "2.13 M", "1.50 G"]);
        let parameters = [0.0, 0.001, 0.25, 1.0, 12.5, 1234.5678, 3.82e-6, 1e-5, 2e7].map(short);
        assert_eq!(parameters, ["0", "0.001", "0.25", "1", "12.5", "1235", "3.82e-6", "1e-5", "2e7"]);
    }
}
