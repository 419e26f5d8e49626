//! Fuzz targets for everything that reads bytes from outside: `TARGET=name` says which, one program for all.
//!
//! What is read has to be an error or sound: beside panics, sanitizer reports, hangs and wild allocations, the
//! targets look at what came out, and that it is the same when it is written and read again.
#![no_main]

// The path lets the library's tests take it in, too.
#[path = "targets.rs"]
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use targets::{TARGETS, Target};

fn target() -> Target {
    let name = std::env::var("TARGET").unwrap_or_default();
    let names = TARGETS.map(|(name, _)| name).join(", ");
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("TARGET: found '{name}', expected one of {names}")).1
}

fuzz_target!(|bytes: &[u8]| {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    CHOSEN.get_or_init(target)(bytes);
});
