//! The event core: delays, schedules, determinism, limits.

use asyncsgd::sim::{Algorithm, Ended, Law, Problem, Quadratic, Simulation, Stream};
use asyncsgd::step::{self, Threshold};

const LAWS: [&str; 10] = [
    "fixed:1",
    "speeds:1..16",
    "straggler:100",
    "half:10",
    "straggler:0.25",
    "uniform:1,0.2",
    "exp:1",
    "shifted-exp:0.5,0.5*speeds:1..3+fixed:0.1",
    "lognormal:1,1",
    "exp:1*on-off:20,5*wave:0.5,30",
];

fn law(text: &str) -> Law {
    text.parse().unwrap()
}

fn quadratic() -> Quadratic {
    Quadratic::geometric(20, 0.05, 1.0).unwrap()
}

#[test]
fn the_mean_delay_is_workers_less_one_for_every_law() {
    for text in LAWS {
        for workers in [2, 8, 40] {
            let outcome = Simulation::new(workers, law(text))
                .step(step::constant(1e-9))
                .iterations(20_000)
                .run(&quadratic())
                .unwrap();
            // Exact over the gradients that arrived and those in flight: each job with delay τ is in flight at
            // τ + 1 iterations, and n are at each.
            let total = outcome.delays.sum() + outcome.in_flight_delays;
            assert_eq!(total, (workers as u64 - 1) * 20_000, "{text}, {workers} workers");
            assert_eq!(outcome.delays.count(), 20_000);
        }
    }
}

#[test]
fn one_worker_is_serial_descent_to_the_bit() {
    let problem = quadratic().noise(1.0).unwrap();
    let outcome =
        Simulation::new(1, law("exp:1")).step(step::constant(0.3)).iterations(500).run(&problem).unwrap();
    assert_eq!(outcome.delays.max(), 0);
    let without = quadratic();
    let outcome =
        Simulation::new(1, law("exp:1")).step(step::constant(0.3)).iterations(500).run(&without).unwrap();
    let (mut x, mut g) = (without.start(), vec![0.0; 20]);
    let mut stream = <Stream as rand_xoshiro::rand_core::SeedableRng>::seed_from_u64(0);
    for _ in 0..500 {
        without.gradient(0, 0, &x, &mut stream, &mut g);
        x.iter_mut().zip(&g).for_each(|(x, g)| *x -= 0.3 * g);
    }
    assert_eq!(outcome.x, x);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let problem = quadratic().noise(1.0).unwrap();
    for algorithm in
        ["async", "async-stop", "minibatch", "rennala:5", "ringleader", "fedbuff:3", "dc:0.1", "blocks:4"]
    {
        let run = |seed| {
            let simulation = Simulation::new(7, law("exp:1"))
                .algorithm(algorithm.parse().unwrap())
                .step(step::ringmaster(0.02, Threshold::Iterations(9)))
                .seed(seed)
                .series()
                .iterations(300);
            let outcome = simulation.run(&problem).unwrap();
            (format!("{outcome:?}"), outcome.x)
        };
        assert_eq!(run(1), run(1), "{algorithm}");
        assert_ne!(run(1), run(2), "{algorithm}");
    }
}

#[test]
fn rules_meet_the_same_schedule() {
    let problem = quadratic().noise(1.0).unwrap();
    let run = |rule| {
        let outcome =
            Simulation::new(9, law("lognormal:1,1")).step(rule).iterations(2000).run(&problem).unwrap();
        (
            outcome.delays.sum(),
            outcome.end.seconds,
            outcome.workers.iter().map(|w| w.gradients).collect::<Vec<_>>(),
        )
    };
    assert_eq!(run(step::constant(0.01)), run(step::inverse(0.1, 0.5)));
}

/// Equal speeds are round robin, whose delay is n − 1: exactly stable below 2·sin(π/(2(2n − 1))).
#[test]
fn a_constant_delay_diverges_above_the_stability_bound() {
    for workers in [2usize, 5, 16] {
        let bound = 2.0 * (std::f64::consts::PI / (2.0 * (2 * workers - 1) as f64)).sin();
        let end = |factor: f64| {
            Simulation::new(workers, law("fixed:1"))
                .step(step::constant(factor * bound))
                .iterations(20_000)
                .run(&Quadratic::new(vec![1.0]).unwrap())
                .unwrap()
                .end
                .measure
        };
        assert!(end(0.98) < 1e-3 && end(1.02) > 1e3, "{workers}: {} {}", end(0.98), end(1.02));
    }
}

#[test]
fn drop_counts_what_it_ignores_and_ringmaster_does_not() {
    let run = |rule| {
        let outcome =
            Simulation::new(4, law("straggler:50")).step(rule).iterations(3000).run(&quadratic()).unwrap();
        (outcome.delays.max(), outcome.end.gradients, outcome.delays.kept_mass())
    };
    let (most, gradients, kept) = run(step::drop(0.01, Threshold::Concurrencies(2.0)));
    assert!(most > 100 && gradients == 3000 && kept < 1.0);
    let (most, gradients, kept) = run(step::ringmaster(0.01, Threshold::Iterations(8)));
    assert!(most < 8 && gradients > 3000 && kept == 1.0);
}

#[test]
fn target_and_limits_end_a_run() {
    let problem = quadratic();
    let base = Simulation::new(4, law("fixed:2")).step(step::constant(0.05));
    let hit = base.clone().target(1e-3 * problem.initial()).iterations(100_000).run(&problem).unwrap();
    let mark = hit.first_hit.unwrap();
    assert_eq!((hit.stop, mark, Some(mark)), (Ended::Target, hit.end, hit.settled));
    assert_eq!(mark.seconds, 2.0 * mark.gradients.div_ceil(4) as f64);
    assert_eq!(base.clone().seconds(10.0).run(&problem).unwrap().end.gradients, 17);
    let settled = base.clone().target(1e-3 * problem.initial()).settle().iterations(mark.iteration + 100);
    let settled = settled.run(&problem).unwrap();
    assert_eq!(
        (settled.stop, settled.settled, settled.end.iteration),
        (Ended::Limit, Some(mark), mark.iteration + 100)
    );
    let diverged = base.clone().step(step::constant(3.0)).iterations(100_000).run(&problem).unwrap();
    assert_eq!((diverged.stop, diverged.settled), (Ended::Diverged, None));
    let error = base.run(&problem).unwrap_err().to_string();
    assert!(error.contains("a limit is needed"), "{error}");
    // The largest number is a limit too.
    let far = base.step(step::constant(3.0)).iterations(u64::MAX).run(&problem).unwrap();
    assert_eq!(far.stop, Ended::Diverged);
}

#[test]
fn impossible_options_are_one_line_each() {
    let problem = quadratic();
    let error = |simulation: Simulation| {
        let error = simulation.iterations(10).run(&problem).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(error(Simulation::new(0, law("fixed:1"))).contains("at least 1"));
    assert!(error(Simulation::new(3, law("list:1,2"))).contains("2 times for 3 workers"));
    assert!(error(Simulation::new(3, law("straggler:2,4"))).contains("4 stragglers among 3 workers"));
    assert!(error(Simulation::new(3, law("exp:1/3xfixed:1"))).contains("for 4 workers, expected 3"));
    assert!(error(Simulation::new(3, law("2xfixed:1"))).contains("for 2 workers, expected 3"));
    for endless in ["fixed:1e308*fixed:1e308", "pareto:0.0001", "on-off:1e-300,1e-300"] {
        assert!(error(Simulation::new(3, law(endless))).contains("would never be done"), "{endless}");
    }
    let endless = Simulation::new(3, law("fixed:1e-200*fixed:1e-200")).step(step::constant(0.1)).seconds(1.0);
    assert!(endless.run(&problem).unwrap_err().to_string().contains("the clock stands still at 0 s"));
    for endless in ["blocks:18446744073709551615", "fedbuff:1000001", "rennala:18446744073709551615"] {
        let refused = endless.parse::<Algorithm>().unwrap_err().to_string();
        assert!(
            refused.contains("expected at most 1000000 gradients") && !refused.contains('\n'),
            "{refused}"
        );
    }
    let endless = Simulation::new(3, law("fixed:1")).algorithm(Algorithm::FedBuff { buffer: u64::MAX });
    assert!(error(endless).contains("expected at most 1000000 gradients"));
    assert!(error(Simulation::new(4_000_000_000, law("fixed:1"))).contains("snapshots"));
    // What fits once does not fit a thousand million times.
    let small = Simulation::new(3, law("fixed:1")).iterations(1);
    assert!(small.check(1000, 1).is_ok());
    let many = small.check(1000, 1_000_000_000).unwrap_err().to_string();
    assert!(many.contains("1000000000 runs at a time of 3 workers"), "{many}");
    let random = asyncsgd::sim::Assignment::Random;
    let minibatch = Simulation::new(3, law("fixed:1")).algorithm(Algorithm::Minibatch);
    assert!(error(minibatch.assignment(random)).contains("only for the algorithms async and dc"));
}

#[test]
fn a_replay_has_the_traces_delays_and_refuses_another_runs() {
    use asyncsgd::delay::Traced;
    let problem = Quadratic::new(vec![1.0]).unwrap();
    let update = |iteration, worker, delay, weight| Ok(Traced { iteration, delay, worker, weight });
    // The second update of worker 1 was ignored: another has its number.
    let trace = || {
        vec![
            update(0, 0, 0, 1.0),
            update(1, 1, 1, 1.0),
            update(2, 0, 1, 1.0),
            update(3, 1, 3, 0.0),
            update(3, 0, 0, 1.0),
        ]
    };
    let simulation = Simulation::new(2, law("fixed:1")).step(step::constant(0.5));
    let outcome = simulation.replay(&problem, trace()).unwrap();
    // 1, ½, 0 (a gradient of 1), −¼ (of ½), −⅛.
    assert_eq!(outcome.x, [-0.125]);
    assert_eq!((outcome.delays.sum(), outcome.end.iteration, outcome.workers[0].gradients), (2, 4, 3));
    // Weights and budgets by the trace's delays: 0, 1, 1, 0.
    let inverse = simulation.clone().step(step::inverse(0.5, 1.0)).replay(&problem, trace()).unwrap();
    assert_eq!(inverse.delays.kept(), 3.0);
    // γ = ½·(1 − what others took since the read): ½, ¼, ⅜, ½.
    let rule = step::budget1(1.0, 0.5);
    assert_eq!(simulation.clone().step(rule).replay(&problem, trace()).unwrap().x, [0.03125]);
    let error = |simulation: &Simulation, trace: Vec<_>| {
        let error = simulation.replay(&problem, trace).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let three = Simulation::new(3, law("fixed:1"));
    assert!(error(&three, trace()).contains("2 workers, expected 3"));
    let mut gap = trace();
    let _ = gap.remove(1);
    assert!(error(&simulation, gap).contains("not whole"));
    // Numbers are shared, so the last update, which was ignored, never got one.
    let mut late = trace();
    late.push(update(4, 1, 4, 0.0));
    assert_eq!(simulation.replay(&problem, late).unwrap().end.iteration, 4);
}
