//! Data that are no LIBSVM text: what is read from each form, and what is told of bad ones.
#![cfg(not(loom))]

use asyncsgd::{Dataset, Loader, data::Missing};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What `tools/fuzz.sh` runs.
#[cfg(target_os = "linux")]
#[path = "../tools/fuzz/src/targets.rs"]
mod targets;

/// The inputs that fuzzing has kept, a few for each way through the readers.
#[cfg(target_os = "linux")]
#[test]
fn what_fuzzing_has_kept_finds_nothing() {
    let mut inputs = 0;
    for (name, target) in targets::TARGETS {
        let folder = Path::new("tools/fuzz/corpus").join(name);
        let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{name}: {e}"));
        for entry in entries {
            target(&std::fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
    }
    assert!(inputs > 100, "{inputs} inputs");
}

/// Rows in the order of the source, as LIBSVM text with indices from 1.
fn text(data: &Dataset) -> String {
    let mut text = Vec::new();
    data.write_libsvm(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An array as NumPy saves it.
fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    ordered(kind, "False", shape, data)
}

/// The same, perhaps column by column.
fn ordered(kind: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': ({shape}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn ints(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn npz(members: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, data) in members {
        archive.start_file(format!("{name}.npy"), options).unwrap();
        archive.write_all(data).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn idx(code: u8, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

const ROWS: &str = "3 1:1.5 3:2\n-1 2:-4\n3 1:0.25 2:8 3:1\n";
const VALUES: [f32; 9] = [1.5, 0.0, 2.0, 0.0, -4.0, 0.0, 0.25, 8.0, 1.0];

#[test]
fn all_forms_of_the_same_table_are_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let labels = write(&folder, "labels.txt", "3\n-1\n\n3\n");
    let beside = |name: &str, bytes: &[u8]| Loader::new(write(&folder, name, bytes)).labels(&labels).load();
    let alone = |name: &str, bytes: &[u8]| Loader::new(write(&folder, name, bytes)).load();
    let csv = "a,b,label,c\n1.5,0,3,2\n0,-4,-1,0\n\n.25,8e0,3,1\n";
    let halves: Vec<u8> = VALUES.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect();
    let big: Vec<u8> = VALUES.iter().flat_map(|&x| f64::from(x).to_be_bytes()).collect();
    let dense = npy("<f4", "3, 3", &floats(&VALUES));
    let columns: Vec<f32> = (0..9).map(|at| VALUES[at % 3 * 3 + at / 3]).collect();
    let pair = [("X", dense.clone()), ("y", npy("<i8", "3,", &ints(&[3, -1, 3])))];
    let csr = [
        ("indptr", npy("<i8", "4,", &ints(&[0, 2, 3, 6]))),
        ("indices", npy("<i8", "6,", &ints(&[2, 0, 1, 2, 0, 1]))),
        ("data", npy("<f4", "6,", &floats(&[2.0, 1.5, -4.0, 1.0, 0.25, 8.0]))),
        ("shape", npy("<i8", "2,", &ints(&[3, 3]))),
        ("format", npy("|S3", "", b"csr")),
    ];
    let stored = zip::CompressionMethod::Stored;
    let market = "%%MatrixMarket matrix coordinate real general\n% c\n3 3 6\n1 1 1.5\n3 3 1\n1 3 2\n2 2 -4\n3 1 .25\n3 2 8\n";
    let array = "%%MatrixMarket matrix array real general\n3 3\n1.5\n0\n.25\n0\n-4\n8\n2\n0\n1\n";
    let all = [
        ("header", alone("t.csv", csv.as_bytes())),
        ("semicolons", alone("u.csv", csv.replace(',', ";").as_bytes())),
        ("tabs", alone("t.tsv", csv.replace(',', "\t").as_bytes())),
        ("quotes and CRLF", alone("v.csv", csv.replace("1.5", "\"1.5\"").replace('\n', "\r\n").as_bytes())),
        ("a mark", alone("w.csv", format!("\u{feff}{csv}").as_bytes())),
        ("no header", beside("x.csv", b"1.5,0,2\n0,-4,0\n0.25,8,1\n")),
        ("f32", beside("f4.npy", &dense)),
        ("by column", beside("f.npy", &ordered("<f4", "True", "3, 3", &floats(&columns)))),
        ("a cube", beside("cube.npy", &npy("<f4", "3, 1, 3", &floats(&VALUES)))),
        ("f16", beside("f2.npy", &npy("<f2", "3, 3", &halves))),
        ("big-endian f64", beside("f8.npy", &npy(">f8", "3, 3", &big))),
        ("stored", alone("s.npz", &npz(&pair, stored))),
        ("deflated", alone("d.npz", &npz(&pair, zip::CompressionMethod::Deflated))),
        ("csr", beside("c.npz", &npz(&csr, stored))),
        ("coordinate", beside("m.mtx", market.as_bytes())),
        ("array", beside("a.mtx", array.as_bytes())),
    ];
    for (name, data) in all {
        let data = data.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(text(&data), ROWS, "{name}");
        assert_eq!((data.features(), data.len()), (3, 3), "{name}");
    }
    let named = alone("names.csv", csv.as_bytes()).unwrap();
    let mut names: Vec<_> = (0..3).map(|rank| named.feature_name(rank).unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn wide_tables_that_are_hardly_ever_zero_keep_their_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let labels = write(&folder, "labels", "1\n2\n3\n");
    let load = |width: usize, zeros: usize| {
        let values: Vec<f32> = (0..3 * width).map(|i| if i % 8 < zeros { 0.0 } else { i as f32 }).collect();
        let path = write(&folder, "t.npy", npy("<f4", &format!("3, {width}"), &floats(&values)));
        let data = Loader::new(path).labels(&labels).load().unwrap();
        let sparse = values.iter().filter(|x| **x != 0.0).count();
        let again = Loader::bytes("again", text(&data)).load().unwrap();
        assert_eq!((again.nonzeros(), text(&again)), (sparse, text(&data)), "{width} {zeros}");
        for row in (0..3).map(|p| data.row(p)).filter(|_| data.nonzeros() == 3 * width) {
            assert!(row.ids().iter().copied().eq(0..width as u32));
        }
        (data.nonzeros(), sparse)
    };
    assert_eq!(load(40, 1), (120, 105));
    for (width, zeros) in [(40, 2), (31, 1)] {
        let (stored, sparse) = load(width, zeros);
        assert_eq!(stored, sparse, "{width} {zeros}");
    }
}

#[test]
fn images_are_scaled_and_find_their_labels() {
    let folder = tempfile::tempdir().unwrap();
    let images = idx(8, &[2, 2, 2], &[0, 255, 51, 0, 0, 0, 0, 102]);
    let path = write(&folder, "t-images-idx3-ubyte", &images);
    let missing = Dataset::open(&path).unwrap_err().to_string();
    assert!(missing.contains("rows without labels"), "{missing}");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&idx(8, &[2], &[7, 4])).unwrap();
    write(&folder, "t-labels-idx1-ubyte.gz", packed.finish().unwrap());
    let data = Dataset::open(&path).unwrap();
    assert_eq!(text(&data), "7 2:1 3:0.2\n4 4:0.4\n");
    // Packed otherwise than the images, by whatever they read.
    let packed = zstd::encode_all(&idx(8, &[2], &[7, 4])[..], 3).unwrap();
    let images = write(&folder, "z-images-idx3-ubyte.gz", &images);
    write(&folder, "z-labels-idx1-ubyte.zst", packed);
    assert_eq!(text(&Dataset::open(images).unwrap()), text(&data));
    // The last index moves fastest, or the first.
    let bytes = [0, 255, 51, 0, 0, 0, 0, 102];
    let by_column: Vec<u8> = (0..8).map(|at| bytes[at % 2 * 4 + at / 2 % 2 * 2 + at / 4]).collect();
    let labelled = |name: &str, file| Loader::new(write(&folder, name, file)).labels(folder.path().join("l"));
    write(&folder, "l", "7\n4\n");
    for (name, order, bytes) in [("c.npy", "False", &bytes[..]), ("f.npy", "True", &by_column)] {
        let cube = labelled(name, ordered("|u1", order, "2, 2, 2", bytes)).load().unwrap();
        assert_eq!(text(&cube), text(&data), "{name}");
    }
    assert!(data.features() == 4 && data.of_bytes());
    // The same bytes in NumPy's formats, dense and sparse; other whole numbers stay.
    let bytes = [0, 255, 51, 0, 0, 0, 0, 102];
    let sparse = [
        ("indptr", npy("<i8", "3,", &ints(&[0, 2, 3]))),
        ("indices", npy("<i8", "3,", &ints(&[1, 2, 3]))),
        ("data", npy("|u1", "3,", &[255, 51, 102])),
        ("shape", npy("<i8", "2,", &ints(&[2, 4]))),
    ];
    let labels = write(&folder, "labels.txt", "7\n4\n");
    for (name, file) in [
        ("u1.npy", npy("|u1", "2, 4", &bytes)),
        ("u1.npz", npz(&[("X", npy("|u1", "2, 4", &bytes))], zip::CompressionMethod::Stored)),
        ("csr.npz", npz(&sparse, zip::CompressionMethod::Stored)),
    ] {
        let same = Loader::new(write(&folder, name, file)).labels(&labels).load().unwrap();
        assert_eq!((text(&same), same.of_bytes()), (text(&data), true), "{name}");
    }
    let small = npy("|i1", "2, 4", &bytes.map(|x| x / 2));
    let whole = Loader::new(write(&folder, "i1.npy", small)).labels(&labels).load().unwrap();
    assert_eq!((text(&whole).as_str(), whole.of_bytes()), ("7 2:127 3:25\n4 4:51\n", false));
    let shorts = idx(11, &[1, 2], &[0xff, 0xfe, 1, 0]);
    let data = Loader::new(write(&folder, "shorts", shorts)).labels(write(&folder, "one", "5")).load();
    assert_eq!(text(&data.unwrap()), "5 1:-2 2:256\n");
}

#[test]
fn a_test_set_has_the_columns_of_its_training_set() {
    let folder = tempfile::tempdir().unwrap();
    let train = Dataset::open(write(&folder, "a.csv", "a,b,y\n1,2,0\n0,3,1\n")).unwrap();
    let like = |name: &str, text: &str| Loader::new(write(&folder, name, text)).like(&train).load();
    assert_eq!(text(&like("b.csv", "a,b,y\n4,0,1\n").unwrap()), "1 1:4\n");
    assert_eq!(text(&like("c.csv", "b,y,a\n4,1,0.5\n0,0,7\n").unwrap()), "1 1:0.5 2:4\n0 1:7\n");
    for (name, table, said) in [
        ("d.csv", "a,b,c,y\n4,0,1,1\n", ":1: found column 'c', expected the features of the training data"),
        ("e.csv", "b,y\n4,1\n", ":1: found no column 'a', expected all features of the training data"),
        ("f.csv", "a,a,b,y\n4,4,4,1\n", ":1: found column 'a' twice, expected it once"),
    ] {
        let told = like(name, table).unwrap_err().to_string();
        assert!(told.contains(said), "{told}");
    }
    let biased = train.clone().with_intercept();
    let path = write(&folder, "g.csv", "b,a,y\n0,4,1\n");
    let test = Loader::new(path).like(&biased).load().unwrap();
    assert_eq!((test.features(), test.nonzeros(), text(&test).as_str()), (3, 2, "1 1:4\n"));
    assert_eq!(test.row(0).ids()[0] as usize, biased.intercept().unwrap());
    // Without names by their place: none more, and of full rows none fewer.
    let labels = write(&folder, "labels", "1\n");
    for (width, values) in [(1, &[1.0][..]), (3, &[1.0, 2.0, 3.0])] {
        let path = write(&folder, "rows.npy", npy("<f4", &format!("1, {width}"), &floats(values)));
        let told = Loader::new(path).labels(&labels).like(&train).load().unwrap_err().to_string();
        assert!(told.contains(&format!("found {width} features, expected 2, as in the training")), "{told}");
    }
    let sparse = "%%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 3\n";
    let path = write(&folder, "rows.mtx", sparse);
    assert_eq!(text(&Loader::new(path).labels(&labels).like(&train).load().unwrap()), "1 1:3\n");
}

#[test]
fn options_that_say_nothing_are_refused_together() {
    let folder = tempfile::tempdir().unwrap();
    let svm = write(&folder, "a.svm", "1 1:2\n2 1:3\n");
    let told = |loader: Loader| loader.label("y").missing(Missing::Mean).load().unwrap_err().to_string();
    let lines = told(Loader::new(&svm).labels(&svm));
    for (line, said) in lines.lines().zip(["no file of them", "no column of labels", "no missing values"]) {
        assert!(line.contains(&format!("expected {said}")), "{line}");
    }
    assert_eq!(lines.lines().count(), 3);
    let images = write(&folder, "images", idx(8, &[1, 1], &[1]));
    assert_eq!(told(Loader::new(&images).labels(write(&folder, "labels", "1\n"))).lines().count(), 2);
    // Also where the rows are in the cache already.
    let cache = folder.path().join("cache");
    Loader::new(&svm).cache(&cache).load().unwrap();
    assert!(Loader::new(&svm).cache(&cache).missing(Missing::Mean).load().is_err());
}

#[test]
fn bad_tables_give_one_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let labels = write(&folder, "labels", "1\n2\n");
    let square = |data: &[u8]| npy("<f4", "2, 2", data);
    let mut other = npy("<f4", "2, 2", &floats(&[1.0; 4]));
    other[6] = 9;
    let whole = npz(&[("X", square(&floats(&[1.0; 4])))], zip::CompressionMethod::Stored);
    let mut changed = whole.clone();
    let one = changed.windows(4).position(|bytes| bytes == 1f32.to_le_bytes()).unwrap();
    changed[one..one + 4].copy_from_slice(&2f32.to_le_bytes());
    let csr = |starts: &[i64], ids: &[i64]| {
        let members = [
            ("indptr", npy("<i8", &format!("{},", starts.len()), &ints(starts))),
            ("indices", npy("<i8", "2,", &ints(ids))),
            ("data", npy("<f4", "2,", &floats(&[1.0, 2.0]))),
            ("shape", npy("<i8", "2,", &ints(&[2, 2]))),
        ];
        npz(&members, zip::CompressionMethod::Stored)
    };
    let mm = "%%MatrixMarket matrix coordinate real general\n";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("csv-text", b"a,y\n1,2\nx,3\n".into()),
        ("csv-sign", b"a,y\n+-1,2\n".into()),
        ("csv-escape", b"a,y\n\x1b[31m,2\n".into()),
        ("csv-short", b"a,b,y\n1,2,3\n1,2\n".into()),
        ("csv-unlabelled", b"a,b\n1,2\n".into()),
        ("csv-infinite", b"a,y\n1e99,2\n".into()),
        ("csv-label-missing", b"a,y\n1,\n".into()),
        ("csv-header-only", b"a,y\n".into()),
        ("npy-short", square(&floats(&[1.0; 3]))),
        ("npy-no-values", npy("<f4", "1000000000000, 0", &[])),
        ("csr-fraction", {
            let members = [
                ("indptr", npy("<f4", "2,", &floats(&[0.0, 1.0]))),
                ("indices", npy("<f4", "1,", &floats(&[0.5]))),
                ("data", npy("<f4", "1,", &floats(&[1.0]))),
                ("shape", npy("<i8", "2,", &ints(&[1, 2]))),
            ];
            npz(&members, zip::CompressionMethod::Stored)
        }),
        ("npy-nan", square(&floats(&[1.0, 1.0, f32::NAN, 1.0]))),
        ("npy-row", npy("<f4", "2,", &floats(&[1.0; 2]))),
        ("npy-two-lines", npy("<f4\x1b[31m\n", "2, 2", &floats(&[1.0; 4]))),
        ("npy-complex", npy("<c8", "1, 1", &[0; 8])),
        ("npy-version", other),
        ("npy-truncated", b"\x93NUMPY\x01\x00\xff\x00{'descr'".into()),
        ("npz-truncated", whole[..whole.len() - 30].into()),
        ("npz-changed", changed),
        ("npz-other", npz(&[("Z", square(&floats(&[1.0; 4])))], zip::CompressionMethod::Stored)),
        ("csr-starts", csr(&[0, 2, 1], &[0, 1])),
        ("csr-twice", csr(&[0, 2, 2], &[1, 1])),
        ("csr-outside", csr(&[0, 1, 2], &[0, 2])),
        ("csc", npz(&[("format", npy("<U3", "", b"c\0\0\0s\0\0\0c\0\0\0"))], zip::CompressionMethod::Stored)),
        ("idx-short", idx(8, &[2, 3], &[1; 5])),
        ("idx-sizes", idx(8, &[2, 3], &[1; 5])[..9].into()),
        ("idx-labels", idx(8, &[3], &[1; 3])),
        ("idx-huge", idx(14, &[u32::MAX; 4], &[1; 3])),
        ("idx-no-rows", idx(8, &[0, 1 << 31, 1 << 31, 1 << 31], &[])),
        ("idx-no-values", idx(8, &[u32::MAX, 0], &[])),
        ("idx-nan", idx(13, &[1, 1], &f32::NAN.to_be_bytes())),
        ("mm-complex", b"%%MatrixMarket matrix coordinate complex general\n".into()),
        ("mm-sizes", format!("{mm}2 2\n").into()),
        ("mm-outside", format!("{mm}2 2 1\n1 3 5\n").into()),
        ("mm-zero", format!("{mm}2 2 1\n0 1 5\n").into()),
        ("mm-text", format!("{mm}2 2 1\n1 1 five\n").into()),
        ("mm-more", format!("{mm}2 2 1\n1 1 5\n2 2 5\n").into()),
        ("mm-fewer", format!("{mm}2 2 2\n1 1 5\n").into()),
        ("mm-twice", format!("{mm}2 2 2\n1 1 5\n1 1 6\n").into()),
        ("rows-unequal", npy("<f4", "3, 1", &floats(&[1.0; 3]))),
    ];
    let mut told = String::new();
    for (name, bytes) in cases {
        let loader = Loader::new(write(&folder, name, bytes));
        let loader = if name.starts_with("csv") { loader } else { loader.labels(&labels) };
        let error = loader.load().unwrap_err();
        assert_eq!(error.exit_code(), 2, "{name}: {error:?}");
        let line = error.to_string().replace(&format!("{}/", folder.path().display()), "");
        assert_eq!(line.lines().count(), 1, "{name}: {line}");
        writeln!(told, "{line}").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad-tables.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(path).unwrap());
}

#[test]
fn labels_in_two_places_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let labels = write(&folder, "labels", "1\n2\n");
    let svm = write(&folder, "a.svm", "1 1:2\n2 1:3\n");
    let told = Loader::new(&svm).labels(&labels).load().unwrap_err().to_string();
    assert!(told.contains("found labels in the rows"), "{told}");
    let csv = write(&folder, "a.csv", "a,y\n1,2\n3,4\n");
    let told = Loader::new(&csv).labels(&labels).load().unwrap_err().to_string();
    assert!(told.contains("several sources of labels"), "{told}");
    let told = Loader::new(&csv).labels(&labels).label("y").load().unwrap_err().to_string();
    assert!(told.contains("found labels, expected none beside those in a file"), "{told}");
    let rows = [("X", npy("<f4", "2, 1", &floats(&[1.0; 2]))), ("y", npy("<i8", "2,", &ints(&[1, 2])))];
    let rows = write(&folder, "a.npz", npz(&rows, zip::CompressionMethod::Stored));
    let told = Loader::new(&rows).labels(&labels).load().unwrap_err().to_string();
    assert!(told.contains("found labels, expected none beside those in a file"), "{told}");
    let large = npy("<i8", "3,", &ints(&[1, 16_777_216, 16_777_217]));
    let large = [("X", npy("<f4", "3, 1", &floats(&[1.0; 3]))), ("y", large)];
    let large = Dataset::open(write(&folder, "b.npz", npz(&large, zip::CompressionMethod::Stored))).unwrap();
    for told in [large.clone().binary(), large.multiclass()] {
        let told = told.unwrap_err().to_string();
        assert!(told.contains("found label 16777216 in row 2, expected classes between"), "{told}");
    }
    let told = Loader::new(&csv).label("z").load().unwrap_err().to_string();
    assert!(told.contains("no column 'z', expected its name, or 1 to 2"), "{told}");
    assert_eq!(text(&Loader::new(&csv).label("1").load().unwrap()), "1 1:2\n3 1:4\n");
}
