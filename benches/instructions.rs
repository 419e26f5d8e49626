//! The inner loops, each in a function of its own, for `tools/instructions.sh` to count their instructions: a
//! regression shows without timing. Prints the kernels in use, and the elements that each loop goes through. With
//! four arguments, rows, their mean nonzeros, a block and a number of epochs, trains so by the engine and prints the
//! nonzeros of an epoch: the difference of two numbers of epochs is what an epoch takes. Where all rows are one block, next
//! to none of it is copying and publishing.

use asyncsgd::{
    BlockSize, Dataset, Hogwild, Logistic, Objective, Params, Pin, Sink, Trainer, Update, Weights,
    data::Synthetic,
    kernel::name as kernel_name,
    model::{Linear, LogisticLoss, Residuals},
    params::{Cas, Racy},
    step,
};
use std::hint::black_box;

const DENSE: usize = 1 << 16;

type Bound<'d> = Linear<'d, LogisticLoss>;

#[inline(never)]
fn dot_plain(data: &Dataset, w: &[f32]) {
    for row in data.rows().iter() {
        black_box(w.dot(row));
    }
}

#[inline(never)]
fn dot_shared(data: &Dataset, params: &Params<f32>) {
    for row in data.rows().iter() {
        black_box(params.dot(row));
    }
}

/// One example after the other: gradient and step.
#[inline(always)]
fn train<P: Weights<f32> + ?Sized, S: Sink<f32>>(model: &Bound<'_>, read: &P, mut write: impl FnMut() -> S) {
    let mut gradient: Residuals<f32> = Objective::<f32>::buffer(model);
    for i in 0..Objective::<f32>::examples(model) {
        model.gradient(i..i + 1, read, &mut gradient);
        model.descend(&gradient, 0.1, &mut write());
    }
}

#[inline(never)]
fn train_plain(model: &Bound<'_>, w: &mut [f32]) {
    let mut gradient: Residuals<f32> = Objective::<f32>::buffer(model);
    for i in 0..Objective::<f32>::examples(model) {
        model.gradient(i..i + 1, &*w, &mut gradient);
        model.descend(&gradient, 0.1, w);
    }
}

#[inline(never)]
fn train_racy(model: &Bound<'_>, params: &Params<f32>) {
    train(model, params, || params.writer::<Racy>());
}

#[inline(never)]
fn train_cas(model: &Bound<'_>, params: &Params<f32>) {
    train(model, params, || params.writer::<Cas>());
}

/// As with several workers, which ask for the cache lines of a row before they read it.
#[inline(never)]
fn train_claiming(model: &Bound<'_>, shared: &Hogwild<f32>) {
    train(model, shared.params(), || shared.params().writer::<Cas>());
}

/// Updates of one parameter: what the clock, the step rule and the recorder take.
#[inline(never)]
fn update(shared: &Hogwild<f32>, updates: usize) {
    let mut worker = shared.worker();
    let mut ticket = worker.begin();
    for _ in 0..updates {
        ticket = worker.apply(ticket, &[black_box(1e-9f32)][..]).next;
    }
}

/// One worker of the engine, whose only evaluation is at the end.
fn engine(data: &Dataset, block: usize, epochs: usize) {
    let trainer = Trainer::new(Logistic::l2(1e-3)).workers(1).pin(Pin::None).block(BlockSize::Rows(block));
    let trainer = trainer.step(step::delay_adaptive(0.1)).epochs(epochs as f64).evaluate_every(epochs);
    trainer.run(data).expect("sound options");
}

#[inline(never)]
fn dense_dot(params: &Params<f32>, x: &[f32]) {
    black_box(params.dot_dense(0, x));
}

#[inline(never)]
fn dense_copy(params: &Params<f32>, out: &mut [f32]) {
    params.copy_out(0, black_box(out));
}

#[inline(never)]
fn dense_axpy_racy(params: &Params<f32>, x: &[f32]) {
    params.writer::<Racy>().axpy_dense(0, x, black_box(0.5));
}

#[inline(never)]
fn dense_axpy_cas(params: &Params<f32>, x: &[f32]) {
    params.writer::<Cas>().axpy_dense(0, x, black_box(0.5));
}

fn data(rows: usize, nonzeros: usize) -> Dataset {
    let data = Synthetic::rcv1(rows).mean_nonzeros(nonzeros as f64).generate().expect("a small problem").data;
    data.binary().expect("two classes").laid_out(0)
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if let [rows, nonzeros, block, epochs] = numbers[..] {
        let data = data(rows, nonzeros);
        engine(&data, block, epochs);
        return println!("{}", data.nonzeros());
    }
    let data = data(1000, 75);
    let model = Linear::new(data.rows(), data.labels(), LogisticLoss, 1e-3, 0.0, None);
    let (nonzeros, updates) = (data.nonzeros(), 10_000);
    let mut w = vec![0f32; data.features()];
    let params = Params::<f32>::zeros(data.features());
    dot_plain(&data, &w);
    dot_shared(&data, &params);
    train_plain(&model, &mut w);
    train_racy(&model, &params);
    train_cas(&model, &params);
    let rule = step::delay_adaptive(0.1);
    let claiming =
        Hogwild::with(Params::zeros(data.features()), rule, 2, Update::Cas, 1.0).expect("a sound rule");
    train_claiming(&model, &claiming);
    update(&Hogwild::new(1, step::delay_adaptive(0.1)).expect("a sound rule"), updates);
    let (dense, x, mut out) = (Params::<f32>::zeros(DENSE), vec![1f32; DENSE], vec![0f32; DENSE]);
    dense_dot(&dense, &x);
    dense_copy(&dense, &mut out);
    dense_axpy_racy(&dense, &x);
    dense_axpy_cas(&dense, &x);

    println!("kernels {}", kernel_name());
    let sparse = ["dot_plain", "dot_shared", "train_plain", "train_racy", "train_cas", "train_claiming"];
    let dense = ["dense_dot", "dense_copy", "dense_axpy_racy", "dense_axpy_cas"];
    sparse.iter().for_each(|name| println!("{name} {nonzeros}"));
    println!("update {updates}");
    dense.iter().for_each(|name| println!("{name} {DENSE}"));
}
