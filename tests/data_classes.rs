//! Classes, folds and scales.

use asyncsgd::{Dataset, Loader, data::Scale};
use std::collections::BTreeSet;

fn load(text: &str) -> Dataset {
    Loader::bytes("text", text).load().unwrap()
}

fn line(error: asyncsgd::Result<Dataset>) -> String {
    let error = error.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error:?}");
    error.to_string()
}

/// By the number of the row in the source.
fn by_source<V: Copy>(data: &Dataset, of: impl Fn(usize) -> V) -> Vec<V> {
    let mut all: Vec<(u32, V)> = (0..data.len()).map(|p| (data.order()[p], of(p))).collect();
    all.sort_by_key(|(row, _)| *row);
    all.into_iter().map(|(_, v)| v).collect()
}

const FOUR: &str = "7 1:1\n-3 1:2\n20 2:1\n7 2:2\n0 1:1 2:1\n";

#[test]
fn any_number_of_classes() {
    let data = load(FOUR).multiclass().unwrap();
    assert_eq!(data.classes(), Some(&[-3.0, 0.0, 7.0, 20.0][..]));
    assert_eq!(by_source(&data, |p| data.label(p)), [2.0, 0.0, 3.0, 2.0, 1.0]);
    let seven = data.versus_rest(2);
    assert_eq!(by_source(&seven, |p| seven.label(p)), [1.0, -1.0, -1.0, 1.0, -1.0]);
    assert_eq!((seven.classes(), seven.nonzeros()), (None, data.nonzeros()));
    let mut text = Vec::new();
    data.write_libsvm(&mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), FOUR);
    // Two classes have two forms.
    let two = "5 1:1\n2 1:2\n";
    let (signs, numbers) = (load(two).binary().unwrap(), load(two).multiclass().unwrap());
    assert_eq!(by_source(&signs, |p| signs.label(p)), [1.0, -1.0]);
    assert_eq!(by_source(&numbers, |p| numbers.label(p)), [1.0, 0.0]);
    for data in [signs, numbers] {
        assert_eq!(data.classes(), Some(&[2.0, 5.0][..]));
        let mut text = Vec::new();
        data.write_libsvm(&mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), two);
    }
    let test = load("20 1:1\n-3 1:2\n").multiclass_as(&[-3.0, 0.0, 7.0, 20.0]).unwrap();
    assert_eq!(by_source(&test, |p| test.label(p)), [3.0, 0.0]);
    // -0 and 0 are one label.
    let zeros = load("0 1:1\n-0 1:2\n1 1:1\n").multiclass().unwrap();
    assert_eq!(by_source(&zeros, |p| zeros.label(p)), [0.0, 0.0, 1.0]);
}

#[test]
fn what_are_no_classes() {
    assert_eq!(
        line(load("1 1:1\n1 1:2\n").multiclass()),
        "text: found only the label 1, expected two classes or more"
    );
    let numbers = load("1 1:1\n2.5 1:2\n3 1:1\n0.5 1:1\n");
    let said = line(numbers.multiclass());
    assert_eq!(said, "text:2: found label 2.5, expected two classes, or whole numbers as classes");
    let test = load("1 1:1\n4 1:2\n5 1:1\n");
    let said = line(test.multiclass_as(&[1.0, 2.0, 3.0]));
    assert_eq!(said, "text:2: found label 4, expected one of the 3 classes of the training data");
}

/// Every row is held out once, classes are spread evenly, and nothing depends on the layout.
#[test]
fn folds_hold_every_row_out_once() {
    let text: String = (0..103).map(|i| format!("{} 1:{}\n", u32::from(i % 5 == 0), i + 1)).collect();
    let held_out = |seed, layout| {
        let data = Loader::bytes("text", text.as_str()).seed(layout).load().unwrap().binary().unwrap();
        let mut all = Vec::new();
        for (train, test) in data.folds(4, seed).unwrap() {
            let rows: BTreeSet<u32> = test.order().iter().copied().collect();
            assert!(train.order().iter().all(|row| !rows.contains(row)));
            assert_eq!(train.len() + test.len(), 103);
            assert!((25..=26).contains(&test.len()));
            let positive = test.labels().iter().filter(|&&y| y > 0.0).count();
            assert!((5..=6).contains(&positive), "{positive} of 21 in a fold");
            all.push(rows);
        }
        all
    };
    let folds = held_out(1, 0);
    let union: BTreeSet<u32> = folds.iter().flatten().copied().collect();
    assert_eq!((folds.len(), union.len()), (4, 103));
    assert_eq!(folds, held_out(1, 9));
    assert_ne!(folds, held_out(2, 0));
    let three = load("1 1:1\n2 1:1\n3 1:1\n");
    for bad in [0, 1, 4] {
        let error = three.folds(bad, 0).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{bad} folds of 3 rows")), "{error}");
    }
    assert_eq!(three.folds(3, 0).unwrap().len(), 3);
}

#[test]
fn scales_by_hand() {
    // Feature 1: 2, 0, 0, 2, deviation 1; feature 2: constant 5; feature 3: -4, 0, 0, 0, deviation √3; 4: never.
    let text = "1 1:2 2:5 3:-4\n2 2:5\n1 2:5\n2 1:2 2:5\n";
    let data = Loader::bytes("text", text).features(4).load().unwrap();
    let std = data.clone().scaled(Scale::Std);
    let root = 3f32.sqrt();
    assert_eq!(std.factors().unwrap(), [1.0, 1.0, 1.0 / root, 1.0]);
    let max = data.clone().scaled(Scale::Max);
    assert_eq!(max.factors().unwrap(), [0.5, 0.2, 0.25, 1.0]);
    let row = |data: &Dataset, source: u32| {
        let p = data.order().iter().position(|&row| row == source).unwrap();
        let mut by_id = vec![0.0; data.features()];
        data.row(p).iter().for_each(|(rank, v)| by_id[data.feature_order()[rank] as usize] = v);
        by_id
    };
    assert_eq!(row(&max, 0), [1.0, 1.0, -1.0, 0.0]);
    // What is loaded like it, or scaled as it, is scaled by the same; an intercept is not scaled.
    let test = "1 1:4 3:2\n";
    let with = max.with_intercept();
    let like = Loader::bytes("test", test).like(&with).load().unwrap();
    assert_eq!(row(&like, 0), [2.0, 0.0, 0.5, 0.0, 1.0]);
    assert_eq!(like.factors(), with.factors());
    let plain = Loader::bytes("test", test).like(&data).load().unwrap();
    assert_eq!((plain.factors(), row(&plain, 0)), (None, vec![4.0, 0.0, 2.0, 0.0]));
    let again = plain.clone().scaled_as(&std).unwrap();
    assert_eq!((row(&again, 0), again.factors()), (vec![4.0, 0.0, 2.0 / root, 0.0], std.factors()));
    assert_eq!(plain.scaled_as(&data).unwrap().factors(), None);
    let other = line(load("1 1:1\n").scaled_as(&std));
    assert_eq!(other, "text: 1 features, the data that it is scaled as 4");
    // Twice is a product, and the layout does not matter.
    let twice = std.scaled(Scale::Max).laid_out(5);
    assert_eq!(row(&twice, 0), [1.0, 1.0, -1.0, 0.0]);
    assert_eq!(twice.factors().unwrap()[2], 1.0 / 4.0);
}

/// The cache holds what the file says, whatever the scale of the data that it is read like.
#[test]
fn scales_do_not_reach_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.svm");
    std::fs::write(&file, "1 1:4 2:3\n").unwrap();
    let train = load("1 1:2 2:1\n2 1:1\n");
    let values = |like: &Dataset| {
        let data = Loader::new(&file).like(like).cache(folder.path().join("cache")).load().unwrap();
        let mut values = data.row(0).values().to_vec();
        values.sort_by(f32::total_cmp);
        values
    };
    for _ in 0..2 {
        assert_eq!(values(&train.clone().scaled(Scale::Max)), [2.0, 3.0]);
        assert_eq!(values(&train), [3.0, 4.0]);
    }
}
