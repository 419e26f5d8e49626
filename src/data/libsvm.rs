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
//! The text is walked twice: [`Lines::find`](super::lines::Lines::find) finds the lines and how many values
//! each may hold, then [`Format::row`] parses rows straight to where they belong. Faults carry byte offsets,
//! which become lines and columns only when there is one to tell, so lines are right however the text is cut.

use super::digits;
use crate::error::Error;

/// The largest index that a feature may have in the text.
pub(super) const MAX_INDEX: u64 = u32::MAX as u64 - 1;

/// What rows have to keep to.
pub(super) struct Format {
    /// The index of the first feature: 0 or 1.
    pub first: u64,
    pub limit: Limit,
    /// The id of a feature that is 1 in every row, without being in the text.
    pub constant: Option<u32>,
}

/// What one row was.
pub(super) struct Read {
    /// How many ids and values were written.
    pub len: usize,
    pub label: f32,
    /// One more than the largest id that the row mentions; 0 without any.
    pub end: usize,
    /// Where the next line starts.
    pub next: usize,
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

    /// The error with file, line and column, where `bytes` come after so many lines of the file.
    pub fn locate(self, file: &str, bytes: &[u8], lines: usize) -> Error {
        let before = &bytes[..self.at];
        let line = 1 + lines + before.iter().filter(|&&b| b == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&b| b != b'\n').count();
        Error::input(file, line, column, self.found, self.expected)
    }
}

impl Format {
    /// Parses the next row of `text`, where a line begins at `at`, to the front of `ids` and `values`, ids in
    /// any order. `None` where only blank lines and comments are left.
    ///
    /// # Errors
    /// What is wrong with the row.
    #[inline]
    pub fn row(
        &self,
        text: &[u8],
        at: usize,
        ids: &mut [u32],
        values: &mut [f32],
    ) -> Result<Option<Read>, Fault> {
        let mut cursor = Cursor { text, at };
        while !cursor.blank() {
            cursor.line();
            if cursor.at == text.len() {
                return Ok(None);
            }
        }
        let start = cursor.at;
        let label = cursor.label()?;
        let (mut len, mut end, mut increasing) = (0, 0, true);
        while cursor.blank() {
            let at = cursor.at;
            let (index, value) = match digits::feature(&text[at..]) {
                Some((index, value, length)) => {
                    cursor.at += length;
                    (index, value)
                }
                None => cursor.feature()?,
            };
            let id = index.wrapping_sub(self.first);
            if id >= self.limit.features as u64 {
                return Err(self.beyond(index, at, &cursor));
            }
            increasing &= id >= end;
            end = end.max(id + 1);
            if let (Some(to_id), Some(to_value)) = (ids.get_mut(len), values.get_mut(len)) {
                (*to_id, *to_value) = (id as u32, value);
            } else if value != 0.0 {
                return Err(Fault::new(at, "more than there was", UNCHANGED));
            }
            len += usize::from(value != 0.0);
        }
        if !increasing && let Some((index, at)) = repeated(text, start) {
            return Err(Fault::new(at, format!("index {index} again"), "each index once in a row"));
        }
        if let Some(id) = self.constant {
            match (ids.get_mut(len), values.get_mut(len)) {
                (Some(to_id), Some(to_value)) => (*to_id, *to_value) = (id, 1.0),
                _ => return Err(Fault::new(start, "more than there was", UNCHANGED)),
            }
            len += 1;
        }
        cursor.line();
        Ok(Some(Read { len, label, end: end as usize, next: cursor.at }))
    }

    /// The fault of an index that is out of range.
    #[cold]
    fn beyond(&self, index: u64, at: usize, cursor: &Cursor<'_>) -> Fault {
        if index < self.first {
            return Fault::new(at, "index 0", "indices from 1 (or --zero-based)");
        }
        let most = (self.limit.features as u64 + self.first).saturating_sub(1).min(MAX_INDEX);
        let found = format!("index {}", cursor.digits(at));
        Fault::new(at, found, format!("at most {most}{}", self.limit.reason))
    }
}

/// Of the row at `start`: an index that it has at two places, if there is one, and the later place.
#[cold]
fn repeated(text: &[u8], start: usize) -> Option<(u64, usize)> {
    let mut seen = std::collections::HashSet::new();
    let mut cursor = Cursor { text, at: start };
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

    /// Goes on to the next line.
    #[inline]
    fn line(&mut self) {
        if self.peek() != b'\n' {
            let rest = &self.text[self.at..];
            self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        }
        self.at = self.text.len().min(self.at + 1);
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

    /// `index:value` in every form that it may have, passed over.
    #[cold]
    fn feature(&mut self) -> Result<(u64, f32), Fault> {
        let at = self.at;
        match self.index() {
            Some(index) => Ok((index, self.number(at, "value")?)),
            None => Err(self.odd(at, "index:value")),
        }
    }

    /// `digits:`, passed over; `None` if something else stands here. Saturates above [`MAX_INDEX`].
    fn index(&mut self) -> Option<u64> {
        let from = self.at;
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
    fn number(&mut self, from: usize, what: &str) -> Result<f32, Fault> {
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
    #[inline]
    fn label(&mut self) -> Result<f32, Fault> {
        let label = match self.text[self.at..] {
            [sign @ (b'+' | b'-'), digit @ b'0'..=b'9', b' ', ..] => {
                self.at += 2;
                let label = f32::from(digit - b'0');
                if sign == b'-' { -label } else { label }
            }
            _ => self.any_label()?,
        };
        if self.blank() && self.text[self.at..].starts_with(b"qid:") {
            let from = self.at;
            let group = &self.token()[4..];
            if group.is_empty() || !group.iter().all(u8::is_ascii_digit) {
                return Err(self.odd(from, "qid:number"));
            }
        }
        Ok(label)
    }

    /// A label in every form that it may have.
    fn any_label(&mut self) -> Result<f32, Fault> {
        let from = self.at;
        if self.index().is_some() {
            return Err(self.odd(from, "a label before the features"));
        }
        self.at = from;
        self.number(from, "label")
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

/// What a text should be whose lines hold more, or others, than they held a moment before.
pub(super) const UNCHANGED: &str = "a file that does not change while it is read";

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
