//! Ctrl-C: the first ends training and keeps what was learnt, the second ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a program that was interrupted.
pub const EXIT: u8 = 130;

/// Set by Ctrl-C.
pub type Interrupt = Arc<AtomicBool>;

/// From now on the first Ctrl-C (or termination signal) sets the flag that is returned. Until now it ends
/// the program, as there is nothing to keep. To be called once: the first handler stays.
pub fn flag() -> Interrupt {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    let handler = move || {
        // Relaxed: nothing else is published through it.
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT.into());
        }
        super::say("interrupted: finishing with what was learnt; again to abort");
    };
    // Where the system refuses a handler, Ctrl-C goes on ending the program.
    let _ = ctrlc::set_handler(handler);
    flag
}
