//! The targets. `tests/data_tables.rs` runs each on the inputs that are kept of it.

mod data;
mod files;
mod text;

pub type Target = fn(&[u8]);

/// The name and the function of each target.
pub const TARGETS: [(&str, Target); 18] = [
    ("libsvm", data::libsvm),
    ("batches", data::batches),
    ("csv", data::csv),
    ("labels", data::labels),
    ("numpy", data::numpy),
    ("idx", data::idx),
    ("matrix-market", data::matrix_market),
    ("ratings", data::ratings),
    ("libffm", data::libffm),
    ("corpus", data::corpus),
    ("liblinear", files::liblinear),
    ("safetensors", files::safetensors),
    ("cache", files::cache),
    ("stored", files::stored),
    ("checkpoint", files::checkpoint),
    ("hlog", files::hlog),
    ("trace", files::trace),
    ("text", text::options),
];
