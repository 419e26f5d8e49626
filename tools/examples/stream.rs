//! Training on a stream that never lies in memory: two producers make up clicks on pages, hash their words, and wait when
//! the workers are behind; the loss of each example before it is learnt tells how good the model is.
//!
//! `cargo run --release --example stream`

use asyncsgd::{Hogwild, Online, Params, Result, Rows, Update, Weights, model::LogisticLoss, stream};

/// Features by hashing, as many as this.
const FEATURES: usize = 1 << 18;

/// Examples in a batch.
const BATCH: u64 = 256;

fn hash(word: u64) -> u64 {
    let mixed = (word ^ word >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// A batch of visits: 8 words each out of 20,000, a tenth of which please.
fn batch(number: u64) -> (Rows, Vec<f32>) {
    let (mut starts, mut ids, mut labels) = (vec![0], Vec::new(), Vec::new());
    for visit in number * BATCH..(number + 1) * BATCH {
        let mut words: Vec<u32> =
            (0..8).map(|i| (hash(hash(visit * 8 + i) % 20_000) % FEATURES as u64) as u32).collect();
        words.sort_unstable();
        words.dedup(); // ids rise in a row
        let pleased = words.iter().any(|word| word % 10 == 0);
        labels.push(if pleased { 1.0 } else { -1.0 });
        ids.extend(words);
        starts.push(ids.len() as u64);
    }
    let values = vec![1.0; ids.len()];
    (Rows::new(starts, ids, values, FEATURES).expect("ids rise and are below FEATURES"), labels)
}

fn main() -> Result<()> {
    // The rate falls with the square root of the time, in units of 100,000 examples.
    let rule = "0.5*inverse-sqrt:1*delay-adaptive".parse()?;
    let shared = Hogwild::<f32>::with(Params::zeros(FEATURES), rule, 2, Update::Cas, 1e5)?;
    let (feed, examples) = stream(FEATURES, 16);
    let told = std::thread::scope(|scope| {
        for producer in 0..2 {
            let feed = feed.clone();
            scope.spawn(move || -> Result<()> {
                (0..1000).try_for_each(|i| {
                    let (rows, labels) = batch(2 * i + producer);
                    feed.send(rows, labels)
                })
            });
        }
        drop(feed); // the stream ends with the producers
        let online = Online::new(LogisticLoss).workers(2);
        online
            .observe(|now| println!("{:>9} examples, loss {:.4}", now.examples, now.loss))
            .run(&shared, examples)
    })?;
    println!(
        "{} examples in {:.2} s, mean loss before each was learnt {:.4}",
        told.examples, told.seconds, told.loss
    );
    let (rows, labels) = batch(1 << 30);
    let right = rows.iter().zip(&labels).filter(|(row, y)| shared.params().dot(*row) * **y > 0.0).count();
    println!("{right} of {BATCH} new ones are told right");
    assert!(told.loss < 0.5 && right > 200);
    Ok(())
}
