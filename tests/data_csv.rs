//! CSV: what is a header, what is missing, and labels that are names.
#![cfg(not(loom))]

use asyncsgd::{Dataset, Loader, data::Missing};
use std::path::PathBuf;
use tempfile::TempDir;

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

#[test]
fn missing_values_are_refused_or_filled() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "holes.csv", "y,a,b\n1,,4\n2,3,NA\n3,5,?\n");
    let with = |missing: &str| Loader::new(&path).missing(missing.parse().unwrap()).load();
    let refused = with("refuse").unwrap_err().to_string();
    assert!(
        refused.ends_with(
            "holes.csv:2:2: found '' in column 'a', expected a value, or an option for missing ones"
        )
    );
    assert_eq!(text(&with("mean").unwrap()), "1 1:4 2:4\n2 1:3 2:4\n3 1:5 2:4\n");
    assert_eq!(text(&with("-1").unwrap()), "1 1:-1 2:4\n2 1:3 2:-1\n3 1:5 2:-1\n");
    // A test set's holes are filled with the training set's means, in whatever order the columns are.
    let train = write(&folder, "train.csv", "y,a,b\n1,1,10\n2,,30\n3,3,NA\n");
    let train = Loader::new(train).missing(Missing::Mean).load().unwrap();
    assert_eq!(train.columns().means, Some(vec![2.0, 20.0]));
    let test = write(&folder, "test.csv", "b,y,a\n100,1,200\n,2,\n");
    let like = |train: &Dataset| Loader::new(&test).missing(Missing::Mean).like(train).load();
    assert_eq!(text(&like(&train).unwrap()), "1 1:200 2:100\n2 1:2 2:20\n");
    assert_eq!(text(&like(&train.clone().with_intercept()).unwrap()), "1 1:200 2:100\n2 1:2 2:20\n");
    let unknown = like(&with("0").unwrap()).unwrap_err().to_string();
    assert!(unknown.contains("found missing values, expected means of the training data"), "{unknown}");
    // A mean of none is no number to stand for them.
    let mean = |text: &str| Loader::bytes("t.csv", text).label("2").missing(Missing::Mean).load();
    for (text, column) in [("a,y,b\n1,1,\n2,2,NA\n", "'b'"), ("?,1,3\n?,2,4\n", "1")] {
        let told = mean(text).unwrap_err().to_string();
        let said = format!("t.csv: found no value in column {column}, expected at least one, whose mean");
        assert!(told.contains(&said), "{told}");
    }
    // Of a test set they are those of the training data.
    let test = || Loader::bytes("t.csv", "y,a,b\n1,1,\n").missing(Missing::Mean);
    assert_eq!(test().dimension().unwrap(), 2);
    assert_eq!(text(&test().like(&train).load().unwrap()), "1 1:1 2:20\n");
    assert_eq!("0.5".parse::<Missing>().unwrap().to_string(), "0.5");
    assert!("inf".parse::<Missing>().is_err() && "median".parse::<Missing>().is_err());
}

#[test]
fn tables_are_told_from_rows_of_indices_by_their_words() {
    let read = |bytes: &[u8]| Loader::bytes("t", bytes).load();
    let rows = "0 1:1\n1 1:2\n";
    let headers =
        [&b"time:utc,label"[..], b"#time,label", b"# time,label", b"no#,label", b"gr\xf6\xdfe,label"];
    for header in headers {
        let table = [header, b"\n1,0\n2,1\n"].concat();
        let data = read(&table).unwrap_or_else(|error| panic!("{}: {error}", header.escape_ascii()));
        assert_eq!(text(&data), rows, "{}", header.escape_ascii());
    }
    let latin = read(b"gr\xf6\xdfe,label\n1,0\n2,1\n").unwrap();
    assert_eq!(latin.feature_name(0), Some("gr\u{f6}\u{df}e"));
    let rows =
        ["# a, b\n0 1:1\n1 1:2\n", "0\t1:1\n1\t1:2\n", "0 1:1 # a,b\n1 1:2\n", "\n0 qid:1 1:1 #,\n1 1:2\n"];
    for indices in rows {
        assert_eq!(text(&read(indices.as_bytes()).unwrap()), "0 1:1\n1 1:2\n", "{indices}");
    }
    assert_eq!(text(&read(b"0 # a,b\n1 1:2\n").unwrap()), "0\n1 1:2\n");
}

#[test]
fn labels_may_be_names_of_classes() {
    let folder = tempfile::tempdir().unwrap();
    let load = |text: &str| Loader::new(write(&folder, "a.csv", text)).load();
    let data = load("a,class\n1,versicolor\n2,setosa\n3,2\n4,setosa\n").unwrap();
    let names = ["2", "setosa", "versicolor"].map(str::to_owned);
    assert_eq!(
        (text(&data).as_str(), data.class_names()),
        ("2 1:1\n1 1:2\n0 1:3\n1 1:4\n", Some(&names[..]))
    );
    // Others are read alike, wherever the labels are, and what is not known is an error or, to predict, none.
    let test = write(&folder, "b.csv", "class,a\nsetosa,5\nvirginica,6\n");
    let told = Loader::new(&test).like(&data).load().unwrap_err().to_string();
    assert!(told.contains("b.csv:3:1: found 'virginica' in column 'class', expected a label as"), "{told}");
    let test = Loader::new(&test).like(&data).unlabelled().load().unwrap();
    assert!(test.label(0) == 1.0 && test.label(1).is_nan());
    // Without a header the first row has a name only where the labels are said to be.
    let bare = write(&folder, "c.csv", "1,x\n2,y\n");
    assert_eq!(text(&Loader::new(&bare).label("2").load().unwrap()), "0 1:1\n1 1:2\n");
    let told = load("a,y\n1,1\n2,two\n").unwrap_err().to_string();
    assert!(told.contains(":3:2: found 'two' in column 'y', expected a finite number"), "{told}");
    let told = data.numeric().unwrap_err().to_string();
    assert!(told.contains("found labels that are names ('2', …), expected numbers"), "{told}");
    let told = load("a,y\n1,p\n2,q\n2,r\n").unwrap().binary().unwrap_err().to_string();
    assert!(told.contains("found a third label, r in row 3, expected two classes, as are p and q"), "{told}");
}

#[test]
fn a_header_of_numbers_is_one_where_only_its_label_is_none() {
    let read = |bytes: &str| Loader::bytes("t.csv", bytes).label("3").load().unwrap();
    let headed = read("0,1,label\n5,6,7\n8,9,10\n");
    assert_eq!(text(&headed), "7 1:5 2:6\n10 1:8 2:9\n");
    assert_eq!(headed.columns().label.as_deref(), Some("label"));
    // Where the labels are no numbers, the first may be one of them.
    let rows = read("0,1,cat\n5,6,dog\n");
    assert_eq!(rows.class_names(), Some(&["cat".to_owned(), "dog".to_owned()][..]));
    assert_eq!(rows.columns().names, None);
    // A single row is no header.
    assert_eq!(read("0,1,cat\n").len(), 1);
}

/// Rows have no zeros, also where a missing value is filled with a mean that is 0.
#[test]
fn a_mean_of_zero_is_no_value() {
    let data = Loader::bytes("t.csv", "a,b,y\n0,2,1\n?,3,0\n").missing(Missing::Mean).load().unwrap();
    assert_eq!((text(&data), data.nonzeros()), ("1 2:2\n0 2:3\n".into(), 2));
}
