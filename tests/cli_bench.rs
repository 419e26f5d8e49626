//! `asyncsgd bench` as a program: its table, its files, and its baselines.

mod common;

use common::{asyncsgd, folder, small, stderr, stdout};
use serde_json::Value;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// The command on a small file, with baselines in the folder.
fn bench(folder: &TempDir, options: &str) -> Command {
    let mut command = asyncsgd();
    command.env("XDG_CACHE_HOME", folder.path()).current_dir(folder.path());
    command.arg("bench").arg(small(folder, "train.svm", 300)).args(options.split_whitespace());
    command
}

#[test]
fn every_combination_is_run_beside_the_reference() {
    let folder = folder();
    let options = "--workers 1,2 --update cas,locked --block auto,1 --epochs 2 --repeats 3 --json - --csv runs.csv \
                   --report page.html --profile profiles --target-objective 0.6 --optimum 0.1";
    let output = bench(&folder, options).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let record: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let cases = record["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 1 + 2 * 2 * 2);
    let named = |case: &Value| {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        (case["workers"].as_u64().unwrap(), text("update"), text("block"))
    };
    assert_eq!(named(&cases[0]), (1, "racy".into(), "1".into()));
    assert_eq!(cases[0]["against_reference"]["median"], 1.0);
    for case in cases {
        let runs = case["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 3);
        assert_eq!(case["speed_up"].is_null(), case["workers"] == 1);
        let (objective, gap) = (case["objective"].as_f64().unwrap(), case["gap"].as_f64().unwrap());
        assert!((gap - (objective / 0.1 - 1.0)).abs() < 1e-12);
        assert!(objective < 0.6 && case["to_target"].as_f64().unwrap() > 0.0);
        assert_eq!(case["series"].as_array().unwrap().len(), 3);
    }
    // Each case has each turn of a repeat once.
    for repeat in 0..3 {
        let mut turns: Vec<u64> =
            cases.iter().map(|case| case["runs"][repeat]["turn"].as_u64().unwrap()).collect();
        turns.sort_unstable();
        assert_eq!(turns, (0..9).collect::<Vec<u64>>());
    }
    let csv = fs::read_to_string(folder.path().join("runs.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 9 * 3);
    assert!(csv.lines().all(|line| line.split(',').count() == 12), "{csv}");
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 2);
    assert_eq!(page.matches("<tr><td>").count() - page.matches("<tr><td>asyncsgd").count(), 6 + 2 * 9);
    assert!(page.contains("<h2>Delays in iterations</h2>") && page.contains("<th>p99.9</th>"));
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"));
    assert_eq!(fs::read_dir(folder.path().join("profiles")).unwrap().count(), 9);
    assert!(folder.path().join("profiles/2-cas-1-delay-adaptive/delays.hlog").exists());
    // 600 rows in all take far less than the tenth of a second below which times mean little.
    assert!(stderr(&output).contains("runs are too short"), "{}", stderr(&output));
}

#[test]
fn baselines_are_kept_and_compared() {
    let folder = folder();
    let run = |options: &str| bench(&folder, &format!("--epochs 2 --repeats 4 {options}")).output().unwrap();
    let missing = run("--baseline before");
    assert_eq!(missing.status.code(), Some(2), "{}", stderr(&missing));
    assert!(run("--workers 1 --quiet --save-baseline before").status.success());
    let compared = run("--workers 1,2 --json - --baseline before");
    let record: Value = serde_json::from_str(&stdout(&compared)).unwrap();
    let case = |at: usize| &record["cases"][at]["change"];
    assert_eq!(record["baseline"], "before");
    for at in [0, 1] {
        let [low, high] = [0, 1].map(|end| case(at)["interval"][end].as_f64().unwrap());
        let ratio = case(at)["ratio"].as_f64().unwrap();
        assert!(low <= ratio && ratio <= high, "{}", case(at));
        let verdict = case(at)["verdict"].as_str().unwrap();
        assert!(["faster", "slower", "same", "unclear"].contains(&verdict));
    }
    assert!(case(2).is_null(), "two workers were not in the baseline");
    for (options, told) in [
        ("--rate 0.5", "rate \"auto\" there and \"0.5\" here"),
        ("--zero-based", "reading \"\" there and \"indices from 0\" here"),
        ("--test-fraction 0.25", "reading \"\" there and \"0.25 of the rows held out\" here"),
    ] {
        let other = run(&format!("{options} --baseline before"));
        assert_eq!(other.status.code(), Some(2));
        assert!(stderr(&other).contains(told), "{}", stderr(&other));
    }
    // As of a machine that is a thousand times slower: the times are told in units of its own plain loop.
    let kept = folder.path().join("asyncsgd/baselines/before.json");
    let mut slow: Value = serde_json::from_str(&fs::read_to_string(&kept).unwrap()).unwrap();
    let slower = |time: &mut Value| *time = (1000.0 * time.as_f64().unwrap()).into();
    slower(&mut slow["conditions"]["yardstick_ns"]);
    for run in
        slow["cases"].as_array_mut().unwrap().iter_mut().flat_map(|c| c["runs"].as_array_mut().unwrap())
    {
        slower(&mut run["seconds"]);
        slower(&mut run["yardstick_ns"]);
    }
    fs::write(&kept, slow.to_string()).unwrap();
    let compared = run("--workers 1 --json - --baseline before");
    let record: Value = serde_json::from_str(&stdout(&compared)).unwrap();
    for case in record["cases"].as_array().unwrap() {
        let change = &case["change"];
        assert!(change["ratio"].as_f64().unwrap() > 0.03 && change["verdict"] == "unclear", "{change}");
    }
    assert!(stderr(&compared).contains("the machine is in another state"), "{}", stderr(&compared));
    fs::write(&kept, "{}").unwrap();
    let damaged = run("--baseline before");
    assert_eq!(damaged.status.code(), Some(2));
    assert_eq!(stderr(&damaged).lines().count(), 1, "{}", stderr(&damaged));
}

#[test]
fn the_table_tells_what_was_run() {
    let folder = folder();
    let output =
        bench(&folder, "--workers 2 --step constant,drop:4n --epochs 1 --repeats 1").output().unwrap();
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("workers")).collect();
    let cases: Vec<Vec<&str>> =
        lines[..4].iter().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(cases[0], ["workers", "update", "block", "step"]);
    assert_eq!(cases[1], ["1", "racy", "1", "constant"]);
    assert_eq!(cases[2], ["2", "cas", "auto", "constant"]);
    assert_eq!(cases[3], ["2", "cas", "auto", "drop:4n"]);
}

#[test]
fn every_kind_of_model_has_its_quality_beside_its_speed() {
    let folder = folder();
    let ratings: String = (0..400).map(|k| format!("{},{},{}\n", k % 20, k * 7 % 13, k % 5)).collect();
    fs::write(folder.path().join("ratings"), ratings).unwrap();
    small(&folder, "held-out.svm", 30);
    let options = "-j 1,2 -e 2 --repeats 2 --warm-up 0 --json -";
    let rows = "train.svm --test held-out.svm";
    for (data, model, figure) in [
        (rows, "linear", "accuracy"),
        (rows, "softmax", "accuracy"),
        (rows, "mlp:9-4-2 --batch 4", "accuracy"),
        (rows, "fm:2", "accuracy"),
        ("ratings --test-fraction 0.2", "mf:2", "rmse"),
    ] {
        small(&folder, "train.svm", 300);
        let mut command = asyncsgd();
        command.current_dir(folder.path()).args(format!("bench {data} --model {model} {options}").split(' '));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{model}: {}", stderr(&output));
        let record: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(record["settings"]["model"], model.split(' ').next().unwrap());
        let cases = record["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        assert!(cases.iter().all(|case| case["quality"][figure].is_f64()), "{model}: {}", cases[0]);
        assert!(record["test"]["rows"].as_u64().unwrap() < 100);
    }
    let wrong = bench(&folder, "--model mf:2 --zero-based --l1 1").output().unwrap();
    assert_eq!((wrong.status.code(), stderr(&wrong).lines().count()), (Some(2), 2), "{}", stderr(&wrong));
    let table = bench(&folder, "--model softmax -j 1 -e 1 --repeats 1").output().unwrap();
    assert!(stdout(&table).contains("objective  accuracy  p50"), "{}", stdout(&table));
}

#[test]
fn the_roofline_is_measured_on_the_data() {
    let folder = folder();
    let data = small(&folder, "train.svm", 300);
    let output =
        asyncsgd().args(["bench", "roofline", "--repeats", "2", "--json", "-"]).arg(&data).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let record: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let cores = record["machine"]["cores"].as_u64().unwrap();
    let passes = record["passes"].as_array().unwrap();
    assert_eq!(passes[0]["name"], "plain floats");
    assert_eq!(passes[0]["of_plain"]["median"], 1.0);
    assert_eq!(passes[1]["name"], "1 worker, racy, direct");
    // At most one exchange a value where each update is sent on its own, within what timing allows.
    assert!(passes.len() == 5 && passes[2]["name"].as_str().unwrap().ends_with("cas, direct"));
    let of_exchange = passes[2]["of_exchange"].as_f64().unwrap();
    assert!(of_exchange > 0.0 && of_exchange < 4.0, "{of_exchange}");
    let traffic = record["traffic"].as_array().unwrap();
    // Blocks of more than a quarter of the rows are left out.
    assert_eq!(traffic.len(), if cores > 1 { 3 } else { 0 });
    if let Some(direct) = traffic.first() {
        // All parameters are on one line, which all rows touch, nearly so by the model; half of the times the other
        // worker touched it last.
        assert_eq!(direct["block"], 1);
        assert!((0.4..=0.5).contains(&direct["lines"].as_f64().unwrap()), "{direct}");
        assert!(direct["alone"].as_f64().unwrap() > 0.0 && direct["both"].as_f64().unwrap() > 0.0);
        assert_eq!(record["predicted"].as_array().unwrap().len(), 6);
        // The blocks that a run has.
        let output =
            asyncsgd().args(["train", "--workers", "2", "--epochs", "1", "--json", "-"]).arg(&data).output();
        let run: Value = serde_json::from_str(&stdout(&output.unwrap())).unwrap();
        for key in ["block", "hot"] {
            assert_eq!(record["predicted"][0][key], run["plan"][key], "{key}");
        }
    }
    let bad = asyncsgd().args(["bench", "roofline", "--repeats", "x"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(2));
}

#[test]
fn what_would_lose_an_output_or_be_passed_over_is_refused() {
    let folder = folder();
    let line = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(
            (output.status.code(), stderr(&output).lines().count()),
            (Some(2), 1),
            "{}",
            stderr(&output)
        );
        stderr(&output)
    };
    let same = line(&mut bench(&folder, "-e 1 --repeats 1 --json same --csv ./same"));
    assert!(same.contains("./same: found as two outputs"), "{same}");
    assert!(!folder.path().join("same").exists());
    let misplaced = line(asyncsgd().current_dir(folder.path()).args(["bench", "--repeats", "1", "roofline"]));
    assert!(misplaced.contains("expected them after it"), "{misplaced}");
    let kernel = line(bench(&folder, "-e 1 --repeats 1").env("ASYNCSGD_KERNEL", "avx"));
    assert!(kernel.contains("ASYNCSGD_KERNEL: found 'avx', expected scalar"), "{kernel}");
    let scalar = bench(&folder, "-e 1 --repeats 1 -j 1 --json -").env("ASYNCSGD_KERNEL", "scalar").output();
    let record: Value = serde_json::from_str(&stdout(&scalar.unwrap())).unwrap();
    assert_eq!(record["machine"]["kernel"], "scalar");
}

#[test]
fn one_worker_s_cas_is_told_to_be_racy() {
    let folder = folder();
    let told =
        |options: &str| stderr(&bench(&folder, &format!("-e 1 --repeats 1 {options}")).output().unwrap());
    let line = "warning: 1 worker, cas, block auto, delay-adaptive: is the racy case measured again";
    let both = told("-j 1,2 --update cas,racy");
    assert_eq!(both.matches("measured again").count(), 1, "{both}");
    assert!(both.contains(line), "{both}");
    assert!(!told("-j 1,2").contains("measured again"));
}

/// An interrupt between the repeats: what was measured is told as what it is.
#[cfg(unix)]
#[test]
fn an_interrupt_tells_how_far_it_came() {
    use std::process::Stdio;
    use std::time::Duration;

    let folder = folder();
    let options = "-j 1 --update locked -e 300 --warm-up 0 --repeats 100 --json - --save-baseline part";
    for attempt in 0.. {
        let mut command = bench(&folder, options);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Until the first repeat is done.
        std::thread::sleep(Duration::from_millis(500 << (attempt % 4)));
        let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let output = child.wait_with_output().unwrap();
        let record = serde_json::from_str::<Value>(&stdout(&output));
        // Too soon, or, where the machine stood still meanwhile, too late.
        let (Ok(record), Some(130)) = (record, output.status.code()) else {
            assert!(attempt < 8, "{}", stderr(&output));
            continue;
        };
        let cases = record["cases"].as_array().unwrap();
        let runs = cases.iter().map(|case| case["runs"].as_array().unwrap().len()).min().unwrap();
        assert!(record["repeats"] == runs && (1..100).contains(&runs), "{runs} runs, {}", record["repeats"]);
        assert!(cases.iter().all(|case| case["quality"]["accuracy"].is_f64()));
        let line = format!("warning: interrupted after {runs} of 100 repeats; baseline not saved");
        assert!(stderr(&output).contains(&line), "{}", stderr(&output));
        assert!(!folder.path().join("asyncsgd/baselines/part.json").exists());
        break;
    }
}

/// Where one worker works on a copy of its own, blocks that are chosen are not direct.
#[test]
fn the_reference_is_direct_whatever_the_model() {
    let folder = folder();
    let path = folder.path().join("ratings.csv");
    let line = |i: usize| format!("{},{},{}\n", i % 37, i % 23, i % 5);
    std::fs::write(&path, (0..2000).map(line).collect::<String>()).unwrap();
    let words =
        ["bench", "ratings.csv", "--model", "mf:4", "--update", "racy", "-j1", "-e1", "--repeats", "1"];
    let output = asyncsgd().current_dir(folder.path()).args(words).args(["--json", "-"]).output().unwrap();
    let bench: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let blocks: Vec<_> = bench["cases"].as_array().unwrap().iter().map(|case| &case["block"]).collect();
    assert_eq!(blocks, ["1", "auto"]);
}
