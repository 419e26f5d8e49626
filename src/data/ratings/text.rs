//! Ratings as text.

use super::super::source::Bytes;
use crate::error::{Error, Result};
use crate::memory;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;

/// Ratings in the order of the text, users and items numbered as they appear.
#[derive(Default)]
pub(super) struct Parsed {
    pub users: Vec<u32>,
    pub items: Vec<u32>,
    pub values: Vec<f32>,
    /// Of the users and of the items, by number.
    pub names: [Vec<String>; 2],
    /// The line of each, from 1.
    pub lines: Vec<u32>,
    /// The first line, where it was taken for a header and might be none.
    pub header: Option<String>,
    /// The xxh3-128 of the text.
    pub hash: String,
}

/// What may stand between two fields.
#[derive(Clone, Copy, PartialEq)]
enum Separator {
    Colons,
    Byte(u8),
    Blanks,
}

/// The most ratings: they are counted in 32 bits.
const MOST: usize = u32::MAX as usize - 1;

const EXPECTED: &str = "user, item and rating, and perhaps a time";

/// The bytes of a rating while it is read, its user and its item among a dozen.
const RATING: usize = 48;

/// Reads everything; where they may be `unrated`, lines of a user and an item too, with NaN as rating.
pub(super) fn parse(name: &str, bytes: &Bytes, unrated: bool) -> Result<Parsed> {
    let mut buffer = Vec::new();
    let text = bytes.part(0, bytes.len(), &mut buffer)?;
    memory::check_reading(name, memory::occurrences(text, b'\n'), "ratings", RATING)?;
    let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text));
    let market = text.starts_with(b"%%MatrixMarket");
    let parsed = if market { matrix(name, text)? } else { lines(name, text, unrated)? };
    if parsed.values.is_empty() {
        return Err(Error::input(name, 0, 0, "no rating", "at least one line of user, item and rating"));
    }
    Ok(Parsed { hash, ..parsed })
}

/// The lines with their numbers from 1, without their ends; blank ones are left out.
fn numbered(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    (1..)
        .zip(text.split(|&b| b == b'\n'))
        .map(|(n, line)| (n, line.trim_ascii()))
        .filter(|(_, l)| !l.is_empty())
}

fn show(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(&field[..field.len().min(40)]).into_owned();
    format!("'{text}'")
}

pub(super) fn number(field: &[u8]) -> Option<f32> {
    fast_float2::parse::<f32, _>(field).ok().filter(|v| v.is_finite())
}

/// Whether this can be the title of a column of numbers: a word, and nothing that is a number or may have been meant for
/// one, such as nan, 1e999, +-3 or nothing at all.
fn is_title(field: &[u8]) -> bool {
    let digits = |byte: &u8| byte.is_ascii_digit() || b"+-.".contains(byte);
    field.first().is_some_and(|first| !digits(first)) && fast_float2::parse::<f64, _>(field).is_err()
}

/// The numbers of names, in the order in which they appear.
#[derive(Default)]
struct Names<'a> {
    at: HashMap<Cow<'a, [u8]>, u32>,
    all: Vec<Cow<'a, [u8]>>,
}

impl<'a> Names<'a> {
    fn number(&mut self, name: Cow<'a, [u8]>) -> u32 {
        if let Some(&number) = self.at.get(&*name) {
            return number;
        }
        self.all.push(name.clone());
        self.at.insert(name, self.all.len() as u32 - 1);
        self.all.len() as u32 - 1
    }

    /// The number of a name as it is read; what is found where it is no text.
    fn read(&mut self, name: Cow<'a, [u8]>) -> std::result::Result<u32, String> {
        match self.at.get(&*name) {
            Some(&number) => Ok(number),
            None if std::str::from_utf8(&name).is_err() => Err(format!("name {}", show(&name))),
            None => Ok(self.number(name)),
        }
    }

    /// The names, of which each was checked where it was read.
    fn text(&self) -> Vec<String> {
        self.all.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }
}

/// The bytes of text that a task reads at a time, about.
const PIECE: usize = 1 << 20;

/// What a piece of the text says, users and items numbered as they appear in it.
#[derive(Default)]
struct Piece<'a> {
    users: Vec<u32>,
    items: Vec<u32>,
    values: Vec<f32>,
    /// From 1 in the piece.
    lines: Vec<u32>,
    /// How many there are.
    length: u32,
    names: [Names<'a>; 2],
    header: Option<String>,
}

/// A line that is no rating: its number in the piece from 1, what is found, and what is expected.
type Wrong = (usize, String, &'static str);

fn lines(file: &str, text: &[u8], unrated: bool) -> Result<Parsed> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let separator = numbered(text).next().map_or(Separator::Blanks, |(_, line)| sniff(line));
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.iter().skip(PIECE).position(|&b| b == b'\n').map_or(rest.len(), |at| PIECE + at + 1);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    let parsed: Vec<_> = pieces
        .par_iter()
        .enumerate()
        .map(|(i, piece)| parse_piece(piece, separator, (i == 0, unrated)))
        .collect();
    let mut all = Parsed::default();
    let mut names = [Names::default(), Names::default()];
    let mut before = 0;
    for piece in parsed {
        let piece = piece.map_err(|(line, found, expected)| {
            Error::input(file, before as usize + line, 0, found, expected)
        })?;
        let mut renumber = |side: usize, ids: Vec<u32>, all: &mut Vec<u32>| {
            let to: Vec<u32> =
                piece.names[side].all.iter().map(|name| names[side].number(name.clone())).collect();
            all.extend(ids.into_iter().map(|i| to[i as usize]));
        };
        renumber(0, piece.users, &mut all.users);
        renumber(1, piece.items, &mut all.items);
        all.values.extend(piece.values);
        all.lines.extend(piece.lines.into_iter().map(|line| before + line));
        before += piece.length;
        all.header = all.header.or(piece.header);
        if all.values.len() > MOST {
            return Err(Error::input(file, 0, 0, "more ratings", format!("at most {MOST}")));
        }
    }
    // Where users or items are numbers, a line without one is no rating.
    let [users, items] = names.each_ref().map(|names| names.all.first());
    if users.into_iter().chain(items).any(|name| number(name).is_some()) {
        all.header = None;
    }
    Ok(Parsed { names: names.map(|names| names.text()), ..all })
}

/// Reads whole lines; the first of all may be a header.
fn parse_piece(
    text: &[u8],
    separator: Separator,
    (first, unrated): (bool, bool),
) -> std::result::Result<Piece<'_>, Wrong> {
    let (mut piece, mut header) = (Piece::default(), first);
    piece.length = text.iter().filter(|&&byte| byte == b'\n').count() as u32;
    for (at, line) in numbered(text) {
        let first = std::mem::take(&mut header);
        let Some((count, [user, item, rating])) = split(line, separator) else {
            return Err((at, format!("a quote that is not closed in {}", show(line)), "fields"));
        };
        let pair = unrated && count == 2;
        if !pair && !(3..=4).contains(&count) {
            let plural = if count == 1 { "" } else { "s" };
            return Err((at, format!("{count} field{plural} in {}", show(line)), EXPECTED));
        }
        if user.is_empty() || item.is_empty() {
            return Err((at, format!("an empty name in {}", show(line)), "a user and an item"));
        }
        let Some(value) = number(&rating).or(pair.then_some(f32::NAN)) else {
            if first && is_title(&rating) && [&user, &item].into_iter().all(|field| number(field).is_none()) {
                piece.header = Some(show(line));
                continue;
            }
            return Err((at, format!("rating {}", show(&rating)), "a finite number"));
        };
        let text = |found: String| (at, found, "UTF-8 text");
        piece.users.push(piece.names[0].read(user).map_err(text)?);
        piece.items.push(piece.names[1].read(item).map_err(text)?);
        piece.values.push(value);
        piece.lines.push(at as u32);
    }
    Ok(piece)
}

fn sniff(line: &[u8]) -> Separator {
    match [b'\t', b',', b';'].into_iter().find(|byte| line.contains(byte)) {
        _ if line.windows(2).any(|w| w == b"::") => Separator::Colons,
        Some(byte) => Separator::Byte(byte),
        None => Separator::Blanks,
    }
}

/// The number of fields and the first three, without the quotes round them, in which two are one; `None` where a quote
/// is not closed.
fn split(line: &[u8], separator: Separator) -> Option<(usize, [Cow<'_, [u8]>; 3])> {
    let (mut rest, mut count, mut fields) = (line, 0, [const { Cow::Borrowed(b"".as_slice()) }; 3]);
    loop {
        let quoted = rest.first() == Some(&b'"');
        let (field, after) = if quoted {
            unquoted(&rest[1..])?
        } else {
            let end = match separator {
                Separator::Colons => rest.windows(2).position(|w| w == b"::"),
                Separator::Byte(byte) => rest.iter().position(|&b| b == byte),
                Separator::Blanks => rest.iter().position(|b| matches!(b, b' ' | b'\t')),
            };
            let (field, after) = rest.split_at(end.unwrap_or(rest.len()));
            (Cow::Borrowed(field.trim_ascii()), after)
        };
        if count < 3 {
            fields[count] = field;
        }
        count += 1;
        rest = match separator {
            _ if after.is_empty() => return Some((count, fields)),
            Separator::Colons => after.strip_prefix(b"::")?,
            Separator::Byte(byte) => after.strip_prefix(&[byte])?,
            Separator::Blanks => after.trim_ascii_start(),
        };
    }
}

/// What is before the quote that closes, two quotes as one, and what is after it.
fn unquoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let quote = |from: usize| Some(from + text[from..].iter().position(|&b| b == b'"')?);
    let (mut end, mut doubled) = (quote(0)?, false);
    while text.get(end + 1) == Some(&b'"') {
        (end, doubled) = (quote(end + 2)?, true);
    }
    let (field, after) = (text[..end].trim_ascii(), &text[end + 1..]);
    let mut first = false;
    let mut is_first = |byte: u8| {
        first = byte == b'"' && !first;
        first
    };
    Some(match doubled {
        true => (field.iter().copied().filter(|&byte| !is_first(byte)).collect(), after),
        false => (Cow::Borrowed(field), after),
    })
}

/// MatrixMarket: a head line, comments, `rows columns entries`, then `row column value` a line, counted from 1.
fn matrix(file: &str, text: &[u8]) -> Result<Parsed> {
    let mut lines = numbered(text);
    let wrong = |at: usize, found: String, expected: &str| Error::input(file, at, 0, found, expected);
    let head = lines.next().map_or(&b""[..], |(_, line)| line).to_ascii_lowercase();
    let words: Vec<&[u8]> = head.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).collect();
    let kind: Vec<&[u8]> = words.get(1..).unwrap_or_default().to_vec();
    let known = matches!(kind[..], [b"matrix", b"coordinate", b"real" | b"integer", b"general"]);
    if !known {
        return Err(wrong(1, show(&head), "%%MatrixMarket matrix coordinate real (or integer) general"));
    }
    let mut lines = lines.filter(|(_, line)| line[0] != b'%');
    // Without zeros or a sign in front: the same row is always written the same.
    let whole = |field: &[u8]| {
        let digits = field.first().is_some_and(|b| matches!(b, b'1'..=b'9'));
        std::str::from_utf8(field).ok().filter(|_| digits)?.parse::<u32>().ok()
    };
    let sizes = lines.next().map(|(at, line)| {
        let fields: Vec<_> =
            line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).map(whole).collect();
        match fields[..] {
            [Some(rows), Some(columns), Some(entries)] => Ok((rows, columns, entries as usize)),
            _ => Err(wrong(at, show(line), "rows, columns and entries")),
        }
    });
    let (rows, columns, entries) =
        sizes.unwrap_or_else(|| Err(wrong(0, "the end".into(), "a line of rows, columns and entries")))?;
    let mut all = Parsed::default();
    let (mut user_names, mut item_names) = (Names::default(), Names::default());
    for (at, line) in lines {
        let fields = split(line, Separator::Blanks).filter(|(count, _)| *count == 3);
        let Some((_, [row, column, value])) = fields else {
            return Err(wrong(at, show(line), "row, column and value"));
        };
        for (what, field, most) in [("row", &row, rows), ("column", &column, columns)] {
            if whole(field).is_none_or(|i| i > most) {
                return Err(wrong(at, format!("{what} {}", show(field)), &format!("1 to {most}")));
            }
        }
        all.users.push(user_names.number(row));
        all.items.push(item_names.number(column));
        all.values.push(
            number(&value).ok_or_else(|| wrong(at, format!("value {}", show(&value)), "a finite number"))?,
        );
        all.lines.push(at as u32);
    }
    let found = all.values.len();
    if found != entries {
        return Err(wrong(0, format!("{found} entries"), &format!("{entries}, as its head says")));
    }
    Ok(Parsed { names: [user_names.text(), item_names.text()], ..all })
}
