//! `asyncsgd profile`: what it writes, reads and refuses.

mod common;

use asyncsgd::delay::{Log, Trace, Unit};
use common::{asyncsgd, folder, small, stderr, stdout};
use std::fs;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

/// Profiles a small run in `folder`, with more arguments.
fn profile(folder: &TempDir, arguments: &[&str]) -> Output {
    let data = small(folder, "data.svm", 5000);
    let fixed = ["profile", "--workers", "2", "--block", "1"];
    let epochs = if arguments.contains(&"--epochs") { &[][..] } else { &["--epochs", "20"] };
    asyncsgd().args(fixed).args(epochs).arg(data).args(arguments).current_dir(folder.path()).output().unwrap()
}

fn show(folder: &TempDir, arguments: &[&str]) -> Output {
    asyncsgd().args(["profile", "show"]).args(arguments).current_dir(folder.path()).output().unwrap()
}

#[test]
fn all_files_tell_of_every_update() {
    let folder = folder();
    let run = profile(&folder, &["--profile", "run", "--report", "run.html", "--trace", "run.trace"]);
    assert!(run.status.success(), "{}", stderr(&run));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let log = Log::read(folder.path().join("run/delays.hlog")).unwrap();
    let tags: Vec<(String, u64)> = log.profiles().into_iter().map(|(tag, p)| (tag, p.count())).collect();
    assert_eq!(tags.iter().map(|(_, count)| count).sum::<u64>(), 100_000);
    assert!(tags.iter().all(|(tag, _)| tag == "w0" || tag == "w1"));
    assert_eq!(log.unit, Some(Unit::Iterations));
    let staleness = Log::read(folder.path().join("run/staleness.hlog")).unwrap();
    assert_eq!(staleness.unit, Some(Unit::Nanoseconds));
    assert_eq!(Trace::open(folder.path().join("run.trace")).unwrap().len(), 100_000);
    assert!(read("run/delays.hgrm").contains("Total count    =       100000]"));
    assert!(read("run/delays.csv").lines().last().unwrap().starts_with("all,"));
    assert!(read("run/delays.svg").contains("Percentiles of the delay"));
    let json: serde_json::Value = serde_json::from_str(&read("run/profile.json")).unwrap();
    assert_eq!(json["profile"]["delays"]["count"], 100_000);
    let page = read("run.html");
    assert!(page.len() < 3_000_000 && page.contains("\"count\":100000") && !page.contains("{record}"));
    let text = stdout(&run);
    assert!(text.contains("worker 1") && text.contains("ticket-to-ticket") && text.contains('█'));
}

#[test]
fn racy_runs_tell_what_was_lost() {
    let folder = folder();
    let run = profile(&folder, &["--update", "racy", "--json", "run.json", "--report", "run.html"]);
    assert!(stdout(&run).contains("lost in racy mode: "), "{}", stderr(&run));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("run.json")).unwrap();
    let nonzeros = json["data"]["nonzeros"].as_u64().unwrap();
    assert_eq!(json["profile"]["lost"]["additions"], 20 * nonzeros);
    assert!(read("run.html").contains("\"lost\":{"));
}

#[test]
fn logs_are_printed_compared_and_merged() {
    let folder = folder();
    for name in ["a", "b"] {
        assert!(profile(&folder, &["--profile", name, "--quiet"]).status.success());
    }
    let shown = show(&folder, &["a/delays.hlog", "b/delays.hlog", "--merge", "both.hlog"]);
    let text = stdout(&shown);
    assert!(shown.status.success(), "{}", stderr(&shown));
    for part in ["a/delays.hlog: ", "b/delays.hlog ", "w1 ", "merged ", "200,000"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let both = Log::read(folder.path().join("both.hlog")).unwrap();
    assert_eq!(both.profiles().iter().map(|(_, p)| p.count()).sum::<u64>(), 200_000);
    assert_eq!(both.start, Log::read(folder.path().join("a/delays.hlog")).unwrap().start);
    // Of other units, of another kind, damaged, or none at all: a line each.
    fs::write(folder.path().join("text.hlog"), "1 2:3\n").unwrap();
    let whole = fs::read(folder.path().join("a/delays.hlog")).unwrap();
    fs::write(folder.path().join("cut.hlog"), &whole[..whole.len() - 20]).unwrap();
    for (bad, said) in [
        (vec!["a/delays.hlog", "a/staleness.hlog"], "expected logs of one unit"),
        (vec!["text.hlog"], "expected an HDR interval log"),
        (vec!["cut.hlog"], "cut off"),
        (vec!["none.hlog"], "cannot read"),
        (vec!["a/delays.hlog", "--merge", "a/delays.hlog"], "is read, so it cannot be written"),
    ] {
        let run = show(&folder, &bad);
        assert!(!run.status.success() && stderr(&run).contains(said), "{bad:?}: {}", stderr(&run));
        assert_eq!(stderr(&run).lines().count(), 1);
    }
    assert_eq!(fs::read(folder.path().join("a/delays.hlog")).unwrap(), whole);
}

#[test]
fn rules_are_compared_in_one_table() {
    let folder = folder();
    let arguments = ["--compare", "constant,delay-adaptive,drop:4n", "--slow", "0:5", "--json", "all.json"];
    let run = profile(&folder, &arguments);
    let text = stdout(&run);
    assert!(run.status.success(), "{}", stderr(&run));
    assert_eq!(text.lines().count(), 7, "{text}");
    let head = text.lines().next().unwrap();
    assert!(head.starts_with("2 workers on ") && head.ends_with("data.svm, slow 0:5"), "{head}");
    for (line, rule) in text.lines().skip(4).zip(["constant", "delay-adaptive", "drop:4n"]) {
        assert!(line.starts_with(rule) && line.ends_with("epochs"), "{line}");
    }
    let json = fs::read_to_string(folder.path().join("all.json")).unwrap();
    let records: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(records[0]["delay"]["kept_mass"], 1.0);
    assert_eq!(records.len(), 3);
}

#[test]
fn a_stall_needs_no_other_option_to_be_seen() {
    let folder = folder();
    let data = small(&folder, "data.svm", 5000);
    let run = |arguments: &[&str]| {
        let fixed = ["profile", "--workers", "2", "--json", "-"];
        let run = asyncsgd().args(fixed).arg(&data).args(arguments).output().unwrap();
        (serde_json::from_str::<serde_json::Value>(&stdout(&run)).unwrap(), stderr(&run))
    };
    let (record, warnings) = run(&["--stall", "1:200ms:800ms"]);
    assert_eq!((&record["stop"], warnings.as_str()), (&"time-limit".into(), ""));
    let late = record["delay"]["workers"][1]["max"].as_u64().unwrap();
    let rate = record["throughput"]["updates_per_second"].as_f64().unwrap();
    // The other worker went on while it lasted.
    assert!(late as f64 > 0.2 * rate, "{late} of {rate} updates a second");
    let (record, warnings) = run(&["--stall", "1:1h:200ms", "--epochs", "2"]);
    assert_eq!(record["stop"], "epochs");
    assert!(warnings.starts_with("warning: stall 1:3600s:0.2s did not come: "), "{warnings}");
}

#[test]
fn nothing_is_lost_where_nobody_reads_the_progress() {
    let folder = folder();
    let data = small(&folder, "data.svm", 5000);
    let arguments =
        ["profile", "--workers", "40", "--time-limit", "300ms", "--epochs", "100000", "--profile", "run"];
    let mut run = asyncsgd()
        .args(arguments)
        .arg(data)
        .current_dir(folder.path())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(run.stderr.take());
    let run = run.wait_with_output().unwrap();
    assert!(run.status.success() && stdout(&run).contains("worker 39"), "{:?}", run.status);
    assert!(Path::exists(&folder.path().join("run/profile.json")));
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_lost() {
    let folder = folder();
    fs::write(folder.path().join("old.trace"), "old").unwrap();
    for (bad, said) in [
        (vec!["--slow", "2:5"], "found worker 2, expected one of 0 to 1"),
        (vec!["--slow", "0:0.5"], "expected at least 1"),
        (vec!["--slow", "fast"], "expected W:FACTOR"),
        (vec!["--stall", "0:1s"], "expected W:AT:FOR"),
        (vec!["--jitter", "pareto:0"], "above 0"),
        (vec!["--jitter", "list:1,2,3"], "3 times for 2 workers"),
        (vec!["--evaluate-every", "0"], "--evaluate-every"),
        (vec!["--compare", "drop:1"], "drop"),
        (vec!["--compare", "constant", "--report", "x.html"], "expected none of them"),
        (vec!["--trace", "old.trace"], "needs a new file"),
        (vec!["--profile", "no/such/folder"], "cannot"),
    ] {
        let run = profile(&folder, &bad);
        assert_eq!(stderr(&run).lines().count(), 1, "{bad:?}: {}", stderr(&run));
        assert!(!run.status.success() && stderr(&run).contains(said), "{bad:?}: {}", stderr(&run));
    }
    assert_eq!(fs::read_to_string(folder.path().join("old.trace")).unwrap(), "old");
}

#[test]
fn a_run_without_updates_has_a_report() {
    let folder = folder();
    let run = profile(&folder, &["--epochs", "0", "--profile", "run", "--report", "run.html"]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(stdout(&run).contains("no updates"));
    assert!(Path::exists(&folder.path().join("run/delays.svg")));
    let shown = show(&folder, &["run/delays.hlog"]);
    assert!(stderr(&shown).contains("no interval"), "{}", stderr(&shown));
}
