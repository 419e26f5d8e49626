//! Options at the edges of their ranges.

use super::problem::{Points, classes};
use asyncsgd::{
    Algorithm, BlockSize, Checkpoint, Error, Every, Hinge, Hogwild, Logistic, Online, Pin, Stop, Trainer,
    Update,
    engine::{Event, Injection, Slow},
    model::LogisticLoss,
    step::{self, Optimizer},
    stream,
};

#[test]
fn no_epochs_is_an_evaluation() {
    let data = classes(100, 10, 5);
    for workers in [1, 4] {
        let run = Trainer::new(Logistic::l2(0.1)).workers(workers).epochs(0).run(&data).unwrap();
        assert_eq!((run.stop, run.series.len(), run.delays().count()), (Stop::Epochs, 1, 0));
        assert_eq!(run.weights, vec![0.0; 10]);
        assert!((run.last().objective - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!((run.examples_per_second(), run.expected_mean_delay()), (0.0, 0.0));
    }
}

#[test]
fn a_fraction_of_an_epoch_is_a_part_of_the_examples() {
    let data = classes(1600, 10, 5);
    for (epochs, points) in [(0.25, 2), (1.5, 3), (2.75, 4)] {
        let run = Trainer::new(Logistic::l2(0.1)).workers(2).block(BlockSize::Rows(1)).epochs(epochs);
        let live = run.live();
        let run = run.run(&data).unwrap();
        assert_eq!(live.epoch(), run.last().epoch);
        assert_eq!((run.stop, run.series.len()), (Stop::Epochs, points));
        // To the nearest chunk.
        let (examples, chunk) = (run.last().examples, run.plan.chunk as u64);
        assert!(chunk < 50 && examples.abs_diff((epochs * 1600.0) as u64) <= chunk, "{examples}, {chunk}");
        assert_eq!(run.delays().count(), examples);
        assert!((run.last().epoch - examples as f64 / 1600.0).abs() < 1e-9);
    }
}

#[test]
fn one_example_and_eight_workers() {
    for block in [BlockSize::Auto, BlockSize::Rows(1), BlockSize::Rows(64)] {
        for update in Update::ALL {
            let trainer = Trainer::new(Points::new(1)).workers(8).block(block).update(update).batch(5);
            let run = trainer.step(step::delay_adaptive(0.1)).epochs(30).minimize().unwrap();
            assert_eq!((run.stop, run.last().examples, run.delays().count()), (Stop::Epochs, 30, 30));
            assert!(run.last().objective < run.series[0].objective);
            assert_eq!(run.delays().sum(), run.expected_delays);
        }
    }
}

#[test]
fn more_workers_than_cores_work_and_are_said() {
    let cores = asyncsgd::Topology::detect().cores();
    let mut planned = Vec::new();
    let watch = |event: Event<'_>| {
        if let Event::Planned(plan) = event {
            planned = plan.warnings.clone();
        }
    };
    let data = classes(4000, 10, 5);
    let trainer = Trainer::new(Logistic::l2(0.01)).workers(3 * cores).epochs(3).observe(watch);
    let run = trainer.run(&data).unwrap();
    assert_eq!(run.workers.len(), 3 * cores);
    assert!(run.last().objective < run.series[0].objective);
    let said = format!("{} workers on {cores} cores", 3 * cores);
    assert!(run.plan.warnings.iter().any(|line| line.contains(&said)), "{:?}", run.plan.warnings);
    assert!(planned.iter().any(|line| line.contains(&said)), "it is said before the run, too");

    let run = Trainer::new(Logistic::l2(0.01)).workers(1).epochs(1).run(&data).unwrap();
    assert_eq!(run.plan.warnings, [""; 0]);
}

#[test]
fn workers_are_pinned_as_planned() {
    let data = classes(1000, 10, 5);
    let run = Trainer::new(Logistic::l2(0.01)).workers(1).pin(Pin::None).epochs(1).run(&data).unwrap();
    assert_eq!(run.workers[0].core, None);
    let run = Trainer::new(Logistic::l2(0.01)).workers(1).epochs(1).run(&data).unwrap();
    // Where the system refuses, the report says so.
    assert_eq!(run.workers[0].core.is_some(), run.plan.warnings.is_empty());
}

#[test]
fn what_is_out_of_range_is_said_all_at_once() {
    let data = classes(10, 3, 5);
    let trainer = Trainer::new(Logistic::l2(0.1)).workers(0).batch(0).epochs(-1.0).rate(f64::NAN);
    let trainer = trainer.block(BlockSize::Rows(0)).optimizer(Optimizer::Momentum { beta: 1.5 });
    let Err(Error::Usage(lines)) = trainer.target_objective(f64::INFINITY).run(&data) else {
        panic!("nothing was said")
    };
    for word in ["workers", "batch", "epochs", "rate", "target objective", "block", "optimizer: found 1.5"] {
        assert!(lines.iter().any(|line| line.contains(word)), "{word}: {lines:?}");
    }
    // Whatever part checks it: the gap, an injection, an algorithm, a stream.
    let trainer = || Trainer::new(Logistic::l2(0.1)).epochs(-1.0).workers(usize::MAX).pin(Pin::None);
    let told = |outcome: asyncsgd::Result<asyncsgd::Run>, words: &[&str]| {
        let Err(Error::Usage(lines)) = outcome else { panic!("nothing was said") };
        for word in words.iter().chain(&["epochs", "workers"]) {
            assert!(lines.iter().any(|line| line.contains(word)), "{word}: {lines:?}");
        }
    };
    let slow = Injection { slow: vec![Slow { worker: 4096, factor: 0.5 }], ..Injection::default() };
    told(trainer().target_gap(0.0).run(&data), &["target gap"]);
    told(
        trainer().target_gap(0.1).algorithm(Algorithm::Svrg).inject(slow).run(&data),
        &["worker 4096", "factor"],
    );
    told(trainer().algorithm(Algorithm::Sdca).rate(0.5).run(&data), &["found a rate of 0.5"]);
    let hinge = Trainer::new(Hinge::l2(0.1)).epochs(-1.0).workers(usize::MAX).pin(Pin::None);
    told(hinge.algorithm(Algorithm::Newton).run(&data), &["algorithm newton"]);
    told(
        Trainer::new(Points::new(1)).algorithm(Algorithm::Sdca).epochs(-1.0).workers(0).minimize(),
        &["linear model"],
    );
    let (shared, (_, examples)) = (Hogwild::<f32>::new(3, step::constant(0.1)).unwrap(), stream(2, 1));
    let online = Online::new(LogisticLoss).workers(0).pin(Pin::List(vec![99_999])).run(&shared, examples);
    assert!(matches!(online, Err(Error::Usage(lines)) if lines.len() == 3));
    assert!(Trainer::new(Logistic::l2(-1.0)).run(&data).is_err());
    assert!(Trainer::new(Logistic::l2(0.1)).workers(5000).run(&data).is_err());
    assert!(Trainer::new(Logistic::l2(0.1)).pin(Pin::List(vec![99_999])).run(&data).is_err());
    assert!(Trainer::new(Points { x: vec![], y: vec![] }).minimize().is_err());
}

/// Rules that set the step themselves have no rate for a block's local steps.
#[test]
fn rules_that_set_the_step_run_directly() {
    let data = classes(4000, 10, 5);
    for rule in [step::adadelay(3.0, 0.1), step::budget1(0.1, 0.5), step::budget2(0.07)] {
        let text = rule.weight.to_string();
        let trainer = || Trainer::new(Logistic::l2(0.01)).workers(2).step(rule.clone()).epochs(5);
        let run = trainer().run(&data).unwrap();
        assert_eq!((run.plan.block, run.plan.hot), (1, 0), "{text}");
        assert!(run.last().objective < run.series[0].objective, "{text}: {:?}", run.last());
        let refused = trainer().block(BlockSize::Rows(64)).run(&data);
        assert!(matches!(refused, Err(Error::Usage(lines)) if lines.len() == 1 && lines[0].contains(&text)));
    }
}

#[test]
fn a_run_that_is_resumed_has_its_own_start() {
    let (data, folder) = (classes(100, 10, 5), tempfile::tempdir().unwrap());
    let path = folder.path().join("run");
    let trainer = || Trainer::new(Logistic::l2(0.1)).workers(1).epochs(2);
    trainer().checkpoint(&path, Every::Epochs(1), "").run(&data).unwrap();
    let resumed = || trainer().resume(Checkpoint::open(&path).unwrap());
    resumed().run(&data).unwrap();
    let told = resumed().start(&[0.5f32; 10]).run(&data).unwrap_err().to_string();
    assert_eq!(told, "start: a run that is resumed has its own");
}
