//! Pieces of the text forms: `name`, `name:argument`, numbers.

/// `name:argument` → (name, Some(argument)); `name` → (name, None).
pub(super) fn split(s: &str) -> (&str, Option<&str>) {
    match s.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (s, None),
    }
}

/// The one number of an argument.
pub(super) fn number(argument: Option<&str>) -> Option<f64> {
    argument?.parse().ok()
}

/// The two numbers of an argument; the second may be left out when it has a default.
pub(super) fn pair(argument: Option<&str>, default: Option<f64>) -> Option<(f64, f64)> {
    match argument?.split_once(',') {
        Some((a, b)) => Some((a.parse().ok()?, b.parse().ok()?)),
        None => Some((number(argument)?, default?)),
    }
}
