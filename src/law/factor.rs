//! The factors that a speed law is made of, and their text form.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

const MENU: &str = "fixed:T, list:T,T,…, speeds:A..B, uniform:T,SPREAD, exp:MEAN, shifted-exp:SHIFT,MEAN, \
                    lognormal:MEDIAN,SIGMA, pareto:SHAPE[,SCALE], straggler:FACTOR[,WORKERS], half:FACTOR, \
                    on-off:ON,OFF, wave:AMPLITUDE,PERIOD, sample";

/// One factor of a worker's time. The text form is given with each variant.
///
/// Random factors are drawn anew for each gradient, from the worker's own stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Factor {
    /// `fixed:T`: T seconds.
    Fixed(f64),
    /// `list:T,T,…`: the seconds of each worker, as many as there are workers.
    List(Vec<f64>),
    /// `speeds:A..B`: A seconds for the first worker, B for the last, evenly spaced between.
    Speeds(f64, f64),
    /// `uniform:T,S`: uniform in T·(1 ± S), 0 ≤ S < 1.
    Uniform(f64, f64),
    /// `exp:M`: exponential of mean M.
    Exponential(f64),
    /// `shifted-exp:S,M`: S plus an exponential of mean M.
    ShiftedExponential(f64, f64),
    /// `lognormal:M,S`: M·e^(S·z), z standard normal.
    LogNormal(f64, f64),
    /// `pareto:A[,S]`: the least time S (1 if not given) times U^(−1/A), U uniform in (0, 1]. The mean is
    /// S·A/(A − 1) for A > 1, and infinite else.
    Pareto(f64, f64),
    /// `straggler:F[,M]`: F for the last M workers (1 if not given), 1 for the others. F < 1 makes them fast.
    Straggler(f64, usize),
    /// `half:F`: F for the second half of the workers, 1 for the others.
    Half(f64),
    /// `on-off:ON,OFF`: the worker computes only while it is on; it is on and off in turn for exponential
    /// times of these means (a two-state Markov process, started in its stationary law).
    OnOff(f64, f64),
    /// `wave:A,P`: 1 + A·sin(2π(t/P + w/n)) at the virtual time t at which worker w of n starts, 0 ≤ A < 1.
    Wave(f64, f64),
    /// `sample`: the cost of the sample that the gradient is computed at, relative to the mean (for rows of
    /// data: the number of nonzeros).
    Sample,
}

impl Factor {
    /// The factor of `worker`, where it is always the same.
    pub(super) fn constant(&self, worker: usize, workers: usize) -> Option<f64> {
        match *self {
            Factor::Fixed(t) => Some(t),
            Factor::List(ref times) if times.len() == workers => Some(times[worker]),
            Factor::Speeds(a, b) => Some(a + (b - a) * worker as f64 / (workers.max(2) - 1) as f64),
            Factor::Straggler(factor, m) => Some(if worker + m >= workers { factor } else { 1.0 }),
            Factor::Half(factor) => Some(if worker >= workers.div_ceil(2) { factor } else { 1.0 }),
            _ => None,
        }
    }

    /// What is wrong with the parameters, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let at_least_0 = |x: f64| x.is_finite() && x >= 0.0;
        // Exponential times are drawn by their rate, the inverse of the mean.
        let mean_sound = |x: f64| positive(x) && x.recip().is_finite();
        let (sound, wrong) = match *self {
            Factor::Fixed(t) => (positive(t), "the time must be a number above 0"),
            Factor::List(ref times) => {
                (!times.is_empty() && times.iter().all(|&t| positive(t)), "times must be numbers above 0")
            }
            Factor::Speeds(a, b) => (positive(a) && positive(b), "times must be numbers above 0"),
            Factor::Uniform(t, spread) => {
                let sound = positive(t) && (0.0..1.0).contains(&spread) && (t * (1.0 + spread)).is_finite();
                (sound, "needs a time above 0 and a spread in [0, 1), and that their sum is a number")
            }
            Factor::Exponential(mean) => {
                (mean_sound(mean), "the mean must be a number above 0, and its inverse one too")
            }
            Factor::ShiftedExponential(shift, mean) => {
                let sound = at_least_0(shift) && mean_sound(mean);
                (sound, "needs a shift of at least 0 and a mean above 0 whose inverse is a number")
            }
            Factor::LogNormal(median, sigma) => {
                (positive(median) && at_least_0(sigma), "needs a median above 0 and a sigma of at least 0")
            }
            Factor::Pareto(shape, scale) => {
                (positive(shape) && positive(scale), "shape and scale must be numbers above 0")
            }
            Factor::Straggler(factor, _) | Factor::Half(factor) => {
                (positive(factor), "the factor must be a number above 0")
            }
            Factor::OnOff(on, off) => {
                let sound = mean_sound(on) && (off == 0.0 || mean_sound(off)) && (on + off).is_finite();
                (
                    sound,
                    "needs a mean time on above 0 and off of at least 0 whose inverses and sum are numbers",
                )
            }
            Factor::Wave(amplitude, period) => (
                (0.0..1.0).contains(&amplitude) && positive(period),
                "needs an amplitude in [0, 1) and a period above 0",
            ),
            Factor::Sample => (true, ""),
        };
        (!sound).then(|| format!("speed law {self}: {wrong}"))
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Factor::Fixed(t) => write!(f, "fixed:{t}"),
            Factor::List(times) => {
                let times: Vec<String> = times.iter().map(f64::to_string).collect();
                write!(f, "list:{}", times.join(","))
            }
            Factor::Speeds(a, b) => write!(f, "speeds:{a}..{b}"),
            Factor::Uniform(t, spread) => write!(f, "uniform:{t},{spread}"),
            Factor::Exponential(mean) => write!(f, "exp:{mean}"),
            Factor::ShiftedExponential(shift, mean) => write!(f, "shifted-exp:{shift},{mean}"),
            Factor::LogNormal(median, sigma) => write!(f, "lognormal:{median},{sigma}"),
            Factor::Pareto(shape, 1.0) => write!(f, "pareto:{shape}"),
            Factor::Pareto(shape, scale) => write!(f, "pareto:{shape},{scale}"),
            Factor::Straggler(factor, 1) => write!(f, "straggler:{factor}"),
            Factor::Straggler(factor, workers) => write!(f, "straggler:{factor},{workers}"),
            Factor::Half(factor) => write!(f, "half:{factor}"),
            Factor::OnOff(on, off) => write!(f, "on-off:{on},{off}"),
            Factor::Wave(amplitude, period) => write!(f, "wave:{amplitude},{period}"),
            Factor::Sample => f.write_str("sample"),
        }
    }
}

impl FromStr for Factor {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let (name, argument) = s.split_once(':').unwrap_or((s, ""));
        let needs = |what: &str| {
            Error::usage(format!("speed law {s:?}: {name} needs {what}; the factors are {MENU}"))
        };
        let one = |what: &str| argument.parse::<f64>().map_err(|_| needs(what));
        let pair = |separator: &str, default: Option<f64>, what: &str| {
            let (a, b) = match argument.split_once(separator) {
                Some((a, b)) => (a.parse().ok(), b.parse().ok()),
                None => (argument.parse().ok(), default),
            };
            a.zip(b).ok_or_else(|| needs(what))
        };
        Ok(match name {
            "fixed" => Factor::Fixed(one("a time")?),
            "list" => {
                let times = argument.split(',').map(str::parse).collect::<Result<_, _>>();
                Factor::List(times.map_err(|_| needs("times, such as list:1,2,4"))?)
            }
            "speeds" => {
                let (a, b) = pair("..", None, "two times, such as speeds:1..16")?;
                Factor::Speeds(a, b)
            }
            "uniform" => {
                let (t, spread) = pair(",", None, "a time and a spread, such as uniform:1,0.2")?;
                Factor::Uniform(t, spread)
            }
            "exp" => Factor::Exponential(one("a mean")?),
            "shifted-exp" => {
                let (shift, mean) = pair(",", None, "a shift and a mean, such as shifted-exp:0.5,0.5")?;
                Factor::ShiftedExponential(shift, mean)
            }
            "lognormal" => {
                let (median, sigma) = pair(",", None, "a median and a sigma, such as lognormal:1,0.5")?;
                Factor::LogNormal(median, sigma)
            }
            "pareto" => {
                let (shape, scale) = pair(",", Some(1.0), "a shape and perhaps a scale, such as pareto:1.5")?;
                Factor::Pareto(shape, scale)
            }
            "straggler" => {
                let (factor, workers) = argument.split_once(',').unwrap_or((argument, "1"));
                let both = factor.parse().ok().zip(workers.parse().ok());
                let (factor, workers) =
                    both.ok_or_else(|| needs("a factor and perhaps how many, such as straggler:10,2"))?;
                Factor::Straggler(factor, workers)
            }
            "half" => Factor::Half(one("a factor")?),
            "on-off" => {
                let (on, off) = pair(",", None, "two mean times, such as on-off:20,5")?;
                Factor::OnOff(on, off)
            }
            "wave" => {
                let (amplitude, period) = pair(",", None, "an amplitude and a period, such as wave:0.5,100")?;
                Factor::Wave(amplitude, period)
            }
            "sample" if s == "sample" => Factor::Sample,
            "sample" => return Err(needs("no argument")),
            _ => {
                return Err(Error::usage(format!("speed law {s:?}: no such factor; the factors are {MENU}")));
            }
        })
    }
}
