//! Workers with different data: bias, floors, and the time that random assignment takes.

use rand::RngExt as _;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;

use super::{Axis, Chart, Claim, Effort, Row, Verdict, number, slope};
use crate::Result;
use crate::sim::{Assignment, Law, Quadratic, Simulation, Stream};
use crate::step::{self, StepRule, Threshold};

const WORKERS: usize = 10;
const DIMENSION: usize = 5;

/// f_i = ‖x − c_i‖²/2 with random c_i: L = 1, and the measure is the squared distance to the minimiser.
struct Problem {
    quadratic: Quadratic,
    centres: Vec<Vec<f64>>,
}

impl Problem {
    fn new(seed: u64) -> Result<Self> {
        let mut stream = Stream::seed_from_u64(seed);
        let centre = |_| (0..DIMENSION).map(|_| stream.random_range(-3.0..3.0)).collect();
        let centres: Vec<Vec<f64>> = (0..WORKERS).map(centre).collect();
        let quadratic = Quadratic::new(vec![1.0; DIMENSION])?.centres(&centres);
        Ok(Problem { quadratic, centres })
    }

    fn squared_distance(&self, x: &[f64]) -> f64 {
        x.iter().zip(self.quadratic.minimiser()).map(|(x, c)| (x - c).powi(2)).sum()
    }

    /// ‖Σ w_i·c_i/Σ w_i − mean c‖²: where workers count by `weights`.
    fn weighted_bias(&self, weights: &[f64]) -> f64 {
        let total: f64 = weights.iter().sum();
        let mean: Vec<f64> = (0..DIMENSION)
            .map(|j| self.centres.iter().zip(weights).map(|(c, w)| c[j] * w).sum::<f64>() / total)
            .collect();
        self.squared_distance(&mean)
    }

    fn stationary(&self, rule: StepRule, assignment: Assignment, effort: Effort) -> Result<Stationary> {
        let updates = if effort.quick { 400_000 } else { 4_000_000 };
        let outcome = Simulation::new(WORKERS, format!("speeds:1..{WORKERS}").parse()?)
            .assignment(assignment)
            .step(rule)
            .seed(effort.seed)
            .average_from(updates / 10)
            .iterations(updates)
            .run(&self.quadratic)?;
        let (bias, floor) = outcome
            .average
            .as_ref()
            .map_or((f64::NAN, f64::NAN), |average| (self.squared_distance(&average.x), average.measure));
        let kept: Vec<f64> = outcome.workers.iter().map(|share| share.kept).collect();
        let seconds = outcome.end.seconds / outcome.end.gradients as f64;
        Ok(Stationary { bias, weighted: self.weighted_bias(&kept), floor, seconds })
    }
}

/// Means over a run.
struct Stationary {
    /// The squared distance of the mean parameters.
    bias: f64,
    /// The same of the mean of the centres, by the weights that their workers' gradients got.
    weighted: f64,
    /// The mean squared distance of the parameters.
    floor: f64,
    /// The seconds a gradient.
    seconds: f64,
}

pub(super) fn heterogeneous(effort: Effort) -> Result<Claim> {
    let mut chart = Chart::new(Axis::log("rate η"), Axis::log("floor of the squared distance"));
    let mut rows = bias_and_floors(effort, &mut chart)?;
    rows.extend(late_clients(effort)?);
    rows.extend(lemma_11(effort)?);
    Ok(Claim {
        name: "heterogeneous",
        statement: "When workers have different data, pure assignment finds the rate-weighted minimum, \
                    random assignment (Koloskova, Stich, Jaggi 2022, Algorithm 2) and shuffled assignment \
                    the right one up to a floor; Algorithm 2 computes gradients in the clients' mean time \
                    (Lemma 11)",
        setup: format!(
            "{WORKERS} workers with t_i = i; f_i = ‖x − c_i‖²/2, d = {DIMENSION}; stationary means over {} \
             updates; Lemma 11: seconds until C gradients have arrived, C jobs at a time",
            if effort.quick { "4e5" } else { "4e6" }
        ),
        rows,
        chart,
    })
}

fn bias_and_floors(effort: Effort, chart: &mut Chart) -> Result<Vec<Row>> {
    let problem = Problem::new(effort.seed)?;
    let speeds: Vec<f64> = (1..=WORKERS).map(|t| 1.0 / t as f64).collect();
    let predicted = problem.weighted_bias(&speeds);
    let rates = if effort.quick { vec![0.05, 0.02, 0.005] } else { vec![0.05, 0.02, 0.005, 0.00125] };
    let floors = |assignment| -> Result<Vec<(f64, f64)>> {
        let floor =
            |&rate: &f64| Ok((rate, problem.stationary(step::constant(rate), assignment, effort)?.floor));
        rates.par_iter().map(floor).collect()
    };
    let (pure, random) = (Assignment::Pure, Assignment::Random);
    let (constant, damped) = (step::constant(0.005), step::delay_adaptive(0.005));
    let dropping = step::drop(0.005, Threshold::Concurrencies(2.0));
    let jobs = [
        (constant.clone(), pure),
        (damped.clone(), pure),
        (constant, random),
        (damped, random),
        (dropping, random),
    ];
    let run = |(rule, assignment): (StepRule, Assignment)| problem.stationary(rule, assignment, effort);
    let done: Vec<Stationary> = jobs.into_par_iter().map(run).collect::<Result<_>>()?;
    let [pure, pure_damped, random, random_damped, random_dropping] = &done[..] else {
        unreachable!("five jobs")
    };
    // Updates end where they began, so Σ w·(x̂ − c) = 0: the mean is that of the centres by weights, as far as
    // parameters and weights are independent. Under random assignment both follow who was drawn lately: an effect
    // of the order of rate × delay, 0.005 × 10 to 30.
    let mut rows = vec![
        Row::near("pure, constant: bias² (rate-weighted mean)", predicted, pure.bias, 0.01),
        Row::near(
            "pure, delay-adaptive: bias² (mean weighted by kept mass)",
            pure_damped.weighted,
            pure_damped.bias,
            0.01,
        ),
        Row::between(
            "pure, delay-adaptive: bias² / constant's",
            "more than 1: late clients count less still",
            pure_damped.bias / pure.bias,
            1.0,
            f64::INFINITY,
        ),
        Row::between("random, constant: bias² / pure's", "0", random.bias / pure.bias, 0.0, 0.005),
        Row::near(
            "random, delay-adaptive: bias² (mean weighted by kept mass)",
            random_damped.weighted,
            random_damped.bias,
            0.1,
        ),
        Row::near(
            "random, drop above 2n: bias² (mean weighted by kept mass)",
            random_dropping.weighted,
            random_dropping.bias,
            0.1,
        ),
        Row::near("random: seconds a gradient / pure's", 3.3, random.seconds / pure.seconds, 0.05),
    ];
    for (assignment, expected, tolerance) in
        [(Assignment::Random, 1.0, 0.1), (Assignment::Shuffled, 2.0, 0.2)]
    {
        let points = floors(assignment)?;
        let values: Vec<String> = points.iter().map(|&(_, floor)| number(floor)).collect();
        let what = format!(
            "{} assignment: slope of the floor in the rate (floors {})",
            assignment,
            values.join(" ")
        );
        rows.push(Row::around(what, expected, slope(&points), tolerance));
        chart.line(format!("{assignment} assignment, slope {expected}"), points);
    }
    Ok(rows)
}

/// Whether it matters how late the clients that differ are, as the term √(τ_avg·mean ζ_i²·τ_i) of Theorem 10 has it:
/// the same ζ² all on the two slowest, and all on the two fastest.
fn late_clients(effort: Effort) -> Result<Vec<Row>> {
    let updates = if effort.quick { 400_000 } else { 10_000_000 };
    let times: Vec<f64> = (1..=WORKERS).map(|t| (t * t) as f64).collect();
    let floor = |rate: f64, first: usize| -> Result<f64> {
        let mut centres = vec![vec![0.0]; WORKERS];
        (centres[first][0], centres[first + 1][0]) = (1.0, -1.0);
        let outcome = Simulation::new(WORKERS, Law::list(times.clone())?)
            .assignment(Assignment::Random)
            .in_flight(4)
            .step(step::constant(rate))
            .seed(effort.seed)
            .average_from(updates / 10)
            .iterations(updates)
            .run(&Quadratic::new(vec![1.0])?.centres(&centres))?;
        Ok(outcome.average.map_or(f64::NAN, |average| average.measure))
    };
    // Known from one simulation each.
    let known = [(0.2, 0.57), (0.1, 0.65), (0.05, 0.78), (0.02, 0.94), (0.01, 1.02)];
    let one = |&(rate, expected): &(f64, f64)| -> Result<Row> {
        let ratio = floor(rate, WORKERS - 2)? / floor(rate, 0)?;
        let what = format!(
            "random, 4 jobs, t_i = i², η = {rate}: floor with ζ² on the slowest two / on the fastest two"
        );
        let text = format!("above 1, by Theorem 10's ζ_i²·τ_i; in another simulation {}", number(expected));
        // x² has a relative variance of 2 and forgets in 1/(2η) updates; the ratio is of two means of it.
        let error = 2.0 / (rate * (updates - updates / 10) as f64).sqrt();
        // The other simulation's is unknown.
        let row = Row::around(what, expected, ratio, 0.1 + 3.0 * error).expecting(&text);
        // Late clients that differ do less harm, or as much.
        let opposite = ratio < 1.0 - 3.0 * error;
        Ok(row.known(if opposite { Verdict::DoesNotHold } else { Verdict::NotVisible }))
    };
    // Smaller rates need longer runs.
    let shown = if effort.quick { 3 } else { known.len() };
    known[..shown].par_iter().map(one).collect()
}

/// The mean time of the slowest of C clients drawn from all, over many draws.
fn slowest_of(times: &[f64], clients: usize, effort: Effort) -> f64 {
    let draws = if effort.quick { 20_000 } else { 200_000 };
    let mut stream = Stream::seed_from_u64(effort.seed);
    let mut slowest = || (0..clients).map(|_| times[stream.random_range(0..times.len())]).fold(0.0, f64::max);
    (0..draws).map(|_| slowest()).sum::<f64>() / f64::from(draws)
}

/// The time for C gradients with C in flight where each client is a queue with Poisson arrivals and constant times
/// (M/D/1): with ρ = rate·D/n of them busy it holds ρ + ρ²/(2(1 − ρ)) jobs, and they all hold C.
fn queueing(times: &[f64], clients: usize) -> f64 {
    let n = times.len() as f64;
    let jobs = |rate: f64| -> f64 {
        let busy = times.iter().map(|t| rate * t / n);
        busy.map(|busy| busy + busy * busy / (2.0 * (1.0 - busy))).sum()
    };
    let (mut low, mut high) = (0.0, n / times.iter().copied().fold(0.0, f64::max));
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if jobs(middle) < clients as f64 { low = middle } else { high = middle }
    }
    clients as f64 / low
}

fn lemma_11(effort: Effort) -> Result<Vec<Row>> {
    let two_speeds: Vec<f64> = (0..1000).map(|i| if i < 900 { 10.0 } else { 60.0 }).collect();
    let one_to_ten: Vec<f64> = (1..=10).map(f64::from).collect();
    // Seconds that Algorithm 2 takes for C gradients, C in flight.
    let asynchronous = |times: &[f64], clients: usize| -> Result<f64> {
        let outcome = Simulation::new(times.len(), Law::list(times.to_vec())?)
            .assignment(Assignment::Random)
            .in_flight(clients)
            .step(step::constant(1e-9))
            .seed(effort.seed)
            // The slowest client's part, and with it the time, is then known to some tenths of a percent.
            .gradients(2_000_000)
            .run(&Quadratic::new(vec![1.0])?)?;
        Ok(outcome.end.seconds * clients as f64 / outcome.end.gradients as f64)
    };
    let name = |clients: usize| format!("900 clients of 10 s, 100 of 60 s, C = {clients}");
    let small = asynchronous(&two_speeds, 10)?;
    let middle = asynchronous(&two_speeds, 100)?;
    let all = asynchronous(&two_speeds, 1000)?;
    let (two, ten) = (asynchronous(&one_to_ten, 2)?, asynchronous(&one_to_ten, 10)?);
    let beyond = |what: &str, lemma: f64, queues: f64, other: &str, measured: f64| {
        let text = format!("{} by the lemma; the jobs queue: {}{other}", number(lemma), number(queues));
        Row::near(what, queues, measured, 0.02).expecting(&text).known(Verdict::DoesNotHold)
    };
    let sync = |times: &[f64], clients| number(slowest_of(times, clients, effort));
    Ok(vec![
        Row::near(format!("{}: Algorithm 2, seconds", name(10)), 15.0, small, 0.02),
        Row::near(
            format!("{}: mini-batch of as many clients, seconds", name(10)),
            42.6,
            slowest_of(&two_speeds, 10, effort),
            0.01,
        ),
        beyond(
            &format!("{}: Algorithm 2, seconds (mini-batch {})", name(100), sync(&two_speeds, 100)),
            15.0,
            queueing(&two_speeds, 100),
            "",
            middle,
        ),
        beyond(
            &format!("{}: Algorithm 2, seconds (mini-batch {})", name(1000), sync(&two_speeds, 1000)),
            15.0,
            queueing(&two_speeds, 1000),
            "; another simulation: 60.2",
            all,
        ),
        // Too few clients for Poisson arrivals: known from simulation.
        beyond(
            &format!(
                "10 clients of 1 … 10 s, C = 2: Algorithm 2, seconds (mini-batch {})",
                sync(&one_to_ten, 2)
            ),
            5.5,
            5.9,
            "",
            two,
        ),
        beyond(
            &format!(
                "10 clients of 1 … 10 s, C = 10: Algorithm 2, seconds (mini-batch {})",
                sync(&one_to_ten, 10)
            ),
            5.5,
            11.1,
            "",
            ten,
        ),
    ])
}
