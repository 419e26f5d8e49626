//! Factorizations, machines and word vectors from the command line: what is trained and saved is predicted.
#![cfg(not(loom))]

mod common;
#[path = "common/schema.rs"]
mod schema;

use common::{asyncsgd, folder, small, stderr, stdout};
use std::fs;
use std::path::Path;
use std::process::Output;

fn run(options: &[&str], files: &[&Path]) -> Output {
    let mut command = asyncsgd();
    command.args(options);
    files.iter().for_each(|file| {
        command.arg(file);
    });
    let out = command.output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    out
}

fn record(path: &Path) -> serde_json::Value {
    schema::valid(&fs::read(path).unwrap())
}

#[test]
fn ratings_are_factorized_saved_and_recommended() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    // Users like the items of their own parity; user u7 has not met items i1, i4 and i9.
    let pairs = (0..20)
        .flat_map(|u| (0..12).map(move |i| (u, i)))
        .filter(|&(u, i)| (u, i) != (7, 1) && (u + 3 * i) % 5 != 4);
    let line = |(u, i): (u32, u32)| format!("u{u},i{i},{}\n", if u % 2 == i % 2 { 5 } else { 1 });
    fs::write(at("r.csv"), "user,item,rating\n".to_owned() + &pairs.map(line).collect::<String>()).unwrap();
    let options =
        ["train", "--model", "mf:2", "-j", "1", "--rate", "0.2", "--l2", "0.01", "-e", "200", "--json"];
    let out = run(&options, &[&at("run.json"), Path::new("--save"), &at("m.safetensors"), &at("r.csv")]);
    assert!(stdout(&out).contains("ratings by 20 users of 12 items"), "{}", stdout(&out));
    let told = record(&at("run.json"));
    assert_eq!((&told["plan"]["model"], &told["plan"]["loss"]), (&"mf:2".into(), &"squared".into()));
    let rmse = told["final"]["rmse"].as_f64().unwrap();
    assert!(rmse < 0.5, "{rmse}");

    let model = at("m.safetensors");
    let out = run(&["predict", "--model"], &[&model, &at("r.csv")]);
    assert!(stderr(&out).starts_with(&format!("RMSE {rmse:.5} · MAE ")), "{rmse}: {}", stderr(&out));
    assert_eq!(stdout(&out).lines().count(), told["data"]["rows"].as_u64().unwrap() as usize);
    let out = stdout(&run(&["predict", "--top", "1", "--model"], &[&model, &at("r.csv")]));
    let best = out.lines().find(|line| line.starts_with("u7\t")).unwrap();
    assert!(best.starts_with("u7\ti1\t") || best.starts_with("u7\ti9\t"), "{best}");
    // Pairs need no rating; what is not known is told.
    fs::write(at("pairs"), "user,item\nu7,i1\nu7,nobody's\nnobody,nothing\n").unwrap();
    let out = run(&["predict", "--model"], &[&model, &at("pairs")]);
    assert_eq!(stdout(&out).lines().count(), 3, "{}", stdout(&out));
    let mean: f64 = stdout(&out).lines().last().unwrap().parse().unwrap();
    let said = format!(
        "2 of 3 are of a user or an item that the model does not know: predicted by the mean, {mean:.4},"
    );
    assert!(stderr(&out).starts_with(&said), "{}", stderr(&out));
    let out = run(&["predict", "--top", "2", "--model"], &[&model, &at("pairs")]);
    assert_eq!(stdout(&out).lines().count(), 2, "{}", stdout(&out));
    assert!(stdout(&out).lines().all(|line| line.starts_with("u7\t") && !line.contains("\ti1\t")));
    assert_eq!(stderr(&out), "left out: 1 of 3, whose users the model does not know\n");
    let wrong =
        asyncsgd().args(["predict", "--scores", "--model"]).arg(&model).arg(at("r.csv")).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn non_negative_factors_take_what_is_not_known_for_the_mean_and_repeat() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let line = |k: u32| format!("u{},i{},{}\n", k % 40, k * k % 31, 1 + k % 5);
    fs::write(at("r.csv"), (0..1200).map(line).collect::<String>()).unwrap();
    fs::write(at("pairs"), "u1,i1\nnobody,i1\nu1,nothing\n").unwrap();
    for model in ["nmf:2", "mf:2"] {
        let options = ["train", "--model", model, "-j", "1", "-e", "2", "--quiet", "--json"];
        run(&options, &[&at("run.json"), Path::new("--save"), &at("m.safetensors"), &at("r.csv")]);
        let told = record(&at("run.json"));
        // In the blocks of the grid too.
        let command = told["plan"]["command"].as_str().unwrap();
        assert!(command.contains(" --block auto ") && told["plan"]["hot"].as_u64() > Some(0), "{command}");
        let words: Vec<&str> = command.split(' ').skip(1).chain(["--quiet", "--json"]).collect();
        run(&words, &[&at("again.json")]);
        assert_eq!(record(&at("again.json"))["series"][2]["objective"], told["series"][2]["objective"]);
        let out = run(&["predict", "--model"], &[&at("m.safetensors"), &at("pairs")]);
        let ratings: Vec<f64> = stdout(&out).lines().map(|line| line.parse().unwrap()).collect();
        let bias = if model == "nmf:2" { "" } else { ", and the bias of the other" };
        assert!(
            stderr(&out).ends_with(&format!("predicted by the mean, 3.0000{bias}\n")),
            "{}",
            stderr(&out)
        );
        assert!((ratings[0] - 3.0).abs() > 1e-6);
        assert_eq!(model == "nmf:2", ratings[1..] == [3.0, 3.0], "{ratings:?}");
    }
}

#[test]
fn a_machine_is_trained_and_predicts() {
    let folder = folder();
    let (data, model) = (small(&folder, "data.svm", 300), folder.path().join("m.safetensors"));
    let json = folder.path().join("run.json");
    let options = ["train", "--model", "fm:4", "-j", "1", "--quiet", "--json"];
    run(&options, &[&json, Path::new("--save"), &model, &data]);
    let told = record(&json);
    let out = run(&["predict", "--model"], &[&model, &data]);
    let expected = (0..300).map(|i| if i % 3 == 0 { "1" } else { "-1" });
    assert!(stdout(&out).lines().eq(expected));
    let loss = told["final"]["log_loss"].as_f64().unwrap();
    assert!(
        stderr(&out).contains(&format!("AUC 1.0000 · log-loss {loss:.4} (300 rows)")),
        "{}",
        stderr(&out)
    );
    let chances = stdout(&run(&["predict", "--probability", "--model"], &[&model, &data]));
    assert!(chances.lines().all(|p| (0.0..=1.0).contains(&p.parse::<f64>().unwrap())));
}

/// Features of very different size: what is learnt of scaled rows is saved for rows as they are.
#[test]
fn models_of_scaled_rows_predict_rows_as_they_are() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let line = |k: u32| {
        let (a, b) = (k % 13, k % 7);
        format!("{},{},{}\n", f64::from(a) / 1000.0, b * 1000, if a * 7 > b * 13 { "1" } else { "0" })
    };
    let rows: String = (0..300).map(line).collect();
    fs::write(at("rows.csv"), "small,large,y\n".to_owned() + &rows).unwrap();
    for model in ["mlp:2-8-2", "softmax", "fm:2"] {
        let options =
            ["train", "--model", model, "--scale", "std", "--label", "y", "-j", "1", "--quiet", "--json"];
        run(&options, &[&at("run.json"), Path::new("--save"), &at("m.safetensors"), &at("rows.csv")]);
        let told = record(&at("run.json"));
        assert_eq!(told["plan"]["scale"], "std");
        let loss = told["final"]["log_loss"].as_f64().unwrap();
        assert!(loss < 0.65, "{model}: {loss}");
        let out = run(&["predict", "--label", "y", "--model"], &[&at("m.safetensors"), &at("rows.csv")]);
        assert!(stderr(&out).contains(&format!("log-loss {loss:.4} (300 rows)")), "{loss}: {}", stderr(&out));
    }
}

#[test]
fn a_machine_with_fields_is_trained_and_predicts() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let line = |k: u32| format!("{} 0:{}:1 1:{}:1\n", i32::from(k % 3 == k / 3 % 2), k % 3, 3 + k / 3 % 2);
    fs::write(at("rows"), (0..300).map(line).collect::<String>()).unwrap();
    let options = ["train", "--model", "ffm:2", "-j", "1", "-e", "60", "--l2", "1e-4", "--quiet", "--json"];
    run(&options, &[&at("run.json"), Path::new("--save"), &at("m.safetensors"), &at("rows")]);
    let told = record(&at("run.json"));
    let out = run(&["predict", "--model"], &[&at("m.safetensors"), &at("rows")]);
    let expected = (0..300).map(|k| if k % 3 == k / 3 % 2 { "1" } else { "0" });
    assert!(stdout(&out).lines().eq(expected), "{}", stderr(&out));
    let loss = told["final"]["log_loss"].as_f64().unwrap();
    assert!(stderr(&out).contains(&format!("log-loss {loss:.4} (300 rows)")), "{}", stderr(&out));
    assert!(!stderr(&out).contains("does not know"));
    // An unknown feature and an unknown field are told.
    fs::write(at("other"), "0 0:0:1 1:9:1\n1 0:0:1 2:3:1 1:3:1\n").unwrap();
    let said = "2 of 5 values are of a feature or a field that the model does not know: taken as 0\n";
    let out = run(&["predict", "--model"], &[&at("m.safetensors"), &at("other")]);
    assert!(stderr(&out).contains(&format!("other: {said}")), "{}", stderr(&out));
    let test = ["train", "--model", "ffm:2", "-j", "1", "-e", "1", "--test"];
    let out = run(&test, &[&at("other"), &at("rows")]);
    assert!(stderr(&out).contains(&format!("other: {said}")), "{}", stderr(&out));
}

#[test]
fn word_vectors_are_written_in_every_format() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    // The blank in one of the words does not break, and one is a colon with a mouth.
    let text = "red green blue red green\none t\u{a0}wo :) t\u{a0}wo one :)\n";
    fs::write(at("text"), text.repeat(200)).unwrap();
    let train = |name: &str| {
        let options = ["train", "--model", "skipgram:8,window=3,sample=0", "-j", "1", "-e", "5", "--save"];
        let out = run(&options, &[&at(name), &at("text")]);
        // The report's lines are broken where they get long.
        let told = stdout(&out).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("2,200 words, 2,200 of them in a vocabulary of 6"), "{told}");
        assert!(told.contains("× delay-adaptive (1: each step of a block is on fresh parameters)"), "{told}");
    };
    for name in ["w.vec", "w.bin", "w.safetensors"] {
        train(name);
    }
    let text = fs::read_to_string(at("w.vec")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (7, "6 8"));
    let binary = fs::read(at("w.bin")).unwrap();
    let mut rest = binary.strip_prefix(b"6 8\n").unwrap();
    for line in &lines[1..] {
        let fields: Vec<&str> = line.split(' ').collect();
        assert_eq!(fields.len(), 9);
        rest = rest.strip_prefix(fields[0].as_bytes()).unwrap().strip_prefix(b" ").unwrap();
        for field in &fields[1..] {
            let (number, after) = rest.split_first_chunk::<4>().unwrap();
            assert_eq!(f32::from_le_bytes(*number), field.parse::<f32>().unwrap());
            rest = after;
        }
        rest = rest.strip_prefix(b"\n").unwrap();
    }
    assert!(rest.is_empty());
    fs::write(at("ask"), ": heading\nred\nred green red green\nunknown\n:)\nt\u{a0}wo\n").unwrap();
    let out = run(&["predict", "--top", "2", "--model"], &[&at("w.safetensors"), &at("ask")]);
    let answers: Vec<String> = stdout(&out).lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), 5);
    assert!(answers[3].contains("t\u{a0}wo ") && answers[4].contains(":) "), "{answers:?}");
    let mut near: Vec<&str> = answers[0].split('\t').map(|word| word.split(' ').next().unwrap()).collect();
    near.sort_unstable();
    assert_eq!(near, ["blue", "green"]);
    assert_eq!(answers[2], "?");
    assert!(stderr(&out).contains("(1 analogies of known words of 5)"), "{}", stderr(&out));
    // The same of word2vec's formats, whoever wrote them.
    for name in ["w.vec", "w.bin"] {
        let same = run(&["predict", "--top", "2", "--model"], &[&at(name), &at("ask")]);
        assert_eq!(stdout(&same), stdout(&out), "{name}");
    }
    let fewer = text.replacen("6 8", "7 8", 1);
    let cut = text.rsplit_once(' ').unwrap().0;
    let infinite = text.replacen(lines[2].split(' ').nth(8).unwrap(), "inf", 1);
    for (bad, said) in [
        (fewer.as_bytes(), "bad: found 6 words, expected 7, as its first line says"),
        (cut.as_bytes(), "bad:7: found '"),
        (infinite.as_bytes(), "expected a word and 8 finite numbers"),
        (&binary[..binary.len() - 9], "after 5 words, expected 6 words, each with 8 numbers"),
        (&[&binary[..], b"more"].concat(), "found more than 6 words, expected the end"),
    ] {
        fs::write(at("bad"), bad).unwrap();
        let refused = asyncsgd().args(["predict", "--model"]).args([at("bad"), at("ask")]).output().unwrap();
        assert!(refused.status.code() == Some(2) && stderr(&refused).contains(said), "{}", stderr(&refused));
    }
    // The same of packed standard input.
    fs::write(at("ask.zst"), zstd::encode_all(&fs::read(at("ask")).unwrap()[..], 3).unwrap()).unwrap();
    let mut piped = asyncsgd();
    piped.args(["predict", "-", "--top", "2", "--model"]).arg(at("w.safetensors"));
    let piped = piped.stdin(fs::File::open(at("ask.zst")).unwrap()).output().unwrap();
    assert_eq!(stdout(&piped), stdout(&out), "{}", stderr(&piped));
}

#[test]
fn what_does_not_fit_is_told_before_the_work() {
    let folder = folder();
    let data = small(&folder, "data.svm", 30);
    for (options, said) in [
        (&["--model", "mf:0"][..], "expected a rank from 1 to 65536"),
        (&["--model", "fm:8", "--precision", "f64"], "--precision: found f64, expected f32 for fm:8"),
        (&["--model", "nmf:8", "--optimizer", "adam"], "--optimizer: found adam, expected sgd for nmf:8"),
        (&["--model", "mf:8", "--loss", "hinge"], "--loss: found hinge, expected squared for mf:8"),
        (&["--model", "mf:8", "--intercept"], "--intercept: expected it left out"),
        (&["--model", "skipgram:8", "--l2", "1"], "--l2: expected none for skipgram:8"),
        (&["--model", "skipgram:8", "--test-fraction", "0.1"], "expected neither for word vectors"),
        (&["--model", "mf:8", "--save", "x.model"], "expected a name that ends in .safetensors"),
        (&["--model", "mf:8", "--zero-based"], "--zero-based: expected it left out for ratings"),
        (&["--model", "ffm:8", "--missing", "0"], "--missing: expected it left out for rows with fields"),
        (&["--model", "skipgram:8", "--label", "y"], "--label: expected it left out for text"),
    ] {
        let out = asyncsgd().arg("train").arg(&data).args(options).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{options:?}: {}", stderr(&out));
        assert!(stderr(&out).contains(said), "{options:?}: {}", stderr(&out));
    }
    let three = folder.path().join("three.svm");
    fs::write(&three, "0 1:1\n1 2:1\n2 1:1\n").unwrap();
    let out = asyncsgd().args(["train", "--model", "fm:2"]).arg(&three).output().unwrap();
    let said = "three.svm:3: found a third label, 2, expected two classes, as are 0 and 1";
    assert!(stderr(&out).contains(said), "{}", stderr(&out));
    let out = asyncsgd().args(["train", "--model", "mf:8"]).output().unwrap();
    assert!(stderr(&out).contains("data: found none, expected a file of ratings"), "{}", stderr(&out));
}
