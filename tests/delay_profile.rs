//! The recorder against the hdrhistogram crate, and profiles as plain data.

use asyncsgd::delay::{LARGEST, Profile, Profiles, Recorder};
use hdrhistogram::Histogram;
use proptest::prelude::*;

fn profile(delays: &[u64]) -> Profile {
    let mut recorder = Recorder::new();
    for &delay in delays {
        recorder.record(delay, 1.0);
    }
    recorder.reader().snapshot()
}

/// HDR with five digits: exact below 200,000 and 100,000 steps an octave above, finer than what is tested.
fn oracle(delays: &[u64]) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_max(delays.iter().copied().max().unwrap().max(2), 5).unwrap();
    for &delay in delays {
        histogram.record(delay).unwrap();
    }
    histogram
}

/// The q/10,000-quantile by sorting: the smallest value that at least that share of values do not exceed.
fn by_sorting(delays: &[u64], q: u32) -> u64 {
    let mut sorted = delays.to_vec();
    sorted.sort_unstable();
    sorted[(q as usize * sorted.len()).div_ceil(10_000).max(1) - 1]
}

/// In ten thousandths.
const QUANTILES: [u32; 14] = [0, 10, 100, 1000, 2500, 2999, 5000, 5500, 7500, 9000, 9900, 9990, 9999, 10_000];

fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..20,
        2 => 0u64..600,
        2 => 0u64..5000,
        1 => (0u32..41).prop_flat_map(|bits| 0..=(LARGEST >> (40 - bits.min(40)))),
        1 => (8u32..40, -1i64..2).prop_map(|(e, by)| (1u64 << e).wrapping_add_signed(by)),
    ]
}

fn delays() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(delay(), 1..400)
}

proptest! {
    #[test]
    fn quantiles_agree_with_hdrhistogram(delays in delays()) {
        let (profile, oracle) = (profile(&delays), oracle(&delays));
        for q in QUANTILES {
            let share = f64::from(q) / 1e4;
            let found = profile.quantile(share);
            let exact = by_sorting(&delays, q);
            prop_assert!(found >= exact && (found - exact) as f64 <= exact as f64 / 256.0, "{q}: {found} {exact}");
            // They round q·n up even if only rounding made it pass a whole number.
            let theirs = oracle.value_at_quantile(share.next_down());
            if theirs < 512 {
                prop_assert_eq!(found, theirs);
            } else {
                // Their value may be 1/100,000 above the exact one, ours 1/256.
                let (found, theirs) = (found as f64, theirs as f64);
                prop_assert!(found >= theirs * (1.0 - 1e-5) && found <= theirs * (1.0 + 1.0 / 256.0));
            }
        }
    }

    #[test]
    fn totals_are_exact(delays in delays(), weight in 0.0..2.0f64) {
        let mut recorder = Recorder::new();
        for (i, &delay) in delays.iter().enumerate() {
            recorder.record(delay, if i % 2 == 0 { weight } else { 1.0 });
        }
        let profile = recorder.reader().snapshot();
        let n = delays.len();
        prop_assert_eq!(profile.count(), n as u64);
        prop_assert_eq!(recorder.count(), n as u64);
        prop_assert_eq!(profile.sum(), delays.iter().sum::<u64>());
        prop_assert_eq!(profile.max(), *delays.iter().max().unwrap());
        prop_assert_eq!(profile.mean(), delays.iter().sum::<u64>() as f64 / n as f64);
        let kept = n.div_ceil(2) as f64 * weight + (n / 2) as f64;
        prop_assert!((profile.kept_mass() - kept / n as f64).abs() < 1e-9);
        prop_assert_eq!(profile.saturated(), 0);
        prop_assert_eq!(profile.buckets().map(|b| b.count).sum::<u64>(), n as u64);
        for bucket in profile.buckets() {
            let inside = delays.iter().filter(|d| (bucket.lowest..=bucket.highest).contains(d)).count();
            prop_assert_eq!(bucket.count, inside as u64);
        }
    }

    #[test]
    fn merging_is_recording_both(a in delays(), b in delays()) {
        let mut merged = profile(&a);
        merged.merge(&profile(&b));
        prop_assert_eq!(&merged, &profile(&[a.clone(), b.clone()].concat()));
        let overall = Profiles { workers: vec![profile(&a), profile(&b)] }.overall();
        prop_assert_eq!(overall, merged);
    }

    #[test]
    fn intervals_are_what_came_between(a in delays(), b in delays()) {
        let mut recorder = Recorder::new();
        let reader = recorder.reader();
        a.iter().for_each(|&delay| recorder.record(delay, 1.0));
        let earlier = Profiles::read([&reader]);
        b.iter().for_each(|&delay| recorder.record(delay, 0.5));
        let now = Profiles::read([&reader]);
        let between = now.since(&earlier).unwrap().workers.remove(0);
        let expected = profile(&b);
        prop_assert_eq!(between.count(), expected.count());
        prop_assert_eq!(between.sum(), expected.sum());
        prop_assert_eq!(between.kept(), 0.5 * b.len() as f64);
        let counts = |p: &Profile| p.buckets().map(|b| (b.lowest, b.count)).collect::<Vec<_>>();
        prop_assert_eq!(counts(&between), counts(&expected));
        prop_assert!(between.max() >= expected.max());
        prop_assert!((between.max() - expected.max()) as f64 <= expected.max() as f64 / 256.0);
        let nothing = now.since(&now).unwrap();
        prop_assert_eq!(nothing.overall(), Profile::default());
        // Backwards, there is no interval.
        prop_assert!(earlier.since(&now).is_none());
        prop_assert!(now.since(&Profiles::default()).is_none());
    }

    #[test]
    fn hdr_histograms_keep_counts_and_quantiles(delays in delays()) {
        let profile = profile(&delays);
        let histogram = profile.to_hdr();
        prop_assert_eq!(histogram.len(), profile.count());
        for q in QUANTILES {
            let share = f64::from(q) / 1e4;
            let (found, theirs) = (profile.quantile(share), histogram.value_at_quantile(share.next_down()));
            if found < profile.max() {
                prop_assert_eq!(found, theirs);
            } else {
                prop_assert_eq!(theirs, histogram.highest_equivalent(found));
            }
        }
        let back = Profile::from_hdr(&histogram);
        prop_assert_eq!(back.count(), profile.count());
        let counts = |p: &Profile| p.buckets().map(|b| (b.lowest, b.count)).collect::<Vec<_>>();
        prop_assert_eq!(counts(&back), counts(&profile));
    }
}

#[test]
fn values_above_the_range_saturate_and_are_counted() {
    let mut recorder = Recorder::new();
    for delay in [7, LARGEST, LARGEST + 1, 1 << 50, u64::MAX] {
        recorder.record(delay, 1.0);
    }
    let profile = recorder.reader().snapshot();
    assert_eq!((profile.count(), profile.saturated(), profile.max()), (5, 3, LARGEST));
    assert_eq!((profile.quantile(1.0), profile.quantile(0.1)), (LARGEST, 7));
    assert_eq!(profile.sum(), 7 + 4 * LARGEST);
    let foreign = Profile::from_hdr(&{
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        histogram.record_n(1 << 50, 2).unwrap();
        histogram.record_n(3, 5).unwrap();
        histogram
    });
    assert_eq!((foreign.count(), foreign.saturated(), foreign.max()), (7, 2, LARGEST));
}

#[test]
fn an_empty_profile_says_nothing() {
    let profile = Recorder::new().reader().snapshot();
    assert_eq!(profile, Profile::default());
    assert_eq!((profile.count(), profile.max(), profile.quantile(0.5)), (0, 0, 0));
    assert_eq!((profile.mean(), profile.kept_mass()), (0.0, 1.0));
    assert_eq!(Profile::from_hdr(&profile.to_hdr()), profile);
}
