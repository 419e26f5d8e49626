//! The state of the machine while runs are timed, as Linux tells it; elsewhere it is unknown.
//!
//! Involuntary context switches are not told: the pool that evaluates objectives gives up its core whenever it finds
//! no work, and the system counts that among them.

use asyncsgd::record::{Conditions, Spread};
use asyncsgd::roofline;
use std::fs;

/// Shares of the cores' time from which on the machine counts as busy.
const OTHERS: f64 = 0.05;
const STEAL: f64 = 0.01;

/// How much faster a cache line may travel after the runs than before them, or slower.
const PING_PONG: f64 = 1.5;

/// What the system has counted since it was started, in ticks of all cores.
#[derive(Clone, Copy)]
struct Ticks {
    total: f64,
    busy: f64,
    steal: f64,
    /// Of the busy ones, this process's.
    own: f64,
}

impl Ticks {
    fn now() -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        Self::parse(&stat, &own)
    }

    /// From `/proc/stat` (user, nice, system, idle, iowait, irq, softirq, steal) and `/proc/self/stat` (utime and
    /// stime are its fields 14 and 15; the second, a name, may hold blanks).
    fn parse(stat: &str, own: &str) -> Option<Self> {
        let fields = stat.strip_prefix("cpu ")?.lines().next()?.split_whitespace();
        let all: Vec<f64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
        let &[user, nice, system, idle, iowait, irq, softirq, steal, ..] = &all[..] else { return None };
        let busy = user + nice + system + irq + softirq;
        let mut own = own.rsplit_once(')')?.1.split_whitespace().skip(11);
        let own = own.next()?.parse::<f64>().ok()? + own.next()?.parse::<f64>().ok()?;
        Some(Self { total: busy + idle + iowait + steal, busy, steal, own })
    }
}

/// Watches the machine from its making on.
pub struct Watch {
    yardsticks: Vec<f64>,
    ping_pong: Option<f64>,
    load_average: Option<f64>,
    ticks: Option<Ticks>,
}

impl Watch {
    /// Measures the cache line's way, and starts counting.
    pub fn new() -> Self {
        let load = fs::read_to_string("/proc/loadavg").ok();
        let load_average = load.and_then(|text| text.split_whitespace().next()?.parse().ok());
        let ping_pong = roofline::ping_pong();
        Self { yardsticks: Vec::new(), ping_pong, load_average, ticks: Ticks::now() }
    }

    /// Measures how fast the machine is at the moment.
    pub fn yardstick(&mut self) -> f64 {
        let ns = roofline::yardstick();
        self.yardsticks.push(ns);
        ns
    }

    /// What there was since.
    pub fn finish(self) -> Conditions {
        let ticks = self.ticks.zip(Ticks::now());
        let share = |part: fn(&Ticks) -> f64| {
            let (before, after) = ticks?;
            let total = after.total - before.total;
            (total > 0.0).then(|| ((part(&after) - part(&before)) / total).max(0.0))
        };
        let yardsticks = self.yardsticks.iter().copied();
        Conditions {
            yardstick_ns: (!self.yardsticks.is_empty()).then(|| Spread::of(yardsticks).median),
            load_average: self.load_average,
            others: share(|ticks| ticks.busy - ticks.own),
            steal: share(|ticks| ticks.steal),
            ping_pong_ns: self.ping_pong.zip(roofline::ping_pong()).map(<[f64; 2]>::from),
        }
    }
}

/// Whether other processes or other machines took enough of the cores' time to move a median.
pub fn is_busy(conditions: &Conditions) -> bool {
    conditions.others.is_some_and(|share| share > OTHERS)
        || conditions.steal.is_some_and(|share| share > STEAL)
}

/// What makes the timings doubtful.
pub fn doubts(conditions: &Conditions) -> Vec<String> {
    let mut doubts = Vec::new();
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    if let Some(others) = conditions.others.filter(|&share| share > OTHERS) {
        let others = percent(others);
        doubts.push(format!("the machine was busy: other processes took {others} of the cores' time"));
    }
    if let Some(steal) = conditions.steal.filter(|&share| share > STEAL) {
        let steal = percent(steal);
        doubts.push(format!("the machine was busy: the hypervisor took {steal} of the cores' time"));
    }
    if let Some([before, after]) = conditions.ping_pong_ns
        && (before / after).max(after / before) > PING_PONG
    {
        doubts.push(format!(
            "a cache line took {before:.0} ns from core to core before the runs and {after:.0} ns after them: timings \
             of two and more workers depend on it"
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_counts_are_read() {
        let stat = "cpu  100 1 20 1000 5 2 3 7 0 0\ncpu0 50 0 10 500 2 1 1 3 0 0\n";
        let own = "4242 (a (b) c) R 1 2 3 4 5 6 7 8 9 10 60 15 0 0 20 0 1 0 99 1000 50";
        let ticks = Ticks::parse(stat, own).unwrap();
        assert_eq!((ticks.total, ticks.busy, ticks.steal, ticks.own), (1138.0, 126.0, 7.0, 75.0));
        assert!(Ticks::parse("cpu  1 2 3", own).is_none() && Ticks::parse(stat, "4242 (a").is_none());
    }

    #[test]
    fn a_quiet_machine_raises_no_doubt_and_a_busy_one_does() {
        let quiet = Conditions {
            yardstick_ns: None,
            ping_pong_ns: Some([60.0, 70.0]),
            load_average: Some(3.0),
            others: Some(0.01),
            steal: Some(0.0),
        };
        assert_eq!(doubts(&quiet), [""; 0]);
        assert_eq!(doubts(&Conditions::default()), [""; 0]);
        let busy = Conditions {
            yardstick_ns: None,
            ping_pong_ns: Some([60.0, 150.0]),
            others: Some(0.3),
            steal: Some(0.05),
            load_average: None,
        };
        assert!(is_busy(&busy) && !is_busy(&quiet));
        assert_eq!(doubts(&busy).len(), 3);
    }
}
