//! Runs that are saved, and go on as if they had not been interrupted.

use super::problem::{classes, within_a_minute};
use asyncsgd::{
    Algorithm, Averaging, BlockSize, Checkpoint, Dataset, Error, Every, Live, Logistic, Objective, Run, Sink,
    Stop, Trainer, Update, Weights, engine::Event, step, step::Optimizer,
};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const OFTEN: Every = Every::Time(Duration::from_millis(3));

/// So many that an epoch is longer than a monitor's look, and 40 of them take a second.
const ROWS: usize = 8000;

type Configured = fn() -> Trainer<'static, Logistic>;

fn direct() -> Trainer<'static, Logistic> {
    Trainer::new(Logistic::l2(1e-3)).epochs(40.0).seed(3)
}

fn blocks() -> Trainer<'static, Logistic> {
    direct().block(BlockSize::Rows(64)).batch(2).evaluate_every(3)
}

/// Dual values are a state of their own.
fn dual() -> Trainer<'static, Logistic> {
    direct().algorithm(Algorithm::Sdca).target_gap(1e-14)
}

/// Ends by its gap, which it may look at in the middle of an epoch.
fn to_the_gap() -> Trainer<'static, Logistic> {
    Trainer::new(Logistic::l2(1e-4)).algorithm(Algorithm::Sdca).target_gap(1e-6).seed(3)
}

/// Step lengths, residuals and mean gradients are.
fn scaled(algorithm: Algorithm) -> Trainer<'static, Logistic> {
    direct().epochs(12.0).algorithm(algorithm)
}

/// Means of iterates and of gradients are the engine's.
fn averaged() -> Trainer<'static, Logistic> {
    direct().epochs(12.0).average(Averaging::Weighted(1.0))
}

fn suffix() -> Trainer<'static, Logistic> {
    direct().epochs(12.0).average(Averaging::Suffix(0.9)).block(BlockSize::Rows(32))
}

fn momentum() -> Trainer<'static, Logistic> {
    direct().epochs(12.0).batch(8).optimizer(Optimizer::Momentum { beta: 0.9 }).rate(0.01)
}

fn adam() -> Trainer<'static, Logistic> {
    direct().epochs(12.0).batch(4).optimizer(Optimizer::Adam { beta1: 0.9, beta2: 0.999 })
}

/// The newest snapshot is the state, wherever an epoch is.
fn leashed() -> Trainer<'static, Logistic> {
    direct().epochs(12.0).update(Update::Leashed { retries: 4 })
}

/// Stops the run somewhere in its middle.
fn stop_at(live: Live, epoch: f64) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while live.epoch() < epoch && !live.is_over() {
            std::thread::yield_now();
        }
        live.stop();
    })
}

fn interrupted(configured: Configured, data: &Dataset, path: &Path, workers: usize) -> Run {
    let run = || {
        let trainer = configured().workers(workers).checkpoint(path, OFTEN, "a note");
        let stopper = stop_at(trainer.live(), 7.3);
        let run = trainer.run(data).unwrap();
        stopper.join().unwrap();
        run
    };
    // On a busy machine who stops it may come too late.
    std::iter::repeat_with(run).take(50).find(|run| run.stop == Stop::Interrupt).unwrap()
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_to_the_bit() {
    let directory = tempfile::tempdir().unwrap();
    let schemes: [Configured; 3] =
        [|| scaled(Algorithm::AdaGrad), || scaled(Algorithm::Svrg), || scaled(Algorithm::Saga)];
    let all = [direct as Configured, blocks, dual, to_the_gap, averaged, suffix, momentum, adam, leashed];
    for (at, configured) in all.into_iter().chain(schemes).enumerate() {
        let path = directory.path().join(at.to_string());
        within_a_minute(move || {
            let data = classes(ROWS, 40, 4);
            let whole = configured().workers(1).run(&data).unwrap();
            let part = interrupted(configured, &data, &path, 1);
            assert_eq!(part.stop, Stop::Interrupt);
            assert!(part.last().epoch < whole.last().epoch);
            let saved = Checkpoint::open(&path).unwrap();
            assert_eq!((saved.note(), saved.iterations()), ("a note", part.delays().count()));
            let rest = configured().workers(1).resume(saved).checkpoint(&path, OFTEN, "").run(&data).unwrap();
            assert!(rest.weights == whole.weights, "the weights differ");
            assert_eq!(told(&rest), told(&whole));
            assert_eq!(rest.delays(), whole.delays());
            assert!(rest.last().train_seconds > part.last().train_seconds);
            // What has ended goes on to the same end.
            let again = configured().workers(1).resume(Checkpoint::open(&path).unwrap()).run(&data).unwrap();
            assert!(again.weights == whole.weights && told(&again) == told(&whole));
        });
    }
}

#[test]
fn several_workers_do_every_example_once_an_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    within_a_minute(move || {
        let data = classes(ROWS, 40, 4);
        let part = interrupted(direct, &data, &path, 3);
        assert_eq!(part.stop, Stop::Interrupt);
        let run = direct().workers(3).resume(Checkpoint::open(&path).unwrap()).run(&data).unwrap();
        assert_eq!((run.stop, run.last().examples), (Stop::Epochs, ROWS as u64 * 40));
        assert_eq!(run.series.len(), 41);
        assert!(run.last().objective < part.last().objective);
    });
}

#[test]
fn a_stretched_run_keeps_its_rule_and_ends_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let data = classes(500, 20, 4);
    let trainer =
        |epochs: f64| Trainer::new(Logistic::l2(0.01)).workers(1).step(step::constant(0.1)).epochs(epochs);
    let whole = trainer(8.0).run(&data).unwrap();
    trainer(3.0).checkpoint(&path, Every::Epochs(2), "").run(&data).unwrap();
    let rest = trainer(8.0).resume(Checkpoint::open(&path).unwrap()).run(&data).unwrap();
    assert_eq!(rest.weights, whole.weights);
}

#[test]
fn another_run_is_refused_with_every_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let (data, other) = (classes(500, 20, 4), classes(500, 20, 5));
    let trainer = |l2: f64| Trainer::new(Logistic::l2(l2)).workers(1).epochs(2.0);
    trainer(0.01).checkpoint(&path, Every::Epochs(1), "").run(&data).unwrap();
    let lines = |outcome: asyncsgd::Result<Run>| match outcome {
        Err(Error::Usage(lines)) => lines,
        other => panic!("{other:?}"),
    };
    let said = lines(trainer(0.02).seed(7).resume(Checkpoint::open(&path).unwrap()).run(&other));
    let names: Vec<&str> = said.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(names, ["data", "l2", "step", "seed"], "{said:?}");
    assert!(said[3].ends_with("run: seed: found 0, expected 7"), "{}", said[3]);
    let double = trainer(0.01).precision::<f64>().resume(Checkpoint::open(&path).unwrap()).run(&data);
    assert!(double.unwrap_err().to_string().contains("precision: found f32"));
}

/// What tells two runs apart.
fn told(run: &Run) -> (Vec<(f64, u64, Option<f64>)>, Stop) {
    (run.series.iter().map(|p| (p.objective, p.examples, p.gap)).collect(), run.stop)
}

/// Stopped at each of its evaluations, in the epochs before the first step and between steps.
#[test]
fn newtons_steps_go_on_to_the_bit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    // Solved directly, and by conjugate gradients.
    for (rows, features, gap) in [(300, 40, 1e-9), (150, 600, 1e-6)] {
        let data = classes(rows, features, 4);
        let trainer = || {
            let trainer = Trainer::new(Logistic::l2(1e-3)).workers(1).seed(3).epochs(1e4);
            trainer.algorithm(Algorithm::Newton).target_gap(gap)
        };
        let whole = trainer().run(&data).unwrap();
        assert!(whole.series.len() > 4, "{} points", whole.series.len());
        assert_eq!(whole.stop, Stop::Gap);
        for stop in 1..whole.series.len() {
            let part = trainer().checkpoint(&path, Every::Epochs(1), "");
            let (live, mut seen) = (part.live(), 0);
            let part = part.observe(move |event| {
                if let Event::Epoch(_) = event {
                    seen += 1;
                    if seen > stop {
                        live.stop();
                    }
                }
            });
            let part = part.run(&data).unwrap();
            assert_eq!(told(&part).0, told(&whole).0[..=stop]);
            let rest = trainer().resume(Checkpoint::open(&path).unwrap()).checkpoint(&path, OFTEN, "");
            let rest = rest.run(&data).unwrap();
            assert_eq!(told(&rest), told(&whole), "stopped after {stop} points");
            assert!(rest.weights == whole.weights && rest.delays() == whole.delays());
            let again = trainer().resume(Checkpoint::open(&path).unwrap()).run(&data).unwrap();
            assert_eq!(told(&again), told(&whole));
        }
    }
}

#[test]
fn a_damaged_file_is_one_clear_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let data = classes(500, 20, 4);
    let trainer = Trainer::new(Logistic::l2(0.01)).workers(2).epochs(2.0);
    trainer.checkpoint(&path, Every::Epochs(1), "").run(&data).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut faults = vec![Vec::new(), b"asgdckpt".to_vec(), b"another file".to_vec()];
    for at in (0..whole.len()).step_by(41) {
        faults.push(whole[..at].to_vec());
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        faults.push(flipped);
    }
    for fault in faults {
        std::fs::write(&path, fault).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(matches!(error, Error::Input { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
    let missing = Checkpoint::open(directory.path().join("none")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }));
}

/// The file with its header changed, and the checksum made right.
fn forged(whole: &[u8], change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    let end = 16 + u64::from_le_bytes(whole[8..16].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&whole[16..end]).unwrap();
    change(&mut header);
    let header = serde_json::to_vec(&header).unwrap();
    let length = (header.len() as u64).to_le_bytes();
    let mut file = [&whole[..8], &length, &header, &whole[end..whole.len() - 16]].concat();
    file.extend(xxhash_rust::xxh3::xxh3_128(&file).to_le_bytes());
    file
}

#[test]
fn a_header_that_no_run_wrote_is_one_clear_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let data = classes(500, 20, 4);
    let trainer = || {
        Trainer::new(Logistic::l2(0.01))
            .workers(2)
            .step(step::constant(0.1))
            .time_limit(Duration::from_secs(2))
    };
    trainer().epochs(2.0).checkpoint(&path, Every::Epochs(1), "").run(&data).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let resumed = |change: &dyn Fn(&mut serde_json::Value)| {
        std::fs::write(&path, forged(&whole, change)).unwrap();
        trainer().epochs(4.0).resume(Checkpoint::open(&path)?).run(&data)
    };
    assert_eq!(resumed(&|_| ()).unwrap().stop, Stop::Epochs);
    for (field, values) in [
        ("phases", &["3", "9223372036854775808", "18446744073709551615"][..]),
        ("taken", &["501", "1000000000"]),
        ("iterations", &["1501", "9223372036854775808"]),
        ("steps", &["-1.0"]),
        ("seconds", &["-1.0", "1e13", "1e300"]),
        ("examples", &["1501", "18446744073709551615"]),
        ("brake", &["0.0", "-1e308", "1.5"]),
    ] {
        for value in values {
            let error = resumed(&|header| header["position"][field] = value.parse().unwrap());
            let said = error.err().unwrap_or_else(|| panic!("{field} {value}"));
            assert!(matches!(said, Error::Input { .. }), "{field} {value}: {said}");
            assert!(said.to_string().contains(&format!("a header that is wrong ({field})")), "{said}");
        }
    }
    let one = |header: &mut serde_json::Value| _ = header["delays"].as_array_mut().unwrap().pop();
    let many = |header: &mut serde_json::Value| header["delays"][0]["sum"] = u64::MAX.into();
    let counts = |header: &mut serde_json::Value| {
        header["delays"][0]["counts"] = vec![u64::MAX - 9].into();
        header["delays"][0]["count"] = (u64::MAX - 9).into();
    };
    for change in [&one as &dyn Fn(&mut serde_json::Value), &many, &counts] {
        let said = resumed(change).unwrap_err().to_string();
        assert!(said.ends_with("a header that is wrong (delays), expected a whole checkpoint"), "{said}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused_with_all_else() {
    let directory = tempfile::tempdir().unwrap();
    let data = classes(50, 5, 4);
    let trainer = || Trainer::new(Logistic::l2(0.01)).workers(1).epochs(1.0);
    for never in [Every::Epochs(0), Every::Time(Duration::ZERO)] {
        let trainer = trainer().batch(0).checkpoint(directory.path().join("run"), never, "");
        let Err(Error::Usage(lines)) = trainer.run(&data) else { panic!("{never:?}") };
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[1], "checkpoint: found every 0, expected a time or a number of epochs above 0");
    }
    if cfg!(unix) {
        let refused = trainer().checkpoint("/dev/null", Every::Epochs(1), "").run(&data).unwrap_err();
        assert_eq!(refused.to_string(), "/dev/null: found a device or a pipe, expected a file");
    }
}

#[test]
fn intervals_are_times_or_epochs() {
    let parsed = |text: &str| text.parse::<Every>().ok().map(|every| every.to_string());
    for (text, expected) in [("30s", "30s"), ("2m", "120s"), ("250ms", "0.25s"), ("3", "3")] {
        assert_eq!(parsed(text).as_deref(), Some(expected));
    }
    for wrong in ["", "0", "0s", "-1s", "s", "3d", "1.5", "NaNs", "infs", "1e99s"] {
        assert_eq!(parsed(wrong), None, "{wrong}");
    }
}

/// Adds 1 to its only parameter at every example, and panics after so many.
struct Breaks {
    left: AtomicI64,
}

impl Objective for Breaks {
    type Gradient = ();
    fn parameters(&self) -> usize {
        1
    }
    fn examples(&self) -> usize {
        1000
    }
    fn buffer(&self) {}
    fn gradient<W: Weights<f32> + ?Sized>(&self, _: Range<usize>, _: &W, (): &mut ()) {
        assert!(self.left.fetch_sub(1, Ordering::Relaxed) > 0, "broken");
        std::thread::sleep(Duration::from_micros(20));
    }
    fn descend<S: Sink<f32> + ?Sized>(&self, (): &(), step: f32, w: &mut S) {
        w.add(0, step);
    }
    fn value(&self, w: &[f32]) -> f64 {
        f64::from(w[0])
    }
}

#[test]
fn a_panic_leaves_the_last_good_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    within_a_minute(move || {
        let trainer = |left| {
            let objective = Breaks { left: AtomicI64::new(left) };
            Trainer::new(objective).workers(2).block(BlockSize::Rows(1)).step(step::constant(1.0)).epochs(3.0)
        };
        let broken = trainer(2500).checkpoint(&path, Every::Time(Duration::from_millis(1)), "").minimize();
        assert!(matches!(broken, Err(Error::Panic { .. })));
        let saved = Checkpoint::open(&path).unwrap();
        assert!((1..2500).contains(&saved.iterations()), "{}", saved.iterations());
        // Each example of each epoch is there once.
        let run = trainer(i64::MAX).resume(saved).minimize().unwrap();
        assert_eq!((&run.weights[..], run.delays().count()), (&[3000.0][..], 3000));
    });
}

/// A mean of squares round a number, which names no data of its own.
struct Round(f64);

impl Objective for Round {
    type Gradient = f32;
    fn parameters(&self) -> usize {
        1
    }
    fn examples(&self) -> usize {
        100
    }
    fn buffer(&self) -> f32 {
        0.0
    }
    fn gradient<W: Weights<f32> + ?Sized>(&self, _: Range<usize>, w: &W, gradient: &mut f32) {
        *gradient = w.get(0) - self.0 as f32;
    }
    fn descend<S: Sink<f32> + ?Sized>(&self, gradient: &f32, step: f32, w: &mut S) {
        w.add(0, -step * gradient);
    }
    fn value(&self, w: &[f32]) -> f64 {
        (f64::from(w[0]) - self.0).powi(2)
    }
}

#[test]
fn an_objective_without_a_name_is_known_by_its_value() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let trainer = |centre: f64| Trainer::new(Round(centre)).workers(1).rate(0.1).epochs(2.0);
    trainer(1.0).checkpoint(&path, Every::Epochs(1), "").minimize().unwrap();
    let resumed = |centre: f64| trainer(centre).resume(Checkpoint::open(&path).unwrap()).minimize();
    // Sums in another order are the same sums.
    assert!(resumed(1.0).is_ok() && resumed(1.0 + 1e-9).is_ok());
    // The same value at the start itself.
    for other in [-1.0, 1.001] {
        assert!(resumed(other).unwrap_err().to_string().contains("other data"));
    }
}
