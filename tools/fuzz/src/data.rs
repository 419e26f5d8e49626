//! Data sets, from bytes.

use asyncsgd::data::{Corpus, FieldRows, Missing, Ratings};
use asyncsgd::{Batches, Dataset, Loader};

/// Whether a number in the text asks for more memory or time than a fuzzer has: millions of features are no fault.
fn is_large(text: &[u8], digits: usize) -> bool {
    text.split(|byte| !byte.is_ascii_digit()).any(|number| number.len() > digits)
}

/// What every data set keeps to, whatever the file said.
fn check(data: &Dataset) {
    assert_eq!(data.labels().len(), data.len());
    assert_eq!(data.order().len(), data.len());
    assert!(data.labels().iter().all(|label| label.is_finite()));
    for position in 0..data.len() {
        let row = data.row(position);
        assert!(row.end() <= data.features());
        assert!(row.iter().all(|(_, value)| value.is_finite() && value != 0.0));
    }
}

fn load(bytes: &[u8], with: impl Fn(Loader) -> Loader) -> Option<Dataset> {
    let data = with(Loader::bytes("fuzzed", bytes)).load().ok()?;
    check(&data);
    Some(data)
}

/// Plain or compressed text, and that it says the same when it is written.
pub fn libsvm(bytes: &[u8]) {
    if is_large(bytes, 6) {
        return;
    }
    let Some(data) = load(bytes, |loader| loader) else { return };
    let mut text = Vec::new();
    data.write_libsvm(&mut text).expect("in memory");
    let again = load(&text, |loader| loader.zero_based(!data.one_based()).features(data.features()));
    let again = again.expect("what was written is read");
    assert_eq!(
        (again.len(), again.nonzeros(), again.features()),
        (data.len(), data.nonzeros(), data.features())
    );
    load(bytes, |loader| loader.zero_based(true));
    let _ = Loader::bytes("fuzzed", bytes).like(&again).load();
}

/// A few bytes at a time, as a pipe may bring them.
struct Drops(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Drops {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let few = to.len().min(7);
        self.0.read(&mut to[..few])
    }
}

/// The rows are those of the whole text, however it arrives, up to the first that is wrong.
pub fn batches(bytes: &[u8]) {
    if is_large(bytes, 6) {
        return;
    }
    let mut rows = [0, 0];
    let mut read = |which: usize, batches: Batches| {
        batches.fold(true, |sound, batch| match batch {
            Ok((batch, labels)) => {
                assert_eq!(batch.len(), labels.len());
                rows[which] += batch.len();
                sound
            }
            Err(_) => false,
        })
    };
    let whole = read(0, Batches::new("fuzzed", std::io::Cursor::new(bytes.to_vec()), 1 << 20, false));
    let drops = read(1, Batches::new("fuzzed", Drops(std::io::Cursor::new(bytes.to_vec())), 1 << 20, false));
    assert_eq!((rows[0], whole), (rows[1], drops));
    if let (true, Some(data)) = (whole, load(bytes, |loader| loader)) {
        assert_eq!(data.len(), rows[0]);
    }
}

pub fn csv(bytes: &[u8]) {
    // It may be LIBSVM text.
    if bytes.contains(&b':') && is_large(bytes, 6) {
        return;
    }
    load(bytes, |loader| loader.missing(Missing::Mean));
    load(bytes, |loader| loader.label("1"));
    let _ = Loader::bytes("fuzzed", bytes).unlabelled().load();
}

/// Arrays and archives: by their first byte, as their beginnings are hard to guess.
pub fn numpy(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let start: &[u8] = if first % 2 == 0 { b"\x93NUMPY" } else { b"PK\x03\x04" };
    if let Ok(data) = Loader::bytes("fuzzed", [start, rest].concat()).unlabelled().load() {
        assert!(data.features() < 1 << 28);
    }
}

/// Labels in a file of their own.
pub fn labels(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("labels");
    std::fs::write(&path, bytes).expect("a temporary file");
    let rows = b"1,2\n3,4\n5,6\n";
    let Ok(data) = Loader::bytes("fuzzed", &rows[..]).labels(path).load() else { return };
    check(&data);
    assert_eq!(data.len(), 3);
}

pub fn idx(bytes: &[u8]) {
    let _ = Loader::bytes("fuzzed", [&[0, 0], bytes].concat()).unlabelled().load();
}

pub fn matrix_market(bytes: &[u8]) {
    // Rows may be empty, and each takes its time.
    if !is_large(bytes, 5) {
        let _ = Loader::bytes("fuzzed", [b"%%MatrixMarket ", bytes].concat()).unlabelled().load();
    }
}

pub fn ratings(bytes: &[u8]) {
    let Ok(ratings) = Ratings::bytes("fuzzed", bytes, 1) else { return };
    for position in 0..ratings.len() {
        let (user, item, value) = ratings.get(position);
        assert!(user.is_some_and(|user| user < ratings.users()));
        assert!(item.is_some_and(|item| item < ratings.items()));
        assert!(value.is_finite());
    }
    let _ = ratings.split(0.5, 1);
}

pub fn libffm(bytes: &[u8]) {
    if is_large(bytes, 6) {
        return;
    }
    let Ok(rows) = FieldRows::bytes("fuzzed", bytes, 1) else { return };
    for row in 0..rows.len() {
        for entry in rows.row(row) {
            assert!(entry.value == 0.0 || (entry.feature as usize) < rows.ids().len());
            assert!(entry.value == 0.0 || (entry.field as usize) < rows.fields());
            assert!(entry.value.is_finite());
        }
    }
    let _ = rows.binary();
}

pub fn corpus(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else { return };
    let Ok(corpus) = Corpus::bytes("fuzzed", text, u64::from(first % 4)) else { return };
    assert_eq!(corpus.words().len(), corpus.counts().len());
    assert!(corpus.tokens().iter().all(|token| ((token & !Corpus::FIRST) as usize) < corpus.words().len()));
}
