//! Ratings as text.

use super::super::source::Bytes;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;

/// Ratings in the order of the text, users and items numbered as they appear.
pub(super) struct Parsed {
    pub users: Vec<u32>,
    pub items: Vec<u32>,
    pub values: Vec<f32>,
    /// Of the users and of the items, by number.
    pub names: [Vec<String>; 2],
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

/// Reads everything; where they may be `unrated`, lines of a user and an item too, with NaN as rating.
pub(super) fn parse(name: &str, bytes: &Bytes, unrated: bool) -> Result<Parsed> {
    let mut buffer = Vec::new();
    let text = bytes.part(0, bytes.len(), &mut buffer)?;
    let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text));
    let market = text.starts_with(b"%%MatrixMarket");
    let (users, items, values, names) =
        if market { matrix(name, text)? } else { lines(name, text, unrated)? };
    if values.is_empty() {
        return Err(Error::input(name, 0, 0, "no rating", "at least one line of user, item and rating"));
    }
    Ok(Parsed { users, items, values, names, hash })
}

type Triples = (Vec<u32>, Vec<u32>, Vec<f32>, [Vec<String>; 2]);

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

    fn text(&self, file: &str) -> Result<Vec<String>> {
        let text = |name: &Cow<[u8]>| match std::str::from_utf8(name) {
            Ok(name) => Ok(name.to_owned()),
            Err(_) => Err(Error::input(file, 0, 0, format!("name {}", show(name)), "UTF-8 text")),
        };
        self.all.iter().map(text).collect()
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
    names: [Names<'a>; 2],
}

/// A line that is no rating: its number in the piece from 1, what is found, and what is expected.
type Wrong = (usize, String, &'static str);

fn lines(file: &str, text: &[u8], unrated: bool) -> Result<Triples> {
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
    let (mut users, mut items, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut names = [Names::default(), Names::default()];
    for (at, piece) in parsed.into_iter().enumerate() {
        let piece = piece.map_err(|(line, found, expected)| {
            let before: usize =
                pieces[..at].iter().map(|piece| piece.iter().filter(|&&b| b == b'\n').count()).sum();
            Error::input(file, before + line, 0, found, expected)
        })?;
        let mut renumber = |side: usize, ids: Vec<u32>, all: &mut Vec<u32>| {
            let to: Vec<u32> =
                piece.names[side].all.iter().map(|name| names[side].number(name.clone())).collect();
            all.extend(ids.into_iter().map(|i| to[i as usize]));
        };
        renumber(0, piece.users, &mut users);
        renumber(1, piece.items, &mut items);
        values.extend(piece.values);
        if values.len() > MOST {
            return Err(Error::input(file, 0, 0, "more ratings", format!("at most {MOST}")));
        }
    }
    let [user_names, item_names] = names;
    Ok((users, items, values, [user_names.text(file)?, item_names.text(file)?]))
}

/// Reads whole lines; the first of all may be a header.
fn parse_piece(
    text: &[u8],
    separator: Separator,
    (first, unrated): (bool, bool),
) -> std::result::Result<Piece<'_>, Wrong> {
    let (mut piece, mut header) = (Piece::default(), first);
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
            if first && [&user, &item].into_iter().all(|field| number(field).is_none()) {
                continue; // the header
            }
            return Err((at, format!("rating {}", show(&rating)), "a finite number"));
        };
        piece.users.push(piece.names[0].number(user));
        piece.items.push(piece.names[1].number(item));
        piece.values.push(value);
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
fn matrix(file: &str, text: &[u8]) -> Result<Triples> {
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
    let (mut users, mut items, mut values) = (Vec::new(), Vec::new(), Vec::new());
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
        users.push(user_names.number(row));
        items.push(item_names.number(column));
        values.push(
            number(&value).ok_or_else(|| wrong(at, format!("value {}", show(&value)), "a finite number"))?,
        );
    }
    if values.len() != entries {
        return Err(wrong(0, format!("{} entries", values.len()), &format!("{entries}, as its head says")));
    }
    Ok((users, items, values, [user_names.text(file)?, item_names.text(file)?]))
}
