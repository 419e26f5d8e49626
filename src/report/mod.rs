//! Reports: what a [`Record`](crate::record::Record) looks like, and what the simulator's claims do.

mod bench;
mod classes;
mod comparison;
mod histogram;
mod html;
mod json;
mod number;
mod search;
mod svg;
mod text;

pub use bench::{write_bench, write_bench_csv, write_bench_html, write_roofline};
pub use classes::write_classes;
pub use comparison::write_comparison;
pub use histogram::{octaves, value, write_histogram, write_profiles};
pub use html::{write_claims, write_html};
pub use json::{SCHEMA, write_json};
pub use number::{count, si};
pub use search::{Measure, best, write_search};
pub use svg::write_svg;
pub use text::{Style, write_text};
