//! e^x and ln x without branches, tables or calls, and loops over them that are compiled to vectors: the system's take
//! three times as long for the losses of many rows.
//!
//! The polynomials are fdlibm's (Sun Microsystems 1993, e_exp.c and e_log.c); errors stay within 2 units in the last
//! place. The same to the bit on every machine.

use std::array;
use std::f64::consts::{LOG2_E, SQRT_2};

const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// A number to which this is added is rounded to a whole one, which stands in the lowest bits of the sum.
const ROUND: f64 = 1.5 * (1u64 << 52) as f64;

/// The exponent's bits of 1.
const ONE: u64 = 1023 << 52;

/// The values that a loop keeps beside each other.
const TURN: usize = 256;

/// e^x for x from −708 to 709, and its value at the nearer end outside of them; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let x = if x < -708.0 { -708.0 } else { x };
    let x = if x > 709.0 { 709.0 } else { x };
    // x = r + k·ln 2, |r| ≤ ln 2/2.
    let rounded = x * LOG2_E + ROUND;
    let k = rounded - ROUND;
    let (high, low) = (x - k * LN2_HIGH, k * LN2_LOW);
    let r = high - low;
    let t = r * r;
    let c = -1.653_390_220_546_525e-6 + t * 4.138_136_797_057_238e-8;
    let c = 6.613_756_321_437_934e-5 + t * c;
    let c = -2.777_777_777_701_559_3e-3 + t * c;
    let c = 1.666_666_666_666_660_2e-1 + t * c;
    let c = r - t * c;
    let y = 1.0 - ((low - r * c / (2.0 - c)) - high);
    y * f64::from_bits((rounded.to_bits() << 52).wrapping_add(ONE))
}

/// ln x for normal x above 0; a finite number at 0.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    // x = m·2^k, m from √½ on, by which the exponent's bits are those of k + 1023.
    let exponent = x.to_bits().wrapping_sub((SQRT_2 / 2.0).to_bits()).wrapping_add(ONE) >> 52;
    let m = f64::from_bits(x.to_bits().wrapping_sub(exponent << 52).wrapping_add(ONE));
    let k = f64::from_bits(exponent | ROUND.to_bits()) - (ROUND + 1023.0);
    ln_near_one(m - 1.0, k)
}

/// ln(1 + x) for x from 0 to 1, of full precision for small x, too.
#[inline(always)]
pub(crate) fn ln_1p(x: f64) -> f64 {
    let near = x < SQRT_2 - 1.0;
    ln_near_one(if near { x } else { (x - 1.0) / 2.0 }, if near { 0.0 } else { 1.0 })
}

/// ln((1 + f)·2^k) for 1 + f from √½ to √2.
#[inline(always)]
fn ln_near_one(f: f64, k: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let r = 1.531_383_769_920_937_3e-1 + z * 1.479_819_860_511_658_6e-1;
    let r = 1.818_357_216_161_805e-1 + z * r;
    let r = 2.222_219_843_214_978_4e-1 + z * r;
    let r = 2.857_142_874_366_239e-1 + z * r;
    let r = 3.999_999_999_940_942e-1 + z * r;
    let r = z * (6.666_666_666_666_735e-1 + z * r);
    let half = 0.5 * f * f;
    k * LN2_HIGH - ((half - (s * (half + r) + k * LN2_LOW)) - f)
}

/// `out[k]` = `of` the k-th numbers of the inputs, compiled for the machine.
///
/// # Panics
/// If an input is shorter than `out`.
#[inline]
pub(crate) fn map<const K: usize>(inputs: [&[f64]; K], out: &mut [f64], of: impl Fn([f64; K]) -> f64) {
    #[inline(always)]
    fn all<const K: usize>(inputs: [&[f64]; K], out: &mut [f64], of: impl Fn([f64; K]) -> f64) {
        let inputs = inputs.map(|input| &input[..out.len()]);
        for (k, out) in out.iter_mut().enumerate() {
            *out = of(array::from_fn(|i| inputs[i][k]));
        }
    }
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        #[target_feature(enable = "avx2,fma")]
        fn wide<const K: usize>(inputs: [&[f64]; K], out: &mut [f64], of: impl Fn([f64; K]) -> f64) {
            all(inputs, out, of);
        }
        // SAFETY: the instructions are there.
        return unsafe { wide(inputs, out, of) };
    }
    all(inputs, out, of);
}

/// The sum of what `of` makes of the k-th numbers of the inputs, in the same order on every machine.
///
/// # Panics
/// If the inputs are not equally long.
#[inline]
pub(crate) fn sum<const K: usize>(inputs: [&[f64]; K], of: impl Fn([f64; K]) -> f64) -> f64 {
    let n = inputs.first().map_or(0, |input| input.len());
    assert!(inputs.iter().all(|input| input.len() == n), "inputs of one length");
    let (mut sums, mut values) = ([0.0; 8], [0.0; TURN]);
    for start in (0..n).step_by(TURN) {
        let turn = start..(start + TURN).min(n);
        let (values, inputs) = (&mut values[..turn.len()], inputs.map(|input| &input[turn.clone()]));
        map(inputs, values, &of);
        for values in values.chunks(8) {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    sums.iter().sum()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The distance in units in the last place.
    fn off(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn they_are_the_systems_but_for_rounding() {
        for k in 0..200_000u64 {
            let u = (k.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 53) as f64;
            let x = 1417.0 * u - 708.0;
            assert!(off(exp(x), x.exp()) <= 2, "exp {x}");
            assert!(off(exp(u - 0.5), (u - 0.5).exp()) <= 2, "exp {}", u - 0.5);
            for y in [x.exp(), 0.5 + u] {
                assert!(off(ln(y), y.ln()) <= 2, "ln {y}");
            }
            for y in [u, x.exp().min(1.0)] {
                assert!(off(ln_1p(y), y.ln_1p()) <= 2, "ln_1p {y}");
            }
        }
        assert_eq!([exp(0.0), ln(1.0), ln_1p(0.0), 0.0 * ln(0.0)], [1.0, 0.0, 0.0, 0.0]);
        assert_eq!((exp(-1e9), exp(f64::INFINITY)), (exp(-708.0), exp(709.0)));
        assert!(exp(f64::NAN).is_nan() && ln_1p(f64::NAN).is_nan());
    }

    #[test]
    fn loops_take_every_number_once() {
        for n in [0, 1, 7, 8, TURN - 1, TURN, 3 * TURN + 5] {
            let a: Vec<f64> = (0..n).map(|k| k as f64).collect();
            let b = vec![2.0; n];
            let mut out = vec![0.0; n];
            map([&a, &b], &mut out, |[a, b]| a * b);
            assert!(out.iter().enumerate().all(|(k, out)| *out == 2.0 * k as f64));
            assert_eq!(sum([&a, &b], |[a, b]| a * b), (n * n.saturating_sub(1)) as f64);
        }
    }
}
