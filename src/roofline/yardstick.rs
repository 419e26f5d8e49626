//! A loop that stays as it is, to compare times of different hours by.

use super::cores;
use std::hint::black_box;
use std::time::Instant;

/// Rows, their nonzeros, and parameters: 1 MiB of rows beside 256 KiB that a core's second cache holds.
const ROWS: usize = 2048;
const LENGTH: usize = 64;
const PARAMETERS: usize = 1 << 16;

/// Passes, of which the median counts.
const PASSES: usize = 9;

/// The time of a nonzero, in ns, in a pass of plain SGD over rows that are made here, by loops that are written out here
/// and have no kernel: what the machine does at present with work like training, whatever becomes of the engine's own
/// loops. A virtual machine can take twice as long as an hour ago.
pub fn yardstick() -> f64 {
    cores::together(1, |_| measure())[0]
}

fn measure() -> f64 {
    let rows = rows();
    let mut weights = vec![0f32; PARAMETERS];
    let mut pass = || {
        let start = Instant::now();
        for (number, row) in rows.chunks_exact(LENGTH).enumerate() {
            let score: f32 = row.iter().map(|&(id, value)| weights[id as usize] * value).sum();
            let step = 0.01 * (score - (number % 2) as f32);
            row.iter().for_each(|&(id, value)| weights[id as usize] -= step * value);
        }
        black_box(&mut weights);
        start.elapsed().as_secs_f64() * 1e9 / rows.len() as f64
    };
    pass();
    let mut times: Vec<f64> = (0..PASSES).map(|_| pass()).collect();
    times.sort_by(f64::total_cmp);
    times[PASSES / 2]
}

/// Ids and values, as often as in text: id r about 1/r times as often as the first.
fn rows() -> Vec<(u32, f32)> {
    let mut state = 1u64;
    let nonzero = |_| {
        // Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 40) as f32 / (1u64 << 24) as f32;
        ((PARAMETERS as f32).powf(uniform) as u32 - 1, 0.125)
    };
    (0..ROWS * LENGTH).map(nonzero).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn rows_have_all_parameters_and_the_first_most() {
        let rows = rows();
        let below = |end: u32| rows.iter().filter(|&&(id, _)| id < end).count();
        assert_eq!(below(PARAMETERS as u32), rows.len());
        // Half of the logarithm: half of the nonzeros.
        let half = below(255) as f64 / rows.len() as f64;
        assert!((half - 0.5).abs() < 0.01 && below(60_000) < rows.len(), "{half}");
        assert!((1e-2..1e4).contains(&measure()));
    }
}
