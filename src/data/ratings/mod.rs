//! Ratings: who gave what to which item, laid out so that workers seldom meet.

mod text;

use super::source::Input;
use crate::error::{Error, Result};
use crate::sync::Arc;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use text::Parsed;

/// Ratings of items by users, in the order in which they are visited.
///
/// Users and items are cut into [`Ratings::side`] parts each, at random and so that all parts hold about as many
/// ratings; the ratings lie by blocks, block i·side + j those of part i of the users for part j of the items. Two
/// blocks that share neither part touch no common parameter of a factorization, and one block's users and items stay
/// in a core's cache. In a block the ratings of a user lie together. Inside, users and items are numbered by part.
#[derive(Debug, Clone)]
pub struct Ratings {
    users: Vec<u32>,
    items: Vec<u32>,
    values: Vec<f32>,
    /// The line of the source, from 1, that each is of.
    lines: Vec<u32>,
    /// Where each block begins, and where the last ends.
    bounds: Vec<usize>,
    side: usize,
    /// The first user of each part, and one more than the last; the same for the items.
    parts: [Vec<usize>; 2],
    names: [Arc<Vec<String>>; 2],
    header: Option<String>,
    name: String,
    hash: String,
}

/// A user or item that the training data do not know.
const UNKNOWN: u32 = u32::MAX;

/// The fewest parts of the users and of the items: more workers than this could not be kept apart.
const SIDE: usize = 16;

/// The users and items of a block, at most: their rows of some hundred bytes are to stay in the second-level cache.
const PART: usize = 2048;

/// The most parts: blocks of a few ratings would cost more to hand out than to work on.
const MOST_PARTS: usize = 128;

impl Ratings {
    /// Reads a file (`-` is standard input), plain or compressed, laid out by `seed`.
    ///
    /// One rating a line: user, item, rating and perhaps a time, which is not used, separated by `::`, a tab, a comma,
    /// a semicolon or blanks. Users and items are any text. A first line in which neither user nor item is a
    /// number, and the rating is a word that is none, is a header ([`Ratings::header`]). Also MatrixMarket coordinates (`%%MatrixMarket matrix coordinate real general`), rows being
    /// users. In parallel where that helps; O(bytes).
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Input`] with its line where it does not say what it
    /// should.
    pub fn open(path: impl Into<PathBuf>, seed: u64) -> Result<Self> {
        let path = path.into();
        Self::read(if path == Path::new("-") { Input::Stdin } else { Input::File(path) }, seed)
    }

    /// As [`Ratings::open`], from bytes that errors call `name`.
    ///
    /// # Errors
    /// As [`Ratings::open`].
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>, seed: u64) -> Result<Self> {
        Self::read(Input::Bytes(name.into(), bytes.into()), seed)
    }

    fn read(mut input: Input, seed: u64) -> Result<Self> {
        let name = input.name();
        let parsed = text::parse(&name, &input.open()?.unpacked(&name)?, false)?;
        Ok(Self::lay_out(parsed, name, seed))
    }

    /// Reads ratings to test a model of `train` on: with its numbers for users and items, in the order of the file.
    ///
    /// # Errors
    /// As [`Ratings::open`].
    pub fn like(path: impl Into<PathBuf>, train: &Self) -> Result<Self> {
        let path = path.into();
        let names = [&train.names[0], &train.names[1]].map(Arc::clone);
        Self::with_names(if path == Path::new("-") { Input::Stdin } else { Input::File(path) }, names, false)
    }

    /// The same with the names that a saved model has, users' and items'. Lines may also be of a user and an item alone,
    /// whose rating is then NaN; the first such line is a header where it has no number and neither of the two is known.
    ///
    /// # Errors
    /// As [`Ratings::open`].
    pub fn like_names(path: impl Into<PathBuf>, names: &[Vec<String>; 2]) -> Result<Self> {
        let path = path.into();
        let names = [&names[0], &names[1]].map(|names| Arc::new(names.clone()));
        Self::with_names(if path == Path::new("-") { Input::Stdin } else { Input::File(path) }, names, true)
    }

    fn with_names(mut input: Input, names: [Arc<Vec<String>>; 2], unrated: bool) -> Result<Self> {
        let name = input.name();
        let mut parsed = text::parse(&name, &input.open()?.unpacked(&name)?, unrated)?;
        let inside = |side: usize, found: &[String]| {
            let known: HashMap<&str, u32> = (0..).zip(names[side].iter()).map(|(i, n)| (&**n, i)).collect();
            found.iter().map(|n| known.get(&**n).copied().unwrap_or(UNKNOWN)).collect::<Vec<u32>>()
        };
        let (users, items) = (inside(0, &parsed.names[0]), inside(1, &parsed.names[1]));
        let [user, item] = [parsed.users[0], parsed.items[0]].map(|i| i as usize);
        let told = [&parsed.names[0][user], &parsed.names[1][item]];
        let unknown = users[user] == UNKNOWN && items[item] == UNKNOWN;
        if parsed.values[0].is_nan()
            && unknown
            && told.iter().all(|name| text::number(name.as_bytes()).is_none())
        {
            parsed.header = Some(format!("'{} {}'", told[0], told[1]));
            parsed.users.remove(0);
            parsed.items.remove(0);
            parsed.values.remove(0);
            parsed.lines.remove(0);
        }
        let next = parsed.users.first().zip(parsed.items.first());
        if next.is_some_and(|(&u, &i)| users[u as usize] != UNKNOWN || items[i as usize] != UNKNOWN) {
            parsed.header = None;
        }
        if parsed.values.is_empty() {
            return Err(Error::input(name, 0, 0, "a header alone", "a user and an item on each line"));
        }
        let renumber = |ids: Vec<u32>, to: &[u32]| ids.into_iter().map(|i| to[i as usize]).collect();
        Ok(Self {
            lines: parsed.lines,
            bounds: vec![0, parsed.values.len()],
            parts: [vec![0, names[0].len()], vec![0, names[1].len()]],
            users: renumber(parsed.users, &users),
            items: renumber(parsed.items, &items),
            values: parsed.values,
            side: 1,
            names,
            header: parsed.header,
            name,
            hash: parsed.hash,
        })
    }

    fn lay_out(parsed: Parsed, name: String, seed: u64) -> Self {
        let Parsed { users, items, values, names, lines, header, hash } = parsed;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let rows = names[0].len() + names[1].len();
        let fit = rows.div_ceil(PART).clamp(SIDE, MOST_PARTS);
        let side = fit.min(names[0].len()).min(names[1].len()).max(1);
        let mut part = |ids: &[u32], names: &[String]| {
            let mut counts = vec![0u64; names.len()];
            ids.iter().for_each(|&i| counts[i as usize] += 1);
            let mut shuffled: Vec<u32> = (0..names.len() as u32).collect();
            shuffled.shuffle(&mut rng);
            // Cut where a part's share of the ratings is reached, but never so late that a part has no member.
            let (mut sum, mut parts) = (0u64, Vec::with_capacity(names.len()));
            let (total, mut inside) = (ids.len() as u64, vec![0u32; names.len()]);
            for (at, &i) in shuffled.iter().enumerate() {
                inside[i as usize] = at as u32;
                parts.push(((sum * side as u64 / total.max(1)) as usize).min(side - 1));
                sum += counts[i as usize];
            }
            let names: Vec<String> = shuffled.iter().map(|&i| names[i as usize].clone()).collect();
            (inside, parts, Arc::new(names))
        };
        let (user_of, user_parts, user_names) = part(&users, &names[0]);
        let (item_of, item_parts, item_names) = part(&items, &names[1]);
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.shuffle(&mut rng);
        let key = |&r: &u32| {
            let (user, item) = (user_of[users[r as usize] as usize], item_of[items[r as usize] as usize]);
            (user_parts[user as usize] * side + item_parts[item as usize], user)
        };
        // Stable: the items of a user stay in random order.
        order.sort_by_cached_key(key);
        let mut bounds = vec![0; side * side + 1];
        order.iter().for_each(|r| bounds[key(r).0 + 1] += 1);
        (0..side * side).for_each(|block| bounds[block + 1] += bounds[block]);
        let firsts = |parts: &[usize]| (0..=side).map(|part| parts.partition_point(|&p| p < part)).collect();
        Self {
            users: order.iter().map(|&r| user_of[users[r as usize] as usize]).collect(),
            items: order.iter().map(|&r| item_of[items[r as usize] as usize]).collect(),
            values: order.iter().map(|&r| values[r as usize]).collect(),
            lines: order.iter().map(|&r| lines[r as usize]).collect(),
            bounds,
            side,
            parts: [firsts(&user_parts), firsts(&item_parts)],
            names: [user_names, item_names],
            header,
            name,
            hash,
        }
    }

    /// Two sets, the second with `fraction` of the ratings, chosen by `seed`; each is laid out by itself, the second
    /// with the numbers of the first.
    ///
    /// # Errors
    /// [`Error::Usage`] where one would be empty.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5eed);
        let mut by_source: Vec<usize> = (0..self.len()).collect();
        by_source.sort_unstable_by_key(|&p| self.lines[p]);
        let (test, train): (Vec<usize>, Vec<usize>) =
            by_source.into_iter().partition(|_| rng.random::<f64>() < fraction);
        if test.is_empty() || train.is_empty() {
            let found = format!("a share of {fraction} of {} ratings", self.len());
            return Err(Error::usage(format!("{}: found {found}, expected a part on both sides", self.name)));
        }
        // Only users and items that are trained are known.
        let mut inside = [vec![UNKNOWN; self.users()], vec![UNKNOWN; self.items()]];
        let mut names = [Vec::new(), Vec::new()];
        for &p in &train {
            for (side, i) in [self.users[p], self.items[p]].into_iter().enumerate() {
                if inside[side][i as usize] == UNKNOWN {
                    inside[side][i as usize] = names[side].len() as u32;
                    names[side].push(self.names[side][i as usize].clone());
                }
            }
        }
        let of = |ps: &[usize], side: usize, ids: &[u32]| {
            ps.iter().map(|&p| inside[side][ids[p] as usize]).collect::<Vec<_>>()
        };
        let values = |ps: &[usize]| ps.iter().map(|&p| self.values[p]).collect::<Vec<_>>();
        let lines = |ps: &[usize]| ps.iter().map(|&p| self.lines[p]).collect::<Vec<_>>();
        let parsed = Parsed {
            users: of(&train, 0, &self.users),
            items: of(&train, 1, &self.items),
            values: values(&train),
            names,
            lines: lines(&train),
            header: self.header.clone(),
            hash: self.hash.clone(),
        };
        let laid = Self::lay_out(parsed, self.name.clone(), seed);
        let to_laid = |side: usize| {
            let at: HashMap<&str, u32> = (0..).zip(laid.names[side].iter()).map(|(i, n)| (&**n, i)).collect();
            let of = |n: &String| at.get(&**n).copied().unwrap_or(UNKNOWN);
            self.names[side].iter().map(of).collect::<Vec<u32>>()
        };
        let (to_user, to_item) = (to_laid(0), to_laid(1));
        let held = Self {
            users: test.iter().map(|&p| to_user[self.users[p] as usize]).collect(),
            items: test.iter().map(|&p| to_item[self.items[p] as usize]).collect(),
            values: values(&test),
            lines: lines(&test),
            bounds: vec![0, test.len()],
            side: 1,
            parts: [vec![0, laid.users()], vec![0, laid.items()]],
            names: [&laid.names[0], &laid.names[1]].map(Arc::clone),
            header: None,
            name: self.name.clone(),
            hash: self.hash.clone(),
        };
        Ok((laid, held))
    }

    /// The number of ratings.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The number of users.
    pub fn users(&self) -> usize {
        self.names[0].len()
    }

    /// The number of items.
    pub fn items(&self) -> usize {
        self.names[1].len()
    }

    /// The parts into which users and items are cut; 1 for test ratings.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Where each of the side² blocks begins, and where the last ends.
    pub fn bounds(&self) -> &[usize] {
        &self.bounds
    }

    /// The first user of each part, and after the last one more than the last user; the same for the items.
    pub fn parts(&self) -> [&[usize]; 2] {
        [&self.parts[0], &self.parts[1]]
    }

    /// The rating at a position: user, item and value, NaN where the source has none. A user or item that was not trained is `None`.
    pub fn get(&self, position: usize) -> (Option<usize>, Option<usize>, f32) {
        let known = |i: u32| (i != UNKNOWN).then_some(i as usize);
        (known(self.users[position]), known(self.items[position]), self.values[position])
    }

    /// The same for one that is known.
    #[inline(always)]
    pub(crate) fn known(&self, position: usize) -> (usize, usize, f32) {
        (self.users[position] as usize, self.items[position] as usize, self.values[position])
    }

    /// The ratings.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The line of the source, from 1, of the rating at each position.
    pub fn lines(&self) -> &[u32] {
        &self.lines
    }

    /// The first line, or its begin, where it was taken for a header and might also be a rating that is none or a user
    /// and an item: not where it is sure, as users or items are numbers or of the next line one is known.
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// The users' names by number, then the items'.
    pub fn names(&self) -> [&[String]; 2] {
        [&self.names[0], &self.names[1]]
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
