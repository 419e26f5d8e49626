//! Saved models: round trips, LIBLINEAR's own files, and files that are damaged.
#![cfg(not(loom))]

use asyncsgd::{
    Dataset, Error, Loader, Logistic, SavedModel, Trainer,
    data::Columns,
    model::{LossKind, ModelFormat, Precision},
    scores,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model").join(name)
}

fn small() -> Dataset {
    Loader::new(golden("small.svm")).seed(3).load().unwrap().binary().unwrap()
}

fn example() -> SavedModel {
    SavedModel {
        loss: LossKind::SquaredHinge,
        l2: Some(1.0 / 261_841.0),
        l1: Some(0.0),
        classes: vec![-1.0, 3.0],
        weights: vec![0.1, -2.5e-300, 0.0, 1.0 / 3.0, f64::MAX],
        bias: vec![-0.7],
        one_based: true,
        columns: Columns {
            names: Some(["a", "b c", "\"\n", "", "é"].map(str::to_owned).to_vec()),
            label: Some("y".into()),
            classes: None,
            means: Some(vec![0.1, -2.0, 0.0, 1.5, f32::MAX]),
            bytes: Some(false),
        },
        precision: Precision::F64,
        provenance: [("step".to_owned(), "delay-adaptive".to_owned())].into(),
    }
}

fn round_trip(model: &SavedModel, name: &str) -> SavedModel {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(name);
    model.save(&path).unwrap();
    SavedModel::load(&path).unwrap()
}

#[test]
fn safetensors_keep_everything() {
    let double = example();
    assert_eq!(round_trip(&double, "m.safetensors"), double);
    let single = SavedModel {
        precision: Precision::F32,
        weights: vec![f64::from(0.1f32), -3.0],
        bias: Vec::new(),
        columns: Columns::default(),
        one_based: false,
        loss: LossKind::Huber,
        classes: Vec::new(),
        ..example()
    };
    assert_eq!(round_trip(&single, "m.safetensors"), single);
    for loss in LossKind::ALL {
        let classes = if loss.is_classification() { vec![0.0, 1.0] } else { Vec::new() };
        let model = SavedModel { loss, classes, ..example() };
        assert_eq!(round_trip(&model, "m.safetensors"), model);
    }
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let directory = TempDir::new().unwrap();
    let [a, b] = ["a.safetensors", "b.safetensors"].map(|name| directory.path().join(name));
    example().save(&a).unwrap();
    example().save(&b).unwrap();
    assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
}

#[test]
fn liblinear_text_keeps_what_predictions_need() {
    for loss in LossKind::ALL {
        let classes = if loss.is_classification() { vec![0.0, 1.0] } else { Vec::new() };
        for bias in [vec![], vec![0.25]] {
            let model = SavedModel { loss, classes: classes.clone(), bias, ..example() };
            let expected = SavedModel {
                l2: None,
                l1: None,
                columns: Columns::default(),
                provenance: [("format".to_owned(), "LIBLINEAR text".to_owned())].into(),
                ..model.clone()
            };
            assert_eq!(round_trip(&model, "m.model"), expected);
        }
    }
}

#[test]
fn reads_what_liblinear_wrote() {
    let model = SavedModel::load(&golden("logistic.model")).unwrap();
    assert_eq!((model.loss, &model.classes[..]), (LossKind::Logistic, &[0.0, 1.0][..]));
    assert_eq!((model.weights.len(), model.weights[0]), (4, 0.710_217_646_429_351_3));
    assert_eq!(model.bias, [0.127_292_048_323_391_7]);
    // Probabilities by `liblinear-predict -b 1` of Debian's liblinear-tools 2.3.0 on the same six rows.
    let probabilities = [0.787506, 0.297524, 0.671514, 0.185805, 0.747091, 0.184937];
    let data = small();
    for (score, &row) in model.scores(&data).unwrap().iter().zip(data.order()) {
        let p = 1.0 / (1.0 + (-score).exp());
        assert!((p - probabilities[row as usize]).abs() < 1e-6, "row {row}: {p}");
    }

    let model = SavedModel::load(&golden("l1-svm.model")).unwrap();
    assert_eq!((model.loss, model.bias), (LossKind::SquaredHinge, vec![]));
    let model = SavedModel::load(&golden("svr.model")).unwrap();
    assert_eq!((model.loss, model.predict(&[0.3]), model.classes), (LossKind::Squared, 0.3, vec![]));
}

#[test]
fn liblinear_text_is_as_liblinear_writes_it() {
    let model = SavedModel { weights: vec![0.5, -2.0, 0.0], ..example() };
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("m.model");
    model.save(&path).unwrap();
    let text = "solver_type L2R_L2LOSS_SVC\nnr_class 2\nlabel 3 -1\nnr_feature 3\nbias 1\nw\n\
                5e-1\n-2e0\n0e0\n-7e-1\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[test]
fn a_trained_model_scores_as_in_training() {
    let names = Some(["w", "x", "y", "z"].map(str::to_owned).to_vec());
    let columns = Columns { names, ..Columns::default() };
    for intercept in [false, true] {
        let data = small().with_columns(columns.clone()).unwrap();
        let data = if intercept { data.with_intercept() } else { data };
        let run = Trainer::new(Logistic::l2(0.01)).workers(1).epochs(20).run(&data).unwrap();
        let model = SavedModel::new(LossKind::Logistic, &data, &run.weights);
        assert_eq!((model.weights.len(), !model.bias.is_empty()), (4, intercept));
        assert_eq!(model.columns, columns);
        assert_eq!((&model.classes[..], model.one_based), (&[0.0, 1.0][..], true));
        assert_eq!(model.provenance["data-hash"], data.hash());

        let expected = scores(&data, &run.weights);
        for name in ["m.safetensors", "m.model"] {
            let model = round_trip(&model, name);
            // The same rows, numbered and ordered otherwise, with and without a constant column.
            let other = Loader::new(golden("small.svm")).seed(99).load().unwrap();
            for other in [other.clone(), other.with_intercept()] {
                let got = model.scores(&other).unwrap();
                for (score, row) in expected.iter().zip(data.order()) {
                    let at = other.order().iter().position(|r| r == row).unwrap();
                    assert!((got[at] - score).abs() < 1e-12, "{} is not {score}", got[at]);
                }
            }
            let (ids, values) = (vec![0, 2], vec![0.5, 1.25]);
            let score = model.score(asyncsgd::Row::new(&ids, &values).unwrap()).unwrap();
            let first = data.order().iter().position(|&r| r == 0).unwrap();
            assert!((score[0] - expected[first]).abs() < 1e-12);
            assert_eq!(model.predict(&score), 1.0);
            assert_eq!(model.predict(&[0.0]), 0.0);
        }
    }
}

#[test]
fn more_features_than_in_training_is_said() {
    let model = SavedModel { weights: vec![1.0, 2.0, 3.0], ..example() };
    let said = model.scores(&small()).unwrap_err();
    assert!(said.to_string().ends_with("small.svm: found feature 4, expected at most 3, as in the model"));
    assert!(model.score(asyncsgd::Row::new(&[3], &[1.0]).unwrap()).is_err());
}

#[test]
fn what_cannot_be_saved_is_said_before_anything_is_written() {
    let directory = TempDir::new().unwrap();
    let save = |model: &SavedModel, name: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, "old").unwrap();
        let said = model.save(&path).unwrap_err();
        assert!(matches!(said, Error::Usage(_)), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(said.to_string().lines().count(), 1, "{said}");
        said.to_string()
    };
    assert!(save(&example(), "m.txt").contains(".safetensors"));
    let halves = SavedModel { classes: vec![0.5, 1.0], ..example() };
    assert!(save(&halves, "m.model").contains("found 0.5"));
    let diverged = SavedModel { bias: vec![f64::NAN], ..example() };
    assert!(save(&diverged, "m.safetensors").contains("not finite"));
    assert!(ModelFormat::of(Path::new("model")).is_err());
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

#[test]
fn damaged_liblinear_text() {
    let good = std::fs::read_to_string(golden("logistic.model")).unwrap();
    let cases: [(&str, &str, &str); 19] = [
        ("L2R_LR", "MCSVM_CS", ":1:13: found 'MCSVM_CS', expected a two-class or regression solver"),
        ("L2R_LR", "", ":1:12: found '', expected a two-class"),
        ("nr_class 2", "nr_class 1", ":2:10: found '1', expected 2 classes or more"),
        ("nr_class 2", "nr_class 3", ": found 2 labels for nr_class 3, expected as many"),
        ("nr_class 2\n", "", ":5: found 'w' without nr_class"),
        ("label 1 0", "label 1 1", ":3:7: found '1 1', expected different labels"),
        ("label 1 0", "label 1 0 2", ": found 3 labels for nr_class 2, expected as many"),
        ("label 1 0", "label 1 0.5", ":3:9: found '0.5', expected an integer"),
        ("label 1 0\n", "", ":5: found 'w' without label"),
        ("nr_feature 4", "nr_feature -4", ":4:12: found '-4', expected a number of features"),
        ("nr_feature 4", "nr_feature 99999999999999999999", ":4:12: found '9999"),
        (
            "nr_feature 4",
            "nr_feature 4000000000",
            ":11: found the end of the file, expected 4000000001 weights",
        ),
        ("nr_feature 4", "nr_feature 2", ":10:1: found '-0.62484338701118958', expected the end after 3"),
        ("bias 1", "bias nan", ":5:6: found 'nan', expected a number"),
        ("bias 1", "bia 1", ":5:1: found 'bia', expected solver_type"),
        ("w\n", "", ":6:1: found '0.71021764642935126', expected solver_type"),
        (
            "-0.48987419618932043",
            "-0.48987419618932043 1",
            ":8:1: found '-0.48987419618932043 1', expected one",
        ),
        ("-0.48987419618932043", "1e999", ":8:1: found '1e999', expected one finite weight"),
        ("0.12729204832339169 \n", "", ":10: found the end of the file, expected 5 weights, of which 4 came"),
    ];
    for (from, to, expected) in cases {
        assert!(good.contains(from), "{from}");
        let said = refused(good.replacen(from, to, 1).as_bytes());
        assert!(said.starts_with(expected), "{from:?} → {to:?}: {said}");
    }
    let mut bytes = good.clone().into_bytes();
    bytes[60] = 0xff;
    let line = 1 + good[..60].matches('\n').count();
    assert!(refused(&bytes).starts_with(&format!(":{line}: found byte 0xff")));
    for end in FIRST..good.trim_end().len() {
        let cut = &good[..end];
        // Within the last weight's digits a cut cannot be seen.
        if cut.lines().count() < 11 {
            refused(cut.as_bytes());
        }
    }
}

/// Shorter than this, LIBLINEAR text is not recognised as such.
const FIRST: usize = "solver_type".len();

/// A safetensors file with this header and data.
fn tensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn header(metadata: &str, kind: &str, shape: &str, end: &str) -> String {
    let metadata = serde_json::to_string(metadata).unwrap();
    format!(
        r#"{{"__metadata__":{{"asyncsgd":{metadata}}},"weights":{{"dtype":"{kind}","shape":{shape},"data_offsets":[0,{end}]}}}}"#
    )
}

const META: &str = r#"{"format":1,"loss":"hinge","l2":0.1,"l1":0.0,"classes":[0.0,1.0],"one_based":true,"columns":{},"provenance":{}}"#;

#[test]
fn damaged_safetensors() {
    let one = 1f32.to_le_bytes();
    let load = |metadata: &str, kind, shape, end, data: &[u8]| {
        refused(&tensors(&header(metadata, kind, shape, end), data))
    };
    // The same bytes undamaged.
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("m");
    std::fs::write(&path, tensors(&header(META, "F32", "[1]", "4"), &one)).unwrap();
    assert_eq!(SavedModel::load(&path).unwrap().weights, [1.0]);

    let said = [
        refused(b""),
        refused(b"not a model at all"),
        refused(&tensors("{", &[])),
        refused(&tensors(r#"{"weights":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &one)),
        refused(&tensors(&header(META, "F32", "[1]", "4").replace("weights", "other"), &one)),
        load("nonsense", "F32", "[1]", "4", &one),
        load(&META.replace("hinge", "cubic"), "F32", "[1]", "4", &one),
        load(&META.replace("\"format\":1", "\"format\":2"), "F32", "[1]", "4", &one),
        load(&META.replace("[0.0,1.0]", "null"), "F32", "[1]", "4", &one),
        load(&META.replace("[0.0,1.0]", "[1.0,1.0]"), "F32", "[1]", "4", &one),
        load(&META.replace(r#""columns":{}"#, r#""columns":{"names":[]}"#), "F32", "[1]", "4", &one),
        load(META, "F16", "[2]", "4", &one),
        load(META, "F32", "[1,1]", "4", &one),
        load(META, "F32", "[1000000000000]", "4000000000000", &one),
        load(META, "F32", "[18446744073709551615]", "4", &one),
        load(META, "F32", "[1]", "4", &[]),
        load(META, "F32", "[1]", "4", &[0; 5]),
        load(META, "F32", "[1]", "4", &f32::NAN.to_le_bytes()),
    ];
    let expected = [
        "an empty file",
        "something else",
        "invalid JSON",
        "no metadata 'asyncsgd'",
        "tensor `weights` not found",
        "metadata 'asyncsgd' with expected",
        "loss 'cubic'",
        "model format 2",
        "hinge loss with classes []",
        "classes [1.0, 1.0]",
        "0 names for 1 features",
        "tensor 'weights' of type F16",
        "shape [1, 1]",
        "not fully covered",
        "overflow",
        "not fully covered",
        "not fully covered",
        "NaN at 'weights'[0]",
    ];
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // A header length that the file does not have, up to one that would take all memory.
    for length in [1000, u64::from(u32::MAX), u64::MAX] {
        let mut bytes = tensors(&header(META, "F32", "[1]", "4"), &one);
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        refused(&bytes);
    }
    let whole = tensors(&header(META, "F32", "[1]", "4"), &one);
    for end in 0..whole.len() {
        refused(&whole[..end]);
    }
    // Any single damaged byte gives a model or one line, never a panic.
    for at in 0..whole.len() {
        for byte in [0, b'{', b'9', 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            std::fs::write(&path, bytes).unwrap();
            if let Err(error) = SavedModel::load(&path) {
                assert_eq!(error.to_string().lines().count(), 1, "{error}");
            }
        }
    }
}

#[test]
fn a_missing_file_is_an_error_of_the_system() {
    let error = SavedModel::load(Path::new("no/such.model")).unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().lines().count()), (1, 1));
}
