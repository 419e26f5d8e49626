//! Tuning a rate on a logarithmic grid.

use rayon::prelude::*;

use crate::Result;

/// How many times the grid is extended before the search gives up.
const EXTENSIONS: usize = 12;

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The best rate.
    pub rate: f64,
    /// What it costs.
    pub cost: f64,
    /// Every rate tried, in increasing order, with its cost; infinite where it failed.
    pub tried: Vec<(f64, f64)>,
}

/// The rate of least cost on a grid of `points` ≥ 3 rates in geometric progression from `least` to `largest`.
///
/// When the best one lies at an edge, the grid is extended there by as many steps as half of it, until it
/// does not: both neighbours of the best rate were tried and cost more, or as much. `None` where no rate
/// succeeds, or the best one still lies at an edge when it has moved by 12 extensions. Of rates that cost
/// the same the smallest is taken. `cost` returns `None` for a rate that fails, such as one that diverges;
/// it is called on rayon's threads, and the result does not depend on their number.
///
/// # Errors
/// The first that `cost` returns, by the order of rates.
pub fn tune(
    least: f64,
    largest: f64,
    points: usize,
    cost: impl Fn(f64) -> Result<Option<f64>> + Sync,
) -> Result<Option<Tuned>> {
    let points = points.max(3);
    let step = (largest / least).ln() / (points - 1) as f64;
    let rate = |i: i64| least * (i as f64 * step).exp();
    let costs = |from: i64, to: i64| -> Result<Vec<f64>> {
        let cost = |i: i64| cost(rate(i)).map(|cost| cost.unwrap_or(f64::INFINITY));
        (from..to).into_par_iter().map(cost).collect()
    };
    let (mut first, mut tried) = (0, costs(0, points as i64)?);
    let more = (points / 2).max(1) as i64;
    for _ in 0..=EXTENSIONS {
        let best = (0..tried.len()).min_by(|&a, &b| tried[a].total_cmp(&tried[b])).unwrap_or(0);
        let none = tried[best] == f64::INFINITY;
        // Where nothing succeeds, smaller rates may.
        if none || best == 0 {
            let mut lower = costs(first - more, first)?;
            first -= more;
            lower.append(&mut tried);
            tried = lower;
        } else if best + 1 == tried.len() {
            let end = first + tried.len() as i64;
            tried.extend(costs(end, end + more)?);
        } else {
            let (best_rate, best_cost) = (rate(first + best as i64), tried[best]);
            let tried =
                tried.into_iter().enumerate().map(|(i, cost)| (rate(first + i as i64), cost)).collect();
            return Ok(Some(Tuned { rate: best_rate, cost: best_cost, tried }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rate_is_never_at_the_edge() {
        for best in [1e-6f64, 0.3, 40.0] {
            let cost = |rate: f64| Ok((rate < 1e3).then(|| (rate / best).ln().abs()));
            let tuned = tune(0.01, 1.0, 21, cost).unwrap().unwrap();
            assert!((tuned.rate / best).ln().abs() <= 0.5 * (100f64).ln() / 20.0 + 1e-9);
            let at = tuned.tried.iter().position(|&(rate, _)| rate == tuned.rate).unwrap();
            assert!(at > 0 && at + 1 < tuned.tried.len());
        }
    }

    #[test]
    fn what_never_succeeds_or_never_ends_is_not_tuned() {
        assert_eq!(tune(0.01, 1.0, 5, |_| Ok(None)).unwrap(), None);
        assert_eq!(tune(0.01, 1.0, 5, |rate| Ok(Some(-rate))).unwrap(), None);
        assert!(tune(0.01, 1.0, 5, |_| Err(crate::Error::usage("no"))).is_err());
    }
}
