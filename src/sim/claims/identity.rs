//! The mean delay is n − 1 for any speeds.

use rayon::prelude::*;

use super::{Axis, Chart, Claim, Effort, Row};
use crate::Result;
use crate::sim::{Law, Quadratic, Simulation};
use crate::step;

const LAWS: [&str; 13] = [
    "fixed:1",
    "speeds:1..40",
    "straggler:100",
    "half:10",
    "straggler:0.25",
    "uniform:1,0.2",
    "exp:1",
    "shifted-exp:0.5,0.5",
    "lognormal:1,1",
    "pareto:1.5",
    "pareto:1.1",
    "exp:1*on-off:100,50",
    "fixed:1*wave:0.5,100+exp:0.5",
];

/// Numbers of workers.
const SIZES: [usize; 3] = [2, 8, 40];

pub(super) fn identity(effort: Effort) -> Result<Claim> {
    let updates: u64 = if effort.quick { 50_000 } else { 1_000_000 };
    let cases: Vec<(&str, usize)> = LAWS.into_iter().flat_map(|law| SIZES.map(|n| (law, n))).collect();
    let one = |&(text, workers): &(&str, usize)| -> Result<(Row, (f64, f64))> {
        let law: Law = text.parse()?;
        let outcome = Simulation::new(workers, law)
            .step(step::constant(1e-9))
            .seed(effort.seed)
            .iterations(updates)
            .run(&Quadratic::new(vec![1.0])?)?;
        // In whole numbers: (n − 1)·T, over the gradients applied and those in flight.
        let mean = (outcome.delays.sum() + outcome.in_flight_delays) as f64 / updates as f64;
        let what = format!("mean delay, n = {workers}, {text} (longest {})", outcome.delays.max());
        Ok((Row::near(what, (workers - 1) as f64, mean, 0.0), (outcome.delays.max() as f64, mean)))
    };
    let (rows, points): (Vec<Row>, Vec<(f64, f64)>) =
        cases.par_iter().map(one).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let mut chart = Chart::new(Axis::log("longest delay"), Axis::log("mean delay"));
    for n in SIZES {
        let of_n = cases.iter().zip(&points).filter(|((_, workers), _)| *workers == n);
        chart.line(format!("n = {n}"), of_n.map(|(_, &point)| point).collect());
    }
    Ok(Claim {
        name: "identity",
        statement: "With n workers that are always busy the mean delay is n − 1, whatever their speeds \
                    (Koloskova, Stich, Jaggi 2022, Remark 5, made exact)",
        setup: format!(
            "{updates} updates; the mean is over applied gradients and those in flight at the end, per update"
        ),
        rows,
        chart,
    })
}
