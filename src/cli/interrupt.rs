//! Ctrl-C: the first ends training and keeps what was learnt, a later one ends the program.

use signal_hook::consts::{SIGINT, SIGTERM};
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The exit code of a program that was interrupted.
pub const EXIT: u8 = 130;

/// Set by Ctrl-C.
pub type Interrupt = Arc<AtomicBool>;

#[cfg(unix)]
const SIGNALS: [c_int; 3] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const SIGNALS: [c_int; 2] = [SIGINT, SIGTERM];

/// From now on a limit on the sizes of files (`ulimit -f`) is an error of writing, and not the program's end.
#[cfg(unix)]
pub fn heed_limits() {
    // Where the system refuses the handler, it goes on being the end.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}
#[cfg(not(unix))]
pub fn heed_limits() {}

/// From now on the first Ctrl-C (or termination signal) sets the flag that is returned. Until now it ends the program, as
/// there is nothing to keep. Signals that the program was started to ignore, as `nohup` does it, are left ignored. To be
/// called once.
pub fn flag() -> Interrupt {
    let flag = Arc::new(AtomicBool::new(false));
    let ignored = ignored();
    let heard = SIGNALS.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // Where the system refuses a handler, Ctrl-C goes on ending the program.
    let heard = heard.filter(|&signal| signal_hook::flag::register(signal, Arc::clone(&flag)).is_ok());
    watch(&heard.collect::<Vec<_>>());
    flag
}

/// Tells of the first signal, and ends the program at a later one. Not at one that comes with the first: `timeout` sends
/// its signal twice, to the program and to its group, and some terminals and shells do.
#[cfg(unix)]
fn watch(heard: &[c_int]) {
    use std::time::{Duration, Instant};
    const TOGETHER: Duration = Duration::from_secs(1);
    let Ok(mut signals) = signal_hook::iterator::Signals::new(heard) else { return };
    let watch = move || {
        let mut first: Option<Instant> = None;
        for _ in signals.forever() {
            let since = first.get_or_insert_with(|| {
                super::say("interrupted: finishing with what was learnt; again to abort");
                Instant::now()
            });
            if since.elapsed() > TOGETHER {
                std::process::exit(EXIT.into());
            }
        }
    };
    // Without the thread the flag is set all the same.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(watch);
}

#[cfg(not(unix))]
fn watch(_: &[c_int]) {}

/// The signals that are ignored, a bit each from 1 on, where the system tells.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
