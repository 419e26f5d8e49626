//! Objectives: what is trained. They see parameters through [`Weights`](crate::Weights) and
//! [`Sink`](crate::Sink) only, so the same code runs wherever the parameters live.

mod file;
mod linear;
mod loss;
mod metrics;
mod objective;
mod spec;

pub use file::{ModelFormat, Precision, SavedModel};
pub use linear::{Linear, Residuals};
pub use loss::{HingeLoss, HuberLoss, LogisticLoss, Loss, LossKind, SquaredHingeLoss, SquaredLoss};
pub use metrics::{Metrics, scores};
pub use objective::{Curvature, Model, Objective};
pub use spec::{Hinge, Huber, LinearModel, Logistic, Squared, SquaredHinge};
