//! What the engine measures while it trains.

use asyncsgd::delay::{Profile, Recorder, Timeline, Timing, Trace, TracedRun, Tracer};
use asyncsgd::record::Profiling;
use asyncsgd::{
    BlockSize, Dataset, Loader, Logistic, Objective, Run, Sink, Trainer, Update, Weights,
    engine::{Event, Injection, Slow, Stall},
};
use std::fmt::Write as _;
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Rows of 20 nonzeros among 1000 features.
fn data(rows: usize) -> Dataset {
    let mut text = String::new();
    for row in 0..rows {
        text.push_str(if row % 3 == 0 { "-1" } else { "1" });
        for nonzero in 0..20 {
            write!(text, " {}:1", 1 + nonzero * 50 + (row * 7 + nonzero * 13) % 50).unwrap();
        }
        text.push('\n');
    }
    Loader::bytes("made", text).load().unwrap()
}

fn trainer(workers: usize) -> Trainer<'static, Logistic> {
    Trainer::new(Logistic::l2(1e-3)).workers(workers).block(BlockSize::Rows(1)).profile(true)
}

#[test]
fn the_trace_holds_every_update_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.trace");
    let data = data(5000);
    let tracer = Tracer::new(File::create(&path).unwrap()).unwrap();
    let run = trainer(3).epochs(40.0).trace(&tracer).run(&data).unwrap();
    let summary = tracer.finish().unwrap();
    let recorded: Vec<u64> = run.workers.iter().map(|worker| worker.delays.count()).collect();
    assert_eq!(summary.updates, 200_000);
    assert_eq!(recorded.iter().sum::<u64>(), 200_000);
    assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len());
    assert!(summary.bytes < 6 * summary.updates, "{} bytes", summary.bytes);

    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.run(), TracedRun { examples: 5000, block: 1, batch: 1 });
    assert!(trace.is_complete() && trace.workers() == 3 && trace.len() == 200_000);
    let (mut counts, mut sums, mut kept) = (vec![0; 3], vec![0; 3], vec![0.0; 3]);
    for (iteration, update) in trace.enumerate() {
        let update = update.unwrap();
        assert_eq!(update.iteration, iteration as u64);
        assert!(update.delay <= update.iteration);
        let worker = update.worker as usize;
        counts[worker] += 1;
        sums[worker] += update.delay;
        kept[worker] += f64::from(update.weight);
    }
    assert_eq!(counts, recorded);
    for (worker, report) in run.workers.iter().enumerate() {
        assert_eq!(sums[worker], report.delays.sum());
        assert!((kept[worker] / report.delays.kept() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn a_damaged_trace_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.trace");
    let tracer = Tracer::new(File::create(&path).unwrap()).unwrap();
    trainer(2).epochs(10.0).trace(&tracer).run(&data(2000)).unwrap();
    tracer.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let reading = |bytes: &[u8]| -> Result<u64, String> {
        std::fs::write(&path, bytes).unwrap();
        let mut trace = Trace::open(&path).map_err(|e| e.to_string())?;
        trace.try_fold(0, |n, update| update.map(|_| n + 1)).map_err(|e| e.to_string())
    };
    assert_eq!(reading(&bytes), Ok(20_000));
    // Every byte matters.
    for at in (0..bytes.len()).step_by(bytes.len() / 300).chain(0..60).chain(bytes.len() - 30..bytes.len()) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        match reading(&damaged) {
            Err(line) => assert!(line.contains("expected a trace") && line.lines().count() == 1, "{line}"),
            // A length or a worker that points beyond the file is an end that is missing.
            Ok(n) => assert!(n < 20_000 || at > bytes.len() - 30, "byte {at} of {}", bytes.len()),
        }
    }
    // A run that was killed leaves what was written.
    let cut = reading(&bytes[..bytes.len() - 30]).unwrap();
    assert!(cut < 20_000);
    assert!(!Trace::open(&path).unwrap().is_complete());
    assert!(reading(&bytes[..5]).unwrap_err().contains("fewer than 12 bytes"));
    assert!(reading(b"1 1:2\n-1 2:3 and more").unwrap_err().contains("another kind of file"));
    assert!(Trace::open(folder.path().join("none")).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn samples_split_the_delay_and_the_time() {
    let run = trainer(2).epochs(100.0).run(&data(5000)).unwrap();
    let timing = run.timing().unwrap();
    assert!(timing.every.is_power_of_two() && timing.sample_cost > 0.0);
    assert!(timing.samples() > 100, "{}", timing.samples());
    // Updates of some hundred ns are sampled seldom.
    assert!(timing.every > 16 && timing.cost() <= 0.01, "1 in {}: {}", timing.every, timing.cost());
    let whole = timing.compute.mean() + timing.write.mean();
    assert!((timing.staleness.mean() / whole - 1.0).abs() < 1e-9);
    assert!(timing.compute.mean() > 0.0 && timing.write.mean() > 0.0);
    for worker in &run.workers {
        let timing = worker.timing.as_ref().unwrap();
        assert!(
            timing.ticket_delay.count() == timing.samples() && timing.writers.count() == timing.samples()
        );
        assert!(timing.ticket_delay.max() <= worker.delays.max());
    }
    assert_eq!(trainer(1).profile(false).run(&data(100)).unwrap().timing(), None);
}

/// A slow worker makes long delays, but not a longer mean. It is slower by much more than is asked for, as other
/// programs may take from either worker's core.
#[test]
fn the_mean_delay_stays_n_minus_1_with_a_straggler() {
    let injection = Injection { slow: vec![Slow { worker: 0, factor: 80.0 }], ..Injection::default() };
    let trainer = trainer(2).epochs(400.0).evaluate_every(400);
    let run = trainer.inject(injection).run(&data(5000)).unwrap();
    let mean = run.delays().mean();
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
    let [slow, fast] = &run.workers[..] else { panic!("two workers") };
    assert!(slow.delays.mean() > 5.0 && slow.delays.mean() > 4.0 * fast.delays.mean());
    assert!(10 * slow.delays.count() < fast.delays.count());
    let compute = |run: &Run, w: usize| run.workers[w].timing.as_ref().unwrap().compute.quantile(0.5);
    assert!(compute(&run, 0) > 20 * compute(&run, 1));
}

/// The first gradient finds nothing in the caches, and may have been interrupted besides.
#[test]
fn the_first_gradient_is_not_lengthened() {
    struct Waking(AtomicBool);
    impl Objective for Waking {
        type Gradient = ();
        fn parameters(&self) -> usize {
            1
        }
        fn examples(&self) -> usize {
            100
        }
        fn buffer(&self) {}
        fn gradient<W: Weights<f32> + ?Sized>(&self, _: Range<usize>, _: &W, _: &mut ()) {
            if !self.0.swap(true, Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        fn descend<S: Sink<f32> + ?Sized>(&self, _: &(), step: f32, w: &mut S) {
            w.add(0, step);
        }
        fn value(&self, _: &[f32]) -> f64 {
            1.0
        }
    }
    // 20 ms lengthened would be more than three minutes.
    let injection = Injection { slow: vec![Slow { worker: 0, factor: 1e4 }], ..Injection::default() };
    let waking = Waking(AtomicBool::new(false));
    let start = Instant::now();
    let trainer = Trainer::new(waking).workers(1).rate(0.1).block(BlockSize::Rows(1));
    let run = trainer.epochs(1).inject(injection);
    assert_eq!(run.minimize().unwrap().delays().count(), 100);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// Every worker's gradients take longer by the law, in its own proportions, and the mean delay stays.
#[test]
fn jitter_lengthens_computing_by_its_law() {
    let median = |run: &Run, w: usize| run.workers[w].timing.as_ref().unwrap().compute.quantile(0.5) as f64;
    let data = data(5000);
    let run = |law: &str| {
        let injection = Injection { jitter: Some(law.parse().unwrap()), ..Injection::default() };
        trainer(2).epochs(40.0).evaluate_every(40).inject(injection).run(&data).unwrap()
    };
    // Each worker's waits are multiples of what is usual for it, which differs between busy cores: the workers change
    // places. (1 + 8·4)/(1 + 8) = 3.7, less what reading the time and ending a wait add to both; what comes out late
    // after a long wait adds to it, as on a busy machine, so that one of some is near. All waits are so short that they
    // spin: who sleeps gives its core away, and may get it back late.
    let mut ratios = (0..5).map(|_| {
        let runs = ["fixed:8*list:1,4", "fixed:8*list:4,1"].map(run);
        for run in &runs {
            let mean = run.delays().mean();
            assert!((mean - 1.0).abs() < 0.02, "{mean}");
        }
        let [listed, swapped] = runs;
        let ratio = median(&listed, 1) / median(&listed, 0) * median(&swapped, 0) / median(&swapped, 1);
        println!("{}", ratio.sqrt());
        ratio.sqrt()
    });
    assert!(ratios.any(|ratio| ratio > 2.0 && ratio < 6.0));
    // An exponential law's 90th percentile is 3.3 medians; (1 + 8·2.3)/(1 + 8·0.69) = 3. Computing that takes longer at
    // times, as on a busy machine, spreads the times further: what comes nearest to the law is the narrowest of some.
    let spread = (0..5).flat_map(|_| run("exp:8").workers).map(|worker| {
        let compute = worker.timing.unwrap().compute;
        compute.quantile(0.9) as f64 / compute.quantile(0.5) as f64
    });
    let spread = spread.fold(f64::INFINITY, f64::min);
    assert!(spread > 2.3 && spread < 4.5, "{spread}");
}

#[test]
fn a_stall_is_seen_when_it_happens() {
    // Long against the ticks of a monitor that has to share its core.
    let stall = Stall { worker: 1, at: Duration::from_millis(400), length: Duration::from_millis(1200) };
    let injection = Injection { stall: vec![stall], ..Injection::default() };
    let mut ticks = 0;
    let watch = |event: Event<'_>| {
        if let Event::Progress(progress) = event {
            ticks += 1;
            assert!(progress.delays().len() == 2 && progress.timings().len() == 2);
        }
    };
    let trainer = trainer(2)
        .epochs(1e5)
        .evaluate_every(100_000)
        .time_limit(Duration::from_millis(2500))
        .inject(injection);
    let run = trainer.observe(watch).run(&data(20_000)).unwrap();
    assert!(ticks > 3);
    let spans = run.timeline.as_ref().unwrap().spans();
    let counted: u64 = spans.iter().flat_map(|span| &span.delays).map(|delays| delays.count()).sum();
    assert_eq!(counted, run.delays().count());
    // For most of the stall only one worker moved; then came one long delay.
    let idle =
        |w: usize| spans.iter().filter(|s| s.delays[w].count() == 0).map(|s| s.length).sum::<Duration>();
    assert!(idle(1) >= Duration::from_millis(400) && idle(0) < idle(1) / 2, "{:?} {:?}", idle(0), idle(1));
    let at = spans.iter().position(|span| span.delays[1].count() == 0).unwrap();
    let late = run.workers[1].delays.max();
    let end = spans[at..].iter().find(|span| span.delays[1].max() == late).unwrap();
    assert!(end.start + end.length >= Duration::from_millis(1500), "{:?}", end.start);
    // The rest of the run has delays of a few; by time, the stall is a large part of it.
    let delays = &run.workers[1].delays;
    assert!(delays.time_quantile(0.99) > 100 * delays.quantile(0.99), "{}", delays.time_quantile(0.99));
}

#[test]
fn a_stall_does_not_outlive_the_run() {
    let stall = Stall { worker: 0, at: Duration::ZERO, length: Duration::from_secs(3600) };
    let injection = Injection { stall: vec![stall], ..Injection::default() };
    let run = trainer(2).inject(injection).time_limit(Duration::from_millis(300)).run(&data(5000)).unwrap();
    assert_eq!(run.stop, asyncsgd::Stop::TimeLimit);
}

/// What a worker does unhindered between the stop and its end is little.
#[test]
fn slow_workers_stop_soon() {
    let injection = Injection { jitter: Some("fixed:1e9".parse().unwrap()), ..Injection::default() };
    let run = trainer(2).inject(injection).time_limit(Duration::from_millis(200)).run(&data(5000)).unwrap();
    assert!((1..=8).contains(&run.delays().count()), "{}", run.delays().count());
}

#[test]
fn injections_out_of_range_are_told_together() {
    let injection = Injection {
        slow: vec![Slow { worker: 2, factor: 2.0 }, Slow { worker: 0, factor: 0.5 }],
        stall: vec![Stall { worker: 9, at: Duration::ZERO, length: Duration::ZERO }],
        jitter: Some("sample*list:1,2,3".parse().unwrap()),
    };
    let error = trainer(2).inject(injection).run(&data(50)).unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().lines().count()), (2, 5), "{error}");
}

/// One worker loses nothing; two that write the same parameters all the time do; other modes are not measured. Two
/// that share a core with other programs may run one after the other: then nothing is lost, and it is tried again.
#[test]
fn what_racy_mode_loses_is_counted() {
    let data = data(5000);
    let lost = |workers, update, block| {
        let trainer = trainer(workers).update(update).block(BlockSize::Rows(block)).epochs(20.0);
        trainer.run(&data).unwrap().lost
    };
    for block in [1, 50] {
        // All additions, or those of a second.
        let all = 20 * 20 * 5000;
        let alone = lost(1, Update::Racy, block).unwrap();
        assert!(alone.additions > 0 && alone.additions <= all && alone.lost == 0, "{alone:?}");
        // Wherever the run itself starts from.
        let warm = trainer(1).update(Update::Racy).block(BlockSize::Rows(block)).start(&[-1.0f32; 1000]);
        assert_eq!(warm.run(&data).unwrap().lost.unwrap().lost, 0);
        let mut both = (0..50).map(|_| lost(2, Update::Racy, block).unwrap());
        let both = both.find(|both| both.lost > 0).expect("fifty runs in which the workers never met");
        assert!(both.additions <= all);
        assert!(both.lost < both.additions / 2, "{both:?}");
    }
    assert_eq!(lost(2, Update::Cas, 1), None);
    let adam =
        trainer(1).update(Update::Racy).optimizer("adam".parse().unwrap()).epochs(1.0).run(&data).unwrap();
    assert_eq!(adam.lost, None);
    assert!(
        adam.plan.warnings.iter().any(|line| line.contains("not counted with adam")),
        "{:?}",
        adam.plan.warnings
    );
}

/// Ten minutes of as many workers as a page promises to hold, each with delays of all sizes in every interval.
#[test]
fn a_long_run_makes_a_small_record() {
    for (workers, ticks) in [(8, 6000), (64, 700)] {
        let mut recorders: Vec<_> = (0..workers).map(|_| Recorder::new()).collect();
        let mut timeline = Timeline::new(workers);
        let snapshots = |recorders: &[Recorder]| -> Vec<_> {
            recorders.iter().map(|recorder| recorder.reader().snapshot()).collect()
        };
        for tick in 1..=ticks {
            for (worker, recorder) in recorders.iter_mut().enumerate() {
                let delay = 1 << ((tick * 7 + worker as u64 * 3) % 24);
                recorder.record(delay + delay / 3, 1.0 / 3.0);
            }
            let now = Duration::from_millis(600_000 / ticks * tick);
            if timeline.is_due(now) {
                let all = snapshots(&recorders);
                timeline.cut(now, all.clone(), all);
            }
        }
        let delays = snapshots(&recorders);
        let timing = |delays: &Profile| Timing {
            every: 64,
            sample_cost: 100.0,
            ticket_delay: delays.clone(),
            writers: delays.clone(),
            staleness: delays.clone(),
            compute: delays.clone(),
            write: delays.clone(),
            quick: Profile::default(),
            slow: Profile::default(),
        };
        let timings: Vec<Timing> = delays.iter().map(timing).collect();
        let json = serde_json::to_vec(&Profiling::new(&delays, &timings, &timeline)).unwrap();
        // Beside it a page has the objectives of 2,000 epochs, and 0.1 MB of its own.
        assert!(json.len() < 2_500_000, "{workers} workers: {} bytes", json.len());
    }
}
