//! Plain text as a sequence of words.

use super::source::{self, Input};
use crate::error::{Error, Result};
use crate::memory;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The bytes of a word while the text is read.
const WORD: usize = 12;

/// A text as words by number, with its vocabulary in the order of falling frequency.
///
/// Words are what stands between blanks; a line is a sentence. Words below the cut of the vocabulary are left out, as if
/// they did not stand there.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// The word at each position; [`Corpus::FIRST`] is set on the first of a sentence.
    tokens: Vec<u32>,
    words: Vec<String>,
    counts: Vec<u64>,
    /// Words of the text, with those that are left out.
    length: usize,
    name: String,
    hash: String,
}

impl Corpus {
    /// The bit of a token that tells the first of a sentence.
    pub const FIRST: u32 = 1 << 31;

    /// Words of the text that occur less often are left out, unless said.
    pub const MIN_COUNT: u64 = 5;

    /// Reads a file (`-` is standard input), plain or compressed, without the words that occur less than `min_count`
    /// times. O(bytes).
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Input`], with the line, where it is no UTF-8 text or has
    /// fewer than two words to train.
    pub fn open(path: impl Into<PathBuf>, min_count: u64) -> Result<Self> {
        let path = path.into();
        Self::read(if path == Path::new("-") { Input::Stdin } else { Input::File(path) }, min_count)
    }

    /// As [`Corpus::open`], from bytes that errors call `name`.
    ///
    /// # Errors
    /// As [`Corpus::open`].
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>, min_count: u64) -> Result<Self> {
        Self::read(Input::Bytes(name.into(), bytes.into()), min_count)
    }

    fn read(mut input: Input, min_count: u64) -> Result<Self> {
        let name = input.name();
        let unpacked = input.open()?.unpacked(&name)?;
        let mut buffer = Vec::new();
        let bytes = unpacked.part(0, unpacked.len(), &mut buffer)?;
        let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes));
        let text = source::utf8(&name, bytes)?;
        let blanks = [b' ', b'\n'].map(|blank| memory::occurrences(bytes, blank)).iter().sum();
        memory::check_reading(&name, blanks, "words", WORD)?;
        // By first appearance, in one pass; then by frequency.
        let (mut at, mut appeared): (HashMap<&str, u32>, Vec<(&str, u64)>) = Default::default();
        let mut raw: Vec<u32> = Vec::with_capacity(text.len() / 6);
        for line in text.lines() {
            let mut flag = Self::FIRST;
            for word in line.split_ascii_whitespace() {
                let id = *at.entry(word).or_insert_with(|| {
                    appeared.push((word, 0));
                    appeared.len() as u32 - 1
                });
                appeared[id as usize].1 += 1;
                raw.push(id | flag);
                flag = 0;
            }
        }
        drop(at);
        let wanted = "at least two different words to train";
        if appeared.len() >= Self::FIRST as usize {
            return Err(Error::input(&name, 0, 0, format!("{} words", appeared.len()), "at most 2147483647"));
        }
        let mut order: Vec<u32> =
            (0..appeared.len() as u32).filter(|&i| appeared[i as usize].1 >= min_count).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(appeared[i as usize].1));
        if order.len() < 2 {
            let found = format!("{} words that occur {min_count} times or more", order.len());
            return Err(Error::input(&name, 0, 0, found, wanted));
        }
        const OUT: u32 = u32::MAX;
        let mut rank = vec![OUT; appeared.len()];
        (0..).zip(&order).for_each(|(r, &i)| rank[i as usize] = r);
        let length = raw.len();
        let mut flag = 0;
        let mut tokens = Vec::with_capacity(length);
        for token in raw {
            flag |= token & Self::FIRST;
            let rank = rank[(token & !Self::FIRST) as usize];
            if rank != OUT {
                tokens.push(rank | flag);
                flag = 0;
            }
        }
        let words = order.iter().map(|&i| appeared[i as usize].0.to_owned()).collect();
        let counts = order.iter().map(|&i| appeared[i as usize].1).collect();
        Ok(Self { tokens, words, counts, length, name, hash })
    }

    /// The word at each position, with [`Corpus::FIRST`] on the first of a sentence.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The words by number, from the most frequent.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// How often each word occurs.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of words of the text, with those that are left out.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The file as the user named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The xxh3-128 of the text, in hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}
