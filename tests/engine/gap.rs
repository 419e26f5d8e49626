//! Blocks keep the objective per epoch of one worker that sends each update on its own.

use super::problem::classes;
use asyncsgd::data::Synthetic;
use asyncsgd::step::{self, Schedule};
use asyncsgd::{Algorithm, BlockSize, Dataset, Logistic, Trainer};

const L2: f64 = 1e-3;

/// (f − f*)/f* after each of 4 epochs, and the length of a block.
fn gaps(data: &Dataset, best: f64, rate: f64, workers: usize, block: BlockSize) -> (Vec<f64>, usize) {
    let rule = step::delay_adaptive(rate).schedule(Schedule::InverseTime { decay: 1.0 });
    let trainer = Trainer::new(Logistic::l2(L2)).workers(workers).block(block).step(rule).epochs(4.0);
    let run = trainer.run(data).unwrap();
    (run.series.iter().skip(1).map(|point| (point.objective - best) / best).collect(), run.plan.block)
}

/// The weights of published differences are what keeps it: whole ones leave twice the gap on the text with 2 workers,
/// averages 14 times the gap on the dense data with 8.
#[test]
fn automatic_blocks_keep_the_sequential_gap() {
    let text = Synthetic::rcv1(20_000).features(100).mean_nonzeros(10.0).generate().unwrap().data;
    for (data, rate) in [(text.binary().unwrap().laid_out(0), 4.0), (classes(20_000, 24, 2), 0.1)] {
        let exact = Trainer::new(Logistic::l2(L2)).algorithm(Algorithm::Newton).target_gap(1e-8);
        let best = exact.run(&data).unwrap().last().objective;
        let (sequential, _) = gaps(&data, best, rate, 1, BlockSize::Rows(1));
        for workers in [2, 8] {
            let (blocks, block) = gaps(&data, best, rate, workers, BlockSize::Auto);
            let ratios: Vec<f64> = blocks.iter().zip(&sequential).map(|(b, s)| b / s).collect();
            let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
            let said = format!("{workers} workers, blocks of {block}: {ratios:.2?} of {sequential:.4?}");
            println!("{said}");
            assert!(block > 1 && mean.exp() <= 1.1, "{said}");
        }
    }
}
