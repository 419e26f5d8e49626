//! Whether what is to come fits into memory: told before, as a refusal, and not after, by the system's own means.

use crate::error::{Error, Result};
use std::path::Path;

/// Refuses `what`, which takes so many bytes, where the system says that it has fewer available; `instead` is what the
/// user could do about it. Where it does not say, nothing is refused.
pub(crate) fn check(what: &str, bytes: u128, instead: &str) -> Result<()> {
    match available() {
        Some(available) => fits(what, bytes, available, instead),
        None => Ok(()),
    }
}

/// The bytes of `vectors` vectors of `dimension` numbers.
pub(crate) fn vectors(vectors: usize, dimension: usize) -> u128 {
    (vectors as u128 * dimension as u128).saturating_mul(size_of::<f64>() as u128)
}

fn fits(what: &str, bytes: u128, available: u64, instead: &str) -> Result<()> {
    if bytes <= u128::from(available) {
        return Ok(());
    }
    let gib = |bytes: f64| bytes / f64::from(1 << 30);
    Err(Error::usage(format!(
        "{what} need {:.1} GiB, and {:.1} GiB are available: {instead}",
        gib(bytes as f64),
        gib(available as f64)
    )))
}

/// Bytes that this process could still get, as far as the system tells: of the machine's memory, of its control group,
/// of its own limits (`ulimit -v`, `-d`).
fn available() -> Option<u64> {
    let lines = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        let number = text.lines().find_map(|line| line.strip_prefix(key))?.split_ascii_whitespace().next()?;
        number.parse::<u64>().ok()
    };
    let kib = |path, key| lines(path, key).map(|kib| kib * 1024);
    let left =
        |limit: Option<u64>, used: Option<u64>| limit.map(|limit| limit.saturating_sub(used.unwrap_or(0)));
    let group = Path::new("/sys/fs/cgroup");
    let number = |name: &str| std::fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let all = [
        kib("/proc/meminfo", "MemAvailable:"),
        left(lines("/proc/self/limits", "Max address space"), kib("/proc/self/status", "VmSize:")),
        left(lines("/proc/self/limits", "Max data size"), kib("/proc/self/status", "VmData:")),
        left(number("memory.max"), number("memory.current")),
        left(number("memory/memory.limit_in_bytes"), number("memory/memory.usage_in_bytes")),
    ];
    all.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(fits("these", vectors(1000, 1000), 8_000_000, "take less").is_ok());
        let error = fits("those", vectors(1001, 1000), 8_000_000, "take less").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("those need") && error.to_string().ends_with(": take less"));
        assert!(fits("all", vectors(usize::MAX, usize::MAX), u64::MAX, "take less").is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells() {
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
