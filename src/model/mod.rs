//! Objectives: what is trained. They see parameters through [`Weights`](crate::Weights) and
//! [`Sink`](crate::Sink) only, so the same code runs wherever the parameters live.

mod certificate;
mod choice;
mod cholesky;
mod dual;
mod file;
mod kind;
mod linear;
mod loss;
mod metrics;
mod network;
mod newton;
mod objective;
mod spec;

pub use certificate::Gap;
pub use choice::{Activation, ModelSpec};
pub use dual::Dual;
pub use file::{ModelFormat, Precision, SavedModel, Tensor, TensorModel};
pub use kind::LossKind;
pub use linear::{Linear, Residuals};
pub use loss::{HingeLoss, HuberLoss, LogisticLoss, Loss, SquaredHingeLoss, SquaredLoss};
pub use metrics::{Metrics, scores};
pub use network::{Layer, Network, NetworkObjective, NetworkOutput, Pass, Shape};
pub use newton::Newton;
pub use objective::{Curvature, LinearVisitor, Model, Objective};
pub use spec::{Hinge, Huber, LinearModel, Logistic, Squared, SquaredHinge};
