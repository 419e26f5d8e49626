//! Where rows and features go: rows straight into the order in which they will be visited, features
//! renumbered by falling frequency.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

/// Something that can read its rows one by one, in any order and from several threads.
pub(super) trait Source: Sync {
    /// What is wrong with a row.
    type Fault: Send;

    /// No less than the number of nonzeros of `row`.
    fn bound(&self, row: usize) -> usize;

    /// Loads a byte or word from where `row` starts.
    fn touch(&self, row: usize) -> u32;

    /// Writes `row` to the front of `ids` and `values`, which have its bound's length, ids in any order.
    fn read(&self, row: usize, ids: &mut [u32], values: &mut [f32]) -> Result<Read, Self::Fault>;
}

/// What one row was.
pub(super) struct Read {
    /// How many ids and values were written.
    pub len: usize,
    pub label: f32,
    /// One more than the largest id that the row mentions; 0 without any.
    pub end: usize,
}

/// CSR arrays in the making.
pub(super) struct Placed {
    pub starts: Vec<u64>,
    pub ids: Vec<u32>,
    pub values: Vec<f32>,
    pub labels: Vec<f32>,
    /// One more than the largest id that any row mentions.
    pub end: usize,
}

/// Reads row `order[p]` of the source into position p, for every p, in parallel and without a second
/// copy. Each task owns a run of positions and reads wherever its rows are, so that what it writes is
/// contiguous.
///
/// # Errors
/// The fault of the first faulty row in the source's order.
pub(super) fn place<S: Source>(source: &S, order: &[u32]) -> Result<Placed, S::Fault> {
    let rows = order.len();
    let mut starts = Vec::with_capacity(rows + 1);
    starts.push(0);
    let mut total = 0;
    starts.extend(order.iter().map(|&row| {
        total += source.bound(row as usize) as u64;
        total
    }));
    let (mut ids, mut values) = (vec![0; total as usize], vec![0.0; total as usize]);
    let mut labels = vec![0.0; rows];

    let cuts = cuts(&starts);
    let offsets: Vec<usize> = cuts.iter().map(|&p| starts[p] as usize).collect();
    let tasks: Vec<_> = pieces(order, &cuts)
        .zip(pieces_mut(&mut starts[1..], &cuts))
        .zip(pieces_mut(&mut labels, &cuts))
        .zip(pieces_mut(&mut ids, &offsets))
        .zip(pieces_mut(&mut values, &offsets))
        .collect();
    let done: Vec<_> = tasks
        .into_par_iter()
        .map(|((((order, lens), labels), ids), values)| run(source, order, lens, labels, ids, values))
        .collect();

    let mut filled = 0;
    let mut end = 0;
    let mut fault: Option<(u32, S::Fault)> = None;
    for (result, &from) in done.into_iter().zip(&offsets) {
        match result {
            Ok((used, task_end)) => {
                if filled < from {
                    ids.copy_within(from..from + used, filled);
                    values.copy_within(from..from + used, filled);
                }
                filled += used;
                end = end.max(task_end);
            }
            Err(found) if fault.as_ref().is_none_or(|first| found.0 < first.0) => fault = Some(found),
            Err(_) => {}
        }
    }
    if let Some((_, fault)) = fault {
        return Err(fault);
    }
    if filled < ids.len() {
        ids.truncate(filled);
        ids.shrink_to_fit();
        values.truncate(filled);
        values.shrink_to_fit();
    }
    for p in 0..rows {
        starts[p + 1] += starts[p];
    }
    Ok(Placed { starts, ids, values, labels, end })
}

/// One task of [`place`]: the values it used and the end of its ids, or its first faulty row.
fn run<S: Source>(
    source: &S,
    order: &[u32],
    lens: &mut [u64],
    labels: &mut [f32],
    ids: &mut [u32],
    values: &mut [f32],
) -> Result<(usize, usize), (u32, S::Fault)> {
    /// Rows that are touched together: their cache misses overlap, where one after the other they cost
    /// more than the parsing of a short row.
    const TOUCHED: usize = 16;

    let (mut used, mut end) = (0, 0);
    let mut fault: Option<(u32, S::Fault)> = None;
    for (p, &row) in order.iter().enumerate() {
        if p % TOUCHED == 0 {
            let rows = order[p..].iter().take(TOUCHED);
            std::hint::black_box(rows.fold(0, |sum, &row| sum ^ source.touch(row as usize)));
        }
        if fault.as_ref().is_some_and(|first| first.0 < row) {
            continue;
        }
        let to = used + source.bound(row as usize);
        match source.read(row as usize, &mut ids[used..to], &mut values[used..to]) {
            Ok(read) => {
                lens[p] = read.len as u64;
                labels[p] = read.label;
                used += read.len;
                end = end.max(read.end);
            }
            Err(found) => fault = Some((row, found)),
        }
    }
    fault.map_or(Ok((used, end)), Err)
}

/// Positions that cut rows into tasks of about equal work, first 0 and last the number of rows.
fn cuts(starts: &[u64]) -> Vec<usize> {
    let rows = starts.len() - 1;
    let work = starts[rows] + rows as u64;
    let step = work.div_ceil(8 * rayon::current_num_threads() as u64).max(4096);
    let mut cuts = vec![0];
    let mut next = step;
    for (p, &start) in starts.iter().enumerate().take(rows).skip(1) {
        if start + p as u64 >= next {
            cuts.push(p);
            next = start + p as u64 + step;
        }
    }
    cuts.push(rows);
    cuts
}

/// The parts of `all` between neighbouring cuts.
fn pieces<'a, T>(all: &'a [T], cuts: &'a [usize]) -> impl Iterator<Item = &'a [T]> {
    cuts.windows(2).map(|w| &all[w[0]..w[1]])
}

/// The parts of `all` between neighbouring cuts.
fn pieces_mut<'a, T>(all: &'a mut [T], cuts: &'a [usize]) -> impl Iterator<Item = &'a mut [T]> {
    let mut rest = all;
    cuts.windows(2).map(move |w| rest.split_off_mut(..w[1] - w[0]).unwrap_or_default())
}

/// How often each id below `features` occurs. O(ids + features).
pub(super) fn counts(ids: &[u32], features: usize) -> Vec<u32> {
    // A task has an array of its own, so a task is worth it only with more ids than features.
    let task = ids.len().div_ceil(rayon::current_num_threads()).max(features).max(1 << 16);
    let mut parts: Vec<Vec<u32>> = ids
        .par_chunks(task)
        .map(|ids| {
            let mut count = vec![0; features];
            ids.iter().for_each(|&id| count[id as usize] += 1);
            count
        })
        .collect();
    let mut sum = parts.pop().unwrap_or_else(|| vec![0; features]);
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(s, c)| *s += c);
    }
    sum
}

/// The ids by falling count, ties by id: rank → id. O(d + s log s) for d ids of which s are there.
pub(super) fn by_frequency(counts: &[u32]) -> Vec<u32> {
    let seen = counts.iter().zip(0u64..).filter(|(count, _)| **count > 0);
    let mut keys: Vec<u64> = seen.map(|(&count, id)| u64::from(!count) << 32 | id).collect();
    keys.par_sort_unstable();
    let mut ids = Vec::with_capacity(counts.len());
    ids.extend(keys.into_iter().map(|key| key as u32));
    ids.extend(counts.iter().zip(0..).filter(|(count, _)| **count == 0).map(|(_, id)| id));
    ids
}

/// The inverse of a permutation.
pub(super) fn inverse(order: &[u32]) -> Vec<u32> {
    let mut inverse = vec![0; order.len()];
    order.iter().zip(0..).for_each(|(&to, from)| inverse[to as usize] = from);
    inverse
}

/// Replaces every id by `rank[id]` and sorts every row by it. O(nonzeros · log(row length)).
pub(super) fn renumber(placed: &mut Placed, rank: &[u32]) {
    let cuts = cuts(&placed.starts);
    let offsets: Vec<usize> = cuts.iter().map(|&p| placed.starts[p] as usize).collect();
    let tasks: Vec<_> = cuts
        .windows(2)
        .map(|w| &placed.starts[w[0]..=w[1]])
        .zip(pieces_mut(&mut placed.ids, &offsets))
        .zip(pieces_mut(&mut placed.values, &offsets))
        .collect();
    tasks.into_par_iter().for_each_init(Vec::new, |pairs: &mut Vec<u64>, ((starts, ids), values)| {
        for row in starts.windows(2) {
            let range = (row[0] - starts[0]) as usize..(row[1] - starts[0]) as usize;
            let (ids, values) = (&mut ids[range.clone()], &mut values[range]);
            pairs.clear();
            pairs.extend(
                ids.iter()
                    .zip(&*values)
                    .map(|(&id, v)| u64::from(rank[id as usize]) << 32 | u64::from(v.to_bits())),
            );
            pairs.sort_unstable();
            for ((id, value), &pair) in ids.iter_mut().zip(values).zip(&*pairs) {
                *id = (pair >> 32) as u32;
                *value = f32::from_bits(pair as u32);
            }
        }
    });
}

/// A permutation of 0..n drawn by `seed`, the same on every machine and in every version: Fisher–Yates
/// from the end, with xoshiro256++ seeded by SplitMix64 (`seed_from_u64`), where the index below m is the
/// high word of draw × m (Lemire 2019, without rejection: the bias is below m / 2⁶⁴).
pub(super) fn shuffled(n: usize, seed: u64) -> Vec<u32> {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut order: Vec<u32> = (0..n as u32).collect();
    for last in (1..n).rev() {
        let at = (u128::from(generator.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, at as usize);
    }
    order
}
