//! The engine's core on your own threads: a rayon pool fits a line to points that a function makes up.
//!
//! `cargo run --release --example own_threads`

use asyncsgd::{Hogwild, Result, Weights};
use rayon::prelude::*;

/// A point of y = 2x − 1 with noise, from its number alone.
fn point(number: u64) -> (f32, f32) {
    let uniform = |salt: u64| {
        let bits = (number ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 24) as f32
    };
    let x = uniform(1) * 2.0 - 1.0;
    (x, 2.0 * x - 1.0 + 0.1 * (uniform(2) - 0.5))
}

fn main() -> Result<()> {
    let tasks = 64;
    // The rate falls with the square root of the iterations, in units of 10,000 of them.
    let rule = "0.1*inverse-sqrt:1*delay-adaptive".parse()?;
    let shared = Hogwild::<f32>::with(
        asyncsgd::Params::zeros(2),
        rule,
        rayon::current_num_threads(),
        asyncsgd::Update::Cas,
        10_000.0,
    )?;
    let delays: Vec<_> = (0..tasks)
        .into_par_iter()
        .map(|task| {
            let mut worker = shared.worker(); // one for each task: workers come and go
            for number in task * 10_000..(task + 1) * 10_000 {
                let (x, y) = point(number);
                let ticket = worker.begin();
                let w = worker.params();
                let residual = w.get(0) * x + w.get(1) - y;
                worker.apply(ticket, &[residual * x, residual][..]);
            }
            worker.delays().snapshot()
        })
        .collect();
    let mut all = asyncsgd::delay::Profile::default();
    delays.iter().for_each(|one| all.merge(one));
    let w = shared.params();
    println!("y = {:.3} x + {:.3} after {} updates", w.get(0), w.get(1), shared.iterations());
    println!("delays: mean {:.3}, p99 {}, max {}", all.mean(), all.quantile(0.99), all.max());
    assert!((w.get(0) - 2.0).abs() < 0.05 && (w.get(1) + 1.0).abs() < 0.05);
    assert_eq!((shared.iterations(), shared.workers()), (640_000, 0));
    Ok(())
}
