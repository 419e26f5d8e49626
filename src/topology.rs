//! The cores that we may use, and which worker runs on which.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Where workers run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Pin {
    /// Worker i on the i-th core that we may use; not pinned where there are more workers than cores.
    #[default]
    Auto,
    /// Wherever the operating system puts them.
    None,
    /// Worker i on the i-th of these cores, going round where there are more workers.
    List(Vec<usize>),
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Auto => f.write_str("auto"),
            Pin::None => f.write_str("none"),
            Pin::List(cores) => {
                let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
                f.write_str(&cores.join(","))
            }
        }
    }
}

impl FromStr for Pin {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "auto" => Ok(Pin::Auto),
            "none" => Ok(Pin::None),
            list => list.split(',').map(|core| core.trim().parse().ok()).collect::<Option<_>>().map_or_else(
                || Err(Error::usage(format!("pin '{s}': expected auto, none or core numbers like 0,2,3"))),
                |cores| Ok(Pin::List(cores)),
            ),
        }
    }
}

/// The cores that this process may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    cores: Vec<usize>,
}

impl Topology {
    /// The cores in this process's affinity mask.
    pub fn detect() -> Self {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let cores: Vec<usize> = cores.into_iter().map(|core| core.id).collect();
        // Where the mask cannot be read: as many as the standard library reports, from 0.
        let fallback = || (0..std::thread::available_parallelism().map_or(1, usize::from)).collect();
        Self { cores: if cores.is_empty() { fallback() } else { cores } }
    }

    /// A topology with these core numbers, as on another machine.
    pub fn of(cores: Vec<usize>) -> Self {
        Self { cores }
    }

    /// How many cores there are; at least 1.
    pub fn cores(&self) -> usize {
        self.cores.len().max(1)
    }

    /// The core of each of `workers`; `None` where a worker is not pinned.
    ///
    /// # Errors
    /// A listed core that this process may not use.
    pub fn plan(&self, pin: &Pin, workers: usize) -> Result<Vec<Option<usize>>> {
        match pin {
            Pin::None => Ok(vec![None; workers]),
            Pin::Auto if workers > self.cores.len() => Ok(vec![None; workers]),
            Pin::Auto => Ok(self.cores[..workers].iter().copied().map(Some).collect()),
            Pin::List(list) => {
                if let Some(core) = list.iter().find(|core| !self.cores.contains(core)) {
                    return Err(Error::usage(format!(
                        "pin: found core {core}, expected cores among {:?}",
                        self.cores
                    )));
                }
                if list.is_empty() {
                    return Err(Error::usage("pin: found no core, expected auto, none or core numbers"));
                }
                Ok((0..workers).map(|worker| Some(list[worker % list.len()])).collect())
            }
        }
    }
}

/// Pins the calling thread. False where the system refuses.
pub(crate) fn pin_current(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let four = Topology::of(vec![1, 3, 5, 7]);
        assert_eq!(four.plan(&Pin::Auto, 2).unwrap(), [Some(1), Some(3)]);
        assert_eq!(four.plan(&Pin::Auto, 5).unwrap(), [None; 5]);
        assert_eq!(four.plan(&Pin::None, 2).unwrap(), [None; 2]);
        let list = Pin::List(vec![7, 1]);
        assert_eq!(four.plan(&list, 3).unwrap(), [Some(7), Some(1), Some(7)]);
        assert!(four.plan(&Pin::List(vec![2]), 1).is_err());
        assert!(four.plan(&Pin::List(vec![]), 1).is_err());
    }

    #[test]
    fn text_round_trips() {
        for text in ["auto", "none", "0,2,3"] {
            assert_eq!(text.parse::<Pin>().unwrap().to_string(), text);
        }
        assert!("0,x".parse::<Pin>().is_err());
    }
}
