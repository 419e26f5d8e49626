//! Certified gaps: every algorithm reaches them, and they are true.

use super::problem::{Points, classes, optimum};
use asyncsgd::step::{Concurrency, Optimizer, Schedule, Weight};
use asyncsgd::{
    Algorithm, BlockSize, Dataset, Error, Hinge, Logistic, Objective, Real, Run, Sink, Squared, Stop,
    Trainer, Update, Weights,
    engine::{Injection, Slow},
    model::{LinearModel, Loss, LossKind},
};
use std::ops::Range;
use std::time::{Duration, Instant};

fn train<T: Real>(data: &Dataset, algorithm: Algorithm, workers: usize, l2: f64, gap: f64) -> Run<T> {
    let trainer = Trainer::new(Logistic::l2(l2)).algorithm(algorithm).workers(workers).target_gap(gap);
    let run = trainer.precision::<T>().run(data).unwrap();
    let reached = run.last().gap.unwrap();
    assert_eq!(run.stop, Stop::Gap, "{algorithm}, {workers} workers: gap {reached:.1e}");
    assert!(reached <= gap, "{reached} is above {gap}");
    run
}

/// Linear convergence to 1e-8 with any number of workers, and the certificate holds: it is no less than the distance
/// from an optimum that was found by other means.
#[test]
fn certified_gaps_are_reached_and_true() {
    let (data, l2) = (classes(1200, 24, 2), 0.02);
    let best = optimum(&data, l2);
    for algorithm in [Algorithm::Sdca, Algorithm::Newton] {
        for workers in [1, 2, 8] {
            let run = train::<f64>(&data, algorithm, workers, l2, 1e-8);
            for point in run.series.iter().filter(|point| point.gap.is_some()) {
                let (gap, said) = ((point.objective - best) / best, point.gap.unwrap());
                println!("{algorithm}, {workers} workers, epoch {}: {gap:.1e} ≤ {said:.1e}", point.epoch);
                assert!(
                    gap <= said + 1e-12,
                    "{algorithm}: certified {said:.2e}, but {gap:.2e} from the optimum"
                );
            }
            assert!(run.last().epoch < 200.0, "{algorithm}: {} epochs", run.last().epoch);
        }
    }
    // In blocks, and with parameters of single precision.
    let trainer = Trainer::new(Logistic::l2(l2)).algorithm(Algorithm::Sdca).block(BlockSize::Rows(20));
    let run = trainer.workers(2).target_gap(1e-6).run(&data).unwrap();
    assert_eq!((run.stop, run.plan.block), (Stop::Gap, 20));
    assert!((run.last().objective - best) / best < 1e-6);
}

/// Blocks that go all the way in the directions that rows share: each worker takes its own steps for those of all that
/// are under way, so that the sum is right, however many they are and however long the rows.
#[test]
fn long_blocks_of_dual_steps_add_up() {
    let data = classes(2000, 24, 9);
    for kind in [LossKind::Logistic, LossKind::Squared, LossKind::SquaredHinge] {
        let train = |workers, block| {
            let model = LinearModel::new(kind).with_l2(1.0 / 2000.0);
            let trainer = Trainer::new(model).algorithm(Algorithm::Sdca).workers(workers).block(block);
            let run = trainer.target_gap(1e-3).epochs(200).run(&data).unwrap();
            assert_eq!(run.stop, Stop::Gap, "{kind}, {workers} workers: {:?}", run.last());
            run.last().epoch
        };
        let alone = train(1, BlockSize::Rows(1));
        for (workers, block) in [(2, 100), (8, 25)] {
            let together = train(workers, BlockSize::Rows(block));
            assert!(
                together <= 3.0 * alone,
                "{kind}, {workers} workers, blocks of {block}: {together} epochs, {alone} alone"
            );
        }
        train(8, BlockSize::Auto);
    }
}

/// The first epoch takes the parameters for those of the rows seen so far, and no later one does, evaluated or not.
#[test]
fn only_the_first_dual_epoch_is_young() {
    let data = classes(2000, 24, 3);
    let end = |every| {
        let trainer = Trainer::new(Hinge::l2(0.05)).algorithm(Algorithm::Sdca).workers(1);
        trainer.evaluate_every(every).epochs(8).run(&data).unwrap().last().objective
    };
    let (each, once) = (end(1), end(8));
    assert!((once / each - 1.0).abs() < 2e-3, "{each} and {once}");
}

/// Rows that are long against the penalty: each step is as long as the dual allows and no longer, and the rows come in
/// another order each time.
#[test]
fn dual_ascent_takes_long_rows() {
    let data = classes(3000, 24, 8);
    let run = train::<f64>(&data, Algorithm::Sdca, 1, 0.1 / 3000.0, 1e-2);
    assert!(run.last().epoch < 100.0, "{} epochs", run.last().epoch);
    assert_eq!(run.plan.piece, 4);
    // Short rows are less particular about their order.
    assert_eq!(train::<f32>(&data, Algorithm::Sdca, 1, 0.02, 1e-3).plan.piece, 16);
}

/// More features than are solved directly: the two ways meet.
#[test]
fn wide_data_have_one_optimum() {
    let data = classes(900, 600, 3);
    let ends = [Algorithm::Sdca, Algorithm::Newton]
        .map(|algorithm| train::<f64>(&data, algorithm, 2, 0.01, 1e-7).last());
    let objectives = ends.map(|end| end.objective);
    assert!((objectives[0] / objectives[1] - 1.0).abs() < 1e-7, "{objectives:?}");
    // What one has proven, the other does not fall below.
    for (end, other) in ends.iter().zip(objectives.iter().rev()) {
        assert!(end.objective / (1.0 + end.gap.unwrap()) <= other * (1.0 + 1e-12), "{ends:?}");
    }
}

/// A stochastic gradient is not enough for the last digits, but its certificate is a bound as well.
#[test]
fn sgd_is_certified_by_the_gradient() {
    let (data, l2) = (classes(1200, 24, 2), 0.02);
    let best = optimum(&data, l2);
    let trainer = Trainer::new(Logistic::l2(l2)).algorithm(Algorithm::Sgd).workers(2);
    let run = trainer.target_gap(1e-12).run(&data).unwrap();
    assert_eq!((run.stop, run.last().epoch), (Stop::Epochs, 10.0));
    for point in &run.series[1..] {
        assert!(point.gap.unwrap() >= (point.objective - best) / best);
    }
    let trainer = Trainer::new(Logistic::l2(l2)).algorithm(Algorithm::Sgd).workers(2);
    assert_eq!(trainer.target_gap(0.5).run(&data).unwrap().stop, Stop::Gap);
}

fn agree<L: Loss>(loss: L, data: &Dataset) {
    let train = |algorithm| {
        let trainer = Trainer::new(LinearModel::new(loss).with_l2(0.01)).algorithm(algorithm).workers(2);
        trainer.precision::<f64>().target_gap(1e-5).run(data).unwrap()
    };
    let runs = [Algorithm::Sdca, Algorithm::Auto].map(train);
    let objectives = runs.each_ref().map(|run| run.last().objective);
    assert_eq!(runs.each_ref().map(|run| run.stop), [Stop::Gap; 2], "{} {objectives:?}", loss.kind());
    assert!((objectives[0] / objectives[1] - 1.0).abs() < 1e-5, "{} {objectives:?}", loss.kind());
    let chosen = if loss.kind().is_curved() { Algorithm::Newton } else { Algorithm::Sdca };
    assert_eq!(runs[1].plan.algorithm, chosen);
    assert!(!runs[1].plan.algorithm_origin.is_empty() && runs[0].plan.algorithm_origin.is_empty());
}

#[test]
fn every_loss_reaches_its_optimum() {
    let data = classes(800, 20, 4);
    agree(asyncsgd::model::LogisticLoss, &data);
    [LossKind::Hinge, LossKind::SquaredHinge, LossKind::Squared]
        .into_iter()
        .for_each(|kind| agree(kind, &data));
    agree(asyncsgd::model::HuberLoss { delta: 0.3 }, &data);
}

/// Short rows of many features: dual coordinate ascent; without a target gap SGD, as ever.
#[test]
fn the_choice_follows_the_data() {
    let data = classes(2000, 700, 5);
    let model = Logistic::l2(0.02);
    let run = Trainer::new(model).workers(1).target_gap(1e-3).run(&data).unwrap();
    assert_eq!((run.plan.algorithm, run.stop), (Algorithm::Sdca, Stop::Gap));
    let run = Trainer::new(model).workers(1).epochs(1).run(&data).unwrap();
    assert_eq!((run.plan.algorithm, run.stop), (Algorithm::Sgd, Stop::Epochs));
    // The same rows are long for a weak penalty.
    let run = Trainer::new(Logistic::l2(1e-4)).workers(1).target_gap(1e-2).run(&data).unwrap();
    assert_eq!((run.plan.algorithm, run.stop), (Algorithm::Newton, Stop::Gap));
    // And these have few nonzeros for a feature.
    let run =
        Trainer::new(Logistic::l2(0.02)).workers(1).target_gap(1e-2).run(&classes(20, 1000, 5)).unwrap();
    assert_eq!((run.plan.algorithm, run.stop), (Algorithm::Sdca, Stop::Gap));
}

#[test]
fn what_cannot_be_is_refused() {
    fn refused<T: Real>(run: asyncsgd::Result<Run<T>>, word: &str) {
        match run {
            Err(Error::Usage(lines)) => assert!(lines.join("\n").contains(word), "{lines:?}"),
            other => panic!("{word}: {:?}", other.map(|run| run.stop)),
        }
    }
    let data = classes(100, 8, 6);
    let trainer = |model| Trainer::new(model).workers(1);
    refused(trainer(Logistic::l2(0.0)).target_gap(0.1).run(&data), "without a penalty");
    refused(Trainer::new(Hinge::l2(0.1).with_l1(0.1)).target_gap(0.1).run(&data), "hinge loss and an L1");
    refused(trainer(Logistic::l2(0.1)).target_gap(0.1).run(&data.clone().with_intercept()), "intercept");
    refused(trainer(Logistic::l2(0.1)).target_gap(0.0).run(&data), "above 0");
    let sdca = || trainer(Logistic::l2(0.1)).algorithm(Algorithm::Sdca);
    refused(sdca().update(Update::Racy).run(&data), "racy");
    refused(sdca().update(Update::Leashed { retries: 16 }).run(&data), "found leashed, expected cas");
    refused(sdca().rate(0.5).run(&data), "rate of 0.5");
    let late = Weight::Inverse { exponent: 1.0 };
    refused(sdca().weight(late, Concurrency::Workers).run(&data), "step rule inverse:1, expected constant");
    refused(
        sdca().weight(Weight::DelayAdaptive, Concurrency::Online).run(&data),
        "step rule delay-adaptive@online",
    );
    refused(sdca().optimizer(Optimizer::Momentum { beta: 0.9 }).run(&data), "optimizer momentum:0.9");
    refused(Trainer::new(Hinge::l2(0.1)).algorithm(Algorithm::Newton).run(&data), "second derivative");
    refused(Trainer::new(Points::new(10)).algorithm(Algorithm::Sdca).minimize(), "linear model");
}

/// An objective that tells nothing of its curvature is probed: least squares have the squared length of a row along it,
/// which counts by the square of the gradient, again in proportion to it; and a mini-batch bends less than its examples.
#[test]
fn a_rate_without_curvature_is_probed() {
    let points = Points::new(10_000);
    let squares = points.x.iter().map(|x| f64::from(x.iter().map(|x| x * x).sum::<f32>()));
    let mean = squares.clone().map(|s| s * s).sum::<f64>() / squares.sum::<f64>();
    let scaled =
        |by: f32| Points { x: points.x.iter().map(|x| x.map(|x| by * x)).collect(), ..Points::new(10_000) };
    let run = |points, batch| Trainer::new(points).workers(1).batch(batch).epochs(3).minimize().unwrap();
    for by in [1.0, 100.0] {
        let run = run(scaled(by), 1);
        let expected = 0.25 / (mean * f64::from(by).powi(2));
        assert!(
            (run.plan.step.rate / expected - 1.0).abs() < 0.15,
            "{} is not {expected}",
            run.plan.step.rate
        );
        assert!(run.plan.rate_origin.contains("along 500 gradients"), "{}", run.plan.rate_origin);
        // The noise of the labels has a mean square of 1/300.
        assert!(run.last().objective < 0.0025, "{:?}", run.last());
    }
    assert!(run(scaled(1.0), 8).plan.step.rate > 2.0 * run(scaled(1.0), 1).plan.step.rate);
}

/// One row is a thousand times as long as the others: the rate from the mean curvature throws it off further each
/// time. An automatic rate is halved until it holds, and the report says so; a rate that was given is the user's.
#[test]
fn an_automatic_rate_that_diverges_is_halved() {
    let rows = 400;
    let values = (0..rows).map(|i| if i == 200 { 1000.0 } else { 1.0 }).collect();
    let data =
        Dataset::from_csr((0..=rows).collect(), vec![0; rows as usize], values, vec![1.0; rows as usize], 1);
    let data = data.unwrap();
    let trainer = || Trainer::new(Squared::l2(1e-3)).workers(1).epochs(20);
    let run = trainer().run(&data).unwrap();
    let restarts = run.plan.warnings.iter().filter(|line| line.contains("half the rate")).count();
    assert!((3..=12).contains(&restarts), "{:?}", run.plan.warnings);
    assert_eq!(run.stop, Stop::Epochs);
    assert!(run.last().objective <= run.series[0].objective, "{:?}", run.series);
    let run = trainer().rate(run.plan.step.rate).run(&data).unwrap();
    assert!(run.plan.warnings.is_empty());
    assert!(run.stop == Stop::Diverged || run.last().objective > 100.0, "{:?}", run.last());
}

/// (w² − 1)/2 − `depth` from w = 1, with an "automatic" rate; what is not finite makes gradients slow.
struct Bowl {
    depth: f64,
    rate: f64,
    examples: usize,
}

impl Objective for Bowl {
    type Gradient = f32;
    fn parameters(&self) -> usize {
        1
    }
    fn examples(&self) -> usize {
        self.examples
    }
    fn buffer(&self) -> f32 {
        0.0
    }
    fn gradient<W: Weights<f32> + ?Sized>(&self, _: Range<usize>, w: &W, gradient: &mut f32) {
        *gradient = w.get(0);
        if !gradient.is_finite() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    fn descend<S: Sink<f32> + ?Sized>(&self, gradient: &f32, step: f32, w: &mut S) {
        w.add(0, -step * gradient);
    }
    fn value(&self, w: &[f32]) -> f64 {
        (f64::from(w[0]).powi(2) - 1.0) / 2.0 - self.depth
    }
    fn initial(&self, _: u64) -> Vec<f32> {
        vec![1.0]
    }
    fn rate(&self) -> Option<(f64, String)> {
        Some((self.rate, "chosen".into()))
    }
}

/// An objective may be negative, or 0 at the start: a run that converges is left alone, and one whose objective rises
/// and rises goes back.
#[test]
fn divergence_is_told_whatever_the_sign_of_the_objective() {
    let run = |depth, rate| {
        let bowl = Bowl { depth, rate, examples: 10 };
        Trainer::new(bowl).workers(1).schedule(Schedule::Constant).epochs(20).minimize().unwrap()
    };
    for depth in [-1.0, 0.0, 0.5, 1000.0] {
        let quiet = run(depth, 0.5);
        assert!(quiet.plan.warnings.is_empty(), "depth {depth}: {:?}", quiet.plan.warnings);
        // Each step doubles the distance from the minimum; at half the rate it halves it.
        let loud = run(depth, 3.0);
        assert_eq!((loud.stop, loud.plan.warnings.len()), (Stop::Epochs, 1), "{depth} {:?}", loud.series);
        assert!(loud.last().objective < -0.49 - depth, "{depth} {:?}", loud.series);
    }
}

/// What is infinite is noticed in the middle of an epoch: the rest of it is left, not trained for nothing.
#[test]
fn an_infinite_parameter_ends_a_long_epoch() {
    let run = |workers, rate: Option<f64>| {
        let bowl = Bowl { depth: 0.0, rate: 3.0, examples: 100_000 };
        let trainer = Trainer::new(bowl).workers(workers).schedule(Schedule::Constant).epochs(4);
        match rate {
            Some(rate) => trainer.rate(rate).minimize().unwrap(),
            None => trainer.minimize().unwrap(),
        }
    };
    let start = Instant::now();
    for workers in [1, 2] {
        let given = run(workers, Some(3.0));
        assert_eq!(given.stop, Stop::Diverged);
        assert!(given.last().epoch < 0.5, "{:?}", given.last());
        let automatic = run(workers, None);
        assert_eq!(automatic.stop, Stop::Epochs, "{:?}", automatic.series);
        assert_eq!(automatic.plan.warnings.len(), 1, "{:?}", automatic.plan.warnings);
        assert!(automatic.last().objective < -0.49, "{:?}", automatic.series);
    }
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// Eight workers who each go all the way along the same direction, at once: dual steps diverge as others do, and are
/// halved until they hold.
#[test]
fn dual_steps_that_diverge_are_halved() {
    let rows = 400u32;
    let ids = (0..rows).flat_map(|_| [0, 1]).collect();
    let values = (0..rows).flat_map(|r| [1.0, (r % 7) as f32 / 70.0]).collect();
    let labels = (0..rows).map(|r| 1.0 + (r % 5) as f32 / 10.0).collect();
    let data = Dataset::from_csr((0..=u64::from(rows)).map(|r| 2 * r).collect(), ids, values, labels, 2);
    // Their steps take a fraction of a millisecond, most of it asleep.
    let slow: Vec<Slow> = (0..8).map(|worker| Slow { worker, factor: 2000.0 }).collect();
    let data = data.unwrap();
    // Where other programs have the cores the workers may come one after the other.
    let halved = (0..5).any(|_| {
        let trainer = Trainer::new(Squared::l2(1e-5)).algorithm(Algorithm::Sdca).workers(8).epochs(20);
        let run =
            trainer.inject(Injection { slow: slow.clone(), ..Injection::default() }).run(&data).unwrap();
        assert_eq!(run.stop, Stop::Epochs, "{:?}", run.series);
        // One epoch of eight workers may end above the others.
        let least = run.series[16..].iter().map(|point| point.objective).fold(f64::INFINITY, f64::min);
        assert!(least < 0.05 * run.series[0].objective && run.last().objective < 1.0, "{:?}", run.series);
        run.plan.warnings.iter().any(|line| line.contains("half the length"))
    });
    assert!(halved);
}
