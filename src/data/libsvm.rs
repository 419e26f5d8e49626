//! The LIBSVM text format, one row a line: `label index:value index:value … # comment`.
//!
//! What is accepted, and what is not:
//! - The label is a finite number. A row without one is an error.
//! - Indices start at 1 (at 0 if the loader is told so) and end at 2³² − 2, or at the loader's limit; they
//!   may come in any order, but each at most once in a row. Index 0 in one-based text is an error.
//! - Values are finite f32 numbers; NaN, infinities and values beyond ±3.4e38 are errors. An explicit zero
//!   counts for the number of features and is not stored; neither is a value so small that f32 rounds it
//!   to zero.
//! - `#` starts a comment to the end of the line. Blank lines and lines with only a comment are skipped.
//! - `qid:N` right after the label (ranking groups) is read over: rows are independent here.
//! - Spaces, tabs and carriage returns separate; the last line needs no newline.
//!
//! The text is walked twice: [`Text::index`] finds the lines and how many values each may hold, then
//! [`Source::read`] parses single rows straight to where they belong. Faults carry byte offsets, which
//! become lines and columns only when there is one to tell, so lines are right however the text is cut.

use super::digits;
use super::layout::{Read, Source};
use crate::error::Error;
use rayon::prelude::*;
use std::io::BufRead;

/// The largest index that a feature may have in the text.
pub(super) const MAX_INDEX: u64 = u32::MAX as u64 - 1;

/// Text that is cut into rows.
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    /// Where each row's line starts, and its number of colons: no fewer than its features.
    lines: Vec<(u64, u32)>,
    /// The index of the first feature: 0 or 1.
    first: u64,
    limit: Limit,
    /// The id of a feature that is 1 in every row, without being in the text.
    constant: Option<u32>,
}

/// The features that rows must keep within.
pub(super) struct Limit {
    /// Every id is below it.
    pub features: usize,
    /// Why, for the message.
    pub reason: &'static str,
}

/// What is wrong with a text, and at which byte.
#[derive(Debug)]
pub(super) struct Fault {
    at: usize,
    found: String,
    expected: String,
}

impl Fault {
    fn new(at: usize, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { at, found: found.into(), expected: expected.into() }
    }

    /// The error with file, line and column.
    pub fn locate(self, file: &str, bytes: &[u8]) -> Error {
        let before = &bytes[..self.at];
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&b| b != b'\n').count();
        Error::input(file, line, column, self.found, self.expected)
    }
}

impl<'a> Text<'a> {
    /// Finds the rows of a text; each gets the `constant` feature besides, if there is one. O(bytes), in
    /// parallel.
    pub fn index(bytes: &'a [u8], zero_based: bool, limit: Limit, constant: Option<u32>) -> Self {
        let tasks = 8 * rayon::current_num_threads();
        let size = bytes.len().div_ceil(tasks).max(1 << 16);
        let found: Vec<Vec<(u64, u32)>> = chunks(bytes, size).into_par_iter().map(lines).collect();
        Self { bytes, lines: found.concat(), first: u64::from(!zero_based), limit, constant }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The row at `start`, its index repeated at two places or not: the second place of the first one.
    fn repeated(&self, start: usize) -> Option<(u64, usize)> {
        let mut seen = std::collections::HashSet::new();
        let mut cursor = Cursor { text: self.bytes, at: start };
        cursor.token();
        while cursor.blank() {
            let at = cursor.at;
            match cursor.index() {
                Some(index) if !seen.insert(index) => return Some((index, at)),
                _ => {
                    cursor.token();
                }
            }
        }
        None
    }
}

impl Source for Text<'_> {
    type Fault = Fault;

    fn bound(&self, row: usize) -> usize {
        self.lines[row].1 as usize + usize::from(self.constant.is_some())
    }

    fn touch(&self, row: usize) -> u32 {
        let start = self.lines[row].0 as usize;
        // The first two cache lines: the processor itself sees the sequence after that.
        let second = self.bytes.get(start + 64).copied().unwrap_or_default();
        u32::from(self.bytes[start] ^ second)
    }

    fn read(&self, row: usize, ids: &mut [u32], values: &mut [f32]) -> Result<Read, Fault> {
        let start = self.lines[row].0 as usize;
        let mut cursor = Cursor { text: self.bytes, at: start };
        let label = cursor.label()?;
        let (mut len, mut end, mut increasing) = (0, 0, true);
        while cursor.blank() {
            let at = cursor.at;
            let Some(index) = cursor.index() else {
                return Err(cursor.odd(at, "index:value"));
            };
            let Some(id) = index.checked_sub(self.first) else {
                return Err(Fault::new(at, "index 0", "indices from 1 (or --zero-based)"));
            };
            if index > MAX_INDEX || id >= self.limit.features as u64 {
                let most = (self.limit.features as u64 + self.first).saturating_sub(1).min(MAX_INDEX);
                let found = format!("index {}", cursor.digits(at));
                return Err(Fault::new(at, found, format!("at most {most}{}", self.limit.reason)));
            }
            let value = cursor.number(at, "value")?;
            increasing &= id >= end;
            end = end.max(id + 1);
            // The bound counts the colons, so there is always room for one more.
            if value != 0.0 {
                (ids[len], values[len]) = (id as u32, value);
                len += 1;
            }
        }
        if !increasing && let Some((index, at)) = self.repeated(start) {
            return Err(Fault::new(at, format!("index {index} again"), "each index once in a row"));
        }
        if let Some(id) = self.constant {
            (ids[len], values[len]) = (id, 1.0);
            len += 1;
        }
        Ok(Read { len, label, end: end as usize })
    }
}

/// Parts of about `size` bytes, each ending after a newline, with their offsets.
fn chunks(bytes: &[u8], size: usize) -> Vec<(usize, &[u8])> {
    let mut chunks = Vec::with_capacity(bytes.len() / size + 1);
    let mut from = 0;
    while from < bytes.len() {
        let mut rest = &bytes[(from + size).min(bytes.len())..];
        // Reading from a slice cannot fail.
        let _ = rest.skip_until(b'\n');
        let to = bytes.len() - rest.len();
        chunks.push((from, &bytes[from..to]));
        from = to;
    }
    chunks
}

/// The lines of a chunk that hold a row: their offsets and numbers of colons.
fn lines((offset, chunk): (usize, &[u8])) -> Vec<(u64, u32)> {
    let mut lines = Vec::new();
    let mut rest = chunk;
    while !rest.is_empty() {
        let from = chunk.len() - rest.len();
        // Reading from a slice cannot fail.
        let length = rest.skip_until(b'\n').unwrap_or_default();
        let line = &chunk[from..from + length];
        let Some(&first) = line.iter().find(|b| !b.is_ascii_whitespace()) else { continue };
        if first != b'#' {
            lines.push(((offset + from) as u64, u32::try_from(colons(line)).unwrap_or(u32::MAX)));
        }
    }
    lines
}

/// The number of colons: summed in bytes, so that it takes 16 and more at a time.
fn colons(line: &[u8]) -> usize {
    let of_part = |part: &[u8]| part.iter().map(|&b| u8::from(b == b':')).sum::<u8>();
    line.chunks(usize::from(u8::MAX)).map(|part| usize::from(of_part(part))).sum()
}

/// A place in the text.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The byte here; the text ends in endless newlines.
    #[inline]
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(b'\n')
    }

    /// Goes on to the next token; whether there is one in this row.
    #[inline]
    fn blank(&mut self) -> bool {
        while matches!(self.peek(), b' ' | b'\t' | b'\r') {
            self.at += 1;
        }
        !matches!(self.peek(), b'\n' | b'#')
    }

    /// Whether a token may end here.
    #[inline]
    fn at_end(&self) -> bool {
        matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n' | b'#')
    }

    /// The rest of the token, passed over.
    fn token(&mut self) -> &'a [u8] {
        self.blank();
        let from = self.at;
        while !self.at_end() {
            self.at += 1;
        }
        &self.text[from..self.at]
    }

    /// `digits:`, passed over; `None` if something else stands here. Saturates above [`MAX_INDEX`].
    #[inline(always)]
    fn index(&mut self) -> Option<u64> {
        let from = self.at;
        if let Some((count @ 1..8, index)) = digits::leading(&self.text[from..])
            && self.text[from + count] == b':'
        {
            self.at += count + 1;
            return Some(index);
        }
        let mut index = 0;
        while let digit @ b'0'..=b'9' = self.peek() {
            index = (index * 10 + u64::from(digit - b'0')).min(MAX_INDEX + 1);
            self.at += 1;
        }
        let whole = self.at > from && self.peek() == b':';
        self.at += usize::from(whole);
        whole.then_some(index)
    }

    /// The number here, a whole token's rest; `from` is where the token starts.
    #[inline(always)]
    fn number(&mut self, from: usize, what: &str) -> Result<f32, Fault> {
        let rest = &self.text[self.at..];
        if let Some((number, length)) = digits::short(rest) {
            self.at += length;
            return Ok(number);
        }
        self.any_number(from, what)
    }

    /// As [`Cursor::number`], for every form that a number may have.
    #[cold]
    fn any_number(&mut self, from: usize, what: &str) -> Result<f32, Fault> {
        let rest = &self.text[self.at..];
        let sign = usize::from(rest.first() == Some(&b'+') && rest.get(1) != Some(&b'-'));
        match fast_float2::parse_partial::<f32, _>(&rest[sign..]) {
            Ok((number, length)) => {
                let at = self.at;
                self.at += sign + length;
                if !self.at_end() {
                    return Err(self.odd(from, &format!("a {what} that is a number")));
                }
                if !number.is_finite() {
                    self.at = at;
                    let found = format!("{what} {}", show(self.token()));
                    return Err(Fault::new(at, found, "a finite number (within ±3.4e38)"));
                }
                Ok(number)
            }
            Err(_) => Err(self.odd(from, &format!("a {what} that is a number"))),
        }
    }

    /// The label, and a ranking group passed over.
    fn label(&mut self) -> Result<f32, Fault> {
        self.blank();
        let from = self.at;
        if self.index().is_some() {
            return Err(self.odd(from, "a label before the features"));
        }
        self.at = from;
        let label = self.number(from, "label")?;
        if self.blank() && self.text[self.at..].starts_with(b"qid:") {
            let from = self.at;
            let group = &self.token()[4..];
            if group.is_empty() || !group.iter().all(u8::is_ascii_digit) {
                return Err(self.odd(from, "qid:number"));
            }
        }
        Ok(label)
    }

    /// The digits of an index that starts at `from`.
    fn digits(&self, from: usize) -> String {
        let digits = self.text[from..].iter().take_while(|b| b.is_ascii_digit());
        show_plain(&digits.copied().collect::<Vec<u8>>())
    }

    /// The fault that the token from `from` on is not what was expected.
    fn odd(&mut self, from: usize, expected: &str) -> Fault {
        self.at = from;
        let token = self.token();
        let valid = std::str::from_utf8(token).map_or_else(|e| e.valid_up_to(), str::len);
        match token.iter().position(u8::is_ascii_control).unwrap_or(valid) {
            at if at < token.len() => {
                let found = format!("byte 0x{:02x}", token[at]);
                Fault::new(from + at, found, "LIBSVM text (label index:value …)")
            }
            _ => Fault::new(from, show(token), expected),
        }
    }
}

/// A token for a message: quoted.
fn show(token: &[u8]) -> String {
    format!("`{}`", show_plain(token))
}

/// A token for a message, cut to a few characters, of which all can be seen.
fn show_plain(token: &[u8]) -> String {
    let text = String::from_utf8_lossy(token);
    match text.char_indices().nth(32) {
        Some((cut, _)) => format!("{}…", text[..cut].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}
