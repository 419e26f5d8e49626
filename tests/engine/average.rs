//! Averages of the iterates are nearer to the optimum than the last of them.

use super::problem::{classes, optimum};
use asyncsgd::{Algorithm, Averaging, BlockSize, Error, Logistic, Stop, Trainer, Update};

#[test]
fn averages_are_nearer_than_the_last_iterate_in_every_mode() {
    let (data, l2) = (classes(1200, 24, 2), 0.02);
    let best = optimum(&data, l2);
    let gap = |averaging, update, workers, block, algorithm| {
        let trainer = Trainer::new(Logistic::l2(l2)).workers(workers).update(update).block(block).rate(1.0);
        let trainer = trainer.algorithm(algorithm).average(averaging).epochs(30);
        let run = trainer.schedule(asyncsgd::step::Schedule::Constant).run(&data).unwrap();
        assert_eq!(run.stop, Stop::Epochs);
        // What is reported is what is returned.
        let trained =
            super::problem::logistic(&data, l2, &run.weights.iter().map(|&w| w.into()).collect::<Vec<_>>());
        assert!(
            (trained.0 - run.last().objective).abs() < 1e-6,
            "{averaging}: {} {trained:?}",
            run.last().objective
        );
        (run.last().objective - best) / best
    };
    let averages = [Averaging::Polyak, Averaging::Suffix(0.5), Averaging::Weighted(1.0)];
    for update in Update::ALL {
        for workers in [1, 2, 8] {
            for block in [BlockSize::Rows(1), BlockSize::Auto] {
                let last = gap(Averaging::None, update, workers, block, Algorithm::Sgd);
                for average in averages {
                    let averaged = gap(average, update, workers, block, Algorithm::Sgd);
                    println!(
                        "{update}, {workers} workers, block {block}: {average} {averaged:.1e}, last {last:.1e}"
                    );
                    assert!(
                        averaged < last / 2.0,
                        "{update}, {workers}, {block}: {average} {averaged:.1e}, {last:.1e}"
                    );
                }
            }
        }
    }
    let (direct, cas) = (BlockSize::Rows(1), Update::Cas);
    let last = gap(Averaging::None, cas, 2, direct, Algorithm::AdaGrad);
    assert!(gap(Averaging::Suffix(0.5), cas, 2, direct, Algorithm::AdaGrad) < last);
}

/// A suffix begins where it says: up to there the last iterate is told, and training is the same.
#[test]
fn a_suffix_leaves_what_comes_before_it() {
    let data = classes(1200, 24, 2);
    let run = |averaging| {
        let trainer = Trainer::new(Logistic::l2(0.02)).workers(1).average(averaging).epochs(8).rate(0.5);
        trainer.schedule(asyncsgd::step::Schedule::Constant).run(&data).unwrap()
    };
    let (plain, suffix) = (run(Averaging::None), run(Averaging::Suffix(0.25)));
    let same = plain.series.iter().zip(&suffix.series).filter(|(a, b)| a.objective == b.objective).count();
    assert_eq!(same, 7, "{:?} {:?}", plain.series, suffix.series);
    assert_ne!(plain.weights, suffix.weights);
}

#[test]
fn what_needs_no_average_refuses_it() {
    let data = classes(100, 8, 6);
    for algorithm in [Algorithm::Svrg, Algorithm::Sdca, Algorithm::Newton] {
        let trainer =
            Trainer::new(Logistic::l2(0.1)).workers(1).algorithm(algorithm).average(Averaging::Polyak);
        match trainer.run(&data) {
            Err(Error::Usage(lines)) => assert!(lines[0].contains("average polyak"), "{lines:?}"),
            other => panic!("{algorithm}: {:?}", other.map(|run| run.stop)),
        }
    }
    let trainer = Trainer::new(Logistic::l2(0.1)).workers(1).average(Averaging::Suffix(2.0));
    assert!(matches!(trainer.run(&data), Err(Error::Usage(_))));
}

/// A run that ends long before its last epoch has an average all the same, which is not its last iterate.
#[test]
fn a_far_end_does_not_take_the_weights_away() {
    let data = classes(500, 10, 5);
    let ended = |average| {
        let trainer = Trainer::new(Logistic::l2(0.01)).workers(1).average(average).epochs(1e9);
        trainer.target_objective(0.6).run(&data).unwrap()
    };
    let last = ended(Averaging::None);
    for average in [Averaging::Weighted(2.0), Averaging::Weighted(16.0)] {
        let run = ended(average);
        assert!(run.last().objective <= 0.6 && run.stop == Stop::Target, "{average}: {}", run.stop);
        assert_ne!(run.weights, last.weights, "{average}");
    }
}
