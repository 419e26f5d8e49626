//! Saved models of several classes and of scaled data.
#![cfg(not(loom))]

use asyncsgd::{
    Loader, Logistic, SavedModel, Trainer,
    model::{LossKind, Precision},
    scores,
};
use std::path::Path;
use tempfile::TempDir;

fn round_trip(model: &SavedModel, name: &str) -> SavedModel {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(name);
    model.save(&path).unwrap();
    SavedModel::load(&path).unwrap()
}

/// One line that names the file, exit 2, whatever the bytes.
fn refused(bytes: &[u8]) -> String {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("m");
    std::fs::write(&path, bytes).unwrap();
    let error = SavedModel::load(&path).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    let said = error.to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    let rest = said.strip_prefix(path.to_str().unwrap()).unwrap_or_else(|| panic!("{said}"));
    assert!(rest.contains(": found ") && rest.contains(", expected ") && rest.len() < 300, "{said}");
    rest.to_owned()
}

/// Three classes by hand: weights by class here, by feature in LIBLINEAR's text.
fn three() -> SavedModel {
    SavedModel {
        loss: LossKind::Logistic,
        classes: vec![2.0, 5.0, 11.0],
        weights: vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.5],
        bias: vec![0.0, 0.25, -0.5],
        l2: Some(0.1),
        l1: Some(0.0),
        one_based: true,
        columns: asyncsgd::data::Columns::default(),
        precision: Precision::F64,
        provenance: [("step".to_owned(), "delay-adaptive".to_owned())].into(),
    }
}

#[test]
fn several_classes_are_kept_and_predicted() {
    let model = three();
    assert_eq!((model.outputs(), model.features()), (3, 2));
    assert_eq!(round_trip(&model, "m.safetensors"), model);
    let text = round_trip(&model, "m.model");
    assert_eq!((&text.classes, &text.weights, &text.bias), (&model.classes, &model.weights, &model.bias));
    let without = SavedModel { bias: vec![], ..three() };
    assert_eq!(round_trip(&without, "m.model").weights, without.weights);

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("m.model");
    model.save(&path).unwrap();
    let expected = "solver_type L2R_LR\nnr_class 3\nlabel 2 5 11\nnr_feature 2\nbias 1\nw\n\
                    1e0 0e0 -1e0\n0e0 1e0 5e-1\n0e0 2.5e-1 -5e-1\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);

    // Row (2, 1): scores 2, 1.25, −2.
    let scores = model.score(asyncsgd::Row::new(&[0, 1], &[2.0, 1.0]).unwrap()).unwrap();
    assert_eq!(scores, [2.0, 1.25, -2.0]);
    assert_eq!(
        (model.predict(&scores), model.predict(&[0.0, 0.0, -1.0]), model.predict(&[-3.0, -2.0, -1.0])),
        (2.0, 2.0, 11.0)
    );
    let p = model.probabilities(&scores).unwrap();
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let sum: f64 = scores.iter().map(|&z| sigmoid(z)).sum();
    assert!((p[1] - sigmoid(1.25) / sum).abs() < 1e-15 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
    // A data set's rows, by position, whatever its numbering.
    let data = Loader::bytes("rows", "2 2:1 1:2\n5 2:3\n").seed(4).load().unwrap();
    let all = model.scores(&data).unwrap();
    for (scores, &row) in all.chunks(3).zip(data.order()) {
        assert_eq!(scores, if row == 0 { [2.0, 1.25, -2.0] } else { [0.0, 3.25, 1.0] });
    }

    for (from, to, said) in [
        ("1e0 0e0 -1e0", "1e0 0e0", ":7:1: found '1e0 0e0', expected 3 weights, one a class"),
        ("1e0 0e0 -1e0", "1e0 x -1e0", ":7:5: found 'x', expected a finite weight"),
        (
            "0e0 2.5e-1 -5e-1\n",
            "",
            ":8: found the end of the file, expected 3 lines of weights, of which 2 came",
        ),
        ("nr_feature 2", "nr_feature 1", ":9:1: found '0e0 2.5e-1 -5e-1', expected the end after 2 lines"),
    ] {
        assert!(expected.contains(from));
        let found = refused(expected.replacen(from, to, 1).as_bytes());
        assert!(found.starts_with(said), "{found}");
    }
}

/// A model of scaled data takes rows as they were.
#[test]
fn a_scale_is_undone() {
    for scale in asyncsgd::data::Scale::ALL {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model/small.svm");
        let raw = Loader::new(file).seed(3).load().unwrap().binary().unwrap().with_intercept();
        let data = raw.clone().scaled(scale);
        let run = Trainer::new(Logistic::l2(0.01)).workers(1).epochs(20).run(&data).unwrap();
        let model = SavedModel::new(LossKind::Logistic, &data, &run.weights);
        let got = model.scores(&raw).unwrap();
        for (got, expected) in got.iter().zip(scores(&data, &run.weights)) {
            assert!((got - expected).abs() < 1e-5, "{scale}: {got} is not {expected}");
        }
        let unscaled = scores(&raw, &run.weights);
        assert!(
            got.iter().zip(unscaled).any(|(got, other)| (got - other).abs() > 0.01),
            "{scale} does nothing"
        );
    }
}
