//! Training on examples that arrive one batch after the other.
#![cfg(not(loom))]

use asyncsgd::{
    Batches, Error, Hogwild, Loader, Online, Rows, Weights,
    data::Stored,
    model::{HuberLoss, LogisticLoss, Loss, LossKind, SquaredLoss},
    step, stream,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One row with feature `id` alone.
fn one(id: u32, features: usize) -> Rows {
    Rows::new(vec![0, 1], vec![id], vec![1.0], features).unwrap()
}

#[test]
fn every_example_of_every_producer_is_learnt_once() {
    // Feature j has label 1 at each of its rows: with rate 1/2 the parameter's error halves at each.
    let features = 50;
    let shared = Hogwild::<f64>::new(features, step::constant(0.5)).unwrap();
    let (feed, examples) = stream(features, 2);
    let told = std::thread::scope(|scope| {
        for producer in 0..5u32 {
            let feed = feed.clone();
            scope.spawn(move || {
                for id in 0..10 {
                    for _ in 0..4 {
                        feed.send(one(10 * producer + id, features), vec![1.0]).unwrap();
                    }
                }
            });
        }
        drop(feed);
        Online::new(SquaredLoss).workers(3).run(&shared, examples).unwrap()
    });
    assert_eq!((told.examples, shared.iterations(), shared.workers()), (200, 200, 0));
    assert_eq!(told.workers.iter().map(|worker| worker.delays.count()).sum::<u64>(), 200);
    // Two workers may have the same feature at once, and read the same value; nothing is lost all the same.
    assert!(
        shared.params().snapshot().iter().all(|&w| (0.85..=1.6).contains(&w)),
        "{:?}",
        shared.params().snapshot()
    );
}

#[test]
fn the_loss_is_that_before_the_update() {
    let shared = Hogwild::<f64>::new(1, step::constant(0.5)).unwrap();
    let (feed, examples) = stream(1, 8);
    for _ in 0..4 {
        feed.send(one(0, 1), vec![1.0]).unwrap();
    }
    drop(feed);
    let told = Online::new(SquaredLoss).workers(1).run(&shared, examples).unwrap();
    // Errors 1, 1/2, 1/4, 1/8, and half their squares.
    let expected = (1.0 + 0.25 + 0.0625 + 0.015_625) / 2.0 / 4.0;
    assert_eq!((told.loss, shared.params().get(0)), (expected, 0.9375));
}

#[test]
fn producers_wait_for_the_workers() {
    /// Takes its time.
    #[derive(Clone, Copy)]
    struct Slow;
    static LEARNT: AtomicU64 = AtomicU64::new(0);
    impl Loss for Slow {
        fn kind(self) -> LossKind {
            LossKind::Squared
        }
        fn loss(self, z: f64, y: f64) -> f64 {
            SquaredLoss.loss(z, y)
        }
        fn derivative(self, z: f64, y: f64) -> f64 {
            std::thread::sleep(Duration::from_millis(1));
            LEARNT.fetch_add(1, Ordering::Relaxed);
            SquaredLoss.derivative(z, y)
        }
        fn derivative_f32(self, z: f32, y: f32) -> f32 {
            SquaredLoss.derivative_f32(z, y)
        }
        fn curvature(self, y: f64) -> f64 {
            SquaredLoss.curvature(y)
        }
        fn second_derivative(self, z: f64, y: f64) -> f64 {
            SquaredLoss.second_derivative(z, y)
        }
        fn conjugate(self, u: f64, y: f64) -> f64 {
            SquaredLoss.conjugate(u, y)
        }
        fn feasible(self, u: f64, y: f64) -> f64 {
            SquaredLoss.feasible(u, y)
        }
        fn dual_step<T: asyncsgd::Real>(self, z: T, y: T, before: T, q: T) -> T {
            SquaredLoss.dual_step(z, y, before, q)
        }
    }
    let shared = Hogwild::<f32>::new(1, step::constant(0.1)).unwrap();
    let (feed, examples) = stream(1, 3);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for sent in 1..=100u64 {
                feed.send(one(0, 1), vec![1.0]).unwrap();
                // Three wait, and each of two workers may have one.
                let ahead = sent - LEARNT.load(Ordering::Relaxed);
                assert!(ahead <= 3 + 2, "{ahead} batches are on their way");
            }
        });
        assert_eq!(Online::new(Slow).workers(2).run(&shared, examples).unwrap().examples, 100);
    });
}

#[test]
fn what_cannot_be_learnt_ends_the_stream_with_a_reason() {
    let shared = Hogwild::<f32>::new(2, step::constant(0.1)).unwrap();
    let (feed, examples) = stream(2, 1);
    assert!(matches!(feed.send(one(0, 3), vec![1.0]), Err(Error::Usage(_))));
    assert!(matches!(feed.send(one(0, 2), vec![]), Err(Error::Usage(_))));
    // Who sends it is told, and the stream goes on.
    let wrong = Rows::new(vec![0, 1], vec![0], vec![f32::NAN], 2).unwrap();
    let told = feed.send(wrong, vec![1.0]).unwrap_err().to_string();
    assert_eq!(told, "stream: found value NaN, expected a finite number");
    let outcome = std::thread::scope(|scope| {
        let producer = scope.spawn(move || {
            // The third is refused at last, when nobody is there to take it.
            (0..1000).map(|i| feed.send(one(0, 2), vec![if i < 2 { 1.0 } else { 3.0 }])).find_map(Result::err)
        });
        let outcome = Online::new(LogisticLoss).workers(2).run(&shared, examples);
        assert!(producer.join().unwrap().unwrap().to_string().contains("has ended"));
        outcome
    });
    assert_eq!(outcome.unwrap_err().to_string(), "stream: found label 3, expected -1 or 1");

    let (feed, examples) = stream(3, 1);
    drop(feed);
    let wrong = Online::new(HuberLoss { delta: 1.0 }).workers(0).run(&shared, examples).unwrap_err();
    assert_eq!(wrong.to_string().lines().count(), 2, "{wrong}");
}

#[test]
fn a_handle_watches_a_stream_changes_its_rate_and_ends_it() {
    let shared = Hogwild::<f64>::new(2, step::constant(0.5)).unwrap();
    let (feed, examples) = stream(2, 4);
    let online = Online::new(SquaredLoss).workers(2);
    let live = online.live();
    assert_eq!((live.progress().examples, live.delays().len(), live.is_over()), (0, 0, false));
    let told = std::thread::scope(|scope| {
        let training = scope.spawn(|| online.run(&shared, examples).unwrap());
        let learnt = |examples: u64| {
            while live.progress().examples < examples {
                std::thread::yield_now();
            }
        };
        feed.send(one(0, 2), vec![1.0]).unwrap();
        learnt(1);
        assert_eq!((shared.params().get(0), live.progress().loss), (0.5, 0.5));
        live.scale_rate(0.0);
        feed.send(one(1, 2), vec![1.0]).unwrap();
        learnt(2);
        assert_eq!(shared.params().get(1), 0.0, "a parameter moved at a rate of 0");
        live.scale_rate(0.5);
        feed.send(one(1, 2), vec![1.0]).unwrap();
        learnt(3);
        assert_eq!(shared.params().get(1), 0.25);
        assert_eq!(live.delays().iter().map(|delays| delays.count()).sum::<u64>(), 3);
        assert!(!live.is_over() && live.progress().seconds > 0.0);
        // The feed is open and silent.
        live.stop();
        training.join().unwrap()
    });
    assert_eq!((told.examples, told.stopped, live.is_over()), (3, true, true));
    assert!(feed.send(one(0, 2), vec![1.0]).is_err(), "a stream that nobody takes from");
}

/// An observer that panics ends the workers too, though the stream goes on.
#[test]
fn a_panic_of_the_observer_is_the_callers() {
    let shared = Hogwild::<f32>::new(1, step::constant(0.5)).unwrap();
    let (feed, examples) = stream(1, 1);
    let run = || Online::new(SquaredLoss).workers(2).observe(|_| panic!("observed")).run(&shared, examples);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"observed"));
    assert_eq!(shared.workers(), 0);
    drop(feed);
}

/// A reader whose lines come one by one, and which tells how many were asked for.
struct Slow(std::sync::Arc<AtomicU64>);

impl std::io::Read for Slow {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        out[..6].copy_from_slice(b"1 1:1\n");
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(6)
    }
}

#[test]
fn rows_are_there_as_soon_as_their_line_is() {
    let asked = std::sync::Arc::new(AtomicU64::new(0));
    let mut batches = Batches::new("slow", Slow(std::sync::Arc::clone(&asked)), 1, false);
    for row in 1..5 {
        let (rows, labels) = batches.next().unwrap().unwrap();
        assert_eq!((rows.len(), &labels[..]), (1, &[1.0][..]));
        // One more than needed tells from the first bytes what kind of text it is.
        assert!(
            asked.load(Ordering::Relaxed) <= row + 1,
            "{} reads for {row} rows",
            asked.load(Ordering::Relaxed)
        );
    }
}

#[test]
fn rows_before_a_wrong_one_are_not_lost() {
    let read = |text: &'static str| {
        let mut rows = 0;
        let fault = Batches::new("text", text.as_bytes(), 3, false).binary().find_map(|batch| match batch {
            Ok((batch, labels)) => {
                assert_eq!(batch.len(), labels.len());
                rows += batch.len();
                None
            }
            Err(e) => Some(e.to_string()),
        });
        (rows, fault.unwrap())
    };
    for (text, rows, line) in [
        ("1 1:1\n-1 2:1\n1 1:x\n1 1:1\n", 2, "text:3:"),
        ("1 1:1\n7 2:1\n1 1:1\n", 1, "text:2:"),
        ("1 9:1\n1 1:1\n", 0, "text:1:"),
    ] {
        let (found, fault) = read(text);
        assert!(found == rows && fault.starts_with(line), "{found} rows, {fault}");
    }
}

#[test]
fn batches_are_the_rows_of_the_text() {
    // Longer than several pieces, with comments, blank lines, ids out of order and no newline at the end.
    let mut text = String::from("# a comment\n\n");
    for row in 0..20_000u32 {
        let (a, b) = (row % 97 + 1, 100 + row % 89);
        let sign = if row % 3 == 0 { 1 } else { -1 };
        text += &format!("{sign} {b}:{}.5 {a}:2{}\n", row % 7, if row % 5 == 0 { " # more" } else { "" });
    }
    let text = text.trim_end().to_owned();
    let whole = Loader::bytes("text", text.clone()).load().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    std::fs::write(&path, &packed).unwrap();
    assert_eq!(Batches::features(&path, false).unwrap(), whole.features());

    let expected = |row: usize| {
        let position = whole.order().iter().position(|&r| r as usize == row).unwrap();
        let ids = whole.row(position).iter().map(|(rank, v)| (whole.feature_order()[rank], v));
        let mut ids: Vec<_> = ids.collect();
        ids.sort_by_key(|&(id, _)| id);
        (ids, whole.label(position))
    };
    let (mut row, mut batches) = (0, 0);
    for batch in Batches::open(&path, 188, false).unwrap() {
        let (rows, labels) = batch.unwrap();
        for (found, label) in rows.iter().zip(&labels) {
            if row % 1000 < 2 {
                let found: Vec<_> = found.iter().map(|(id, v)| (id as u32, v)).collect();
                assert_eq!((found, *label), expected(row), "row {row}");
            }
            row += 1;
        }
        batches += 1;
    }
    assert_eq!(row, 20_000);
    assert!(batches > 3, "{batches}");

    std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    let error = Batches::open(&path, 188, false).unwrap().find_map(Result::err).unwrap();
    assert!(error.to_string().contains("a damaged or truncated gzip stream"), "{error}");
    assert_eq!(error.exit_code(), 2);
    let faulty = text + "\n1 189:1\n1 3:x\n";
    let mut batches = Batches::new("text", std::io::Cursor::new(faulty), 188, false);
    let error = batches.find_map(Result::err).unwrap().to_string();
    let expected = "text:20003:3: found index 189, expected at most 188 (as many features as were asked for)";
    assert_eq!(error, expected);
    assert!(batches.next().is_none(), "an error is the end");

    let binary = |text: &'static str| Batches::new("text", text.as_bytes(), 1, false).binary();
    let labels: Vec<f32> = binary("1 1:1\n0 1:1\n-1 1:1").flat_map(|batch| batch.unwrap().1).collect();
    assert_eq!(labels, [1.0, -1.0, -1.0]);
    for text in ["1 1:1\n\n# none\n3 1:2\n1 1:1\n", "1 1:1\n\n\n3 1:2"] {
        let error = binary(text).find_map(Result::err).unwrap().to_string();
        assert_eq!(error, "text:4: found label 3, expected -1 or 0, or 1");
    }
}

/// The only entry in a folder.
fn entry(folder: &std::path::Path) -> std::path::PathBuf {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

#[cfg(unix)]
#[test]
fn stored_batches_are_those_of_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let (text, cache) = (folder.path().join("text"), folder.path().join("cache"));
    let lines = (0..20_000).map(|row| {
        let empty = row % 7 == 0;
        let values = if empty { String::new() } else { format!(" {}:{} 90:0.25", row % 80 + 1, row + 1) };
        format!("{}{values}\n", row % 2)
    });
    std::fs::write(&text, lines.collect::<String>()).unwrap();
    let all = |batches: &mut dyn Iterator<Item = asyncsgd::Result<(Rows, Vec<f32>)>>| {
        let rows = |(rows, labels): (Rows, Vec<f32>)| {
            let row = |row: asyncsgd::Row<'_>| row.iter().collect::<Vec<_>>();
            rows.iter().map(row).zip(labels).collect::<Vec<_>>()
        };
        batches.map(|batch| batch.map(rows)).collect::<asyncsgd::Result<Vec<_>>>().map(|rows| rows.concat())
    };
    let of = |features| Stored::of(&text, &cache, features, false, true);
    let stored = of(None).unwrap();
    assert_eq!(stored.features(), 90);
    let expected = all(&mut Batches::open(&text, 90, false).unwrap().binary()).unwrap();
    for _ in 0..2 {
        assert!(all(&mut stored.batches()).unwrap() == expected, "rows differ");
    }
    let many = stored.batches().nth(1).unwrap().unwrap().0.len();
    assert!((100..10_000).contains(&many), "{many} rows in a batch");

    // It is believed when it is clearly younger than the text, and then the text is not read.
    let file = entry(&cache);
    let later = std::time::SystemTime::now() + Duration::from_secs(10);
    let age = || std::fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
    let kept = std::fs::read(&file).unwrap();
    let mut other = kept.clone();
    let label = 72 + 16 + 4 * 5;
    other[label] ^= 1;
    std::fs::write(&file, &other).unwrap();
    age();
    let told = all(&mut of(Some(100)).unwrap().batches()).unwrap_err().to_string();
    assert!(told.ends_with("found a damaged cache entry, expected a whole one: delete it"), "{told}");
    let few = of(Some(89)).err().unwrap().to_string();
    assert!(few.ends_with("found 90 features, expected at most 89 (as many as were asked for)"), "{few}");
    // A beginning or an end that is damaged, and one of another text, is written anew.
    for cut in [0, 40, kept.len() - 1] {
        std::fs::write(&file, &kept[..cut]).unwrap();
        age();
        assert!(all(&mut of(None).unwrap().batches()).unwrap() == expected);
    }
    age();
    std::fs::write(&text, "1 3:1\n").unwrap();
    let stored = of(None).unwrap();
    assert_eq!((stored.features(), all(&mut stored.batches()).unwrap().len()), (3, 1));
    for (bad, said) in [("1 3:1\n1 x\n", ":2"), ("", "no rows"), ("5 1:1\n", ":1: found label 5")] {
        std::fs::write(&text, bad).unwrap();
        let error = of(None).err().unwrap();
        assert!(error.exit_code() == 2 && error.to_string().contains(said), "{error}");
    }
    assert_eq!(entry(&cache), file);
}
