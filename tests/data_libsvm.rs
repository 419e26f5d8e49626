//! Reading and writing LIBSVM text: golden files, compression, and many random ones.

use asyncsgd::{Dataset, Loader};
use proptest::prelude::*;
use std::io::Write;
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder);
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn written(data: &Dataset) -> String {
    let mut text = Vec::new();
    data.write_libsvm(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn read(text: impl Into<Vec<u8>>) -> Dataset {
    Loader::bytes("text", text).load().unwrap()
}

/// `tests/data/NAME.txt` has a line or a block for each file of the folder.
fn golden(name: &str, actual: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    assert_eq!(actual, std::fs::read_to_string(path).unwrap());
}

#[test]
fn bad_files_give_one_line_each() {
    let mut messages = String::new();
    for path in files("bad") {
        let error = Dataset::open(&path).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error:?}");
        let folder = format!("{}/", path.parent().unwrap().display());
        let line = error.to_string().replace(&folder, "");
        assert_eq!(line.lines().count(), 1, "{line:?}");
        messages += &format!("{line}\n");
    }
    golden("bad.txt", messages);
}

#[test]
fn good_files_say_what_they_should() {
    let mut texts = String::new();
    for path in files("good") {
        let data = Dataset::open(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        texts += &format!("== {name}: {} × {}\n{}", data.len(), data.features(), written(&data));
    }
    golden("good.txt", texts);
}

#[test]
fn what_cannot_be_opened_is_an_io_error() {
    for path in ["no/such/file", env!("CARGO_MANIFEST_DIR")] {
        let error = Dataset::open(path).unwrap_err();
        assert_eq!(error.exit_code(), 1, "{error}");
        assert!(error.to_string().starts_with(path), "{error}");
    }
}

#[test]
fn zero_based_text_is_read_and_written_as_such() {
    let text = "1 0:1 5:2\n-1 3:1\n";
    let data = Loader::bytes("text", text).zero_based(true).load().unwrap();
    assert_eq!((data.features(), written(&data)), (6, text.into()));
    let error = Loader::bytes("text", "1 0:1 268435456:1").zero_based(true).load().unwrap_err();
    assert_eq!(error.to_string(), "text:1:7: found index 268435456, expected at most 268435455");
}

#[test]
fn original_labels_are_written() {
    let text = "0 1:1\n7 2:1\n0 3:1\n";
    assert_eq!(written(&read(text).binary().unwrap()), text);
}

/// A text of `rows` rows of many lengths, with zeros and comments.
fn long_text(rows: usize) -> String {
    let row = |i: usize| -> String {
        let features =
            (1..=i * 7 % 23).map(|k| format!(" {}:{}", k * 31 + i % 29, (k * i % 640) as f32 / 64.0));
        let comment = if i.is_multiple_of(3) { " # not: 1:1" } else { "" };
        format!("{}{}{comment}\n", i % 5, features.collect::<String>())
    };
    (0..rows).map(row).collect()
}

#[test]
fn compression_makes_no_difference() {
    let text = long_text(500).into_bytes();
    let (head, tail) = text.split_at(text.len() / 3);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let bzip2 = |bytes: &[u8]| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let xz = |bytes: &[u8]| {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 3);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let plain = Loader::bytes("text", text.as_slice()).seed(3).load().unwrap();
    assert_eq!(plain.hash(), format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&text)));
    let variants = [
        gzip(&text),
        bzip2(&text),
        xz(&text),
        zstd(&text),
        [gzip(head), gzip(tail)].concat(),
        [bzip2(head), bzip2(tail)].concat(),
        [xz(head), xz(tail)].concat(),
        [zstd(head), zstd(tail)].concat(),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (i, packed) in variants.into_iter().enumerate() {
        assert!(packed.len() < text.len());
        // The name says nothing about the content.
        let path = folder.path().join("data.svm");
        std::fs::write(&path, packed).unwrap();
        let data = Loader::new(&path).seed(3).load().unwrap();
        assert_eq!(data.hash(), plain.hash(), "variant {i}");
        assert_eq!(data.rows().arrays(), plain.rows().arrays());
        assert_eq!((data.labels(), data.order()), (plain.labels(), plain.order()));
    }
}

/// The rows of a text, read line by line with std alone.
fn simply(text: &str) -> Vec<(f32, Vec<(u32, f32)>)> {
    let row = |line: &str| {
        let mut tokens = line.split('#').next().unwrap().split_whitespace();
        let label = tokens.next()?.parse().unwrap();
        let feature = |token: &str| {
            let (index, value) = token.split_once(':').unwrap();
            (index.parse::<u32>().unwrap() - 1, value.parse::<f32>().unwrap())
        };
        let mut features: Vec<_> = tokens.map(feature).filter(|f| f.1 != 0.0).collect();
        features.sort_by_key(|f| f.0);
        Some((label, features))
    };
    text.lines().filter_map(row).collect()
}

/// The rows of a data set as the source had them.
fn restored(data: &Dataset) -> Vec<(f32, Vec<(u32, f32)>)> {
    let mut rows = vec![(f32::NAN, Vec::new()); data.len()];
    for (i, &original) in data.order().iter().enumerate() {
        let ids = data.row(i).ids().iter().map(|&rank| data.feature_order()[rank as usize]);
        let mut features: Vec<_> = ids.zip(data.row(i).values().iter().copied()).collect();
        features.sort_by_key(|f| f.0);
        rows[original as usize] = (data.label(i), features);
    }
    rows
}

#[test]
fn a_long_text_is_read_as_by_a_simple_parser() {
    // Several chunks and several tasks: these begin at 64 kB and 4096 numbers.
    let text = long_text(20_000);
    assert!(text.len() > 2 << 20);
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let data = pool.install(|| read(text.as_str()));
        assert_eq!(restored(&data), simply(&text));
    }
}

#[test]
fn lines_are_right_in_a_long_text() {
    let text = long_text(20_000);
    let mut lines: Vec<&str> = text.lines().collect();
    for bad in [1, 2, 777, 13_131, 20_000] {
        let whole = std::mem::replace(&mut lines[bad - 1], "1 2:3 4:x");
        let mut text = format!("{}\n", lines.join("\n"));
        // A later fault is not the one that is told.
        text += "oops\n";
        let error = Loader::bytes("text", text).seed(bad as u64).load().unwrap_err();
        let expected = format!("text:{bad}:7: found `4:x`, expected a value that is a number");
        assert_eq!(error.to_string(), expected);
        lines[bad - 1] = whole;
    }
}

/// A finite number as it may stand in a file.
fn a_number() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<f32>().prop_filter("finite", |x| x.is_finite() && *x != 0.0),
        (-1000i32..1000).prop_filter("not zero", |x| *x != 0).prop_map(|x| x as f32 / 8.0),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        rows in prop::collection::vec(
            (a_number(), prop::collection::btree_map(0u32..300, a_number(), 0..12)), 1..40),
        seed in any::<u64>(),
    ) {
        let (mut starts, mut ids, mut values, mut labels) = (vec![0], vec![], vec![], vec![]);
        for (label, features) in &rows {
            labels.push(*label);
            ids.extend(features.keys());
            values.extend(features.values());
            starts.push(ids.len() as u64);
        }
        let expected: Vec<_> =
            rows.iter().map(|(label, row)| (*label, row.iter().map(|(&i, &v)| (i, v)).collect())).collect();
        let data = Dataset::from_csr(starts, ids, values, labels, 300).unwrap();
        prop_assert_eq!(restored(&data), expected.as_slice());
        let data = data.laid_out(seed);
        prop_assert_eq!(restored(&data), expected.as_slice());
        let again = Loader::bytes("text", written(&data)).zero_based(true).seed(seed).load().unwrap();
        prop_assert_eq!(restored(&again), expected.as_slice());
        prop_assert_eq!(again.order(), data.order());

        let counts = data.counts();
        prop_assert!(counts.is_sorted_by(|a, b| a >= b));
        let by_id = data.restore(counts);
        let expected_counts: Vec<u32> = (0..300)
            .map(|id| rows.iter().filter(|(_, row)| row.contains_key(&id)).count() as u32).collect();
        prop_assert_eq!(&by_id, &expected_counts);
        prop_assert_eq!(data.arrange(&by_id), counts);
    }

    #[test]
    fn any_bytes_are_data_or_one_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = Loader::bytes("bytes", bytes).load() {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }

    #[test]
    fn nearly_libsvm_is_data_or_one_line(text in "([-+0-9.:#e \n\t]{0,9}|1 1:1\n|qid:|nan|:){0,20}") {
        if let Err(error) = Loader::bytes("text", text).load() {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
