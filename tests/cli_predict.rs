//! Saved models: what `train` saves, `predict` predicts; and files are replaced whole or not at all.

mod common;

use asyncsgd::{Metrics, SavedModel};
use common::{asyncsgd, folder, small, stderr, stdout};
use std::fs;
use std::process::Command;

/// Trains on `data` and returns the model.
fn trained(folder: &tempfile::TempDir, data: &std::path::Path, name: &str) -> std::path::PathBuf {
    let model = folder.path().join(name);
    let options = ["--workers", "1", "--intercept", "--quiet", "--save"];
    let out = asyncsgd().arg("train").arg(data).args(options).arg(&model).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    model
}

#[test]
fn what_is_trained_and_saved_is_predicted() {
    let folder = folder();
    let data = small(&folder, "data.svm", 300);
    for name in ["m.safetensors", "m.model"] {
        let model = trained(&folder, &data, name);
        let saved = SavedModel::load(&model).unwrap();
        assert!(saved.bias.len() == 1 && saved.weights.len() == 9);

        let predict = |options: &[&str]| {
            let out = asyncsgd().args(["predict", "--model"]).arg(&model).arg(&data).args(options).output();
            let out = out.unwrap();
            assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
            out
        };
        let numbers = |options: &[&str]| -> Vec<f64> {
            stdout(&predict(options)).lines().map(|line| line.parse().unwrap()).collect()
        };
        // The data's own order and its own labels.
        let labels = numbers(&[]);
        let expected = (0..300).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 });
        assert!(labels.iter().copied().eq(expected), "{name}: {labels:?}");
        assert!(stderr(&predict(&[])).starts_with("accuracy 100.00 % · AUC 1.0000 · log-loss 0."));
        assert_eq!(stderr(&predict(&["--quiet"])), "");
        // Scores are those of the library, and probabilities their sigmoid.
        let (scores, probabilities) = (numbers(&["--scores"]), numbers(&["--probability"]));
        let text = fs::read_to_string(&data).unwrap();
        for ((line, score), p) in text.lines().zip(&scores).zip(&probabilities) {
            let features = line.split(' ').skip(1).map(|f| f.split_once(':').unwrap());
            let (mut ids, mut values) = (Vec::new(), Vec::new());
            for (index, value) in features {
                ids.push(index.parse::<u32>().unwrap() - 1);
                values.push(value.parse::<f32>().unwrap());
            }
            let row = asyncsgd::Row::new(&ids, &values).unwrap();
            assert!((saved.score(row).unwrap()[0] - score).abs() < 1e-12);
            assert!((1.0 / (1.0 + (-score).exp()) - p).abs() < 1e-12);
        }
        let y: Vec<f32> = labels.iter().map(|&label| label as f32).collect();
        assert_eq!(Metrics::new(saved.loss, &scores, &y).accuracy, Some(1.0));
    }
}

#[test]
fn predictions_go_to_a_file_and_come_from_a_pipe() {
    let folder = folder();
    let data = small(&folder, "data.svm", 50);
    let model = trained(&folder, &data, "m.safetensors");
    let output = folder.path().join("labels.txt.gz");
    let mut predict = asyncsgd();
    predict.args(["predict", "-", "--model"]).arg(&model).arg("--output").arg(&output);
    let out = predict.stdin(fs::File::open(&data).unwrap()).output().unwrap();
    assert_eq!((out.status.code(), stdout(&out)), (Some(0), String::new()), "{}", stderr(&out));
    assert_eq!(&fs::read(&output).unwrap()[..2], [0x1f, 0x8b]);
}

#[test]
fn labels_that_the_model_does_not_know_give_predictions_without_metrics() {
    let folder = folder();
    let model = trained(&folder, &small(&folder, "data.svm", 50), "m.safetensors");
    let unknown = folder.path().join("unknown.svm");
    fs::write(&unknown, "0 1:1\n0 5:1\n").unwrap();
    let out = asyncsgd().args(["predict", "--model"]).arg(&model).arg(&unknown).output().unwrap();
    assert_eq!((stdout(&out).as_str(), stderr(&out).as_str()), ("1\n-1\n", ""));
}

/// On a file system of a few pages, which only root can make.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_file() {
    let folder = folder();
    let data = small(&folder, "data.svm", 2000);
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "none"]).arg(&disk).output();
    if !mounted.is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    }
    let target = disk.join("out.svm");
    fs::write(&target, "old").unwrap();
    let out = asyncsgd().args(["data", "convert"]).arg(&data).arg(&target).output().unwrap();
    let left: Vec<_> = fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let content = fs::read_to_string(&target);
    Command::new("umount").arg(&disk).status().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let said = format!("error: {}: cannot write: No space left on device (os error 28)\n", target.display());
    assert_eq!(stderr(&out), said);
    assert_eq!((content.unwrap().as_str(), left), ("old", vec!["out.svm".into()]));
}

#[test]
fn parts_of_a_split_are_the_whole() {
    let folder = folder();
    let data = small(&folder, "data.svm", 100);
    let (train, test) = (folder.path().join("train.svm.zst"), folder.path().join("test.svm"));
    let out = asyncsgd()
        .args(["data", "split", "--fraction", "0.3", "--seed", "5"])
        .args([&data, &train, &test])
        .output()
        .unwrap();
    assert_eq!((out.status.code(), stderr(&out).as_str()), (Some(0), "70 training rows, 30 test rows\n"));
    let text = |path| stdout(&asyncsgd().args(["data", "convert"]).arg(path).arg("-").output().unwrap());
    let (parts, whole) = (text(&train) + &text(&test), text(&data));
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&parts), sorted(&whole));
}

#[test]
fn completions_are_for_a_shell() {
    for (shell, says) in
        [("bash", "complete -F _asyncsgd"), ("zsh", "#compdef asyncsgd"), ("fish", "complete")]
    {
        let out = asyncsgd().args(["completions", shell]).output().unwrap();
        assert!(stdout(&out).contains(says), "{shell}");
        assert!(stdout(&out).contains("squared-hinge"), "{shell}");
    }
}
