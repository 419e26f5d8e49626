//! Softmax regression and perceptrons: gradients, convergence with any number of workers, and the commands.
#![cfg(not(loom))]

mod common;

use asyncsgd::{
    BlockSize, Dataset, Objective, Sink, Trainer, Update, Weights,
    model::{Activation, Model, Network, NetworkOutput},
};
use common::{asyncsgd, folder, stderr, stdout};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Rows with two thirds zeros in one of `classes` clusters; labels are class numbers times 2.
fn clusters(rows: usize, features: usize, classes: usize, seed: u64) -> Dataset {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let centres: Vec<Vec<f32>> =
        (0..classes).map(|_| (0..features).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let (mut starts, mut ids, mut values, mut labels) = (vec![0], Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let class = rng.random_range(0..classes);
        for (j, centre) in centres[class].iter().enumerate() {
            if rng.random_range(0..3) > 0 {
                ids.push(j as u32);
                values.push(centre + rng.random_range(-0.5f32..0.5));
            }
        }
        starts.push(ids.len() as u64);
        labels.push(2.0 * class as f32);
    }
    Dataset::from_csr(starts, ids, values, labels, features).unwrap().laid_out(seed)
}

/// Parameters that are shared as far as an objective can tell.
struct Shared<'a>(&'a mut [f64]);

impl Weights<f64> for Shared<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn get(&self, i: usize) -> f64 {
        self.0[i]
    }
    fn dot(&self, row: asyncsgd::Row<'_>) -> f64 {
        Weights::dot(&*self.0, row)
    }
    fn dot_dense(&self, start: usize, x: &[f64]) -> f64 {
        Weights::dot_dense(&*self.0, start, x)
    }
    fn copy_out(&self, start: usize, out: &mut [f64]) {
        Weights::copy_out(&*self.0, start, out);
    }
}

impl Sink<f64> for Shared<'_> {
    fn update(&mut self, i: usize, change: impl Fn(f64) -> f64) {
        Sink::update(&mut *self.0, i, change);
    }
    fn update_row(
        &mut self,
        row: asyncsgd::Row<'_>,
        beside: &asyncsgd::kernel::Constants,
        change: impl Fn(usize, f64, f64, f64) -> f64,
    ) {
        Sink::update_row(&mut *self.0, row, beside, change);
    }
    fn axpy_dense(&mut self, start: usize, x: &[f64], a: f64) {
        Sink::axpy_dense(&mut *self.0, start, x, a);
    }
}

/// The mean of the steps of all mini-batches is the derivative of the value, coordinate by coordinate, and the same
/// on parameters that are private and on shared ones.
fn check(network: &Network, data: &Dataset, batch: usize) {
    let objective = Model::<f64>::bind(network, data).unwrap();
    let parameters = Objective::<f64>::parameters(&objective);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let w: Vec<f64> = (0..parameters).map(|_| rng.random_range(-0.7..0.7)).collect();
    let (rate, batches) = (1e-7, (data.len() / batch) as f64);
    let mut mean = vec![0.0; parameters];
    let mut pass = Objective::<f64>::buffer(&objective);
    for start in (0..data.len()).step_by(batch) {
        let mut moved = w.clone();
        objective.gradient(start..start + batch, &w[..], &mut pass);
        objective.descend(&pass, rate, &mut moved[..]);
        let (mut source, mut shared) = (w.clone(), w.clone());
        objective.gradient(start..start + batch, &Shared(&mut source), &mut pass);
        objective.descend(&pass, rate, &mut Shared(&mut shared));
        for i in 0..parameters {
            assert!((moved[i] - shared[i]).abs() < 1e-12, "w[{i}]: {} and {}", moved[i], shared[i]);
            mean[i] += (w[i] - moved[i]) / rate / batches;
        }
    }
    for i in 0..parameters {
        let (mut up, mut down) = (w.clone(), w.clone());
        (up[i], down[i]) = (w[i] + 1e-6, w[i] - 1e-6);
        let numeric = (objective.value(&up) - objective.value(&down)) / 2e-6;
        assert!((numeric - mean[i]).abs() < 2e-6, "w[{i}]: {numeric} and {}", mean[i]);
    }
}

#[test]
fn gradients_are_the_derivatives_of_the_value() {
    let data = clusters(24, 9, 3, 5);
    let classes = data.clone().multiclass().unwrap();
    for batch in [1, 4] {
        check(&Network::softmax().with_l2(0.1), &classes, batch);
        check(&Network::softmax().with_l2(0.1), &classes.clone().with_intercept(), batch);
        for activation in [Activation::Relu, Activation::Tanh] {
            for layers in [&[9, 5, 3][..], &[9, 70, 4, 3]] {
                check(&Network::mlp(layers).with_activation(activation).with_l2(0.05), &classes, batch);
            }
            let squared = Network::mlp(&[9, 6, 5, 1]).with_output(NetworkOutput::Squared);
            check(&squared.with_activation(activation), &data, batch);
        }
    }
}

fn accuracy(network: &Network, data: &Dataset, weights: &[f32]) -> f64 {
    let outputs = network.outputs(data, weights).unwrap();
    let best = |z: &Vec<f64>| (0..z.len()).max_by(|&a, &b| z[a].total_cmp(&z[b])).unwrap();
    let right = outputs.iter().zip(data.labels()).filter(|(z, label)| best(z) == **label as usize);
    right.count() as f64 / data.len() as f64
}

/// No seed's units are all led where no example reaches them, neither by the probe nor by the rate that it tells.
#[test]
fn small_networks_learn_at_the_probed_rate() {
    let data = clusters(3000, 12, 2, 7).multiclass().unwrap();
    let network = Network::mlp(&[12, 6, 2]);
    for seed in 0..4 {
        for batch in [1, 16] {
            let trainer = Trainer::new(network.clone()).workers(1).batch(batch).epochs(5).seed(seed);
            let run = trainer.run(&data).unwrap();
            let (told, reached) = (&run.plan.rate_origin, accuracy(&network, &data, &run.weights));
            assert!(told.contains("gradients"), "{told}");
            assert!(reached > 0.9, "seed {seed}, batch {batch}, rate {told}: {reached}");
        }
    }
}

#[test]
fn any_number_of_workers_learns_in_every_mode() {
    let (train, test) = clusters(4000, 20, 4, 3).multiclass().unwrap().split(0.25, 1).unwrap();
    let networks = [(Network::softmax(), 1, None), (Network::mlp(&[20, 16, 4]), 8, Some(0.2))];
    for (network, batch, rate) in networks {
        for workers in [1, 2, 8] {
            for update in [Update::Cas, Update::Racy] {
                for block in [BlockSize::Auto, BlockSize::Rows(1), BlockSize::Rows(64)] {
                    let mut trainer = Trainer::new(network.clone()).workers(workers).batch(batch).epochs(8);
                    trainer = trainer.update(update).block(block);
                    trainer = match rate {
                        Some(rate) => trainer.rate(rate),
                        None => trainer,
                    };
                    let run = trainer.run(&train).unwrap();
                    let accuracy = accuracy(&network, &test, &run.weights);
                    assert!(
                        accuracy > 0.93,
                        "{network:?}, {workers} workers, {update}, blocks of {block}: {accuracy}"
                    );
                }
            }
        }
    }
}

/// Snapshots are read and published whole, so that two workers' run is a sequence of steps whose delays are exact.
#[test]
fn leashed_updates_learn_with_exact_delays() {
    let (train, test) = clusters(4000, 20, 4, 3).multiclass().unwrap().split(0.25, 1).unwrap();
    let network = Network::mlp(&[20, 16, 4]);
    for workers in [1, 2, 8] {
        let trainer = Trainer::new(network.clone()).workers(workers).batch(8).epochs(8).rate(0.2);
        let run = trainer.update("leashed".parse().unwrap()).run(&train).unwrap();
        let accuracy = accuracy(&network, &test, &run.weights);
        assert!(accuracy > 0.93, "{workers} workers: {accuracy}");
        assert_eq!((run.plan.block, run.delays().count()), (1, 8 * 375));
        let delays = run.delays();
        // A gradient is dropped after 17 failures, each of which is another's publication.
        assert!(delays.mean() <= workers as f64 && (workers > 1 || delays.max() == 0), "{}", delays.mean());
    }
    let trainer = || Trainer::new(network.clone()).update("leashed:0".parse().unwrap()).rate(0.2);
    let refused = trainer().block(BlockSize::Rows(64)).run(&train).unwrap_err().to_string();
    assert!(refused.contains("published whole"), "{refused}");
    let rule = asyncsgd::step::adadelay(1.0, 1.0);
    assert!(trainer().step(rule).run(&train).unwrap_err().to_string().contains("a step rule with a rate"));
}

#[test]
fn momentum_and_adam_learn_in_every_mode_and_warn() {
    let (train, test) = clusters(4000, 20, 4, 3).multiclass().unwrap().split(0.25, 1).unwrap();
    let network = Network::mlp(&[20, 16, 4]);
    for (optimizer, rate) in [("momentum:0.8", 0.02), ("adam", 0.005)] {
        for workers in [1, 2] {
            for (update, block) in [("cas", 1), ("cas", 64), ("leashed", 1)] {
                let trainer = Trainer::new(network.clone()).workers(workers).batch(8).epochs(8).rate(rate);
                let trainer = trainer.update(update.parse().unwrap()).block(BlockSize::Rows(block));
                let run = trainer.optimizer(optimizer.parse().unwrap()).run(&train).unwrap();
                let accuracy = accuracy(&network, &test, &run.weights);
                assert!(accuracy > 0.93, "{optimizer}, {workers} workers, {update} {block}: {accuracy}");
                let warned = run.plan.warnings.iter().any(|warning| warning.contains("asynchrony acts"));
                assert_eq!(warned, workers > 1);
            }
        }
    }
}

/// With one worker, momentum is the recurrence that it is defined by.
#[test]
fn momentum_is_the_textbooks() {
    let data = clusters(40, 6, 2, 8).binary().unwrap();
    let model = asyncsgd::Logistic::l2(0.1);
    let trainer =
        Trainer::new(model).workers(1).block(BlockSize::Rows(1)).batch(40).epochs(5).precision::<f64>();
    let trainer = trainer.rate(0.3).schedule(asyncsgd::step::Schedule::Constant);
    let run = trainer.optimizer("momentum:0.7".parse().unwrap()).run(&data).unwrap();
    let (mut w, mut u) = ([0.0; 6], [0.0; 6]);
    for _ in 0..5 {
        let mut gradient = w.map(|w: f64| 0.1 * w);
        for i in 0..40 {
            let (row, y) = (data.row(i), f64::from(data.label(i)));
            let z: f64 = row.iter().map(|(j, v)| w[j] * f64::from(v)).sum();
            row.iter().for_each(|(j, v)| gradient[j] -= y * f64::from(v) / (1.0 + (y * z).exp()) / 40.0);
        }
        for j in 0..6 {
            u[j] = 0.7 * u[j] + gradient[j];
            w[j] -= 0.3 * u[j];
        }
    }
    for (found, expected) in run.weights.iter().zip(w) {
        // The frequencies of features, by which the penalty is scaled, are single precision.
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn softmax_of_two_classes_is_logistic_regression() {
    let data = clusters(500, 6, 2, 9);
    let softmax = Trainer::new(Network::softmax().with_l2(0.02)).workers(1).epochs(300).seed(1);
    let softmax = softmax.run(&data.clone().multiclass().unwrap()).unwrap();
    // w and −w share the difference, so its penalty is half as strong.
    let logistic = Trainer::new(asyncsgd::Logistic::l2(0.01)).workers(1).epochs(300).seed(1);
    let logistic = logistic.run(&data.binary().unwrap()).unwrap();
    for (pair, w) in softmax.weights.chunks(2).zip(&logistic.weights) {
        assert!((pair[1] - pair[0] - w).abs() < 0.02, "{pair:?} {w}");
    }
}

#[test]
fn one_worker_repeats_a_run_to_the_bit() {
    let data = clusters(600, 10, 3, 2).multiclass().unwrap();
    let run = |seed| {
        let trainer = Trainer::new(Network::mlp(&[10, 12, 3])).workers(1).batch(4).epochs(2).seed(seed);
        trainer.run(&data).unwrap().weights
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// The clusters as LIBSVM text.
fn text(data: &Dataset) -> String {
    let row = |i: usize| {
        let pairs = data.row(i).iter().map(|(j, v)| (data.feature_order()[j] + 1, v));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by_key(|pair| pair.0);
        let pairs: String = pairs.iter().map(|(j, v)| format!(" {j}:{v}")).collect();
        format!("{}{pairs}\n", data.label(i))
    };
    (0..data.len()).map(row).collect()
}

#[test]
fn the_commands_train_save_and_predict() {
    let folder = folder();
    let (train, test) = clusters(1500, 8, 3, 4).split(0.2, 1).unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("train.svm"), text(&train)).unwrap();
    std::fs::write(path("test.svm"), text(&test)).unwrap();
    for (model, more) in [
        ("softmax", &["--intercept"][..]),
        ("mlp:8-16-3", &["--rate", "0.1"]),
        ("mlp:8-9-8-3,tanh", &["-j1"]),
    ] {
        let saved = path("model.safetensors");
        let output = asyncsgd()
            .args(["train", "--model", model, "--test"])
            .args([path("test.svm"), path("train.svm")])
            .args(more)
            .arg("--json")
            .arg(path("run.json"))
            .arg("--save")
            .arg(&saved)
            .output()
            .unwrap();
        assert!(output.status.success(), "{model}: {}", stderr(&output));
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path("run.json")).unwrap()).unwrap();
        assert_eq!(record["plan"]["model"], model);
        assert_eq!(record["plan"]["loss"], "softmax");
        assert_eq!(record["data"]["classes"], serde_json::json!([0.0, 2.0, 4.0]));
        let accuracy = record["final"]["accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.9, "{model}: {accuracy}");
        assert!(record["plan"]["command"].as_str().unwrap().contains(&format!("--model {model}")));

        let predict = |more: &[&str]| {
            let mut command = asyncsgd();
            command.args(["predict", "--model"]).arg(&saved).arg(path("test.svm")).args(more);
            command.output().unwrap()
        };
        let output = predict(&[]);
        assert!(output.status.success(), "{model}: {}", stderr(&output));
        let labels: Vec<f32> = stdout(&output).lines().map(|line| line.parse().unwrap()).collect();
        let right = labels.iter().zip(test.labels()).filter(|(a, b)| a == b).count();
        assert!((right as f64 / test.len() as f64 - accuracy).abs() < 1e-9, "{model}");
        assert!(stderr(&output).contains(&format!("accuracy {:.2} %", 100.0 * accuracy)), "{model}");
        for line in stdout(&predict(&["--probability", "-q"])).lines() {
            let shares: Vec<f64> = line.split(' ').map(|x| x.parse().unwrap()).collect();
            assert!(shares.len() == 3 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn what_does_not_fit_is_told_before_training() {
    let folder = folder();
    let file = common::small(&folder, "small.svm", 30);
    let refused = |args: &[&str]| {
        let output = asyncsgd().arg("train").arg(&file).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        stderr(&output)
    };
    let told = refused(&["--model", "mlp:9-4-3"]);
    assert!(told.contains("found 3 outputs, expected 2, the classes of the data"), "{told}");
    assert!(refused(&["--model", "mlp:5-4-2"]).contains("found 5 inputs, expected 9"));
    let told = refused(&["--model", "softmax", "--loss", "hinge", "--l1", "1", "--save", "x.model"]);
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(refused(&["--model", "mlp:4"]).contains("at least three layers"));
    assert!(refused(&["--model", "mlp:9-4-2", "--intercept"]).contains("has its own biases"));
}
