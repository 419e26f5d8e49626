//! More workers than the machine has: a hundred in virtual time, the slowest 50 times slower than the fastest, under
//! four rules with the best of some rates for each; deterministic to the byte.
//!
//! `cargo run --release --example simulation`

use asyncsgd::Result;
use asyncsgd::sim::{Law, Outcome, Quadratic, Simulation};
use asyncsgd::step::{self, Threshold};

fn main() -> Result<()> {
    // The measure is |∇f|², to fall to a hundred thousandth.
    let problem = Quadratic::geometric(10, 0.01, 1.0)?;
    let law: Law = "speeds:1..50".parse()?;
    let rules = [
        ("constant", step::constant(1.0)),
        ("delay-adaptive", step::delay_adaptive(1.0)),
        ("drop above 2n", step::drop(1.0, Threshold::Concurrencies(2.0))),
        ("1/(1 + delay)", step::inverse(1.0, 1.0)),
    ];
    println!("rule              best rate    updates  virtual s  mean delay  max delay  kept mass");
    let mut hits = Vec::new();
    for (name, rule) in rules {
        let simulation =
            Simulation::new(100, law.clone()).step(rule).target(1e-5 * problem.initial()).iterations(10_000);
        let mut best: Option<(f64, Outcome)> = None;
        for rate in [0.03, 0.1, 0.2, 0.4, 1.0] {
            let outcome = simulation.clone().rate(rate).run(&problem)?;
            let seconds = |o: &Outcome| o.first_hit.map_or(f64::INFINITY, |hit| hit.seconds);
            if best.as_ref().is_none_or(|(_, known)| seconds(&outcome) < seconds(known)) {
                best = Some((rate, outcome));
            }
        }
        let (rate, outcome) = best.expect("some rates");
        let hit = outcome.first_hit.expect("one of the rates reaches the target");
        println!(
            "{name:<17} {rate:>9} {:>10} {:>10.1} {:>11.2} {:>10} {:>10.3}",
            hit.iteration,
            hit.seconds,
            outcome.delays.mean(),
            outcome.delays.max(),
            outcome.delays.kept_mass(),
        );
        hits.push(hit.seconds);
    }
    assert!(hits[1] < hits[0], "damping late gradients pays here: {hits:?}");
    Ok(())
}
