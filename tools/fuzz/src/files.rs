//! Files that asyncsgd itself writes. Their checksums are made right here, so that what lies behind them is reached.

use asyncsgd::delay::{Log, Trace};
use asyncsgd::{
    Algorithm, Averaging, Checkpoint, Dataset, Every, Loader, Logistic, SavedModel, Stop, Trainer,
    data::Stored, model::TensorModel, step::Optimizer,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

/// A folder in memory, for the life of the process.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir_in("/dev/shm").expect("a folder in memory").keep())
}

/// The bytes in a file of this name.
fn put(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).expect("a file in memory");
    path
}

/// Text up to the first zero byte, and what follows.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let middle = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    (&bytes[..middle], bytes.get(middle + 1..).unwrap_or_default())
}

fn model(path: &Path) {
    let Ok(model) = SavedModel::load(path) else { return };
    assert_eq!(model.features() * model.outputs(), model.weights.len());
    let row = Loader::bytes("row", "1 1:1\n").load().expect("a row");
    if let Ok(scores) = model.scores(&row) {
        model.predict(&scores);
        model.probabilities(&scores);
    }
    let copy = folder().join("copy.safetensors");
    if model.save(&copy).is_ok() {
        assert_eq!(
            SavedModel::load(&copy).expect("what was saved is read").weights.len(),
            model.weights.len()
        );
    }
    let _ = model.save(&folder().join("copy.model"));
}

pub fn liblinear(bytes: &[u8]) {
    model(&put("fuzzed.model", &[b"solver_type ", bytes].concat()));
}

/// A header, a zero byte, numbers.
pub fn safetensors(bytes: &[u8]) {
    let (header, numbers) = halves(bytes);
    let path = put("fuzzed.safetensors", &[&(header.len() as u64).to_le_bytes(), header, numbers].concat());
    model(&path);
    if let Ok(Some(model)) = TensorModel::load(&path) {
        model.save(&folder().join("copy.safetensors")).expect("what was read is sound");
    }
}

/// A text and the entry of the cache for it.
fn entry() -> &'static (PathBuf, PathBuf, Vec<u8>) {
    static ENTRY: OnceLock<(PathBuf, PathBuf, Vec<u8>)> = OnceLock::new();
    ENTRY.get_or_init(|| {
        let text = put("cached.svm", b"1 1:1 2:0.5\n-1 2:1 3:2\n1 1:4\n");
        Loader::new(&text).cache(folder()).load().expect("a data set");
        let mut written =
            std::fs::read_dir(folder()).expect("a folder").map(|entry| entry.expect("an entry").path());
        let path = written.find(|path| path.extension().is_some_and(|e| e == "rows"));
        let path = path.expect("a cache entry");
        let bytes = std::fs::read(&path).expect("the entry");
        (text, path, bytes)
    })
}

/// The header behind the seed, and the arrays: those before, and the checksums, are made right.
pub fn cache(bytes: &[u8]) {
    const FRESH: usize = 24 + 16 + 56;
    const HEADER: usize = FRESH + 8 + 16 + 6 * 8 + 2 * 8;
    let (text, path, sound) = entry();
    let own = HEADER - FRESH - 16;
    if bytes.len() < own {
        return;
    }
    let (fields, arrays) = bytes.split_at(own);
    let mut file = sound[..FRESH].to_vec();
    file.extend(fields);
    let number = |at: usize| u64::from_le_bytes(fields[at..at + 8].try_into().expect("eight bytes"));
    let [rows, nonzeros, ids, stretches] = [24, 32, 48, 56].map(number);
    let lengths = [rows.wrapping_add(1).wrapping_mul(8), nonzeros.wrapping_mul(4), nonzeros.wrapping_mul(4)];
    let lengths = lengths.into_iter().chain([rows, rows, ids].map(|n| n.wrapping_mul(4)));
    let mut rest = arrays;
    let mut sums = Vec::new();
    for length in lengths.chain([stretches.wrapping_mul(16)]) {
        let (array, after) = rest.split_at(rest.len().min(length as usize));
        sums.extend(array.chunks(1 << 18).flat_map(|block| xxh3_64(block).to_le_bytes()));
        rest = after;
    }
    file.extend(xxh3_64(&sums).to_le_bytes());
    file.extend(xxh3_64(&file).to_le_bytes());
    file.extend(sums);
    file.extend(arrays);
    std::fs::write(path, &file).expect("a file in memory");
    let data = Loader::new(text).cache(folder()).load().expect("the text is there whatever the cache says");
    for position in 0..data.len() {
        assert!(data.row(position).end() <= data.features());
    }
    assert!(data.order().iter().all(|&row| (row as usize) < data.len()));
    data.restore(&vec![1.0f32; data.features()]);
}

/// A text and the entry of its rows.
fn rows() -> &'static (PathBuf, PathBuf, Vec<u8>) {
    static ROWS: OnceLock<(PathBuf, PathBuf, Vec<u8>)> = OnceLock::new();
    ROWS.get_or_init(|| {
        let (text, cache) = (put("stored.svm", b"1 1:1 2:0.5\n-1 2:1 3:2\n1 1:4\n"), folder().join("stored"));
        Stored::of(&text, &cache, None, false, true).expect("stored rows");
        let path =
            std::fs::read_dir(cache).expect("a folder").next().expect("an entry").expect("an entry").path();
        let bytes = std::fs::read(&path).expect("the entry");
        (text, path, bytes)
    })
}

/// The number of features; batches of the numbers of rows and of nonzeros (a byte each) and the arrays.
pub fn stored(bytes: &[u8]) {
    const HEAD: usize = 24 + 56;
    let Some((&features, mut rest)) = bytes.split_first() else { return };
    let (text, path, sound) = rows();
    let (mut file, mut count) = (sound[..HEAD].to_vec(), 0);
    while let [rows, nonzeros, after @ ..] = rest {
        let (rows, nonzeros) = (u64::from(*rows), u64::from(*nonzeros));
        let (batch, after) = after.split_at(after.len().min(8 * (rows + nonzeros) as usize));
        file.extend((nonzeros << 32 | rows).to_le_bytes());
        file.extend(xxh3_64_with_seed(batch, rows << 32 | nonzeros).to_le_bytes());
        file.extend(batch);
        (count, rest) = (count + rows, after);
    }
    let tail = [count, u64::from(features)].map(u64::to_le_bytes).concat();
    file.extend(&tail);
    file.extend(xxh3_64(&tail).to_le_bytes());
    std::fs::write(path, &file).expect("a file in memory");
    // An entry is believed if it is clearly younger than its text.
    let entry = std::fs::File::options().write(true).open(path).expect("the entry");
    entry.set_modified(SystemTime::now() + Duration::from_secs(60)).expect("a younger entry");
    let Ok(stored) = Stored::of(text, folder().join("stored"), None, false, true) else { return };
    assert_eq!(stored.features(), usize::from(features));
    for batch in stored.batches() {
        let Ok((rows, labels)) = batch else { return };
        assert_eq!(rows.len(), labels.len());
        assert!(rows.iter().all(|row| row.end() <= stored.features()));
    }
}

/// Runs whose checkpoints hold parameters alone, sums of iterates, running means, and what Newton's method keeps.
fn trainer(kind: usize) -> Trainer<'static, Logistic> {
    let trainer = Trainer::new(Logistic::l2(1e-2)).epochs(3.0).workers(1).time_limit(Duration::from_secs(1));
    match kind {
        0 => trainer,
        1 => trainer.average(Averaging::Weighted(1.0)),
        2 => trainer.optimizer(Optimizer::Adam { beta1: 0.9, beta2: 0.999 }),
        _ => trainer.algorithm(Algorithm::Newton).target_gap(1e-9).epochs(30.0),
    }
}

fn examples() -> &'static Dataset {
    static DATA: OnceLock<Dataset> = OnceLock::new();
    DATA.get_or_init(|| {
        let text = "1 1:1 2:0.5\n-1 2:1 3:2\n1 1:4\n-1 3:1\n";
        Loader::bytes("examples", text).load().and_then(Dataset::binary).expect("a data set")
    })
}

/// The header and the numbers of a run's checkpoint.
fn saved(kind: usize) -> &'static (Value, Vec<u8>) {
    static SAVED: [OnceLock<(Value, Vec<u8>)>; 4] = [const { OnceLock::new() }; 4];
    SAVED[kind].get_or_init(|| {
        let path = folder().join("saved");
        trainer(kind).checkpoint(&path, Every::Epochs(1), "").run(examples()).expect("a run");
        let file = std::fs::read(path).expect("a checkpoint");
        let end = 16 + u64::from_le_bytes(file[8..16].try_into().expect("eight bytes")) as usize;
        let header = serde_json::from_slice(&file[16..end]).expect("a header");
        (header, file[end..file.len() - 16].to_vec())
    })
}

/// Puts the members of `patch` in the place of those that are there.
fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            patch.into_iter().for_each(|(name, value)| merge(into.entry(name).or_insert(Value::Null), value));
        }
        (into, patch) => *into = patch,
    }
}

/// The kind of run, what is to be another in its header, a zero byte, and its numbers if they are to be others; and a run
/// that goes on from it.
pub fn checkpoint(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let kind = usize::from(kind % 4);
    let (patch, numbers) = halves(rest);
    let Ok(patch) = serde_json::from_slice::<Value>(patch) else { return };
    let (mut header, mut own) = saved(kind).clone();
    let sound = numbers.is_empty() && patch.as_object().is_some_and(serde_json::Map::is_empty);
    merge(&mut header, patch);
    if !numbers.is_empty() {
        own = numbers.to_vec();
    }
    let header = header.to_string().into_bytes();
    let mut file = [&b"asgdckpt"[..], &(header.len() as u64).to_le_bytes(), &header, &own].concat();
    file.extend(xxh3_128(&file).to_le_bytes());
    let resumed = Checkpoint::open(put("fuzzed", &file));
    match resumed.and_then(|saved| trainer(kind).resume(saved).run(examples())) {
        Ok(run) => assert!(run.weights.iter().all(|w| w.is_finite()) || run.stop == Stop::Diverged),
        Err(e) => assert!(!sound, "what was saved is refused: {e}"),
    }
}

pub fn hlog(bytes: &[u8]) {
    if let Ok(log) = Log::parse("fuzzed", bytes) {
        for (_, profile) in log.profiles() {
            assert!(profile.quantile(0.5) <= profile.quantile(1.0));
            profile.mean();
        }
    }
}

/// Blocks of worker, number of updates, length of the body (a byte each) and the body.
pub fn trace(bytes: &[u8]) {
    let mut file = b"ASGDTRC\n\x02\x00\x00\x00".to_vec();
    let mut rest = bytes;
    while let Some(&[worker, updates, length, ref after @ ..]) = rest.first_chunk::<3>().map(|_| rest) {
        let (body, after) = after.split_at(after.len().min(usize::from(length)));
        let worker = if worker >= 254 { u32::MAX - u32::from(255 - worker) } else { u32::from(worker) };
        let (updates, seed) = (u32::from(updates), u64::from(worker) << 32 | u64::from(updates));
        let hash = xxh3_64_with_seed(body, seed) as u32;
        [worker, updates, body.len() as u32, hash].iter().for_each(|field| file.extend(field.to_le_bytes()));
        file.extend(body);
        rest = after;
    }
    let Ok(mut trace) = Trace::open(put("fuzzed.trace", &file)) else { return };
    let mut last = 0;
    while let Some(Ok(update)) = trace.next() {
        assert!(update.iteration >= last);
        last = update.iteration;
    }
}
