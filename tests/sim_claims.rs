//! The claims: determinism on any number of cores, and those that are cheap enough to be examined here.

use asyncsgd::sim::claims::{self, Effort, Verdict};

fn table(name: &str, threads: usize) -> String {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let claim = pool.install(|| claims::run(name, Effort { quick: true, seed: 3 })).unwrap().unwrap();
    serde_json::to_string(&claim).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_cores() {
    for name in ["drop", "stability"] {
        assert_eq!(table(name, 1), table(name, 2), "{name}");
    }
}

/// The others take an optimised program: CI runs `reproduce all --quick`.
#[test]
fn quick_claims_hold() {
    for name in ["identity", "drop", "stability"] {
        let claim = claims::run(name, Effort { quick: true, seed: 0 }).unwrap().unwrap();
        let out: Vec<_> = claim.rows.iter().filter(|row| row.verdict == Verdict::OutOfTolerance).collect();
        assert!(out.is_empty() && claim.holds(), "{name}: {out:?}");
        assert_eq!(claim.name, name);
    }
    assert!(claims::run("nonsense", Effort::default()).is_none());
}
