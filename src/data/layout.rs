//! Where rows and features go: rows into the order in which they will be visited, features renumbered by
//! falling frequency.

use crate::error::Result;
use crate::kernel::Rows;
use crate::memory;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

/// CSR arrays in the making.
pub(super) struct Placed {
    pub starts: Vec<u64>,
    pub ids: Vec<u32>,
    pub values: Vec<f32>,
    pub labels: Vec<f32>,
}

/// Refuses more features than there is memory for: counts and numbering take 16 bytes each.
pub(super) fn check_features(name: &str, features: usize) -> Result<()> {
    memory::check(&format!("{name}: {features} features"), 16 * features as u128, "take fewer")
}

/// The rows at these positions, with their labels, in parallel. O(their nonzeros).
pub(super) fn gather(rows: &Rows, labels: &[f32], positions: &[u32]) -> Placed {
    let mut starts = Vec::with_capacity(positions.len() + 1);
    starts.push(0);
    let mut total = 0;
    starts.extend(positions.iter().map(|&p| {
        total += rows.row(p as usize).len() as u64;
        total
    }));
    let (mut ids, mut values) = (vec![0; total as usize], vec![0.0; total as usize]);
    let cuts = cuts(&starts);
    let offsets: Vec<usize> = cuts.iter().map(|&p| starts[p] as usize).collect();
    let tasks: Vec<_> = pieces(positions, &cuts)
        .zip(pieces_mut(&mut ids, &offsets))
        .zip(pieces_mut(&mut values, &offsets))
        .collect();
    tasks.into_par_iter().for_each(|((positions, mut ids), mut values)| {
        for &p in positions {
            let row = rows.row(p as usize);
            let to = ids.split_off_mut(..row.len()).zip(values.split_off_mut(..row.len()));
            let (to_ids, to_values) = to.expect("as many as were counted");
            to_ids.copy_from_slice(row.ids());
            to_values.copy_from_slice(row.values());
        }
    });
    let labels = positions.iter().map(|&p| labels[p as usize]).collect();
    Placed { starts, ids, values, labels }
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

/// The ids by falling count, ties by id: rank → id. O(ids + largest count): features may be millions, most of
/// them with small counts, so they are counted and not compared.
pub(super) fn by_frequency(counts: &[u32]) -> Vec<u32> {
    let most = counts.iter().copied().max().unwrap_or(0) as usize;
    // By count: how many ids have it, and then the rank of the next one.
    let mut ranks = vec![0u32; most + 1];
    counts.iter().for_each(|&count| ranks[count as usize] += 1);
    let mut above = 0;
    for rank in ranks.iter_mut().rev() {
        above += std::mem::replace(rank, above);
    }
    let mut ids = vec![0; counts.len()];
    for (&count, id) in counts.iter().zip(0..) {
        let rank = &mut ranks[count as usize];
        ids[*rank as usize] = id;
        *rank += 1;
    }
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::by_frequency;

    #[test]
    fn the_frequent_come_first_and_ties_by_id() {
        assert_eq!(by_frequency(&[0, 2, 5, 2, 0, 1]), [2, 1, 3, 5, 0, 4]);
        assert_eq!(by_frequency(&[0, 0]), [0, 1]);
        assert_eq!(by_frequency(&[]), [0; 0]);
    }
}
