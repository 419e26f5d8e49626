//! Fuzz targets for everything that reads bytes from outside: `TARGET=name` says which, one program for all.
//!
//! What is read has to be an error or sound: beside panics, sanitizer reports, hangs and wild allocations, the
//! targets look at what came out, and that it is the same when it is written and read again.
#![no_main]

mod data;
mod files;
mod text;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

type Target = fn(&[u8]);

/// The name and the function of each target.
const TARGETS: [(&str, Target); 15] = [
    ("libsvm", data::libsvm),
    ("csv", data::csv),
    ("numpy", data::numpy),
    ("idx", data::idx),
    ("matrix-market", data::matrix_market),
    ("ratings", data::ratings),
    ("libffm", data::libffm),
    ("corpus", data::corpus),
    ("liblinear", files::liblinear),
    ("safetensors", files::safetensors),
    ("cache", files::cache),
    ("checkpoint", files::checkpoint),
    ("hlog", files::hlog),
    ("trace", files::trace),
    ("text", text::options),
];

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
