//! `asyncsgd train` as a program: its record, its files, and how it ends.

mod common;
#[path = "common/schema.rs"]
mod schema;

use common::{asyncsgd, folder, small, stderr, stdout};
use schema::valid;
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn a_profiled_run_keeps_to_the_schema() {
    let folder = folder();
    let data = small(&folder, "data.svm", 4000);
    let run = asyncsgd()
        .args(["profile", "--json", "-", "--workers", "2", "--block", "1", "--slow", "0:3"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", stderr(&run));
    let record = valid(&run.stdout);
    assert_eq!(record["profile"]["injections"][0], "slow 0:3");
    assert_eq!(record["profile"]["delays"]["count"], 40_000);
    assert!(record["plan"]["command"].as_str().unwrap().ends_with("--slow 0:3"));
}

#[test]
fn the_record_keeps_to_the_schema() {
    let folder = folder();
    let data = small(&folder, "data.svm", 400);
    let json = folder.path().join("run.json");
    let losses = ["logistic", "hinge", "squared-hinge", "squared", "huber"];
    for (loss, precision) in losses.into_iter().zip(["f32", "f64"].into_iter().cycle()) {
        let options = ["--loss", loss, "--precision", precision, "--test-fraction", "0.25", "--workers", "2"];
        let out = asyncsgd().arg("train").arg(&data).args(options).arg("--json").arg(&json).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        let record = valid(&fs::read(&json).unwrap());
        assert_eq!(record["plan"]["loss"], loss);
        assert_eq!((&record["data"]["rows"], &record["test"]["rows"]), (&300.into(), &100.into()));
        assert_eq!(record["series"].as_array().unwrap().len(), 11);
        let classifies = !["squared", "huber"].contains(&loss);
        assert_eq!(record["final"].get("accuracy").is_some(), classifies);
        assert_eq!(record["final"].get("rmse").is_some(), !classifies);
        let series = record["series"].as_array().unwrap();
        let objective = |i: usize| series[i]["objective"].as_f64().unwrap();
        assert!(objective(10) < 0.9 * objective(0), "{loss}: {} to {}", objective(0), objective(10));
        assert!(stdout(&out).contains("self-check"));
    }
}

#[test]
fn blocks_copy_what_they_are_told() {
    let folder = folder();
    let data = small(&folder, "data.svm", 400);
    let run = |options: &[&str]| {
        let train = ["train", "--workers", "2", "--epochs", "1", "--json", "-"];
        asyncsgd().args(train).args(options).arg(&data).output().unwrap()
    };
    let record = valid(&run(&["--block", "16", "--hot", "2"]).stdout);
    assert_eq!((&record["plan"]["block"], &record["plan"]["hot"]), (&16.into(), &2.into()));
    assert!(record["plan"]["command"].as_str().unwrap().contains(" --block 16 --hot 2 "));
    let refused = run(&["--block", "1", "--hot", "2"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--hot: found --block 1, expected blocks"), "{}", stderr(&refused));
}

#[test]
fn a_diverged_run_says_so_and_saves_nothing() {
    let folder = folder();
    let data = small(&folder, "data.svm", 100);
    let model = folder.path().join("old.safetensors");
    fs::write(&model, "old").unwrap();
    let options = ["--loss", "squared", "--rate", "1e30", "--workers", "1", "--json", "-", "--save"];
    let out = asyncsgd().arg("train").arg(&data).args(options).arg(&model).output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(
        stderr(&out).starts_with("error: training diverged: try a --rate below 1e30"),
        "{}",
        stderr(&out)
    );
    assert_eq!(valid(&out.stdout)["stop"], "diverged");
    assert_eq!(fs::read_to_string(&model).unwrap(), "old");
}

#[test]
fn one_worker_repeats_a_run_from_its_record() {
    let folder = folder();
    let data = small(&folder, "my data.svm", 200);
    let options = ["--workers", "1", "--seed", "3", "--epochs", "2.5", "--json", "-"];
    let out = asyncsgd().arg("train").arg(&data).args(options).output().unwrap();
    let first = valid(&out.stdout);
    let command = first["plan"]["command"].as_str().unwrap();
    let program = common::program();
    let line = format!("{}{} --json -", program.display(), command.strip_prefix("asyncsgd").unwrap());
    let again = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
    let second = valid(&again.stdout);
    let objectives = |record: &Value| -> Vec<Value> {
        record["series"].as_array().unwrap().iter().map(|point| point["objective"].clone()).collect()
    };
    assert_eq!(objectives(&first), objectives(&second));
    assert_eq!(objectives(&first).len(), 4);
    assert_eq!(first["final"], second["final"]);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = folder();
    let data = small(&folder, "data.svm", 100);
    let line = format!("'{}' train '{}' | head -n 1", common::program().display(), data.display());
    let out = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
    assert_eq!((stderr(&out), stdout(&out).lines().count()), (String::new(), 1));
    assert!(stdout(&out).contains("asyncsgd"));
}

#[test]
fn quiet_is_quiet() {
    let folder = folder();
    let data = small(&folder, "data.svm", 100);
    let out = asyncsgd().arg("train").arg(&data).args(["--quiet", "--workers", "1"]).output().unwrap();
    assert_eq!((out.status.code(), stdout(&out), stderr(&out)), (Some(0), String::new(), String::new()));
}

#[test]
fn standard_input_is_data() {
    let folder = folder();
    let data = small(&folder, "data.svm", 100);
    let mut train = asyncsgd();
    train.args(["train", "-", "--workers", "1", "--json", "-"]).stdin(fs::File::open(&data).unwrap());
    assert_eq!(valid(&train.output().unwrap().stdout)["data"]["path"], "<stdin>");
}

#[test]
fn a_stream_is_learnt_as_it_arrives_and_its_model_predicts() {
    let folder = folder();
    let data = small(&folder, "data.svm", 2000);
    let model = folder.path().join("model.safetensors");
    let stream = |from: &str| {
        let mut stream = asyncsgd();
        stream.args(["stream", from, "--save"]).arg(&model);
        stream
    };
    let counted = stream(data.to_str().unwrap()).args(["--passes", "2"]).output().unwrap();
    assert_eq!((counted.status.code(), stderr(&counted)), (Some(0), String::new()));
    assert_eq!(stdout(&counted).matches("2,000 examples in").count(), 2, "{}", stdout(&counted));
    let predicted = asyncsgd().args(["predict", "--model"]).arg(&model).arg(&data).output().unwrap();
    assert_eq!(stdout(&predicted).lines().count(), 2000);

    let mut piped = stream("-");
    piped.args(["--features", "1000", "--quiet"]).stdin(fs::File::open(&data).unwrap());
    assert_eq!(piped.output().unwrap().status.code(), Some(0));
    let saved = asyncsgd::SavedModel::load(&model).unwrap();
    assert_eq!((saved.features(), &saved.classes[..]), (1000, &[-1.0, 1.0][..]));
    let refused = stream("-").args(["--passes", "2", "--update", "leashed"]).output().unwrap();
    assert_eq!((refused.status.code(), stderr(&refused).lines().count()), (Some(2), 3));
    if cfg!(unix) {
        // A pipe by its path is read once as well.
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let refused = stream(pipe.to_str().unwrap()).args(["--passes", "2"]).output().unwrap();
        let pipe = "as a pipe is read once";
        let expected =
            format!("error: --features: expected a number, {pipe}\nerror: --passes: expected 1, {pipe}\n");
        assert_eq!((refused.status.code(), stderr(&refused)), (Some(2), expected));
    }
    // From the rows on disk the same is learnt as from the text.
    let cache = folder.path().join("cache");
    let saved = |more: &[&str]| {
        let out =
            stream(data.to_str().unwrap()).args(["-j1", "-q", "--passes", "3"]).args(more).output().unwrap();
        assert_eq!((out.status.code(), stderr(&out)), (Some(0), String::new()));
        fs::read(&model).unwrap()
    };
    assert!(saved(&[]) == saved(&["--cache", cache.to_str().unwrap()]), "other models");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    let noise = folder.path().join("noise.svm");
    fs::write(&noise, "1 1:1\n-1 1:1\n".repeat(50)).unwrap();
    let wild = stream(noise.to_str().unwrap()).args(["--rate", "1e30", "--quiet"]).output().unwrap();
    let text = stderr(&wild);
    assert!(text.starts_with("warning: the mean loss is ") && text.lines().count() == 1, "{text}");
    let wide = stream(data.to_str().unwrap()).args(["--features", "99999999999"]).output().unwrap();
    let expected = "error: --features: found '99999999999', expected a whole number up to 4294967295\n";
    assert_eq!((wide.status.code(), stderr(&wide).as_str()), (Some(2), expected));
}

/// A bad line ends a stream, but what was learnt before it is saved; what holds nothing is refused.
#[test]
fn what_a_stream_has_learnt_survives_a_bad_line() {
    let folder = folder();
    let data = small(&folder, "data.svm", 5000);
    let model = folder.path().join("model.safetensors");
    let mut text = fs::read_to_string(&data).unwrap();
    text.push_str("1 2:x\n");
    fs::write(&data, text).unwrap();
    let stream = |more: &[&str]| {
        let mut stream = asyncsgd();
        stream.arg("stream").arg(&data).args(more).args(["--quiet", "--save"]).arg(&model);
        stream.output().unwrap()
    };
    let refused = stream(&[]);
    assert_eq!((refused.status.code(), model.exists()), (Some(2), false));
    let ended = stream(&["--features", "1000"]);
    let lines = stderr(&ended);
    assert_eq!((ended.status.code(), lines.lines().count()), (Some(2), 2), "{lines}");
    assert!(lines.starts_with("what was learnt before the error") && lines.contains(":5001:"), "{lines}");
    assert_eq!(asyncsgd::SavedModel::load(&model).unwrap().features(), 1000);

    fs::remove_file(&model).unwrap();
    fs::write(&data, "").unwrap();
    for more in [&[][..], &["--features", "5"]] {
        let empty = stream(more);
        assert_eq!((empty.status.code(), model.exists()), (Some(2), false));
        assert!(stderr(&empty).contains("found no rows"), "{}", stderr(&empty));
    }
}

/// An interrupt ends a stream that is silent, and what came is learnt and saved.
#[cfg(unix)]
#[test]
fn a_silent_stream_can_be_interrupted() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;

    let folder = folder();
    let model = folder.path().join("model.safetensors");
    let mut stream = asyncsgd();
    stream.args(["stream", "-", "--features", "3", "--workers", "2", "--save"]).arg(&model);
    let piped = stream.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"1 1:1\n-1 3:1\n1 ").unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(told.by_ref().any(|line| line.unwrap().starts_with("2 examples in")), "nothing was learnt");
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let weights = asyncsgd::SavedModel::load(&model).unwrap().weights;
    assert!(weights[0] > 0.0 && weights[1] == 0.0 && weights[2] < 0.0, "{weights:?}");
    drop(input);
}

/// An interrupted run keeps what was learnt and tells that it was interrupted.
#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_was_learnt() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let folder = folder();
    let data = small(&folder, "data.svm", 2000);
    let (model, json) = (folder.path().join("m.safetensors"), folder.path().join("run.json"));
    let mut child = asyncsgd()
        .arg("train")
        .arg(&data)
        .args(["--epochs", "1e9", "--workers", "2", "--save"])
        .arg(&model)
        .arg("--json")
        .arg(&json)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Before the handler is there an interrupt ends the program at once, as nothing is learnt yet; the
    // workers' threads are there after it is.
    let tasks = format!("/proc/{}/task", child.id());
    let start = Instant::now();
    let workers = || {
        let names = fs::read_dir(&tasks).into_iter().flatten().flatten();
        let names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.starts_with("signals")).count()
    };
    while workers() == 0 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("the program did not stop");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{}", stderr(&out));
    assert!(stderr(&out).contains("interrupted"), "{}", stderr(&out));
    assert!(stdout(&out).contains("interrupted; what was learnt so far is kept"), "{}", stdout(&out));
    assert_eq!(valid(&fs::read(&json).unwrap())["stop"], "interrupt");
    let model = asyncsgd::SavedModel::load(&model).unwrap();
    assert!(model.weights.iter().any(|&w| w != 0.0));
}

#[test]
fn a_cache_changes_no_model_and_its_damage_is_told() {
    let folder = folder();
    let (data, cache) = (small(&folder, "data.svm", 200), folder.path().join("cache"));
    let train = |cache: &Path| {
        let model = folder.path().join("out.model");
        let mut command = asyncsgd();
        command.arg("train").arg(&data).arg("--cache").arg(cache).arg("--save").arg(&model);
        let output = command.args(["--workers", "1", "--seed", "3", "--quiet"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (fs::read_to_string(&model).unwrap(), stderr(&output))
    };
    let without = train(Path::new("none"));
    assert_eq!(without.1, "");
    assert_eq!((train(&cache), train(&cache)), (without.clone(), without.clone()));
    let info = || asyncsgd().args(["data", "info"]).arg(&data).arg("--cache").arg(&cache).output().unwrap();
    assert!(stdout(&info()).contains(" MB/s), from the cache\n"), "{:?}", info());

    let entry = cache.read_dir().unwrap().next().unwrap().unwrap().path();
    fs::write(&entry, [7; 300]).unwrap();
    let (model, told) = train(&cache);
    assert_eq!(model, without.0);
    let expected = "found a cache entry of another version, parsed the text again";
    assert_eq!(told, format!("warning: {}: {expected}\n", entry.display()));
    assert_eq!(train(&cache), without);
}

#[test]
fn a_cache_that_is_named_for_what_is_not_kept_is_told_or_refused() {
    let folder = folder();
    let (table, cache) = (folder.path().join("data.csv"), folder.path().join("cache"));
    fs::write(&table, "y,a\n0,1\n1,2\n").unwrap();
    let train = |options: &[&str]| {
        let mut command = asyncsgd();
        command.current_dir(&folder).args(["train", "--quiet", "-j", "1", "--cache"]);
        command.args(options).output().unwrap()
    };
    let told = train(&["cache", "data.csv"]);
    assert!(told.status.success() && !cache.exists());
    let line = "warning: --cache: data.csv is not kept, only LIBSVM text in files is\n";
    assert_eq!((stderr(&told).as_str(), stderr(&train(&["none", "data.csv"])).as_str()), (line, ""));
    for options in [&["cache"][..], &["cache", "data.csv", "--model", "mf:2"]] {
        let refused = train(options);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("--cache: expected it left out for"), "{refused:?}");
    }
}
