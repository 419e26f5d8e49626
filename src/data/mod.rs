//! Data: reading, laying out, splitting, writing and generating it.

mod dataset;
mod flights;
mod intercept;
mod layout;
mod libsvm;
mod loader;
mod map;
mod source;

pub use dataset::Dataset;
pub use loader::Loader;
