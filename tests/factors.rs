//! Factorizations and word vectors are learnt with any number of workers, in every update mode.
#![cfg(not(loom))]

use asyncsgd::{
    Averaging, BlockSize, Dataset, Objective, Sink, Trainer, Update, Weights,
    data::{Corpus, FieldRows, Ratings},
    model::{
        FactorizationMachine, FieldMachine, LossKind, MatrixFactorization, Model, Network, NetworkOutput,
        SkipGram,
    },
};
use std::ops::Range;

fn noise(k: u32) -> f64 {
    f64::from(k.wrapping_mul(2_654_435_761) >> 8) / f64::from(1u32 << 24) - 0.5
}

/// 300 users and 200 items of rank 3, a quarter of all pairs.
fn ratings() -> Ratings {
    let row = |who: u32, k: u32| 2.0 * noise(who * 31 + k * 7 + 1);
    let rating = |u: u32, i: u32| (0..3).map(|k| row(u, k) * row(1000 + i, k)).sum::<f64>();
    let pairs = (0..300).flat_map(|u| (0..200).map(move |i| (u, i)));
    let pairs = pairs.filter(|&(u, i)| noise(u * 200 + i + 77) < -0.25);
    let line = |(u, i)| format!("{u},{i},{:.4}\n", 3.0 + 2.0 * rating(u, i));
    Ratings::bytes("ratings", pairs.map(line).collect::<String>(), 0).unwrap()
}

#[test]
fn any_number_of_workers_factorizes() {
    let ratings = ratings();
    let model = MatrixFactorization::new(8).with_l2(0.002);
    let run = |workers, update| {
        Trainer::new(model).workers(workers).update(update).rate(0.2).epochs(40).run(&ratings).unwrap()
    };
    let alone = run(1, Update::Cas);
    assert!(alone.plan.grid.is_some() && alone.plan.block > 1 && alone.plan.hot > 0);
    let pairs = Trainer::new(model).workers(1).batch(2).epochs(2).run(&ratings).unwrap();
    assert!(
        pairs.plan.grid.is_some()
            && pairs.plan.hot == 0
            && pairs.last().objective < pairs.series[0].objective
    );
    let variance = 0.5;
    assert!(alone.last().objective < 0.1 * variance, "{}", alone.last().objective);
    assert_eq!(alone.weights, run(1, Update::Cas).weights, "one worker repeats itself to the bit");
    for (workers, update) in [(2, Update::Cas), (8, Update::Cas), (2, Update::Racy), (2, Update::Locked)] {
        let objective = run(workers, update).last().objective;
        assert!(objective < 1.3 * alone.last().objective, "{workers} {update}: {objective}");
    }
}

#[test]
fn held_out_ratings_are_predicted() {
    let (train, test) = ratings().split(0.1, 1).unwrap();
    let model = MatrixFactorization::new(4).with_l2(0.005);
    let run = Trainer::new(model).workers(2).rate(0.2).epochs(60).run(&train).unwrap();
    let objective = Model::<f32>::bind(&model, &train).unwrap();
    let (factors, mut squares, mut spread) = (*objective.factors(), 0.0, 0.0);
    for p in 0..test.len() {
        let (user, item, value) = test.get(p);
        squares += (factors.rating(&run.weights, user, item) - f64::from(value)).powi(2);
        spread += (factors.mean - f64::from(value)).powi(2);
    }
    assert!(squares < 0.2 * spread, "{squares} of {spread}");
    // Nothing is known of a stranger but what all have in common.
    assert_eq!(factors.rating(&run.weights, None, None), factors.mean);
}

#[test]
fn what_is_not_known_is_rated_by_the_mean() {
    let ratings = ratings();
    let mean = ratings.values().iter().map(|&v| f64::from(v)).sum::<f64>() / ratings.len() as f64;
    for model in [MatrixFactorization::new(3), MatrixFactorization::nonnegative(3)] {
        let objective = Model::<f32>::bind(&model, &ratings).unwrap();
        let w: Vec<f32> = objective.initial(0);
        for (user, item) in [(None, None), (Some(0), None), (None, Some(1))] {
            let rating = objective.factors().rating(&w, user, item);
            assert!((rating - mean).abs() < 1e-12, "{rating}, not {mean}");
        }
        assert_ne!(objective.factors().rating(&w, Some(0), Some(1)), mean);
    }
}

#[test]
fn a_grid_gives_way_to_what_is_asked() {
    let ratings = ratings();
    let trainer = || Trainer::new(MatrixFactorization::new(4)).workers(2).epochs(2);
    let direct = trainer().block(BlockSize::Rows(1)).run(&ratings).unwrap();
    assert_eq!((direct.plan.grid, direct.plan.block, direct.plan.hot), (None, 1, 0));
    assert_eq!(direct.last().examples, 2 * ratings.len() as u64);
    let drop = trainer().weight("drop:4n".parse().unwrap(), Default::default()).run(&ratings).unwrap();
    assert!(drop.plan.grid.is_none(), "its weight must reach the updates");
    assert_eq!((drop.plan.block, drop.plan.warnings), (1, vec![]));
    assert_eq!(trainer().evaluate_every(2).run(&ratings).unwrap().last().examples, 2 * ratings.len() as u64);
}

/// Steps that lead where the model may not be: what is evaluated and returned is not there.
#[test]
fn what_is_evaluated_and_returned_is_projected() {
    struct Below;
    impl Objective for Below {
        type Gradient = f32;

        fn parameters(&self) -> usize {
            1
        }
        fn examples(&self) -> usize {
            10
        }
        fn buffer(&self) -> f32 {
            0.0
        }
        fn gradient<W: Weights<f32> + ?Sized>(&self, _: Range<usize>, w: &W, g: &mut f32) {
            *g = w.get(0) + 1.0;
        }
        fn descend<S: Sink<f32> + ?Sized>(&self, g: &f32, step: f32, w: &mut S) {
            w.add(0, -step * g);
        }
        fn value(&self, w: &[f32]) -> f64 {
            f64::from(w[0])
        }
        fn initial(&self, _: u64) -> Vec<f32> {
            vec![1.0]
        }
        fn project(&self, weights: &mut [f32]) {
            weights[0] = weights[0].max(0.0);
        }
    }
    let trainer = || Trainer::new(Below).workers(1).rate(0.5).epochs(4);
    for trainer in [trainer(), trainer().average(Averaging::Suffix(0.1))] {
        let run = trainer.minimize().unwrap();
        assert_eq!((run.weights[0], run.last().objective), (0.0, 0.0));
    }
}

/// A weight that scales whole differences does nothing for steps that go straight to the shared parameters.
#[test]
fn a_rule_reaches_the_updates_or_blocks_give_way() {
    let (ratings, rule) = (ratings(), |text: &str| text.parse().unwrap());
    let text = Corpus::bytes("text", "red green blue red green\n".repeat(300), 1).unwrap();
    let blocks = |text: &str| (BlockSize::Rows(50), rule(text), Default::default());
    fn run<M: Model<f32>>(
        model: M,
        data: &M::Data,
        (block, weight, concurrency): (BlockSize, asyncsgd::step::Weight, asyncsgd::step::Concurrency),
        hot: Option<usize>,
    ) -> asyncsgd::Run<f32> {
        let trainer = Trainer::new(model).workers(2).epochs(1).block(block).weight(weight, concurrency);
        hot.into_iter().fold(trainer, Trainer::hot).run(data).unwrap()
    }
    let factors = MatrixFactorization::new(4);
    let said =
        "inverse:0.5: each update is sent on its own, as those of blocks that copy nothing have no weight";
    for asked in [
        run(factors, &ratings, blocks("inverse:0.5"), None),
        run(factors, &ratings, (BlockSize::Auto, rule("inverse:0.5"), Default::default()), Some(0)),
        run(MatrixFactorization::nonnegative(4), &ratings, blocks("inverse:0.5"), None),
    ] {
        assert_eq!((asked.plan.block, asked.plan.hot), (1, 0), "{:?}", asked.plan.warnings);
        assert_eq!(asked.workers.iter().map(|w| w.delays.count()).sum::<u64>(), ratings.len() as u64);
        let told = asked.plan.warnings.iter().any(|line| line == said);
        assert!(
            told || asked.plan.grid.is_none() && asked.plan.warnings.is_empty(),
            "{:?}",
            asked.plan.warnings
        );
    }
    let words = run(SkipGram::new(4), &text, blocks("inverse:0.5"), None);
    assert!(words.plan.block == 1 && words.plan.warnings.iter().any(|line| line == said));
    // Those that leave single updates on fresh parameters whole, and those that scale what is copied, keep their blocks.
    for (weight, hot) in [("constant", None), ("delay-adaptive", None), ("inverse:0.5", Some(400))] {
        let kept = run(factors, &ratings, blocks(weight), hot);
        assert_eq!((kept.plan.block, kept.plan.hot), (50, hot.unwrap_or(0)));
        assert!(!kept.plan.warnings.iter().any(|line| line.contains("have no weight")));
    }
    // What a block of the grid copies is not asked for.
    let grid = run(factors, &ratings, (BlockSize::Auto, rule("constant"), Default::default()), Some(10));
    assert!(
        grid.plan.hot > 10 && grid.plan.warnings[0].starts_with("hot 10: a block of the grid copies what")
    );
}

/// Classes that only pairs of features tell apart: the sign of a product over two groups.
fn pairs() -> Dataset {
    let (mut starts, mut ids, mut labels) = (vec![0u64], Vec::new(), Vec::new());
    for k in 0..4000u32 {
        let (a, b) = (k * 7919 % 13, k * 104_729 % 11);
        ids.extend([a, 13 + b]);
        starts.push(ids.len() as u64);
        labels.push(if (a % 2 == 0) == (b % 3 == 0) { 1.0 } else { -1.0 });
    }
    let values = vec![1.0; ids.len()];
    Dataset::from_csr(starts, ids, values, labels, 24).unwrap().laid_out(0)
}

#[test]
fn any_number_of_workers_trains_a_machine() {
    let data = pairs();
    let model = FactorizationMachine::new(LossKind::Logistic, 8).with_l2(1e-4);
    for (workers, update) in [(1, Update::Cas), (2, Update::Cas), (8, Update::Cas), (2, Update::Racy)] {
        let run =
            Trainer::new(model).workers(workers).update(update).rate(0.2).epochs(40).run(&data).unwrap();
        let objective = run.last().objective;
        assert!(objective < 0.2, "{workers} {update}: {objective}");
    }
}

#[test]
fn any_number_of_workers_trains_a_machine_with_fields() {
    let line = |k: u32| {
        let (a, b) = (k * 7919 % 13, k * 104_729 % 11);
        format!("{} 0:{a}:1 1:{}:1\n", i32::from((a % 2 == 0) == (b % 3 == 0)), 13 + b)
    };
    let rows =
        FieldRows::bytes("rows", (0..4000).map(line).collect::<String>(), 0).unwrap().binary().unwrap();
    let model = FieldMachine::new(LossKind::Logistic, 4).with_l2(1e-4);
    for (workers, update) in [(1, Update::Cas), (2, Update::Cas), (8, Update::Cas), (2, Update::Racy)] {
        let run = Trainer::new(model).workers(workers).update(update).epochs(40).run(&rows).unwrap();
        let objective = run.last().objective;
        assert!(objective < 0.2, "{workers} {update}: {objective}");
    }
}

#[test]
fn words_of_the_same_neighbours_are_close() {
    // Two topics; within one any word may follow any.
    let word = |k: u32| {
        format!("{}{}", if (k / 40).is_multiple_of(2) { "x" } else { "y" }, (20.0 * noise(k).abs()) as u32)
    };
    let lines = (0..1000u32)
        .map(|l| (0..20).map(|j| word(l / 2 * 40 + l % 2 * 20 + j)).collect::<Vec<_>>().join(" "));
    let corpus = Corpus::bytes("text", lines.collect::<Vec<_>>().join("\n"), 1).unwrap();
    let model = SkipGram::new(16).with_sample(0.0);
    for workers in [1, 2, 8] {
        let run = Trainer::new(model).workers(workers).epochs(10).run(&corpus).unwrap();
        assert!(run.last().objective < 0.9 * run.series[0].objective);
        let objective = Model::<f32>::bind(&model, &corpus).unwrap();
        let vectors = objective.vectors(&run.weights);
        let row = |w: usize| &vectors[16 * w..16 * (w + 1)];
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine = |a, b| dot(row(a), row(b)) / (dot(row(a), row(a)) * dot(row(b), row(b))).sqrt();
        let (mut same, mut other) = ((0f32, 0), (0f32, 0));
        for a in 0..corpus.words().len() {
            for b in 0..a {
                let equal = corpus.words()[a].as_bytes()[0] == corpus.words()[b].as_bytes()[0];
                let sum = if equal { &mut same } else { &mut other };
                *sum = (sum.0 + cosine(a, b), sum.1 + 1);
            }
        }
        let (same, other) = (same.0 / same.1 as f32, other.0 / other.1 as f32);
        assert!(same > other + 0.3, "{workers}: {same} and {other}");
    }
}

/// Before anything of their size is allocated, which would end the process.
#[test]
#[cfg(target_os = "linux")]
fn models_that_memory_does_not_hold_are_refused() {
    let data = Dataset::from_csr(vec![0, 1, 2], vec![0, 1], vec![1.0; 2], vec![1.0, -1.0], 1 << 22).unwrap();
    let machine = Trainer::new(FactorizationMachine::new(LossKind::Logistic, 1 << 16)).run(&data);
    let network = Network::mlp(&[1 << 22, 1 << 18, 1]).with_output(NetworkOutput::Squared);
    for refused in [machine, Trainer::new(network).run(&data)] {
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("GiB are available"), "{said}");
    }
}
