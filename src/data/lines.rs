//! The lines of a text: where they are, and how many values each may hold.

use super::source::Bytes;
use crate::error::Result;
use crate::memory;
use rayon::prelude::*;
use wide::u8x16;

/// The bytes that a task takes at a time.
const BLOCK: u64 = 1 << 19;

/// What a walk over a text found.
#[derive(Default)]
pub(super) struct Lines {
    /// Whole lines, all of them together, in the order of the text.
    pub pieces: Vec<Piece>,
    /// The number of colons of each row, which is no less than that of its values.
    pub bounds: Vec<u32>,
}

/// Lines that a task reads.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    /// The bytes of the text that they are.
    pub from: u64,
    pub to: u64,
    /// How many lines are before them.
    pub lines: usize,
    /// How many of them are rows: not blank, and not a comment only.
    pub rows: usize,
    /// Whether all are.
    pub dense: bool,
}

impl Lines {
    /// Finds them. O(bytes), in parallel.
    ///
    /// # Errors
    /// Where the text cannot be read.
    pub fn find(text: &Bytes) -> Result<Self> {
        // Rows of twenty bytes and more; what they take in all is known when they have been counted.
        memory::check("the rows of the text", u128::from(text.len()) / 2, "take fewer")?;
        // No smaller than what is worth a task.
        let share = text.len() / (8 * rayon::current_num_threads() as u64);
        let size = share.clamp(1 << 16, BLOCK);
        let starts: Vec<u64> = (0..text.len()).step_by(size as usize).collect();
        let blocks: Result<Vec<Block>> = starts
            .into_par_iter()
            .map_init(Vec::new, |buffer, from| {
                text.part(from, (from + size).min(text.len()), buffer).map(block)
            })
            .collect();
        let blocks = blocks?;
        let most = blocks.iter().map(|block| block.bounds.len() + 1).sum::<usize>();
        memory::check("the rows of the text", 4 * most as u128, "take fewer")?;

        let mut found = Self { bounds: Vec::with_capacity(most), ..Self::default() };
        let (mut open, mut from, mut lines, mut rows) = (Line::default(), 0, 0, 0);
        for (k, block) in (0..).zip(blocks) {
            open = open.and(block.head);
            if let Some((end, tail)) = block.tail {
                found.bounds.extend(open.bound());
                found.bounds.extend(block.bounds);
                let to = k * size + end as u64;
                let of_piece = found.bounds.len() - rows;
                let dense = of_piece == block.lines;
                found.pieces.push(Piece { from, to, lines, rows: of_piece, dense });
                (from, lines, rows) = (to, lines + block.lines, found.bounds.len());
                open = tail;
            }
        }
        found.bounds.extend(open.bound());
        if from < text.len() {
            let rows = found.bounds.len() - rows;
            found.pieces.push(Piece { from, to: text.len(), lines, rows, dense: rows == 1 });
        }
        Ok(found)
    }
}

/// A block of bytes, which may begin and end within a line.
struct Block {
    /// The end of the line that began before the block.
    head: Line,
    /// Of the rows that lie in it as a whole.
    bounds: Vec<u32>,
    /// The number of its newlines.
    lines: usize,
    /// What follows the last newline, if there is one: where, and the beginning of the line there.
    tail: Option<(usize, Line)>,
}

/// What is known of a line or a part of it.
#[derive(Clone, Copy, Default)]
struct Line {
    colons: u32,
    /// The first byte that is not blank.
    first: Option<u8>,
}

impl Line {
    /// Of the bytes of a line, and the number of colons among them.
    #[inline]
    fn new(bytes: &[u8], colons: u32) -> Self {
        Self { colons, first: bytes.iter().copied().find(|b| !matches!(b, b' ' | b'\t' | b'\r')) }
    }

    /// The line of this part and the next.
    fn and(self, next: Self) -> Self {
        Self { colons: self.colons.saturating_add(next.colons), first: self.first.or(next.first) }
    }

    /// Its number of colons, if the whole line is a row.
    #[inline]
    fn bound(self) -> Option<u32> {
        self.first.filter(|&b| b != b'#').map(|_| self.colons)
    }
}

fn block(bytes: &[u8]) -> Block {
    let mut block = Block { head: Line::default(), bounds: Vec::new(), lines: 0, tail: None };
    let (mut from, mut colons) = (0, 0);
    for (at, part) in (0..).step_by(64).zip(bytes.chunks(64)) {
        let (mut of_colon, mut of_newline) = masks(part);
        while of_newline != 0 {
            let newline = of_newline.trailing_zeros();
            let before = (1 << newline) - 1;
            let line =
                Line::new(&bytes[from..at + newline as usize], colons + (of_colon & before).count_ones());
            match block.lines {
                0 => block.head = line,
                _ => block.bounds.extend(line.bound()),
            }
            block.lines += 1;
            (from, colons) = (at + newline as usize + 1, 0);
            of_colon &= !before;
            of_newline &= of_newline - 1;
        }
        colons += of_colon.count_ones();
    }
    let rest = Line::new(&bytes[from..], colons);
    match block.lines {
        0 => block.head = rest,
        _ => block.tail = Some((from, rest)),
    }
    block
}

/// Which of at most 64 bytes are colons, and which are newlines.
#[inline]
fn masks(bytes: &[u8]) -> (u64, u64) {
    let mut padded = [0; 64];
    let bytes = bytes.first_chunk().unwrap_or_else(|| {
        padded[..bytes.len()].copy_from_slice(bytes);
        &padded
    });
    let (quarters, _) = bytes.as_chunks::<16>();
    let mask = |byte: u8| {
        let of_quarter = |q: &[u8; 16]| u64::from(u8x16::from(*q).simd_eq(u8x16::splat(byte)).to_bitmask());
        quarters.iter().rev().fold(0, |mask, q| mask << 16 | of_quarter(q))
    };
    (mask(b':'), mask(b'\n'))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_those_of_a_simple_walk(
            text in "([1:# \t\r\n]{0,9}|1 2:3 4:5\n|#|[:]{70}|[ ]{80}){0,300}",
            size in 1usize..200,
        ) {
            let text = text.as_bytes();
            // Joined as in `find`, with blocks of any size.
            let (mut found, mut lines, mut open) = (Vec::new(), 0, Line::default());
            for part in text.chunks(size) {
                let block = block(part);
                open = open.and(block.head);
                lines += block.lines;
                if let Some((end, tail)) = block.tail {
                    prop_assert_eq!(part[end - 1], b'\n');
                    prop_assert!(!part[end..].contains(&b'\n'));
                    found.extend(open.bound());
                    found.extend(block.bounds);
                    open = tail;
                }
            }
            found.extend(open.bound());
            let simple = text.split(|&b| b == b'\n').filter_map(|line| {
                let first = *line.iter().find(|b| !b" \t\r".contains(b))?;
                (first != b'#').then(|| line.iter().filter(|&&b| b == b':').count() as u32)
            });
            prop_assert_eq!(found, simple.collect::<Vec<_>>());
            prop_assert_eq!(lines, text.iter().filter(|&&b| b == b'\n').count());
        }
    }
}
