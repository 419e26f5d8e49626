//! Losses of a linear model: ℓ(z, y), with z the row's score w·x and y its label.

use super::kind::LossKind;
use crate::kernel::elementary::{exp, ln, ln_1p};
use crate::real::Real;

/// A loss ℓ(z, y) of score z and label y, with its derivative and a bound on its second derivative in z.
pub trait Loss: Copy + Send + Sync + 'static {
    /// The loss as the command line calls it.
    fn kind(self) -> LossKind;
    /// ℓ(z, y).
    fn loss(self, z: f64, y: f64) -> f64;
    /// dℓ/dz. Where the loss has a kink, a subgradient.
    fn derivative(self, z: f64, y: f64) -> f64;
    /// The same in single precision: the hot loop's form, within 1e-6 of [`Loss::derivative`] for the labels
    /// of the loss.
    fn derivative_f32(self, z: f32, y: f32) -> f32;
    /// A bound on d²ℓ/dz² for this label; for hinge, which has none, the weight that makes its steps behave like
    /// those of a loss of curvature 1.
    fn curvature(self, y: f64) -> f64;
    /// d²ℓ/dz²; where the loss has a kink, that of one side.
    fn second_derivative(self, z: f64, y: f64) -> f64;
    /// The conjugate ℓ*(u) = sup over z of uz − ℓ(z, y), for u that [`Loss::feasible`] returns.
    fn conjugate(self, u: f64, y: f64) -> f64;
    /// The nearest u whose conjugate is finite.
    fn feasible(self, u: f64, y: f64) -> f64;
    /// A step of dual coordinate ascent: the u ≈ ℓ′(z − q(u − before), y), q ≥ 0, which is where the dual is
    /// largest over one coordinate whose value was `before` (Shalev-Shwartz & Zhang 2013). Exact for the losses
    /// of straight and square pieces.
    fn dual_step<T: Real>(self, z: T, y: T, before: T, q: T) -> T;
}

/// x between the bounds; NaN stays NaN, to be noticed.
#[inline]
fn clamp<T: Real>(x: T, low: T, high: T) -> T {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// x·ln(x) for x ≥ 0, 0 at 0.
#[inline(always)]
fn entropy(x: f64) -> f64 {
    x * ln(x)
}

/// ln(1 + e^(−yz)).
#[derive(Debug, Clone, Copy, Default)]
pub struct LogisticLoss;

/// max(0, 1 − yz).
#[derive(Debug, Clone, Copy, Default)]
pub struct HingeLoss;

/// max(0, 1 − yz)².
#[derive(Debug, Clone, Copy, Default)]
pub struct SquaredHingeLoss;

/// (z − y)²/2.
#[derive(Debug, Clone, Copy, Default)]
pub struct SquaredLoss;

/// r²/2 for |r| ≤ δ, else δ(|r| − δ/2), with r = z − y (Huber 1964).
#[derive(Debug, Clone, Copy)]
pub struct HuberLoss {
    /// Where the loss turns from a square to a line; > 0.
    pub delta: f64,
}

impl Default for HuberLoss {
    fn default() -> Self {
        Self { delta: 1.0 }
    }
}

/// 1/(1 + e^(−x)) without overflow for any x, and without a branch: scores change sign as they please.
#[inline(always)]
pub(crate) fn sigmoid(x: f64) -> f64 {
    let e = exp(-x.abs());
    let large = 1.0 / (1.0 + e);
    if x >= 0.0 { large } else { e * large }
}

impl Loss for LogisticLoss {
    fn kind(self) -> LossKind {
        LossKind::Logistic
    }
    #[inline(always)]
    fn loss(self, z: f64, y: f64) -> f64 {
        let m = -y * z;
        // ln(1 + e^m) = max(m, 0) + ln(1 + e^−|m|): neither overflows nor loses small losses.
        m.max(0.0) + ln_1p(exp(-m.abs()))
    }
    #[inline(always)]
    fn derivative(self, z: f64, y: f64) -> f64 {
        -y * sigmoid(-y * z)
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        // e^(yz) may be infinite; 1/∞ = 0 is then the derivative.
        -y / (1.0 + (y * z).exp())
    }
    fn curvature(self, _: f64) -> f64 {
        0.25
    }
    #[inline(always)]
    fn second_derivative(self, z: f64, y: f64) -> f64 {
        // Even in z, and e^−|z| does not overflow.
        let e = exp(-(y * z).abs());
        let large = 1.0 / (1.0 + e);
        e * large * large
    }
    #[inline(always)]
    fn conjugate(self, u: f64, y: f64) -> f64 {
        let a = -u * y;
        entropy(a) + entropy(1.0 - a)
    }
    #[inline(always)]
    fn feasible(self, u: f64, y: f64) -> f64 {
        -(-u * y).clamp(0.0, 1.0) * y
    }
    #[inline]
    fn dual_step<T: Real>(self, z: T, y: T, before: T, q: T) -> T {
        // One Newton step on the score after the step: one exponential, where the exact solution takes several
        // logarithms and reaches a gap no sooner. With the largest curvature between here and there, s(1 − s) for s from
        // p to a, so that the step is never too long: long rows would diverge by that at p alone.
        let (a, p) = (-(before * y), T::ONE / (T::ONE + (y * z).exp()));
        let half = T::from_f32(0.5);
        let (low, high) = if a < p { (a, p) } else { (p, a) };
        let steepest = clamp(half, low, high);
        -(clamp(a + (p - a) / (T::ONE + q * steepest * (T::ONE - steepest)), T::ZERO, T::ONE) * y)
    }
}

impl Loss for HingeLoss {
    fn kind(self) -> LossKind {
        LossKind::Hinge
    }
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        (1.0 - y * z).max(0.0)
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        if y * z < 1.0 { -y } else { 0.0 }
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        if y * z < 1.0 { -y } else { 0.0 }
    }
    fn curvature(self, _: f64) -> f64 {
        1.0
    }
    fn second_derivative(self, _: f64, _: f64) -> f64 {
        0.0
    }
    fn conjugate(self, u: f64, y: f64) -> f64 {
        u * y
    }
    fn feasible(self, u: f64, y: f64) -> f64 {
        -(-u * y).clamp(0.0, 1.0) * y
    }
    #[inline]
    fn dual_step<T: Real>(self, z: T, y: T, before: T, q: T) -> T {
        // An empty row has q = 0 and a score of 0: the quotient is infinite, and 1 is right.
        -(clamp((T::ONE - y * z) / q - before * y, T::ZERO, T::ONE) * y)
    }
}

impl Loss for SquaredHingeLoss {
    fn kind(self) -> LossKind {
        LossKind::SquaredHinge
    }
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        (1.0 - y * z).max(0.0).powi(2)
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        -2.0 * y * (1.0 - y * z).max(0.0)
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        -2.0 * y * (1.0 - y * z).max(0.0)
    }
    fn curvature(self, _: f64) -> f64 {
        2.0
    }
    fn second_derivative(self, z: f64, y: f64) -> f64 {
        if y * z < 1.0 { 2.0 } else { 0.0 }
    }
    fn conjugate(self, u: f64, y: f64) -> f64 {
        u * y + u * u / 4.0
    }
    fn feasible(self, u: f64, y: f64) -> f64 {
        -(-u * y).max(0.0) * y
    }
    #[inline]
    fn dual_step<T: Real>(self, z: T, y: T, before: T, q: T) -> T {
        let two = T::ONE + T::ONE;
        let a = two * (T::ONE - y * z - q * before * y) / (T::ONE + two * q);
        -(if a < T::ZERO { T::ZERO } else { a } * y)
    }
}

impl Loss for SquaredLoss {
    fn kind(self) -> LossKind {
        LossKind::Squared
    }
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        (z - y).powi(2) / 2.0
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        z - y
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        z - y
    }
    fn curvature(self, _: f64) -> f64 {
        1.0
    }
    fn second_derivative(self, _: f64, _: f64) -> f64 {
        1.0
    }
    fn conjugate(self, u: f64, y: f64) -> f64 {
        u * y + u * u / 2.0
    }
    fn feasible(self, u: f64, _: f64) -> f64 {
        u
    }
    #[inline]
    fn dual_step<T: Real>(self, z: T, y: T, before: T, q: T) -> T {
        (z - y + q * before) / (T::ONE + q)
    }
}

impl Loss for HuberLoss {
    fn kind(self) -> LossKind {
        LossKind::Huber
    }
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        let r = (z - y).abs();
        if r <= self.delta { r * r / 2.0 } else { self.delta * (r - self.delta / 2.0) }
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        (z - y).clamp(-self.delta, self.delta)
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        let delta = self.delta as f32;
        (z - y).clamp(-delta, delta)
    }
    fn curvature(self, _: f64) -> f64 {
        1.0
    }
    fn second_derivative(self, z: f64, y: f64) -> f64 {
        if (z - y).abs() < self.delta { 1.0 } else { 0.0 }
    }
    fn conjugate(self, u: f64, y: f64) -> f64 {
        u * y + u * u / 2.0
    }
    fn feasible(self, u: f64, _: f64) -> f64 {
        u.clamp(-self.delta, self.delta)
    }
    #[inline]
    fn dual_step<T: Real>(self, z: T, y: T, before: T, q: T) -> T {
        let delta = T::from_f64(self.delta);
        clamp((z - y + q * before) / (T::ONE + q), -delta, delta)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::weighted::Weighted;
    use super::*;

    fn check<L: Loss>(loss: L) {
        let labels: &[f64] = if loss.kind().is_classification() { &[-1.0, 1.0] } else { &[-2.5, 0.0, 0.3] };
        for &y in labels {
            for i in -4001..4001 {
                let z = f64::from(i) * 1e-3 + 1.7e-4; // never on a kink
                let h = 1e-6;
                let numeric = (loss.loss(z + h, y) - loss.loss(z - h, y)) / (2.0 * h);
                let exact = loss.derivative(z, y);
                assert!(
                    (numeric - exact).abs() < 1e-6,
                    "{}: z {z}, y {y}: {numeric} vs {exact}",
                    loss.kind()
                );
                let single = f64::from(loss.derivative_f32(z as f32, y as f32));
                assert!((single - exact).abs() < 2e-6, "{}: z {z}, y {y}: {single} vs {exact}", loss.kind());
                let second = (loss.derivative(z + h, y) - loss.derivative(z - h, y)) / (2.0 * h);
                assert!(second <= loss.curvature(y) * (1.0 + 1e-6), "{}: {second}", loss.kind());
            }
            for z in [-1e30, -1e4, 1e4, 1e30] {
                assert!(!loss.loss(z, y).is_nan() && !loss.derivative(z, y).is_nan());
                assert!(!loss.derivative_f32(z as f32, y as f32).is_nan(), "{} at {z}", loss.kind());
            }
        }
    }

    /// Fenchel: ℓ(z) + ℓ*(u) ≥ uz for every feasible u, with equality at u = ℓ′(z); and the dual step solves its
    /// equation, the logistic one after a few repetitions.
    fn check_dual<L: Loss>(loss: L) {
        let labels: &[f64] = if loss.kind().is_classification() { &[-1.0, 1.0] } else { &[-2.5, 0.0, 0.3] };
        for &y in labels {
            for i in -40..40 {
                let z = f64::from(i) * 0.1 + 0.017; // never on a kink
                let slack = |u: f64| loss.loss(z, y) + loss.conjugate(u, y) - u * z;
                let at = loss.derivative(z, y);
                assert!(slack(at).abs() < 1e-12, "{}: z {z}, y {y}: {}", loss.kind(), slack(at));
                let h = 1e-6;
                let numeric = (loss.derivative(z + h, y) - loss.derivative(z - h, y)) / (2.0 * h);
                assert!((numeric - loss.second_derivative(z, y)).abs() < 1e-6, "{}: {numeric}", loss.kind());
                for j in -30..30 {
                    let before = loss.feasible(f64::from(j) * 0.1, y);
                    assert_eq!(loss.feasible(before, y), before);
                    assert!(slack(before) >= -1e-12, "{}: z {z}, y {y}, u {before}", loss.kind());
                    let q = 1.3;
                    let (mut u, mut score) = (before, z);
                    for _ in 0..40 {
                        u = loss.dual_step(score, y, u, q);
                        score = z - q * (u - before);
                    }
                    // A step may fall short of the largest dual value, but the dual never falls, however long the row.
                    let u_long = loss.dual_step(z, y, before, 100.0);
                    let dual = |u: f64| z * u - loss.conjugate(u, y) - 50.0 * (u - before).powi(2);
                    let (now, then) = (dual(u_long), dual(before));
                    assert!(now >= then - 1e-9 * then.abs().max(1.0), "{}: {now} < {then}", loss.kind());
                    let slack = loss.loss(score, y) + loss.conjugate(u, y) - u * score;
                    assert!(slack.abs() < 1e-9, "{}: z {z}, y {y}, {before} to {u}: {slack}", loss.kind());
                }
            }
        }
    }

    #[test]
    fn duals_are_conjugate_and_their_steps_exact() {
        check_dual(LogisticLoss);
        check_dual(HingeLoss);
        check_dual(SquaredHingeLoss);
        check_dual(SquaredLoss);
        check_dual(HuberLoss { delta: 0.7 });
        LossKind::ALL.into_iter().for_each(check_dual);
        let weighted = |kind| check_dual(Weighted::new(kind, [0.4, 1.5]));
        LossKind::ALL.into_iter().for_each(weighted);
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        check(LogisticLoss);
        check(HingeLoss);
        check(SquaredHingeLoss);
        check(SquaredLoss);
        check(HuberLoss { delta: 0.7 });
        LossKind::ALL.into_iter().for_each(check);
        LossKind::ALL.into_iter().for_each(|kind| check(Weighted::new(kind, [0.4, 1.5])));
    }

    #[test]
    fn logistic_loss_is_exact_at_both_ends() {
        assert_eq!(LogisticLoss.loss(0.0, 1.0), std::f64::consts::LN_2);
        assert_eq!(LogisticLoss.loss(-1000.0, 1.0), 1000.0);
        assert!(LogisticLoss.loss(40.0, 1.0) > 4e-18);
    }
}
