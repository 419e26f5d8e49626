//! Data sets as LIBSVM text.

use super::dataset::Dataset;
use rayon::prelude::*;
use std::fmt::{self, Write as _};
use std::io;

impl Dataset {
    /// Writes the data as LIBSVM text the way the source had it: its order of the rows, its ids (counted
    /// from 1 if the source did), its labels, no intercept. What is read back is the same data; only features beyond the
    /// last one that has a value are not told by the text. O(nonzeros), formatted in parallel.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_libsvm(&self, mut out: impl io::Write) -> io::Result<()> {
        // In batches, so that the text never is in memory as a whole.
        for batch in self.by_source().chunks(1 << 16) {
            let texts: Vec<String> = batch.par_chunks(1 << 10).map(|rows| self.text(rows)).collect();
            texts.iter().try_for_each(|text| out.write_all(text.as_bytes()))?;
        }
        out.flush()
    }

    /// The lines of the rows at these positions.
    fn text(&self, positions: &[u32]) -> String {
        let first = u64::from(self.one_based());
        let intercept = self.intercept();
        let mut text = String::new();
        let mut features = Vec::new();
        for &p in positions {
            let row = self.row(p as usize);
            let told = row.iter().filter(|&(rank, value)| Some(rank) != intercept && value != 0.0);
            features.clear();
            features.extend(told.map(|(rank, value)| (self.feature_order()[rank], value)));
            features.sort_unstable_by_key(|&(id, _)| id);
            // Writing to a string cannot fail.
            let _ = number(&mut text, self.source_label(p as usize));
            for &(id, value) in &features {
                let _ = write!(text, " {}:", u64::from(id) + first);
                let _ = number(&mut text, value);
            }
            text.push('\n');
        }
        text
    }
}

/// The shortest digits that are read back as the same number.
fn number(text: &mut String, x: f32) -> fmt::Result {
    if x == 0.0 || (1e-5..1e9).contains(&x.abs()) { write!(text, "{x}") } else { write!(text, "{x:e}") }
}
