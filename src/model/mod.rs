//! Objectives: what is trained. They see parameters through [`Weights`](crate::Weights) and
//! [`Sink`](crate::Sink) only, so the same code runs wherever the parameters live.

mod linear;
mod loss;
mod objective;
mod spec;

pub use linear::{Linear, Residuals};
pub use loss::{HingeLoss, HuberLoss, LogisticLoss, Loss, LossKind, SquaredHingeLoss, SquaredLoss};
pub use objective::{Curvature, Model, Objective};
pub use spec::{Hinge, Huber, LinearModel, Logistic, Squared, SquaredHinge};
