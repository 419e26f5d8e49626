//! MatrixMarket text: `%%MatrixMarket matrix coordinate real general`, comments, the sizes, then `row column value`,
//! from 1; or `array`, values column by column.

use super::{Table, number_of};
use crate::error::{Error, Result};
use crate::memory;

/// Bytes that a row takes while it is laid out, though it be empty: its beginning and its label twice, and its place.
const ROW: u128 = 32;

pub(super) fn read(bytes: &[u8], name: &str) -> Result<Table> {
    let lines = bytes.split(|&byte| byte == b'\n').map(|line| line.trim_ascii()).enumerate();
    let mut lines = lines.map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.is_empty());
    let (_, banner) = lines.next().unwrap_or((1, b""));
    let banner = String::from_utf8_lossy(banner).to_lowercase();
    let words: Vec<&str> = banner.split_ascii_whitespace().collect();
    let (sparse, pattern) = match words[..] {
        ["%%matrixmarket", "matrix", "coordinate", "pattern", "general"] => (true, true),
        ["%%matrixmarket", "matrix", "coordinate", "real" | "integer", "general"] => (true, false),
        ["%%matrixmarket", "matrix", "array", "real" | "integer", "general"] => (false, false),
        _ => {
            let expected = "%%MatrixMarket matrix coordinate or array, real, integer or pattern, general";
            return Err(Error::input(name, 1, 0, format!("'{banner}'"), expected));
        }
    };
    let mut lines = lines.filter(|(_, line)| !line.starts_with(b"%"));
    let (at, sizes) = lines.next().unwrap_or((0, b""));
    let wrong = |at: usize, line: &[u8], expected: &str| {
        Error::input(name, at, 0, format!("'{}'", String::from_utf8_lossy(line)), expected)
    };
    let fields = |line: &[u8]| -> Option<Vec<usize>> {
        std::str::from_utf8(line).ok()?.split_ascii_whitespace().map(|field| field.parse().ok()).collect()
    };
    let (rows, features, count) = match (fields(sizes).as_deref(), sparse) {
        (Some(&[rows, features, count]), true) => (rows, features, count),
        (Some(&[rows, features]), false) => (rows, features, rows.saturating_mul(features)),
        _ => return Err(wrong(at, sizes, "the sizes: rows, columns and, of a sparse matrix, entries")),
    };
    if u32::try_from(rows).is_err() || u32::try_from(features).is_err() {
        return Err(wrong(at, sizes, "sizes of 32 bits"));
    }
    let mut entries: Vec<(u32, u32, f32)> = Vec::new();
    for (at, line) in lines {
        if entries.len() == count {
            return Err(wrong(at, line, &format!("the end after {count} entries")));
        }
        let mut fields = line.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
        let (row, column) = if sparse {
            let mut index = |size: usize| {
                let text = std::str::from_utf8(fields.next()?).ok()?;
                text.parse::<usize>().ok().filter(|index| (1..=size).contains(index))
            };
            let (Some(row), Some(column)) = (index(rows), index(features)) else {
                return Err(wrong(at, line, &format!("a row up to {rows} and a column up to {features}")));
            };
            (row - 1, column - 1)
        } else {
            (entries.len() % rows, entries.len() / rows)
        };
        let value = if pattern { Some(1.0) } else { fields.next().and_then(number_of) };
        match value.filter(|value| value.is_finite()) {
            Some(value) if fields.next().is_none() => entries.push((row as u32, column as u32, value)),
            _ => return Err(wrong(at, line, "one finite value")),
        }
    }
    if entries.len() != count {
        let found = format!("{} entries", entries.len());
        return Err(Error::input(name, 0, 0, found, format!("{count}, as line {at} says")));
    }
    entries.sort_by_key(|&(row, column, _)| (row, column));
    if let Some(pair) = entries.windows(2).find(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1)) {
        let found = format!("row {}, column {} twice", pair[0].0 + 1, pair[0].1 + 1);
        return Err(Error::input(name, 0, 0, found, "each once"));
    }
    memory::check(&format!("{name}: {rows} rows"), ROW * rows as u128, "take fewer")?;
    let mut table = Table { full: !sparse, ..Table::new(features) };
    let mut left = entries.into_iter().peekable();
    for row in 0..rows as u32 {
        while let Some((_, column, value)) = left.next_if(|entry| entry.0 == row) {
            if value != 0.0 {
                table.ids.push(column);
                table.values.push(value);
            }
        }
        table.starts.push(table.ids.len() as u64);
    }
    Ok(table)
}
