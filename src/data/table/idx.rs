//! The idx format of the MNIST files: `0 0 type dimensions`, sizes as big-endian u32, then the numbers in row-major
//! order, big-endian.
//!
//! The first dimension counts the rows. Bytes become shares of 1: they are scaled by 1/255, as labels not.

use super::{Table, at_byte};
use crate::error::Result;
use crate::memory;
use std::path::{Path, PathBuf};

/// An array of numbers.
struct Array<'a> {
    shape: Vec<usize>,
    /// The type's code.
    code: u8,
    data: &'a [u8],
}

/// The bytes of a number of the type.
fn width(code: u8) -> usize {
    match code {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0e => 8,
        _ => 4,
    }
}

fn array<'a>(bytes: &'a [u8], name: &str) -> Result<Array<'a>> {
    let (code, dimensions) = (bytes[2], usize::from(bytes[3]));
    let header = 4 + 4 * dimensions;
    let Some(sizes) = bytes.get(4..header) else {
        return Err(at_byte(name, bytes.len(), "the end", format!("{dimensions} sizes of 4 bytes")));
    };
    let shape: Vec<usize> =
        sizes.as_chunks().0.iter().map(|size| u32::from_be_bytes(*size) as usize).collect();
    let numbers = shape.iter().try_fold(width(code), |product, &size| product.checked_mul(size));
    let data = &bytes[header..];
    match numbers {
        Some(numbers) if numbers == data.len() => {
            memory::check_reading(name, data.len() / width(code), "numbers", size_of::<f32>())?;
            Ok(Array { shape, code, data })
        }
        numbers => {
            let expected = numbers.map_or("a size that fits".to_owned(), |n| (header + n).to_string());
            Err(at_byte(
                name,
                bytes.len(),
                "the end",
                format!("it at {expected}, as the sizes {shape:?} say"),
            ))
        }
    }
}

impl Array<'_> {
    /// The numbers; bytes divided by `whole`.
    fn numbers(&self, whole: f32) -> Vec<f32> {
        fn each<const N: usize>(data: &[u8], of: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            data.as_chunks::<N>().0.iter().map(|bytes| of(*bytes)).collect()
        }
        match self.code {
            0x08 => each::<1>(self.data, |[x]| f32::from(x) / whole),
            0x09 => each::<1>(self.data, |[x]| f32::from(x.cast_signed())),
            0x0b => each(self.data, |x| f32::from(i16::from_be_bytes(x))),
            0x0c => each(self.data, |x| i32::from_be_bytes(x) as f32),
            0x0d => each(self.data, f32::from_be_bytes),
            _ => each(self.data, |x| f64::from_be_bytes(x) as f32),
        }
    }
}

fn finite(numbers: &[f32], array: &Array<'_>, name: &str) -> Result<()> {
    match numbers.iter().position(|x| !x.is_finite()) {
        Some(at) => {
            let offset = 4 + 4 * array.shape.len() + at * width(array.code);
            Err(at_byte(name, offset, numbers[at], "a finite number"))
        }
        None => Ok(()),
    }
}

pub(super) fn read(bytes: &[u8], name: &str) -> Result<Table> {
    let array = array(bytes, name)?;
    if array.shape.len() < 2 {
        let found = "one dimension, as of labels";
        return Err(at_byte(name, 3, found, "at least two: rows and values"));
    }
    let numbers = array.numbers(255.0);
    finite(&numbers, &array, name)?;
    // Where there are no rows, the other sizes may multiply to anything.
    let width = array.shape[1..].iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let table = Table::dense(numbers.into_iter(), array.shape[0], width.unwrap_or(0))?;
    Ok(Table { bytes: array.code == 0x08, ..table })
}

pub(super) fn labels(bytes: &[u8], name: &str) -> Result<Vec<f32>> {
    let array = array(bytes, name)?;
    if array.shape.len() != 1 {
        return Err(at_byte(name, 3, format!("{} dimensions", array.shape.len()), "one, of labels"));
    }
    let labels = array.numbers(1.0);
    finite(&labels, &array, name).map(|()| labels)
}

/// The file of the labels beside one of images: `train-labels-idx1-ubyte` for `train-images-idx3-ubyte`, packed or not.
pub(super) fn labels_beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    let packed = ["", ".gz", ".bz2", ".xz", ".zst"];
    let stem = packed.iter().rev().find_map(|end| labels.strip_suffix(end)).unwrap_or(&labels);
    let others = packed.iter().map(|end| format!("{stem}{end}"));
    // First of all the one that is packed alike.
    std::iter::once(labels.clone())
        .chain(others)
        .filter(|other| other != name)
        .map(|other| path.with_file_name(other))
        .find(|path| path.is_file())
}
