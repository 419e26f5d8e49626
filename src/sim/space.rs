//! Whether the snapshots fit into memory.

use crate::{Error, Result};

/// Refuses `vectors` snapshots of `dimension` numbers that need more memory than the system says it has
/// available. Where it does not say, nothing is refused.
pub(super) fn check(vectors: usize, dimension: usize) -> Result<()> {
    match available() {
        Some(available) => fits(vectors, dimension, available),
        None => Ok(()),
    }
}

fn fits(vectors: usize, dimension: usize, available: u64) -> Result<()> {
    let needed = (vectors as u128 * dimension as u128).saturating_mul(size_of::<f64>() as u128);
    if needed <= u128::from(available) {
        return Ok(());
    }
    let gib = |bytes: f64| bytes / f64::from(1 << 30);
    Err(Error::usage(format!(
        "{vectors} snapshots of {dimension} parameters need {:.1} GiB, and {:.1} GiB are available: take \
         fewer workers or parameters",
        gib(needed as f64),
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
        assert!(fits(1000, 1000, 8_000_000).is_ok());
        let error = fits(1001, 1000, 8_000_000).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("1001 snapshots of 1000 parameters"));
        assert!(fits(usize::MAX, usize::MAX, u64::MAX).is_err());
    }
}
