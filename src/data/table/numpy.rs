//! NumPy's `.npy` and `.npz`: a dense array of rows, whose further dimensions count together; or in an archive an array `X` (or `x`, `data`, `features`) with
//! labels `y` (or `labels`, `target`), or a CSR matrix as `scipy.sparse.save_npz` writes it.
//!
//! As in idx files, bytes become shares of 1: they are scaled by 1/255, as labels not.

use super::{Table, at_byte};
use crate::error::{Error, Result};
use crate::memory;
use half::f16;
use std::io::{self, Cursor, Read};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// An array in row-major order.
struct Array {
    shape: Vec<usize>,
    values: Vec<f64>,
    /// Whether they are bytes.
    bytes: bool,
}

impl Array {
    /// The values of features, single and scaled.
    fn features(&self) -> impl Iterator<Item = f32> {
        let whole = if self.bytes { 255.0 } else { 1.0 };
        self.values.iter().map(move |&x| x as f32 / whole)
    }
}

/// The array in these bytes; `name` is the file's, with the member's where it is in an archive.
fn array(bytes: &[u8], name: &str) -> Result<Array> {
    let version = bytes.get(6).copied().unwrap_or(0);
    let (length, start): (usize, usize) = match (version, bytes.get(8..10), bytes.get(8..12)) {
        (1, Some(length), _) => (usize::from(u16::from_le_bytes([length[0], length[1]])), 10),
        (2 | 3, _, Some(&[a, b, c, d])) => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
        _ => return Err(at_byte(name, 6, format!("version {version}"), "NumPy's format 1, 2 or 3, whole")),
    };
    let header = start.checked_add(length).and_then(|end| bytes.get(start..end));
    let header = header.and_then(|header| std::str::from_utf8(header).ok());
    let Some(header) = header else {
        return Err(at_byte(name, start, "no text", format!("a header of {length} bytes")));
    };
    let wrong = |what: &str| at_byte(name, start, format!("header {}", header.trim()), what);
    let entry = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let kind = entry("descr").and_then(|rest| rest.strip_prefix('\'')?.split_once('\''));
    let (kind, _) = kind.ok_or_else(|| wrong("a simple type"))?;
    let by_column = entry("fortran_order").is_some_and(|rest| rest.starts_with("True"));
    let shape = entry("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')'));
    let shape: Option<Vec<usize>> = shape.and_then(|(sizes, _)| {
        let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
        sizes.map(|size| size.parse().ok()).collect()
    });
    let shape = shape.ok_or_else(|| wrong("a shape"))?;
    let data = &bytes[start + length..];
    let (width, read) = reader(kind).ok_or_else(|| wrong("numbers: ?, i, u or f of up to 8 bytes"))?;
    let total = shape.iter().try_fold(width, |product, &size| product.checked_mul(size));
    if total != Some(data.len()) {
        let found = format!("{} bytes of data", data.len());
        return Err(at_byte(name, start + length, found, format!("{width} a number of shape {shape:?}")));
    }
    memory::check_reading(name, data.len() / width, "numbers", size_of::<f64>())?;
    let mut values: Vec<f64> = data.chunks_exact(width).map(read).collect();
    if let Some(at) = values.iter().position(|x| !(*x as f32).is_finite()) {
        let offset = start + length + at * width;
        return Err(at_byte(name, offset, values[at], "a number that is finite in single precision"));
    }
    if by_column && shape.len() > 1 {
        // The first index moves fastest there, here the last.
        let from = |at: usize| {
            let (mut rest, mut stride, mut from) = (at, values.len(), 0);
            for &size in shape.iter().rev() {
                stride /= size;
                (from, rest) = (from + rest % size * stride, rest / size);
            }
            from
        };
        values = (0..values.len()).map(|at| values[from(at)]).collect();
    }
    Ok(Array { shape, values, bytes: kind == "|u1" })
}

/// Reads one number.
type Number = fn(&[u8]) -> f64;

/// The width of a number of a type, and how it is read.
fn reader(kind: &str) -> Option<(usize, Number)> {
    macro_rules! number {
        ($type:ty, $from:ident) => {
            Some((size_of::<$type>(), |x| <$type>::$from(x.try_into().unwrap_or_default()) as f64))
        };
    }
    match kind {
        "|b1" | "|u1" => Some((1, |x| f64::from(x[0]))),
        "|i1" => Some((1, |x| f64::from(x[0].cast_signed()))),
        "<f2" => Some((2, |x| f16::from_le_bytes(x.try_into().unwrap_or_default()).to_f64())),
        ">f2" => Some((2, |x| f16::from_be_bytes(x.try_into().unwrap_or_default()).to_f64())),
        "<f4" => number!(f32, from_le_bytes),
        ">f4" => number!(f32, from_be_bytes),
        "<f8" => number!(f64, from_le_bytes),
        ">f8" => number!(f64, from_be_bytes),
        "<i2" => number!(i16, from_le_bytes),
        ">i2" => number!(i16, from_be_bytes),
        "<i4" => number!(i32, from_le_bytes),
        ">i4" => number!(i32, from_be_bytes),
        "<i8" => number!(i64, from_le_bytes),
        ">i8" => number!(i64, from_be_bytes),
        "<u2" => number!(u16, from_le_bytes),
        ">u2" => number!(u16, from_be_bytes),
        "<u4" => number!(u32, from_le_bytes),
        ">u4" => number!(u32, from_be_bytes),
        "<u8" => number!(u64, from_le_bytes),
        ">u8" => number!(u64, from_be_bytes),
        _ => None,
    }
}

/// Rows, the first dimension; what the others count are their features, as in idx files.
fn rows(array: &Array, name: &str) -> Result<Table> {
    let [rows, features @ ..] = &array.shape[..] else {
        return Err(Error::input(name, 0, 0, "a number alone", "two dimensions: rows and features"));
    };
    if features.is_empty() {
        let found = format!("an array of shape {:?}", array.shape);
        return Err(Error::input(name, 0, 0, found, "two dimensions: rows and features"));
    }
    // Where there are no rows, the other sizes may multiply to anything.
    let width = features.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    Ok(Table { bytes: array.bytes, ..Table::dense(array.features(), *rows, width.unwrap_or(0))? })
}

/// The array, if its numbers are in one dimension, or in a column.
fn one_dimension(array: Array, name: &str) -> Result<Array> {
    match array.shape[..] {
        [_] | [_, 1] => Ok(array),
        _ => {
            let found = format!("an array of shape {:?}", array.shape);
            Err(Error::input(name, 0, 0, found, "one dimension"))
        }
    }
}

pub(super) fn read(bytes: &[u8], name: &str) -> Result<Table> {
    rows(&array(bytes, name)?, name)
}

pub(super) fn labels(bytes: &[u8], name: &str) -> Result<Vec<f32>> {
    let labels = one_dimension(array(bytes, name)?, name)?;
    Ok(labels.values.into_iter().map(|x| x as f32).collect())
}

pub(super) fn read_zip(bytes: &[u8], name: &str) -> Result<Table> {
    let damaged = |e: &dyn std::fmt::Display| {
        Error::input(name, 0, 0, format!("a damaged or truncated archive ({e})"), "a whole one")
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    let array_of = |name: &str| name.trim_end_matches(".npy").to_owned();
    let mut arrays: Vec<String> = archive.file_names().flatten().map(|name| array_of(&name)).collect();
    arrays.sort_unstable();
    let mut member = |names: &[&str]| -> Result<Option<(Vec<u8>, String)>> {
        for wanted in names {
            let Some(index) = archive.index_for_name(&format!("{wanted}.npy")) else { continue };
            let mut data = Vec::new();
            let file = archive.by_index(index).map_err(|e| damaged(&e))?;
            let size = file.size();
            memory::check(&format!("{name}/{wanted}.npy"), u128::from(size), "take a smaller one")?;
            // To its end, where its checksum is looked at.
            file.take(size.saturating_add(1)).read_to_end(&mut data).map_err(|e| match e.kind() {
                io::ErrorKind::OutOfMemory => Error::io("unpack", name, e),
                _ => damaged(&e),
            })?;
            return Ok(Some((data, format!("{name}/{wanted}.npy"))));
        }
        Ok(None)
    };
    // As scipy names the form of a sparse matrix: at the end, in one or four bytes a letter.
    if let Some((data, name)) = member(&["format"])? {
        let mut form: Vec<u8> = data.iter().rev().copied().filter(|&byte| byte != 0).take(3).collect();
        form.reverse();
        if form != b"csr" {
            let found = format!("a matrix in the form '{}'", form.escape_ascii());
            return Err(Error::input(name, 0, 0, found, "csr (scipy: matrix.tocsr())"));
        }
    }
    let mut numbers = |names: &[&str]| -> Result<Option<(Array, String)>> {
        member(names)?.map(|(data, name)| Ok((array(&data, &name)?, name))).transpose()
    };
    let mut table = match numbers(&["indptr"])? {
        Some((starts, _)) => {
            let mut other = |wanted: &str| {
                let missing =
                    || Error::input(name, 0, 0, format!("no array '{wanted}'"), "a whole CSR matrix");
                let (array, name) = numbers(&[wanted])?.ok_or_else(missing)?;
                one_dimension(array, &name)
            };
            let (ids, data, shape) = (other("indices")?, other("data")?, other("shape")?);
            let values: Vec<f32> = data.features().collect();
            let table = compressed(&starts.values, &ids.values, &values, &shape.values, name)?;
            Table { bytes: data.bytes, ..table }
        }
        None => match numbers(&["X", "x", "data", "features"])? {
            Some((array, name)) => rows(&array, &name)?,
            None => {
                let expected = "rows called X, x, data or features, or a CSR matrix of scipy";
                return Err(Error::input(name, 0, 0, told(&arrays), expected));
            }
        },
    };
    if let Some((array, name)) = numbers(&["y", "labels", "target"])? {
        let labels = one_dimension(array, &name)?.values;
        if labels.len() != table.rows() {
            let found = format!("{} labels", labels.len());
            return Err(Error::input(name, 0, 0, found, format!("{}, one a row", table.rows())));
        }
        table.labels = Some(labels.into_iter().map(|x| x as f32).collect());
    }
    Ok(table)
}

/// What arrays there are, the first of them.
fn told(arrays: &[String]) -> String {
    let named: Vec<String> = arrays.iter().take(8).map(|array| format!("'{array}'")).collect();
    match arrays.len() {
        0 => "no array".into(),
        all if all > named.len() => format!("{all} arrays, {}, …", named.join(", ")),
        _ => format!("arrays {}", named.join(", ")),
    }
}

/// A CSR matrix; ids of a row may come in any order, each once.
fn compressed(starts: &[f64], ids: &[f64], values: &[f32], shape: &[f64], name: &str) -> Result<Table> {
    let wrong = |found: String, expected: &str| Error::input(name, 0, 0, found, expected);
    let &[rows, features] = shape else {
        return Err(wrong(format!("shape {shape:?}"), "two dimensions"));
    };
    let rising = starts.windows(2).all(|pair| pair[0] <= pair[1]);
    let ends = starts.first() == Some(&0.0) && starts.last() == Some(&(ids.len() as f64));
    let whole = |numbers: &[f64]| numbers.iter().all(|x| x.fract() == 0.0);
    if !(whole(starts) && whole(ids) && whole(shape)) {
        return Err(wrong("fractions in row starts, ids or shape".into(), "whole numbers"));
    }
    if starts.len() as f64 != rows + 1.0 || !rising || !ends || ids.len() != values.len() {
        let found = format!("{} row starts for {} ids and {} values", starts.len(), ids.len(), values.len());
        return Err(wrong(found, "rows + 1, rising from 0 to the number of ids and values (CSR)"));
    }
    let mut table = Table::new(features as usize);
    let mut row = Vec::new();
    for (number, pair) in starts.windows(2).enumerate() {
        let range = pair[0] as usize..pair[1] as usize;
        row.clear();
        row.extend(ids[range.clone()].iter().copied().zip(values[range].iter().copied()));
        row.sort_by(|a, b| a.0.total_cmp(&b.0));
        let twice = row.windows(2).find(|pair| pair[0].0 == pair[1].0);
        let outside = row.iter().find(|entry| !(entry.0 >= 0.0 && entry.0 < features));
        if let Some(id) = twice.map(|pair| pair[0].0).or(outside.map(|entry| entry.0)) {
            let expected = format!("each id once, below {features}");
            return Err(wrong(format!("id {id} in row {}", number + 1), &expected));
        }
        for &(id, value) in row.iter().filter(|entry| entry.1 != 0.0) {
            table.ids.push(id as u32);
            table.values.push(value);
        }
        table.starts.push(table.ids.len() as u64);
    }
    Ok(table)
}
