//! Saved models: what `train` saves, `predict` predicts; and files are replaced whole or not at all.

mod common;
#[path = "common/schema.rs"]
mod schema;

use asyncsgd::model::{Precision, Tensor, TensorModel};
use asyncsgd::{Metrics, SavedModel};
use common::{asyncsgd, folder, small, stderr, stdout};
use serde_json::json;
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

/// Runs the program on files of a folder.
fn in_folder(folder: &tempfile::TempDir, line: &str) -> std::process::Output {
    asyncsgd().current_dir(folder.path()).args(line.split_whitespace()).output().unwrap()
}

/// Petals in centimetres, so that classes can be told apart; a hole in the first row.
fn flowers(header: &str, row: impl Fn(f64, f64, &str) -> String) -> String {
    let kinds = [("setosa", 1.0, 0.2), ("versicolor", 4.0, 1.3), ("virginica", 6.0, 2.2)];
    let rows = (0..90).map(|k| {
        let (name, length, width) = kinds[k % 3];
        let (a, b) = ((k / 3 % 5) as f64 / 10.0, (k / 3 % 4) as f64 / 20.0);
        row(length + a, width + b, name)
    });
    format!("{header}\n{}", rows.collect::<String>())
}

#[test]
fn tables_are_predicted_by_the_names_of_their_columns_and_classes() {
    let folder = folder();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("train.csv", flowers("length,width,species", |a, b, name| format!("{a},{b},{name}\n")));
    // Other order, labels first, and then none.
    write("test.csv", flowers("species,width,length", |a, b, name| format!("{name},{b},{a}\n")));
    write("new.csv", "width,length\n2.2,6\n0.2,1\n1.3,\n".into());
    write("other.csv", "length,height\n1,2\n".into());
    let names: Vec<&str> = (0..90).map(|k| ["setosa", "versicolor", "virginica"][k % 3]).collect();
    let options = "--label species --missing mean --intercept -j 1 -e 200 --l2 1e-4";
    for model in ["linear", "softmax", "mlp:2-8-3"] {
        let options = if model == "mlp:2-8-3" { options.replace("--intercept", "") } else { options.into() };
        let line = format!(
            "train train.csv --test test.csv --model {model} {options} --save m.safetensors --json run.json"
        );
        let out = in_folder(&folder, &line);
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        let told = stdout(&out);
        assert!(told.contains("\n  setosa ") && told.contains("\nversicolor "), "{told}");
        let record = schema::valid(&fs::read(folder.path().join("run.json")).unwrap());
        assert_eq!(record["data"]["class_names"][1], "versicolor");
        assert_eq!(record["final"]["accuracy"], 1.0, "{model}");
        assert_eq!(record["final"]["confusion"], json!([[30, 0, 0], [0, 30, 0], [0, 0, 30]]), "{model}");

        let out = in_folder(&folder, "predict test.csv --model m.safetensors");
        assert!(stdout(&out).lines().eq(names.iter().copied()), "{model}: {}{}", stdout(&out), stderr(&out));
        let told = stderr(&out);
        assert!(told.starts_with("accuracy 100.00 %") && told.contains("\n  setosa "), "{model}: {told}");
        // The mean of the training data, 3.9, is that of a versicolor's length.
        let out = in_folder(&folder, "predict new.csv --missing mean --model m.safetensors");
        assert_eq!(
            (stdout(&out).as_str(), stderr(&out).as_str()),
            ("virginica\nsetosa\nversicolor\n", ""),
            "{model}"
        );
        let out = in_folder(&folder, "predict other.csv --model m.safetensors");
        assert_eq!(out.status.code(), Some(2));
        assert!(
            stderr(&out).contains("other.csv:1: found column 'height', expected the features"),
            "{}",
            stderr(&out)
        );
    }
    let out = in_folder(&folder, "train train.csv --label species --save m.model");
    assert_eq!(out.status.code(), Some(2));
    assert!(
        stderr(&out).contains("--save: LIBLINEAR's classes are integers, found 'setosa'"),
        "{}",
        stderr(&out)
    );
    assert!(stdout(&in_folder(&folder, "data info train.csv --label species")).contains("\nvirginica "));
    for options in ["--loss squared", "--model mlp:2-4-1 --loss squared", "--model fm:2 --loss huber"] {
        let out = in_folder(&folder, &format!("train train.csv --label species {options}"));
        assert_eq!(out.status.code(), Some(2));
        assert!(stderr(&out).contains("found labels that are names"), "{options}: {}", stderr(&out));
    }
}

#[test]
fn networks_of_numbers_tell_their_errors() {
    let folder = folder();
    let rows: String =
        (0..200).map(|k| format!("{},{}\n", f64::from(k % 10) / 10.0, f64::from(k % 10) / 5.0)).collect();
    fs::write(folder.path().join("line.csv"), format!("x,y\n{rows}")).unwrap();
    let options = "--model mlp:1-8-1 --loss squared -j 1 -e 50 --save m.safetensors --json run.json";
    let out = in_folder(&folder, &format!("train line.csv {options}"));
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    let record = schema::valid(&fs::read(folder.path().join("run.json")).unwrap());
    let figure = |name: &str| record["final"][name].as_f64().unwrap();
    assert!(figure("rmse") < 0.1);
    let out = in_folder(&folder, "predict line.csv --model m.safetensors");
    let told = format!("RMSE {:.5} · MAE {:.5} (200 rows)\n", figure("rmse"), figure("mae"));
    assert_eq!(stderr(&out), told);
}

#[test]
fn what_is_said_of_csv_is_of_the_one_of_two_files_that_is() {
    let folder = folder();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text.repeat(9)).unwrap();
    write("rows.svm", "1 1:1 2:0.5\n-1 2:1\n");
    fs::write(folder.path().join("rows.csv"), "a,b,kind\n1,,1\n0,1,-1\n").unwrap();
    for files in ["rows.csv --test rows.svm", "rows.svm --test rows.csv"] {
        let out = in_folder(&folder, &format!("train {files} --label kind --missing 0 -e 2"));
        assert_eq!(out.status.code(), Some(0), "{files}: {}", stderr(&out));
    }
    let out = in_folder(&folder, "train rows.svm --test rows.svm --label kind");
    let said = "rows.svm: found no CSV, expected no column of labels (--label)\n";
    assert_eq!(out.status.code(), Some(2));
    assert!(stderr(&out).ends_with(said), "{}", stderr(&out));
}

/// A model knows whether it was trained on bytes, and indices are counted where there are some.
#[test]
fn how_values_and_columns_were_meant_is_told() {
    let folder = folder();
    let images = [&[0, 0, 8, 2, 0, 0, 0, 4, 0, 0, 0, 2][..], &[0, 255, 51, 0, 0, 204, 102, 0]].concat();
    fs::write(folder.path().join("images"), images).unwrap();
    fs::write(folder.path().join("labels"), "1\n2\n1\n2\n").unwrap();
    fs::write(folder.path().join("t.csv"), "a,b,y\n0,255,1\n51,0,2\n").unwrap();
    let warned = "warning: t.csv: has values above 1, but the training data were bytes,";
    for model in ["linear", "softmax", "fm:2"] {
        let train = "train images --labels labels -j 1 --quiet --save m.safetensors --test t.csv --model";
        let out = in_folder(&folder, &format!("{train} {model}"));
        assert!(out.status.success() && stderr(&out).starts_with(warned), "{model}: {}", stderr(&out));
        let out = in_folder(&folder, "predict --model m.safetensors t.csv");
        assert!(out.status.success() && stderr(&out).starts_with(warned), "{model}: {}", stderr(&out));
        let out = in_folder(&folder, "predict --model m.safetensors images");
        assert!(out.status.success() && !stderr(&out).contains("warning"), "{model}: {}", stderr(&out));
    }
    let said = "t.csv: found no LIBSVM text, expected no indices from 0 (--zero-based)";
    for line in ["train t.csv", "predict t.csv --model m.safetensors", "data info t.csv"] {
        let out = in_folder(&folder, &format!("{line} --zero-based"));
        assert_eq!((out.status.code(), stderr(&out).contains(said)), (Some(2), true), "{}", stderr(&out));
    }
    // Of one of two files is enough.
    fs::write(folder.path().join("t.svm"), "1 0:3\n2 1:4\n").unwrap();
    let out = in_folder(&folder, "train t.csv --test t.svm --zero-based -j 1 --quiet");
    assert!(out.status.success(), "{}", stderr(&out));
}

#[test]
fn options_that_a_model_does_not_take_are_refused_together() {
    let folder = folder();
    trained(&folder, &small(&folder, "data.svm", 50), "m.safetensors");
    let refused = |line: &str, lines: usize, said: &str| {
        let out = in_folder(&folder, line);
        assert_eq!(
            (out.status.code(), stderr(&out).lines().count()),
            (Some(2), lines),
            "{line}: {}",
            stderr(&out)
        );
        assert!(stderr(&out).contains(said), "{line}: {}", stderr(&out));
    };
    refused("predict data.svm --model m.safetensors --top 3", 1, "--top: expected it left out for a linear");
    let table = "--label y --labels l --missing mean";
    refused(
        &format!("predict --model m.safetensors {table}"),
        3,
        "--label: expected it left out for the embedded",
    );
    refused(&format!("train {table}"), 3, "--missing: expected it left out for the embedded flights");
    refused(
        &format!("train data.svm --model mf:4 --zero-based {table}"),
        4,
        "--labels: expected it left out for ratings",
    );
    refused("train data.svm --missing 0", 1, "found no CSV, expected no missing values");
    for (model, kind) in [("softmax", "a network of classes"), ("fm:2", "a machine of logistic loss")] {
        let out =
            in_folder(&folder, &format!("train data.svm --model {model} -j 1 --quiet --save n.safetensors"));
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        refused(
            "predict data.svm --model n.safetensors --top 3",
            1,
            &format!("--top: expected it left out for {kind}"),
        );
        refused("predict --model n.safetensors", 1, "data: found none, expected a file");
    }
}

/// Files that claim more than they hold take no memory for it.
#[test]
fn damaged_models_are_refused_by_their_size() {
    let folder = folder();
    fs::write(folder.path().join("rows"), "1 1:1\n").unwrap();
    let huge = 4_000_000_000u32;
    let number = |name: &str| Tensor::new(name, &[1], &[1.0f32]);
    let entries = |entries: serde_json::Value| entries.as_object().unwrap().clone().into_iter().collect();
    let machine = json!({"loss": "logistic", "classes": [0, 1], "features": huge, "one_based": true});
    let fields = json!({"loss": "logistic", "classes": [0, 1], "ids": [u32::MAX - 1], "fields": 1});
    let many = json!({"loss": "logistic", "classes": [0, 1], "ids": [1], "fields": huge});
    let network = json!({"labels": [0, 1], "features": 1, "one_based": true, "output": "softmax"});
    let wide = json!({"labels": [0, 1], "features": huge, "one_based": true, "output": "softmax"});
    let ratings = json!({"users": ["a"], "items": ["b"], "mean": 0.0, "scale": 1.0});
    let one = Tensor::new("factors", &[1, 1, 1], &[1.0f32]);
    for (model, about, tensors) in [
        ("fm:65536", machine, vec![number("bias"), number("weights")]),
        ("ffm:1", fields, vec![number("bias"), number("weights"), one.clone()]),
        ("ffm:65536", many, vec![number("bias"), number("weights"), one]),
        ("mlp:1-1000000-1000000-2", network, vec![number("weight1")]),
        ("softmax", wide, vec![number("weight1")]),
        ("mf:4", ratings, vec![Tensor::new("users", &[1, 1], &[1.0f32])]),
    ] {
        let model = TensorModel {
            model: model.into(),
            about: entries(about),
            tensors,
            precision: Precision::F32,
            provenance: [].into(),
        };
        model.save(&folder.path().join("m.safetensors")).unwrap();
        let out = in_folder(&folder, "predict rows --model m.safetensors");
        assert_eq!(out.status.code(), Some(2), "{}: {}", model.model, stderr(&out));
        assert_eq!(stderr(&out).lines().count(), 1, "{}: {}", model.model, stderr(&out));
    }
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
