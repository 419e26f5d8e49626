//! Data: reading, laying out, splitting, writing and generating it.

mod batches;
mod cache;
mod classes;
mod columns;
mod corpus;
mod dataset;
mod digits;
mod fields;
mod flights;
mod generate;
mod intercept;
mod layout;
mod libsvm;
mod lines;
mod loader;
mod ratings;
mod scale;
mod slots;
mod source;
mod split;
mod stored;
mod table;
mod write;

pub use batches::Batches;
pub use cache::Cached;
pub use columns::Columns;
pub use corpus::Corpus;
pub use dataset::Dataset;
pub use fields::{Entry, FieldRows};
pub use generate::{Problem, Synthetic};
pub use loader::Loader;
pub use ratings::Ratings;
pub use scale::Scale;
pub use source::{is_packed, read_text};
pub use stored::{Stored, StoredBatches};
pub use table::Missing;
