//! Snapshots taken while the worker records.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use asyncsgd::delay::{Profile, Recorder};

/// How many times a snapshot must hold more than the one before.
const GROWTHS: u64 = 200;

#[test]
fn live_snapshots_count_what_happened_before_and_never_decrease() {
    let mut recorder = Recorder::new();
    let reader = recorder.reader();
    // What the worker says it has recorded, told after each record.
    let told = AtomicU64::new(0);
    let enough = AtomicBool::new(false);
    // Not std's scope, whose end ThreadSanitizer does not see.
    let last = crossbeam::thread::scope(|scope| {
        scope.spawn(|_| {
            for i in 0u64.. {
                // Mostly small, some ever larger, so that the largest is often new.
                recorder.record(if i.is_multiple_of(64) { i * 5 } else { i % 700 }, 0.5);
                told.store(i + 1, Ordering::Release);
                if enough.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut last = Profile::default();
        let mut growths = 0;
        while growths < GROWTHS {
            let before = told.load(Ordering::Acquire);
            let cheap = reader.count();
            let now = reader.snapshot();
            assert!(cheap >= before && now.count() >= cheap, "{} < {cheap} < {before}", now.count());
            // Nothing decreases: every bucket, the sum and the kept mass are at least those of before.
            let between = now.since(&last).expect("a later snapshot holds the earlier one");
            assert_eq!(between.count(), now.count() - last.count());
            assert!(now.max() >= last.max() && now.kept() >= last.kept());
            assert_eq!(now.count(), now.buckets().map(|bucket| bucket.count).sum::<u64>());
            // The totals hold at least what is counted.
            assert!(now.kept_mass() >= 0.5);
            growths += u64::from(now.count() > last.count());
            last = now;
        }
        enough.store(true, Ordering::Relaxed);
        last
    })
    .unwrap();
    let records = told.into_inner();
    assert!(records >= last.count());
    // At rest, everything is exact.
    let rest = reader.snapshot();
    assert_eq!((rest.count(), rest.kept_mass(), rest.saturated()), (records, 0.5, 0));
    assert_eq!(rest.max(), ((records - 1) / 64 * 320).max(records.min(700) - 1));
    let sum = |i: u64| if i.is_multiple_of(64) { i * 5 } else { i % 700 };
    assert_eq!(rest.sum(), (0..records).map(sum).sum::<u64>());
}
