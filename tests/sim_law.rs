//! Speed laws: text form, impossible parameters, and the times that they draw.

use asyncsgd::sim::{Law, Quadratic, Simulation};
use asyncsgd::step;
use proptest::prelude::*;

#[test]
fn impossible_laws_are_refused_with_one_line() {
    for (text, why) in [
        ("pareto:0", "above 0"),
        ("pareto:-1.5", "above 0"),
        ("pareto:nan", "above 0"),
        ("fixed:-1", "above 0"),
        ("fixed:0", "above 0"),
        ("fixed:inf", "above 0"),
        ("list:", "needs times"),
        ("list:1,-2", "above 0"),
        ("speeds:1", "two times"),
        ("speeds:0..4", "above 0"),
        ("uniform:1,1", "spread in [0, 1)"),
        ("uniform:1e308,0.9", "their sum is a number"),
        ("exp:0", "above 0"),
        ("exp:1e-320", "its inverse one too"),
        ("shifted-exp:1,1e-320", "whose inverse is a number"),
        ("on-off:1e-320,1", "whose inverses and sum are numbers"),
        ("on-off:1,1e-320", "whose inverses and sum are numbers"),
        ("on-off:1e308,1e308", "whose inverses and sum are numbers"),
        ("shifted-exp:-1,1", "shift of at least 0"),
        ("lognormal:1,-1", "sigma of at least 0"),
        ("straggler:0", "above 0"),
        ("straggler:2,x", "a factor and perhaps how many"),
        ("half:-3", "above 0"),
        ("on-off:0,1", "time on above 0"),
        ("wave:1,10", "amplitude in [0, 1)"),
        ("sample:1", "no argument"),
        ("slow", "no such factor"),
        ("", "no such factor"),
        ("fixed:1*", "no such factor"),
        ("fixed:1+", "no such factor"),
        ("fixed:1/", "no such factor"),
        ("0xfixed:1", "found 0 workers"),
        ("99999999999999999999xfixed:1", "found 99999999999999999999 workers"),
    ] {
        let error = text.parse::<Law>().unwrap_err();
        assert_eq!(error.exit_code(), 2, "{text}");
        let line = error.to_string();
        assert!(line.contains(why) && !line.contains('\n'), "{text}: {line}");
    }
}

#[test]
fn text_forms_round_trip() {
    for text in [
        "fixed:1",
        "list:1,2.5,4",
        "speeds:1..16",
        "uniform:1,0.2",
        "exp:0.5",
        "shifted-exp:0,1",
        "lognormal:1,0.5",
        "pareto:1.5",
        "pareto:1.2,3",
        "straggler:10",
        "straggler:10,3",
        "half:2",
        "on-off:20,5",
        "wave:0.5,10",
        "sample*fixed:2",
        "exp:1*straggler:4+uniform:0.1,0.5",
        "fixed:1000+exp:2",
        "exp:1/pareto:1.5*half:2+fixed:1/3xspeeds:1..4",
        "2xfixed:1",
    ] {
        let law: Law = text.parse().unwrap();
        assert_eq!(law.to_string(), text);
        assert_eq!(law.to_string().parse::<Law>().unwrap(), law);
    }
    assert_eq!("fixed:1e+3+fixed:1".parse::<Law>().unwrap().to_string(), "fixed:1000+fixed:1");
}

/// Mean seconds of a gradient of one worker.
fn mean(text: &str, gradients: u64) -> f64 {
    let outcome = Simulation::new(1, text.parse().unwrap())
        .step(step::constant(1e-9))
        .seed(4)
        .gradients(gradients)
        .run(&Quadratic::new(vec![1.0]).unwrap())
        .unwrap();
    outcome.end.seconds / gradients as f64
}

#[test]
fn drawn_times_have_the_means_of_their_laws() {
    for (text, expected) in [
        ("uniform:2,0.5", 2.0),
        ("exp:3", 3.0),
        ("shifted-exp:1,2", 3.0),
        ("lognormal:2,0.5", 2.0 * (0.125f64).exp()),
        ("pareto:3,2", 3.0),
        ("fixed:2*exp:1+fixed:1", 3.0),
        ("fixed:2*on-off:30,15", 3.0),
        ("on-off:5,0", 1.0),
        // No number lies between the ends.
        ("uniform:2,1e-17", 2.0),
        ("uniform:2,0", 2.0),
    ] {
        let mean = mean(text, 200_000);
        assert!((mean / expected - 1.0).abs() < 0.02, "{text}: {mean}, expected {expected}");
    }
    // A wave takes the time at the start, so slow phases hold fewer gradients: the mean over gradients is
    // the harmonic one over time, √(1 − A²).
    let wave = mean("fixed:0.01*wave:0.6,10", 100_000);
    assert!((wave / 0.008 - 1.0).abs() < 0.01, "{wave}");
}

#[test]
fn workers_start_in_the_phases_of_their_laws() {
    let simulation = |workers, text: &str| {
        Simulation::new(workers, text.parse().unwrap()).step(step::constant(1e-9)).seed(4)
    };
    let problem = Quadratic::new(vec![1.0]).unwrap();
    // Of four workers in a wave the last begins at its trough: 1 + 0.5·sin(2π·3/4).
    let first = simulation(4, "wave:0.5,1000").gradients(1).run(&problem).unwrap();
    assert!((first.end.seconds - 0.5).abs() < 1e-9, "{}", first.end.seconds);
    // One in a hundred is on at the start, and hardly another comes on in a thousandth of its time.
    let on = simulation(2000, "fixed:0.001*on-off:1,99").seconds(0.0011).run(&problem).unwrap();
    assert!((8..40).contains(&on.end.gradients), "{}", on.end.gradients);
}

#[test]
fn fixed_times_are_those_of_each_worker() {
    let times = |text: &str| text.parse::<Law>().unwrap().fixed_times(4);
    assert_eq!(times("speeds:1..4"), Some(vec![1.0, 2.0, 3.0, 4.0]));
    assert_eq!(times("straggler:10"), Some(vec![1.0, 1.0, 1.0, 10.0]));
    assert_eq!(times("half:3*fixed:2+list:1,2,3,4"), Some(vec![3.0, 4.0, 9.0, 10.0]));
    assert_eq!((times("exp:1"), times("list:1,2")), (None, None));
    // One law after the other; stragglers and lists are within a law.
    assert_eq!(times("fixed:7/2xstraggler:10/fixed:2+fixed:1"), Some(vec![7.0, 1.0, 10.0, 3.0]));
    assert_eq!((times("fixed:7/2xfixed:1"), times("fixed:7/3xexp:1")), (None, None));
}

#[test]
fn workers_draw_from_laws_of_their_own() {
    // The second and third take ten times as long as the first on average, the last twenty times.
    let outcome = Simulation::new(4, "fixed:1/exp:10/2xexp:10*half:2".parse().unwrap())
        .step(step::constant(1e-9))
        .seconds(20_000.0)
        .run(&Quadratic::new(vec![1.0]).unwrap())
        .unwrap();
    let made: Vec<f64> = outcome.workers.iter().map(|worker| worker.gradients as f64).collect();
    for (made, expected) in made.iter().zip([20_000.0, 2_000.0, 2_000.0, 1_000.0]) {
        assert!((made / expected - 1.0).abs() < 0.1, "{made}, expected {expected}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_law_or_one_line(text in "[a-z:.,*+/0-9-]{0,30}") {
        match text.parse::<Law>() {
            Ok(law) => prop_assert_eq!(law.to_string().parse::<Law>().unwrap(), law),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
