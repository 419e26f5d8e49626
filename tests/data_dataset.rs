//! Layout, restoring, splitting, classes, and construction from arrays.

use asyncsgd::{Dataset, Error, Loader, data::Columns};

/// A row of the source: its number, label, and features by original id.
type SourceRow = (u32, f32, Vec<(u32, f32)>);

/// The rows by original number, with original ids: what the source said, whatever the layout.
fn by_source(data: &Dataset) -> Vec<SourceRow> {
    let mut rows: Vec<_> = (0..data.len())
        .map(|i| {
            let ids = data.row(i).ids().iter().map(|&id| data.feature_order()[id as usize]);
            let mut row: Vec<_> = ids.zip(data.row(i).values().iter().copied()).collect();
            row.sort_by_key(|&(id, _)| id);
            (data.order()[i], data.label(i), row)
        })
        .collect();
    rows.sort_by_key(|row| row.0);
    rows
}

fn load(text: &str) -> Dataset {
    Loader::bytes("text", text).load().unwrap()
}

fn line(error: asyncsgd::Result<Dataset>) -> String {
    let error = error.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error:?}");
    error.to_string()
}

const TEXT: &str = "1 1:0.5 4:2\n2 4:1 3:-1\n2 4:3\n1 2:1e-3 3:2\n";

#[test]
fn rows_and_features_keep_the_way_back() {
    let expected = vec![
        (0, 1.0, vec![(0, 0.5), (3, 2.0)]),
        (1, 2.0, vec![(2, -1.0), (3, 1.0)]),
        (2, 2.0, vec![(3, 3.0)]),
        (3, 1.0, vec![(1, 0.001), (2, 2.0)]),
    ];
    for seed in 0..20 {
        let data = Loader::bytes("text", TEXT).seed(seed).load().unwrap();
        assert_eq!(by_source(&data), expected);
        assert_eq!(data.feature_order(), [3, 2, 0, 1]);
        assert_eq!(data.counts(), [3, 2, 1, 1]);
        assert_eq!(data.restore(&[10, 20, 30, 40]), [30, 40, 20, 10]);
        assert_eq!(data.arrange(&data.restore(&[10, 20, 30, 40])), [10, 20, 30, 40]);
        assert!(data.one_based());
    }
}

#[test]
fn the_order_of_a_seed_never_changes() {
    let text: String = (0..10).map(|i| format!("{i} 1:1\n")).collect();
    let order = |seed| Loader::bytes("text", text.as_str()).seed(seed).load().unwrap().order().to_vec();
    // Computed independently, in Python, from the documented generator.
    assert_eq!(order(0), ORDER_0);
    assert_eq!(order(42), ORDER_42);
}

#[test]
fn two_labels_become_minus_and_plus_one() {
    for (minus, plus) in [("0", "1"), ("-1", "+1"), ("1", "2"), ("-3.5", "7e2")] {
        let data = load(&format!("{plus} 1:1\n{minus} 2:1\n{plus} 3:1\n")).binary().unwrap();
        let labels: Vec<f32> = by_source(&data).iter().map(|row| row.1).collect();
        assert_eq!(labels, [1.0, -1.0, 1.0]);
        assert_eq!(data.classes(), Some(&[minus.parse().unwrap(), plus.parse().unwrap()][..]));
    }
    assert_eq!(line(load("1 1:1\n1 1:2\n").binary()), "text: found only the label 1, expected two classes");
    assert_eq!(
        line(load("# three\n3 1:1\n3 1:1\n\n1 1:2\n3 2:1\n2.5 1:1\n1 1:1\n4 1:1").binary()),
        "text:7: found a third label, 2.5, expected two classes, as are 3 and 1"
    );

    assert!(load("2 1:1\n2 1:1\n").binary_as([1.0, 2.0]).unwrap().labels() == [1.0, 1.0]);
    assert_eq!(
        line(load("2 1:1\n\n0 1:1\n0 1:1\n").binary_as([1.0, 2.0])),
        "text:3: found label 0, expected 1 or 2"
    );
    let arrays = Dataset::from_csr(vec![0, 0, 0], vec![], vec![], vec![1.0, 5.0], 1).unwrap();
    assert_eq!(line(arrays.binary_as([1.0, 2.0])), "arrays: found label 5 in row 2, expected 1 or 2");
}

/// Through all that parts a text into pieces, and back from the cache.
#[test]
fn a_wrong_label_is_told_with_its_line() {
    const ROWS: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text.svm");
    for wrong in [0, 1, 2999, 3000, 3001, 3002, 7777, 12_345, 17_999, ROWS - 2, ROWS - 1] {
        let (mut text, mut lines, mut at) = (String::new(), 0, 0);
        for row in 0..ROWS {
            // Thousands of rows without a gap, and as many with gaps of all kinds.
            let gap = if row / 3000 % 2 == 0 { 0 } else { row % 11 % 4 };
            text.extend([" # nothing\n", "\n", "\t\r\n"].iter().take(gap).copied());
            let label = if row == wrong { 7 } else { row % 2 };
            text.push_str(&format!("{label} {}:1 7:2\n", 1 + row % 5));
            lines += gap + 1;
            at = if row == wrong { lines } else { at };
        }
        std::fs::write(&file, text.trim_end()).unwrap();
        let expected = format!("{}:{at}: found label 7, expected 0 or 1", file.display());
        for seed in 0..3 {
            let data = Loader::new(&file).cache(folder.path()).seed(seed).load().unwrap();
            assert_eq!(data.cached().read, seed > 0);
            assert_eq!(line(data.binary_as([0.0, 1.0])), expected);
        }
    }
}

#[test]
fn a_test_set_follows_its_training_set() {
    let train = load(TEXT);
    let test = Loader::bytes("test", "2 4:1\n1 1:7 2:8\n").like(&train).load().unwrap();
    assert_eq!(test.order(), [0, 1]);
    assert_eq!(test.features(), 4);
    assert_eq!(test.row(0).ids(), [0]);
    assert_eq!((test.row(1).ids(), test.row(1).values()), (&[2, 3][..], &[7.0, 8.0][..]));

    let wide = "2 4:1\n1 1:7 9:8\n";
    assert_eq!(
        line(Loader::bytes("test", wide).like(&train).load()),
        "test:2:7: found index 9, expected at most 4, as in the training data"
    );
    assert_eq!(
        line(Loader::bytes("test", "1 4:1\n").zero_based(true).like(&train).load()),
        "test:1:3: found index 4, expected at most 3, as in the training data"
    );
    let width = Loader::bytes("test", wide).dimension().unwrap();
    let train = Loader::bytes("train", TEXT).features(width).load().unwrap();
    assert_eq!((train.features(), train.feature_order()), (9, &[3, 2, 0, 1, 4, 5, 6, 7, 8][..]));
    assert!(matches!(Loader::bytes("test", wide).like(&train).features(9).load(), Err(Error::Usage(_))));
    assert!(matches!(Loader::bytes("text", TEXT).features(1 << 32).load(), Err(Error::Usage(_))));
    assert_eq!(Loader::bytes("test", wide).like(&train).load().unwrap().row(1).ids(), [2, 8]);
}

#[test]
fn arrays_are_checked() {
    let from = |starts: &[u64], ids: &[u32], values: &[f32], labels: &[f32], features| {
        Dataset::from_csr(starts.to_vec(), ids.to_vec(), values.to_vec(), labels.to_vec(), features)
    };
    let data = from(&[0, 2, 2], &[0, 5], &[1.0, 2.0], &[1.0, -1.0], 6).unwrap();
    assert_eq!((data.len(), data.features(), data.nonzeros(), data.row(0).ids()), (2, 6, 2, &[0, 5][..]));
    assert_eq!(by_source(&data.laid_out(3)), by_source(&data));

    for bad in [
        from(&[0, 3], &[0, 5], &[1.0, 2.0], &[1.0], 6),
        from(&[0, 2], &[5, 0], &[1.0, 2.0], &[1.0], 6),
        from(&[0, 2], &[0, 0], &[1.0, 2.0], &[1.0], 6),
        from(&[0, 2], &[0, 6], &[1.0, 2.0], &[1.0], 6),
        from(&[0, 2], &[0, 1], &[1.0, f32::NAN], &[1.0], 6),
        from(&[0, 2], &[0, 1], &[1.0, 2.0], &[f32::INFINITY], 6),
        from(&[0, 2], &[0, 1], &[1.0, 2.0], &[1.0, 1.0], 6),
        from(&[0], &[], &[], &[], 6),
        from(&[], &[], &[], &[], 6),
    ] {
        assert!(matches!(bad, Err(Error::Usage(_))), "{bad:?}");
    }
}

#[test]
fn laying_out_is_what_loading_does() {
    let loaded = Loader::bytes("text", TEXT).seed(5).load().unwrap();
    for seed in 0..5 {
        let again = Loader::bytes("text", TEXT).seed(seed).load().unwrap().laid_out(5);
        assert_eq!(again.order(), loaded.order());
        assert_eq!(again.feature_order(), loaded.feature_order());
        assert_eq!(again.rows().arrays(), loaded.rows().arrays());
        assert_eq!(again.labels(), loaded.labels());
    }
}

#[test]
fn a_split_depends_on_the_seed_and_not_on_the_layout() {
    let text: String = (0..101).map(|i| format!("{i} {}:1 200:2\n", i + 1)).collect();
    let split = |layout, seed| {
        Loader::bytes("text", text.as_str()).seed(layout).load().unwrap().split(0.2, seed).unwrap()
    };
    let (train, test) = split(1, 9);
    assert_eq!((train.len(), test.len()), (81, 20));
    assert_eq!(train.feature_order(), test.feature_order());
    assert!(test.order().is_sorted());

    let mut both = [by_source(&train), by_source(&test)].concat();
    both.sort_by_key(|row| row.0);
    assert_eq!(both, by_source(&load(&text)), "nothing is lost, doubled or changed");

    let (other_train, other_test) = split(2, 9);
    assert_eq!(by_source(&test), by_source(&other_test));
    assert_eq!(by_source(&train), by_source(&other_train));
    assert_ne!(train.order(), other_train.order(), "the layout stays");
    assert_ne!(by_source(&test), by_source(&split(1, 10).1), "another seed, another split");

    for fraction in [0.0, 1.0, -0.1, 1.5, f64::NAN, 0.001, 0.999] {
        let error = load(&text).split(fraction, 1).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{fraction}: {error}");
    }
}

#[test]
fn names_follow_their_features() {
    let columns = |names: &[&str]| {
        let names = Some(names.iter().map(|&name| name.to_owned()).collect());
        Columns { names, ..Columns::default() }
    };
    let data = load(TEXT).with_columns(columns(&["a", "b", "c", "d"])).unwrap();
    assert_eq!([0, 1, 2, 3].map(|rank| data.feature_name(rank).unwrap()), ["d", "c", "a", "b"]);
    assert!(matches!(data.with_columns(columns(&["a"])), Err(Error::Usage(_))));
}

const ORDER_0: [u32; 10] = [1, 4, 5, 8, 6, 7, 0, 2, 9, 3];
const ORDER_42: [u32; 10] = [5, 3, 1, 0, 9, 6, 4, 7, 2, 8];

#[test]
fn an_intercept_is_followed_and_not_written() {
    // Feature 4 is constant too, so that laying out may put it before the intercept.
    let train = load("1 1:0.5 4:2\n2 4:1 3:-1\n").with_intercept().laid_out(1);
    assert_eq!(train.feature_order(), [3, 4, 0, 2, 1]);
    let test = Loader::bytes("test", "2 4:1\n1 1:7 2:8\n").like(&train).load().unwrap();
    assert_eq!((test.features(), test.intercept()), (5, train.intercept()));
    assert_eq!((test.row(0).ids(), test.row(0).values()), (&[0, 1][..], &[1.0, 1.0][..]));
    assert_eq!(test.row(1).ids(), [1, 2, 4]);
    assert_eq!(
        line(Loader::bytes("test", "1 5:1\n").like(&train).load()),
        "test:1:3: found index 5, expected at most 4, as in the training data"
    );
    let mut text = Vec::new();
    test.write_libsvm(&mut text).unwrap();
    assert_eq!(text, b"2 4:1\n1 1:7 2:8\n");
}

#[test]
fn bytes_and_other_numbers_are_not_mistaken_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels");
    std::fs::write(&labels, "1\n2\n").unwrap();
    let load = |name: &str, file: &[u8], like: Option<&Dataset>| {
        let loader = Loader::bytes(name, file);
        let loader = if name == "table" { loader } else { loader.labels(&labels) };
        like.into_iter().fold(loader, Loader::like).load().unwrap()
    };
    let images = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 255, 51, 0];
    let of_bytes = |like: Option<&Dataset>| load("images", &images, like);
    let of_floats = |like: Option<&Dataset>| load("table", b"a,b,y\n0,255,1\n51,0,2\n", like);
    let of_shares = |like: Option<&Dataset>| load("table", b"a,b,y\n0,1,1\n0.2,0,2\n", like);
    for (train, bytes) in
        [(of_bytes(None), Some(true)), (of_floats(None), Some(false)), (of_shares(None), None)]
    {
        assert_eq!((train.unlike_bytes(), train.columns().bytes), (None, bytes));
        // Also by what a saved model knows of it.
        let row = Dataset::from_csr(vec![0, 0], Vec::new(), Vec::new(), vec![0.0], 2).unwrap();
        let known = Columns { bytes, ..Columns::default() };
        for train in [row.with_columns(known).unwrap(), train] {
            let told = of_bytes(Some(&train)).unlike_bytes();
            let said = "images: has bytes, which became shares of 1 (x/255), but the training data had values above 1";
            assert_eq!(told.as_deref(), (bytes == Some(false)).then_some(said));
            let told = of_floats(Some(&train)).unlike_bytes();
            let said = "table: has values above 1, but the training data were bytes, which became shares of 1 (x/255)";
            assert_eq!(told.as_deref(), (bytes == Some(true)).then_some(said));
            assert_eq!(of_shares(Some(&train)).unlike_bytes(), None);
            let rows = |text: &str| Loader::bytes("t", text).like(&train).load().unwrap().unlike_bytes();
            assert_eq!((rows("1 1:255\n").is_some(), rows("1 1:0.5\n")), (bytes == Some(true), None));
        }
    }
    // Each tells of its own values.
    assert!(of_bytes(Some(&of_floats(None))).of_bytes() && !of_floats(Some(&of_bytes(None))).of_bytes());
}
