//! Paths of penalties, cross-validation, class weights, scales and several classes, as a program.

mod common;
#[path = "common/schema.rs"]
mod schema;

use asyncsgd::SavedModel;
use common::{asyncsgd, folder, small, stderr, stdout};
use schema::valid;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Rows of noisy classes 0 to `classes` − 1: feature c is large for class c, feature 9 is on another scale.
fn noisy(folder: &tempfile::TempDir, name: &str, rows: usize, classes: usize) -> PathBuf {
    let number = |i: usize, k: usize| {
        let mut x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (k as u64 + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 29)) % 997) as f32 / 997.0
    };
    let row = |i: usize| {
        let class = i % classes;
        let value = |f: usize| number(i, f) + if f == class { 0.4 } else { 0.0 };
        let values: String = (0..4).map(|f| format!(" {}:{}", f + 1, value(f))).collect();
        format!("{class}{values} 9:{}\n", 3.0 * number(i, 8))
    };
    let path = folder.path().join(name);
    fs::write(&path, (0..rows).map(row).collect::<String>()).unwrap();
    path
}

fn train(data: &Path, options: &[&str]) -> Output {
    asyncsgd().arg("train").arg(data).args(["--workers", "1"]).args(options).output().unwrap()
}

fn records(data: &Path, options: &[&str]) -> Vec<Value> {
    let out = train(data, &[options, &["--json", "-"]].concat());
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    let all: Value = serde_json::from_slice(&out.stdout).unwrap();
    let each = all.as_array().expect("a list of records");
    each.iter().map(|record| valid(record.to_string().as_bytes())).collect()
}

fn number(record: &Value, path: &str) -> f64 {
    record.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {record}"))
}

#[test]
fn a_path_saves_its_best() {
    let folder = folder();
    let data = noisy(&folder, "data.svm", 400, 2);
    let model = folder.path().join("best.safetensors");
    let options = ["--scale", "std", "--l2", "1e-4..1:5", "--test-fraction", "0.3", "--target-gap", "1e-4"];
    let save = ["--save", model.to_str().unwrap()];
    let records = records(&data, &[&options[..], &save].concat());
    let strengths: Vec<f64> = records.iter().map(|record| number(record, "/plan/l2")).collect();
    assert_eq!(strengths, [1.0, 0.1, 0.01, 0.001, 0.0001]);
    let losses: Vec<f64> = records.iter().map(|record| number(record, "/final/log_loss")).collect();
    let best = (0..5).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap();
    let chosen: Vec<bool> = records.iter().map(|record| record["chosen"] == true).collect();
    assert_eq!(chosen, std::array::from_fn::<_, 5, _>(|at| at == best));
    assert_eq!(SavedModel::load(&model).unwrap().l2, Some(strengths[best]));
    for record in &records {
        assert!(record["stop"] == "gap" && record["plan"]["scale"] == "std", "{record}");
        assert_eq!(number(record, "/final/nonzero"), 5.0);
        assert!(number(record, "/final/train/log_loss") > 0.0);
    }
    // Every run but the first starts from the one before it: nearer than from nothing.
    assert!(number(&records[1], "/series/0/objective") < 0.69, "{}", records[1]["series"][0]);
    assert!((number(&records[0], "/series/0/objective") - 2f64.ln()).abs() < 1e-9);
    // A weaker penalty fits the training rows better.
    assert!(number(&records[4], "/final/train/log_loss") < number(&records[0], "/final/train/log_loss"));

    let out = train(&data, &options);
    let text = stdout(&out);
    assert!(
        text.contains("train log-loss") && text.contains(&format!("best: l2 {}", strengths[best])),
        "{text}"
    );
    assert_eq!(text.lines().filter(|line| line.ends_with("gap")).count(), 5, "{text}");
}

#[test]
fn folds_are_a_table_and_then_a_model_of_all_rows() {
    let folder = folder();
    let data = noisy(&folder, "data.svm", 403, 2);
    let model = folder.path().join("m.model");
    let options = ["--scale", "max", "--folds", "4", "--epochs", "3", "--save", model.to_str().unwrap()];
    let cross = records(&data, &options);
    assert_eq!(cross.len(), 5);
    let folds: Vec<&Value> = cross.iter().map(|record| &record["plan"]["fold"]).collect();
    assert_eq!(
        (folds[0], folds[3], folds[4]),
        (&serde_json::json!([1, 4]), &serde_json::json!([4, 4]), &Value::Null)
    );
    let rows: Vec<f64> = cross[..4].iter().map(|record| number(record, "/test/rows")).collect();
    assert_eq!(rows.iter().sum::<f64>(), 403.0);
    assert_eq!(number(&cross[4], "/data/rows"), 403.0);
    // One worker and one seed: the same again.
    let objectives =
        |records: &[Value]| records.iter().map(|r| number(r, "/final/objective")).collect::<Vec<_>>();
    assert_eq!(objectives(&cross), objectives(&records(&data, &options)));

    let path =
        records(&data, &["--folds", "2", "--l2", "0.1,0.001", "--loss", "hinge", "--target-gap", "0.01"]);
    assert_eq!(path.len(), 5);
    let mean = |l2: f64| {
        let of = path[..4].iter().filter(|record| number(record, "/plan/l2") == l2);
        of.map(|record| number(record, "/final/accuracy")).sum::<f64>() / 2.0
    };
    // The first of equals.
    let best = if mean(0.1) >= mean(0.001) { 0.1 } else { 0.001 };
    assert_eq!(number(&path[4], "/plan/l2"), best);
    let few = train(&small(&folder, "few.svm", 3), &["--folds", "4"]);
    let said = "error: 4 folds of 3 rows: expected 2 or more, and a row for each\n";
    assert_eq!((few.status.code(), &stderr(&few)[..]), (Some(2), said));
    let text = stdout(&train(&data, &["--folds", "2", "--epochs", "2"]));
    assert!(text.contains(" ± ") && text.contains("stopped     all 2 epochs are done"), "{text}");
}

#[test]
fn several_classes_are_trained_saved_and_predicted() {
    let folder = folder();
    let data = noisy(&folder, "data.svm", 600, 3);
    for (name, options) in [("m.safetensors", &["--intercept"][..]), ("m.model", &["--scale", "max"][..])] {
        let model = folder.path().join(name);
        let save = ["--epochs", "20", "--save", model.to_str().unwrap()];
        let out = train(&data, &[options, &save].concat());
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        // Lines are wrapped.
        let text = stdout(&out).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("each of 3 classes against the rest"), "{text}");
        let predict = |options: &[&str]| {
            let out = asyncsgd()
                .args(["predict", "--model"])
                .arg(&model)
                .arg(&data)
                .args(options)
                .output()
                .unwrap();
            assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
            out
        };
        let out = predict(&[]);
        let labels: Vec<usize> = stdout(&out).lines().map(|line| line.parse().unwrap()).collect();
        let right = labels.iter().enumerate().filter(|(i, label)| i % 3 == **label).count();
        let accuracy = format!("accuracy {:.2} %", right as f64 / 6.0);
        assert!(right > 360 && stderr(&out).starts_with(&accuracy), "{right}: {}", stderr(&out));
        // What the report said of the training rows is what predict says of them.
        assert!(text.contains(&accuracy), "{text}");
        assert!(stderr(&out).contains("mostly mistaken for"));
        let line = stdout(&predict(&["--probability"])).lines().next().unwrap().to_owned();
        let p: Vec<f64> = line.split(' ').map(|p| p.parse().unwrap()).collect();
        assert!(p.len() == 3 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let out = train(&data, &["--json", "-", "--class-weight", "2:5"]);
    let weighted = valid(&out.stdout);
    let plain = valid(&train(&data, &["--json", "-"]).stdout);
    assert_eq!(weighted["data"]["classes"], serde_json::json!([0.0, 1.0, 2.0]));
    let predicted = |record: &Value| number(record, "/final/classes/2/predicted");
    assert!(predicted(&weighted) > predicted(&plain), "{weighted}");
    let confusion = plain["final"]["confusion"].as_array().unwrap();
    let sum = |row: &Value| row.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>();
    assert_eq!(confusion.iter().map(sum).collect::<Vec<_>>(), [200, 200, 200]);
    let out = train(&data, &["--report", folder.path().join("r.html").to_str().unwrap()]);
    assert_eq!((out.status.code(), stderr(&out).lines().count()), (Some(2), 1), "{}", stderr(&out));
}

#[test]
fn balanced_classes_recall_the_rare_one() {
    let folder = folder();
    let data = folder.path().join("rare.svm");
    let text = |i: usize| {
        let x = (i * 7919 % 1000) as f32 / 1000.0;
        format!("{} 1:{x} 2:1\n", i32::from(i.is_multiple_of(10) && x > 0.3))
    };
    fs::write(&data, (0..2000).map(text).collect::<String>()).unwrap();
    let recall = |options: &[&str]| {
        let record =
            valid(&train(&data, &[options, &["--target-gap", "1e-3", "--json", "-"]].concat()).stdout);
        number(&record, "/final/classes/1/recall")
    };
    assert_eq!(recall(&[]), 0.0);
    assert!(recall(&["--class-weight", "balanced"]) > 0.5);
    assert!(recall(&["--class-weight", "1:12,0:1"]) > 0.5);
    // A label before which there is a sign is no option.
    let out = train(&data, &["--class-weight", "-1:2,1:1"]);
    assert_eq!(stderr(&out), "error: class weights: found -1, which no row has as label\n");
    assert_eq!(out.status.code(), Some(2));
}
