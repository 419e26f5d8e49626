//! Server algorithms: each does what its paper says.

use asyncsgd::sim::{Assignment, Ended, Law, Outcome, Problem, Quadratic, Simulation};
use asyncsgd::step::{self, StepRule, Threshold};
use asyncsgd::{
    Objective, Rows,
    model::{Linear, LogisticLoss},
};

fn law(text: &str) -> Law {
    text.parse().unwrap()
}

fn run(
    algorithm: &str,
    workers: usize,
    speeds: &str,
    rule: StepRule,
    iterations: u64,
    problem: &Quadratic,
) -> Outcome {
    Simulation::new(workers, law(speeds))
        .algorithm(algorithm.parse().unwrap())
        .step(rule)
        .iterations(iterations)
        .run(problem)
        .unwrap()
}

/// x after `steps` steps of gradient descent.
fn descent(problem: &Quadratic, rate: f64, steps: u64) -> Vec<f64> {
    let spectrum = problem.curvature().unwrap();
    let of = |(x, l): (f64, f64)| x * (1.0 - rate * l).powi(steps as i32);
    problem.start().into_iter().zip(spectrum).map(of).collect()
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

#[test]
fn minibatch_and_rennala_without_noise_are_gradient_descent() {
    let problem = Quadratic::geometric(5, 0.1, 1.0).unwrap();
    let minibatch = run("minibatch", 4, "speeds:1..7", step::constant(0.5), 30, &problem);
    assert!(close(&minibatch.x, &descent(&problem, 0.5, 30)));
    // A round lasts as long as its slowest worker, and takes one gradient from each.
    assert_eq!((minibatch.end.seconds, minibatch.end.gradients), (210.0, 120));
    let rennala = run("rennala:6", 4, "speeds:1..7", step::constant(0.5), 30, &problem);
    assert!(close(&rennala.x, &descent(&problem, 0.5, 30)));
    // Nobody waits for the slowest: fast workers give more.
    assert!(rennala.end.seconds < 200.0, "{}", rennala.end.seconds);
    assert_eq!(rennala.delays.kept(), 180.0);
}

#[test]
fn asynchronous_first_steps_by_hand() {
    // Times 1 and 2.5: arrivals at 1 (A), 2 (A), 2.5 (B, read at 0), 3 (A), …
    let problem = Quadratic::new(vec![1.0]).unwrap();
    let x = |iterations| run("async", 2, "list:1,2.5", step::constant(0.5), iterations, &problem).x[0];
    assert_eq!(x(1), 0.5);
    assert_eq!(x(2), 0.25);
    assert_eq!(x(3), 0.25 - 0.5); // B's gradient at 1
    assert_eq!(x(4), -0.25 - 0.5 * 0.25); // A's at 0.25
    // Damping with C = 2: B's delay is 2, A's then 1.
    let damped = run("async", 2, "list:1,2.5", step::delay_adaptive(0.5).concurrency(1), 3, &problem);
    assert_eq!(damped.x[0], 0.25 - 0.5 / 2.0);
}

#[test]
fn stopping_keeps_delays_below_the_threshold_and_nobody_late() {
    let problem = Quadratic::geometric(5, 0.1, 1.0).unwrap();
    let rule = step::ringmaster(0.05, Threshold::Iterations(6));
    // A worker of 5.5 times: without stopping its result is ignored, with stopping it never arrives.
    let ignoring = run("async", 3, "list:1,1,5.5", rule.clone(), 400, &problem);
    let stopping = run("async-stop", 3, "list:1,1,5.5", rule, 400, &problem);
    assert!(ignoring.delays.max() < 6 && stopping.delays.max() < 6);
    assert!(ignoring.end.gradients > 400 && stopping.end.gradients == 400);
    assert_eq!((stopping.workers[2].gradients, ignoring.workers[2].kept), (0, 0.0));
    // What it computes after a stop is young, and is used if the others pause: here they are slower than R allows.
    let rule = step::ringmaster(0.05, Threshold::Iterations(12));
    let useful = run("async-stop", 3, "list:1,1,5.5", rule, 400, &problem);
    assert!(useful.workers[2].gradients > 20 && useful.end.gradients == 400);
}

#[test]
fn ringleader_finds_the_common_minimiser_of_unequal_workers() {
    let problem = Quadratic::geometric(4, 0.3, 1.0).unwrap().heterogeneity(6, 3.0, 2).unwrap();
    let rule = step::constant(0.1);
    let ringleader = run("ringleader", 6, "speeds:1..9", rule.clone(), 4000, &problem);
    assert!(ringleader.end.measure < 1e-20, "{}", ringleader.end.measure);
    assert!(ringleader.delays.max() <= 2 * 6 - 2, "{}", ringleader.delays.max());
    // Pure assignment does not: fast workers count more.
    let pure = run("async", 6, "speeds:1..9", step::constant(0.01), 4000, &problem);
    assert!(pure.end.measure > 0.1, "{}", pure.end.measure);
}

#[test]
fn ringleaders_tables_count_as_memory() {
    let simulation = Simulation::new(1000, law("fixed:1")).algorithm("ringleader".parse().unwrap());
    let error = simulation.iterations(1).check(1 << 40, 1).unwrap_err().to_string();
    assert!(error.contains("1000 workers and 3000 snapshots"), "{error}");
}

#[test]
fn fedbuff_averages_its_buffer() {
    // All at once from the start: the first update is the mean of three equal gradients.
    let problem = Quadratic::new(vec![1.0]).unwrap();
    let outcome = run("fedbuff:3", 3, "fixed:1", step::constant(0.5), 1, &problem);
    assert_eq!((outcome.x[0], outcome.end.gradients), (0.5, 3));
    // 1 of 2 weights: γ·(1 + w(1))/2.
    let outcome = run("fedbuff:1", 2, "fixed:1", step::inverse(0.5, 1.0), 2, &problem);
    assert_eq!(outcome.x[0], 0.5 - 0.5 * 0.5);
}

#[test]
fn delay_compensation_uses_the_workers_own_snapshot() {
    let problem = Quadratic::new(vec![1.0]).unwrap();
    // The second gradient, 1, was read at 1 and is applied at 0.5: 1 + λ·1·(0.5 − 1).
    let outcome = run("dc:0.4", 2, "fixed:1", step::constant(0.5), 2, &problem);
    assert!((outcome.x[0] - (0.5 - 0.5 * 0.8)).abs() < 1e-15);
}

#[test]
fn blocks_publish_whole_average_or_by_coordinate() {
    let problem = Quadratic::new(vec![1.0, 1e-6]).unwrap();
    let c = 1.0 - 0.5f64.powi(3);
    let x =
        |publish: &str| run(&format!("blocks:3{publish}"), 2, "fixed:1", step::constant(0.5), 1, &problem).x;
    assert!((x(",whole")[0] - (1.0 - c)).abs() < 1e-12);
    assert!((x(",average")[0] - (1.0 - c / 2.0)).abs() < 1e-12);
    let weight = asyncsgd::params::publication_weight(1.5, 2.0);
    assert!((x("")[0] - (1.0 - weight * c)).abs() < 1e-12);
    // A flat direction is published whole.
    assert!((x("")[1] - (1.0 - 1.5e-6)).abs() < 1e-9);
    let outcome = run("blocks:3", 2, "fixed:1", step::constant(0.5), 4, &problem);
    assert_eq!((outcome.end.gradients, outcome.end.seconds), (12, 6.0));
    // The schedule at the block's middle, after one of two gradients: ½/(1 + 1).
    let decaying = step::constant(0.5).schedule(step::Schedule::InverseTime { decay: 1.0 });
    let outcome = run("blocks:2,whole", 1, "fixed:1", decaying, 1, &Quadratic::new(vec![1.0]).unwrap());
    assert_eq!(outcome.x, [0.75 * 0.75]);
}

#[test]
fn random_and_shuffled_assignment_use_all_workers_alike() {
    let problem = Quadratic::new(vec![1.0]).unwrap();
    let shares = |assignment| {
        let outcome = Simulation::new(5, law("speeds:1..5"))
            .assignment(assignment)
            .in_flight(3)
            .step(step::constant(1e-6))
            .iterations(10_000)
            .run(&problem)
            .unwrap();
        let most = outcome.workers.iter().map(|w| w.gradients).max().unwrap();
        let least = outcome.workers.iter().map(|w| w.gradients).min().unwrap();
        assert!((outcome.delays.mean() - 2.0).abs() < 0.01);
        (least, most)
    };
    let (least, most) = shares(Assignment::Shuffled);
    assert!(most - least <= 3, "{least} {most}");
    let (least, most) = shares(Assignment::Random);
    assert!(least > 1850 && most < 2150, "{least} {most}");
}

/// The concurrency of a rule is the number of gradients at a time, not that of workers.
#[test]
fn many_jobs_of_few_workers_keep_half_of_their_mass() {
    let outcome = Simulation::new(2, law("fixed:1"))
        .assignment(Assignment::Random)
        .in_flight(100)
        .step(step::delay_adaptive(1e-3))
        .iterations(5000)
        .run(&Quadratic::new(vec![1.0]).unwrap())
        .unwrap();
    assert!(outcome.delays.kept_mass() > 0.5, "{}", outcome.delays.kept_mass());
}

#[test]
fn ten_thousand_workers_of_a_thousand_parameters() {
    let problem = Quadratic::geometric(1000, 0.01, 1.0).unwrap();
    let outcome = Simulation::new(10_000, law("speeds:1..100"))
        .step(step::delay_adaptive(1e-5))
        .iterations(20_000)
        .run(&problem)
        .unwrap();
    assert_eq!((outcome.stop, outcome.end.gradients), (Ended::Limit, 20_000));
}

#[test]
fn the_engines_objectives_are_simulated_and_blocks_keep_their_epochs() {
    let (ids, values) = (vec![0, 2, 0, 1, 3, 1, 2, 3], vec![1.0, -0.5, 2.0, 0.3, 0.7, -1.5, 1.0, 0.25]);
    let rows = Rows::new(vec![0, 2, 5, 7, 8], ids, values, 4).unwrap();
    let labels = [1.0, -1.0, 1.0, -1.0];
    let linear = || Linear::new(&rows, &labels, LogisticLoss, 0.1, 0.0, None);
    let problem = asyncsgd::sim::Examples::new(linear(), &rows);
    assert!((problem.measure(&[0.0; 4]) - std::f64::consts::LN_2).abs() < 1e-12);
    let mut least = [0.0; 4];
    for _ in 0..20_000 {
        let mut moved = least;
        let mut g = Objective::<f64>::buffer(&linear());
        linear().gradient(0..4, &least[..], &mut g);
        linear().descend(&g, 0.02, &mut moved[..]);
        least = moved;
    }
    let least = problem.measure(&least);
    let problem = problem.optimum(least);
    for algorithm in ["async", "blocks:2", "blocks:3,whole", "minibatch"] {
        let outcome = Simulation::new(3, law("exp:1*sample"))
            .algorithm(algorithm.parse().unwrap())
            .step(step::delay_adaptive(0.05))
            .gradients(4000)
            .run(&problem)
            .unwrap();
        // The same minimum, up to the noise of constant steps.
        let gap = outcome.end.measure;
        assert!((-1e-5..0.01).contains(&gap), "{algorithm}: {gap}");
    }
}

#[test]
fn a_block_takes_the_time_of_each_of_its_rows() {
    let rows = Rows::new(vec![0, 1, 4, 6, 8], vec![0, 0, 1, 2, 0, 1, 1, 2], vec![1.0; 8], 3).unwrap();
    let labels = [1.0, -1.0, 1.0, -1.0];
    let linear = Linear::new(&rows, &labels, LogisticLoss, 0.1, 0.0, None);
    let problem = asyncsgd::sim::Examples::new(linear, &rows);
    let seconds = |blocks| {
        let simulation = Simulation::new(1, law("fixed:1*sample"))
            .algorithm("blocks:3".parse().unwrap())
            .step(step::delay_adaptive(0.05))
            .iterations(blocks);
        simulation.run(&problem).unwrap().end.seconds
    };
    // 1, 3, 2 of a mean of 2 nonzeros; then 2, 1, 3.
    assert_eq!((seconds(1), seconds(2)), (3.0, 6.0));
    let parts =
        asyncsgd::sim::Examples::new(Linear::new(&rows, &labels, LogisticLoss, 0.1, 0.0, None), &rows);
    let parts = parts.parts(vec![0, 2, 4]);
    // Within the worker's own rows, round and round.
    assert_eq!([0, 1, 2, 3].map(|step| parts.local_sample(1, 3, step)), [3, 2, 3, 2]);
    // A mini-batch ends with the worker's rows: the second of the first worker's costs its own 3 of 2 only.
    let parts = parts.batch(2);
    assert_eq!([(0, 0), (0, 1), (1, 2)].map(|(worker, row)| parts.cost(worker, row)), [1.0, 1.5, 1.0]);
}
