//! Objectives: what is trained. They see parameters through [`Weights`](crate::Weights) and
//! [`Sink`](crate::Sink) only, so the same code runs wherever the parameters live.

mod certificate;
mod choice;
mod cholesky;
mod confusion;
mod dual;
mod factorization;
mod factors;
mod field;
mod file;
#[cfg(all(test, not(loom)))]
mod gradient_check;
mod kind;
mod linear;
mod loss;
mod machine;
mod metrics;
mod network;
mod newton;
mod objective;
mod preconditioner;
mod scaled;
mod shortest;
mod skipgram;
mod spec;
mod weighted;

pub use certificate::Gap;
pub use choice::{Activation, ModelSpec};
pub use confusion::Confusion;
pub use dual::Dual;
pub use factorization::{Factorization, MatrixFactorization, Pairs};
pub use factors::Factors;
pub use field::{FieldLayout, FieldMachine, Fields, PairFactors};
pub use file::{ModelFormat, Precision, SavedModel, Tensor, TensorModel};
pub use kind::LossKind;
pub use linear::{Linear, Residuals};
pub use loss::{HingeLoss, HuberLoss, LogisticLoss, Loss, SquaredHingeLoss, SquaredLoss};
pub use machine::{FactorizationMachine, Machine, MachineLayout, Sums};
pub use metrics::{Metrics, scores};
pub use network::{Layer, Network, NetworkObjective, NetworkOutput, Pass, Shape};
pub use newton::Newton;
pub use objective::{Curvature, Grid, LinearVisitor, Model, Objective, Parts};
pub use scaled::{Scaled, Scheme};
pub use skipgram::{Embedding, Moves, SkipGram};
pub use spec::{Hinge, Huber, LinearModel, Logistic, Squared, SquaredHinge};
pub use weighted::{ClassWeights, Weighted};
