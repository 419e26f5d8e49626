//! Whether what is to come fits into memory: told before, as a refusal, and not after, by the system's own means.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Less is not asked for: the system takes up to a millisecond to tell.
const SMALL: u128 = 4 << 20;

/// Refuses `what`, which takes so many bytes, where the system says that it has fewer available; `instead` is what the
/// user could do about it. Where it does not say, nothing is refused.
pub(crate) fn check(what: &str, bytes: u128, instead: &str) -> Result<()> {
    if bytes < SMALL {
        return Ok(());
    }
    available().map_or(Ok(()), |available| fits(what, bytes, available, instead))
}

/// Refuses a file whose `count` rows, numbers or words take so many bytes `each` at most while it is read, where they do
/// not fit: its length says little of what is in it.
pub(crate) fn check_reading(name: &str, count: usize, what: &str, each: usize) -> Result<()> {
    check(&format!("{name}: {count} {what}"), count as u128 * each as u128, "take fewer")
}

/// The occurrences of a byte.
pub(crate) fn occurrences(bytes: &[u8], of: u8) -> usize {
    // Counted by parts in narrow numbers, which vectors have more of.
    bytes.chunks(255).map(|part| usize::from(part.iter().map(|&byte| u8::from(byte == of)).sum::<u8>())).sum()
}

/// The bytes of `vectors` vectors of `dimension` numbers.
pub(crate) fn vectors(vectors: usize, dimension: usize) -> u128 {
    (vectors as u128 * dimension as u128).saturating_mul(size_of::<f64>() as u128)
}

fn fits(what: &str, bytes: u128, available: u64, instead: &str) -> Result<()> {
    if bytes <= u128::from(available) {
        return Ok(());
    }
    let told = |bytes: f64| match bytes / f64::from(1 << 20) {
        mib if mib < 1024.0 => format!("{mib:.0} MiB"),
        mib => format!("{:.1} GiB", mib / 1024.0),
    };
    let (needed, left) = (told(bytes as f64), told(available as f64));
    Err(Error::usage(format!("{what} need {needed}, and {left} are available: {instead}")))
}

/// The folders of this process's control groups that limit memory, and of those around them.
fn groups() -> Vec<PathBuf> {
    let mine = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let folders = mine.lines().filter_map(|line| {
        // hierarchy:controllers:path
        let mut fields = line.splitn(3, ':').skip(1);
        let root = match fields.next()? {
            "" => "/sys/fs/cgroup",
            controllers if controllers.split(',').any(|name| name == "memory") => "/sys/fs/cgroup/memory",
            _ => return None,
        };
        Some((Path::new(root), Path::new(root).join(fields.next()?.trim_start_matches('/'))))
    });
    let up = |(root, folder): (&Path, PathBuf)| -> Vec<PathBuf> {
        folder.ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_owned).collect()
    };
    folders.flat_map(up).collect()
}

/// Bytes that this process could still get, as far as the system tells: of the machine's memory, of its control groups,
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
    let number = |path: PathBuf| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let of_groups = groups().into_iter().flat_map(|group| {
        let names = [
            ("memory.max", "memory.current", "inactive_file "),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
        ];
        names.map(|(limit, used, cached)| {
            // Cached files count as used, and give way.
            let cached = group.join("memory.stat").to_str().and_then(|stat| lines(stat, cached)).unwrap_or(0);
            let used = number(group.join(used)).map(|used| used.saturating_sub(cached));
            left(number(group.join(limit)), used)
        })
    });
    let all = [
        kib("/proc/meminfo", "MemAvailable:"),
        left(lines("/proc/self/limits", "Max address space"), kib("/proc/self/status", "VmSize:")),
        left(lines("/proc/self/limits", "Max data size"), kib("/proc/self/status", "VmData:")),
    ];
    all.into_iter().chain(of_groups).flatten().min()
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
        let told = fits("rows", 3 << 29, 5 << 20, "take less").unwrap_err().to_string();
        assert_eq!(told, "rows need 1.5 GiB, and 5 MiB are available: take less");
        let bytes: Vec<u8> = (0..2000u32).map(|i| u8::from(i % 3 == 0)).collect();
        assert_eq!((occurrences(&bytes, 1), occurrences(&[7; 1000], 7)), (667, 1000));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells() {
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
