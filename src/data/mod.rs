//! Data: reading, laying out, splitting, writing and generating it.

mod cache;
mod classes;
mod dataset;
mod digits;
mod flights;
mod generate;
mod intercept;
mod layout;
mod libsvm;
mod lines;
mod loader;
mod scale;
mod slots;
mod source;
mod split;
mod write;

pub use cache::Cached;
pub use dataset::Dataset;
pub use generate::{Problem, Synthetic};
pub use loader::Loader;
pub use scale::Scale;
