//! Generated problems have the shape and the truth that they claim.

use asyncsgd::{Error, Loader, data::Synthetic};

#[test]
fn the_shape_is_that_of_rcv1() {
    let problem = Synthetic::rcv1(30_000).seed(7).generate().unwrap();
    let data = &problem.data;
    assert_eq!((data.len(), data.features()), (30_000, 47_236));
    let mean = data.nonzeros() as f64 / 30_000.0;
    assert!((mean - 75.0).abs() < 4.0, "{mean} nonzeros a row");

    let laid_out = data.laid_out(1);
    let counts = laid_out.counts();
    // Zipf: the ten most frequent of 47,236 features have about ln 2 / ln(47,246 / 10) of all draws.
    let top: u32 = counts[..10].iter().sum();
    let share = f64::from(top) / data.nonzeros() as f64;
    assert!((0.04..0.1).contains(&share), "{share}");

    for i in 0..1000 {
        let square: f32 = data.row(i).values().iter().map(|v| v * v).sum();
        assert!((square - 1.0).abs() < 1e-4, "row {i}: {square}");
        assert!(data.row(i).values().iter().all(|&v| v > 0.0));
    }
}

#[test]
fn the_truth_predicts_as_well_as_it_says() {
    let problem = Synthetic::rcv1(50_000).features(5000).mean_nonzeros(30.0).seed(3).generate().unwrap();
    let (mut right, mut positive) = (0, 0);
    for i in 0..problem.data.len() {
        let score: f64 = problem.data.row(i).iter().map(|(id, v)| problem.weights[id] * f64::from(v)).sum();
        let plus = problem.data.label(i) == 1.0;
        right += usize::from((score + problem.intercept > 0.0) == plus);
        positive += usize::from(plus);
    }
    let (accuracy, positive) = (right as f64 / 5e4, positive as f64 / 5e4);
    assert!((problem.accuracy - 0.95).abs() < 0.005, "{}", problem.accuracy);
    // Four standard deviations of 50,000 draws.
    assert!((accuracy - problem.accuracy).abs() < 0.004, "{accuracy} and {}", problem.accuracy);
    assert!((positive - 0.5).abs() < 0.02, "{positive}");
    let nonzero = problem.weights.iter().filter(|w| **w != 0.0).count();
    assert!((500..=700).contains(&nonzero), "{nonzero} weights");
}

#[test]
fn a_seed_is_a_problem_and_fewer_rows_are_its_beginning() {
    let make = |rows, seed| {
        let problem = Synthetic::rcv1(rows).features(300).mean_nonzeros(9.5).seed(seed).generate().unwrap();
        let mut text = Vec::new();
        problem.data.write_libsvm(&mut text).unwrap();
        (String::from_utf8(text).unwrap(), problem.weights)
    };
    let (long, truth) = make(25_000, 5);
    assert_eq!((&long, &truth), (&make(25_000, 5).0, &make(25_000, 5).1));
    let (short, same_truth) = make(1000, 5);
    assert!(long.starts_with(&short));
    assert_eq!((short.lines().count(), truth), (1000, same_truth));
    assert_ne!(make(1000, 6).0, short);

    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| make(1000, 5)).0, short, "whatever the number of threads");
    let read = Loader::bytes("generated", short).load().unwrap();
    assert_eq!(read.len(), 1000);
}

#[test]
fn impossible_shapes_are_refused() {
    for bad in [
        Synthetic::rcv1(0),
        Synthetic::rcv1(10).features(0),
        Synthetic::rcv1(10).features(100),
        Synthetic::rcv1(10).mean_nonzeros(0.5),
        Synthetic::rcv1(10).mean_nonzeros(f64::NAN),
        Synthetic::rcv1(10).features(usize::MAX),
    ] {
        let error = bad.clone().generate().unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{bad:?}: {error}");
    }
    let smallest = Synthetic::rcv1(1).features(2).mean_nonzeros(1.0).generate().unwrap();
    assert_eq!(smallest.data.len(), 1);
}
