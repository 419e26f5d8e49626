//! Whether a simulation fits into memory.

use crate::{Error, Result};

/// Refuses `what`, which takes so many bytes, where the system says that it has fewer available. Where it does not
/// say, nothing is refused.
pub(super) fn check(what: &str, bytes: u128) -> Result<()> {
    match available() {
        Some(available) => fits(what, bytes, available),
        None => Ok(()),
    }
}

/// The bytes of `vectors` vectors of `dimension` numbers.
pub(super) fn vectors(vectors: usize, dimension: usize) -> u128 {
    (vectors as u128 * dimension as u128).saturating_mul(size_of::<f64>() as u128)
}

fn fits(what: &str, bytes: u128, available: u64) -> Result<()> {
    if bytes <= u128::from(available) {
        return Ok(());
    }
    let gib = |bytes: f64| bytes / f64::from(1 << 30);
    Err(Error::usage(format!(
        "{what} need {:.1} GiB, and {:.1} GiB are available: take fewer workers or parameters",
        gib(bytes as f64),
        gib(available as f64)
    )))
}

/// Bytes that the system could give to a program, where it tells.
fn available() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(fits("these", vectors(1000, 1000), 8_000_000).is_ok());
        let error = fits("those", vectors(1001, 1000), 8_000_000).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("those need"));
        assert!(fits("all", vectors(usize::MAX, usize::MAX), u64::MAX).is_err());
    }
}
