//! Which worker has which rows.

use std::fmt;
use std::str::FromStr;

use rand::RngExt as _;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Gamma};
use rand_xoshiro::rand_core::SeedableRng;

use super::Stream;
use crate::{Dataset, Error, Result};

/// How often Dirichlet shares are drawn again because a worker was left without rows.
const ATTEMPTS: usize = 100;

/// How the rows are divided among the workers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Partition {
    /// `iid`: equal parts at random.
    Iid,
    /// `by-label`: equal parts of the rows sorted by label, so that most workers see one label only.
    ByLabel,
    /// `dirichlet:A`: each label's rows are divided by shares from a Dirichlet law with all parameters A > 0
    /// (Hsu, Qi and Brown 2019): the smaller A, the more workers differ.
    Dirichlet(f64),
}

/// `data` with its rows in the order of the workers, and where each worker's rows begin: worker w has the
/// rows `starts[w]..starts[w + 1]`, at least one.
///
/// # Errors
/// A usage error where there are more workers than rows, or Dirichlet shares leave a worker without rows.
pub fn partitioned(
    data: &Dataset,
    partition: Partition,
    workers: usize,
    seed: u64,
) -> Result<(Dataset, Vec<usize>)> {
    let rows = data.len();
    if workers == 0 || workers > rows {
        return Err(Error::usage(format!("{rows} rows cannot be divided among {workers} workers")));
    }
    let mut stream = Stream::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..rows).collect();
    order.shuffle(&mut stream);
    let starts = match partition {
        Partition::Iid => equal(rows, workers),
        Partition::ByLabel => {
            order.sort_by(|&a, &b| data.label(a).total_cmp(&data.label(b)));
            equal(rows, workers)
        }
        Partition::Dirichlet(alpha) => {
            let mut drawn = (0..ATTEMPTS).map(|_| dirichlet(data, &order, alpha, workers, &mut stream));
            let whole = drawn.find(|owners| owners.iter().all(|own| !own.is_empty()));
            let owners = whole.ok_or_else(|| {
                Error::usage(format!(
                    "partition {partition}: {ATTEMPTS} draws left one of {workers} workers without rows; \
                     take fewer workers or a larger parameter"
                ))
            })?;
            let mut starts = vec![0];
            owners.iter().for_each(|own| starts.push(starts[starts.len() - 1] + own.len()));
            order = owners.concat();
            starts
        }
    };
    let (mut begins, mut ids, mut values) = (vec![0u64], Vec::new(), Vec::new());
    for &r in &order {
        ids.extend(data.row(r).ids());
        values.extend(data.row(r).values());
        begins.push(ids.len() as u64);
    }
    let labels = order.iter().map(|&r| data.label(r)).collect();
    Ok((Dataset::from_csr(begins, ids, values, labels, data.features())?, starts))
}

/// Where equal parts begin; lengths differ by one at most.
fn equal(rows: usize, workers: usize) -> Vec<usize> {
    (0..=workers).map(|w| w * rows / workers).collect()
}

/// The rows of each worker, by one draw.
fn dirichlet(
    data: &Dataset,
    order: &[usize],
    alpha: f64,
    workers: usize,
    stream: &mut Stream,
) -> Vec<Vec<usize>> {
    let mut labels: Vec<f32> = data.labels().to_vec();
    labels.sort_by(f32::total_cmp);
    labels.dedup();
    let gamma = Gamma::new(alpha, 1.0).expect("the parameter was checked");
    let mut owners = vec![Vec::new(); workers];
    for label in labels {
        // Gamma variables divided by their sum are Dirichlet; their cumulated sums cut [0, total).
        let mut ends = Vec::with_capacity(workers);
        let mut total = 0.0;
        for _ in 0..workers {
            total += gamma.sample(stream);
            ends.push(total);
        }
        for &r in order.iter().filter(|&&r| data.label(r) == label) {
            let at = stream.random_range(0.0..1.0) * total;
            owners[ends.partition_point(|&end| end <= at).min(workers - 1)].push(r);
        }
    }
    owners
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partition::Iid => f.write_str("iid"),
            Partition::ByLabel => f.write_str("by-label"),
            Partition::Dirichlet(alpha) => write!(f, "dirichlet:{alpha}"),
        }
    }
}

impl FromStr for Partition {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match (s, s.strip_prefix("dirichlet:").map(str::parse::<f64>)) {
            ("iid", _) => Ok(Partition::Iid),
            ("by-label", _) => Ok(Partition::ByLabel),
            (_, Some(Ok(alpha))) if alpha.is_finite() && alpha > 0.0 => Ok(Partition::Dirichlet(alpha)),
            _ => Err(Error::usage(format!(
                "partition {s:?}: expected iid, by-label or dirichlet:A with A above 0"
            ))),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn data() -> Dataset {
        let labels: Vec<f32> = (0..60).map(|r| (r % 3) as f32).collect();
        Dataset::from_csr(
            (0..=60).collect(),
            vec![0; 60],
            (0..60).map(|r| r as f32 + 1.0).collect(),
            labels,
            1,
        )
        .unwrap()
    }

    #[test]
    fn parts_hold_each_row_once() {
        let data = data();
        for partition in [Partition::Iid, Partition::ByLabel, Partition::Dirichlet(0.5)] {
            let (parted, starts) = partitioned(&data, partition, 4, 5).unwrap();
            assert_eq!((starts.len(), starts[0], starts[4], parted.len()), (5, 0, 60, 60));
            assert!(starts.windows(2).all(|w| w[0] < w[1]));
            let mut rows: Vec<(i32, i32)> =
                (0..60).map(|r| (parted.row(r).values()[0] as i32, parted.label(r) as i32)).collect();
            rows.sort_unstable();
            assert!(rows.iter().enumerate().all(|(r, &(v, l))| (v, l) == (r as i32 + 1, r as i32 % 3)));
        }
    }

    #[test]
    fn dirichlet_parts_are_as_unequal_as_their_parameter_is_small() {
        let largest = |alpha| -> f64 {
            let (parted, starts) = partitioned(&data(), Partition::Dirichlet(alpha), 4, 5).unwrap();
            let of = |w: usize, label: f32| {
                (starts[w]..starts[w + 1]).filter(|&r| parted.label(r) == label).count() as f64 / 20.0
            };
            [0.0, 1.0, 2.0].map(|label| (0..4).map(|w| of(w, label)).fold(0.0, f64::max)).iter().sum::<f64>()
                / 3.0
        };
        let (even, uneven) = (largest(1000.0), largest(0.1));
        assert!(even < 0.5 && uneven > 0.6, "{even} {uneven}");
    }

    #[test]
    fn by_label_separates_and_impossible_parts_are_refused() {
        let (parted, starts) = partitioned(&data(), Partition::ByLabel, 3, 1).unwrap();
        for w in 0..3 {
            assert!((starts[w]..starts[w + 1]).all(|r| parted.label(r) == w as f32));
        }
        assert!(partitioned(&data(), Partition::Iid, 61, 1).is_err());
        assert!(partitioned(&data(), Partition::Dirichlet(1e-3), 30, 1).is_err());
        assert!("dirichlet:-1".parse::<Partition>().is_err());
        assert_eq!("dirichlet:0.1".parse::<Partition>().unwrap().to_string(), "dirichlet:0.1");
    }
}
