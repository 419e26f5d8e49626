//! `asyncsgd simulate` and `asyncsgd reproduce` as programs: records, pages, replays, and what they refuse.

mod common;
#[path = "common/schema.rs"]
mod schema;

use common::{asyncsgd, folder, small, stderr, stdout};
use schema::valid;
use std::fs;
use std::path::Path;
use std::process::Output;

fn simulate(arguments: &[&str]) -> Output {
    asyncsgd().arg("simulate").args(arguments).output().unwrap()
}

#[test]
fn the_record_keeps_to_the_schema_and_repeats_the_run() {
    let options =
        "--quadratic 6 --workers 5 --noise 0.1 --speeds exp:1+fixed:0.1 --target 1e-2 --iterations 4000";
    let mut arguments: Vec<&str> = options.split(' ').collect();
    arguments.extend(["--tune", "--settle", "--json", "-"]);
    let out = simulate(&arguments);
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    let record = valid(&out.stdout);
    let told = &record["simulation"];
    assert_eq!((&record["stop"], &told["measure"]), (&"limit".into(), &"|∇f|²".into()));
    assert_eq!(told["worker_delays"].as_array().unwrap().len(), 5);
    let hit = told["first_hit"]["seconds"].as_f64().unwrap();
    assert!(hit <= told["settled"]["seconds"].as_f64().unwrap());
    // The tuned rate is never at the edge of what was tried.
    let tried = told["tuned"]["tried"].as_array().unwrap();
    let at = tried.iter().position(|pair| pair[0] == told["tuned"]["rate"]).unwrap();
    assert!(at > 0 && at + 1 < tried.len());

    let command = record["plan"]["command"].as_str().unwrap();
    let again = simulate(&command.split(' ').skip(2).chain(["--json", "-"]).collect::<Vec<_>>());
    let again = valid(&again.stdout);
    assert_eq!((&again["series"], &again["delay"]), (&record["series"], &record["delay"]));
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_cores() {
    let run = |threads: &str| {
        let mut command = asyncsgd();
        command.env("RAYON_NUM_THREADS", threads).args(["simulate", "--json", "-", "--seed", "7"]);
        command.args([
            "--quadratic",
            "8",
            "--noise",
            "1",
            "--target",
            "0.1",
            "--tune",
            "--speeds",
            "pareto:1.5",
        ]);
        command.output().unwrap().stdout
    };
    assert!(!run("1").is_empty());
    assert_eq!(run("1"), run("2"));
}

#[test]
fn pages_hold_everything() {
    let folder = folder();
    let (run, claims) = (folder.path().join("run.html"), folder.path().join("claims.html"));
    let out =
        asyncsgd().args(["simulate", "--quadratic", "3", "--workers", "100", "--report"]).arg(&run).output();
    assert!(out.unwrap().status.success());
    let out =
        asyncsgd().args(["reproduce", "stability", "--quick", "--report"]).arg(&claims).output().unwrap();
    assert!(out.status.success() && stdout(&out).contains("all as expected"));
    for (page, title) in [(run, "a run and its delays"), (claims, "claims and verdicts")] {
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(&format!("<title>asyncsgd: {title}</title>")) && text.contains("uPlot"));
        for outside in ["src=\"http", "href=\"http://", "@import", "url(http"] {
            assert!(!text.contains(outside), "{}: {outside}", page.display());
        }
        assert!(!text.contains("{chart.js}") && !text.contains("{record}"));
    }
}

#[test]
fn a_recorded_trace_is_replayed_to_its_end_by_as_many_workers_only() {
    let folder = folder();
    let (data, trace) = (small(&folder, "data.svm", 600), folder.path().join("run.trace"));
    let out = asyncsgd()
        .args(["profile", "--quiet", "--workers", "2", "--block", "1", "--epochs", "2", "--trace"])
        .arg(&trace)
        .arg(&data)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", stderr(&out));
    let replay = |options: &[&str]| {
        let mut command = asyncsgd();
        command.args(["simulate", "--json", "-"]).args(options).arg("--replay").args([&trace, &data]);
        command.output().unwrap()
    };
    // To its end, and as far as asked.
    for (options, updates) in [(&["--workers", "2"][..], 1200), (&["--workers", "2", "--epochs", "1"], 600)] {
        assert_eq!(valid(&replay(options).stdout)["delay"]["count"], updates);
    }
    for (options, why) in [
        (&["--workers", "3"][..], "found the updates of 2 workers, expected 3"),
        (&["--workers", "2", "--epochs", "3"], "found 1200 updates, expected 1800"),
    ] {
        let wrong = replay(options);
        assert_eq!(wrong.status.code(), Some(2));
        assert_eq!(stderr(&wrong), format!("error: trace: {why}\n"));
    }
    // Of another size, and of blocks, whose updates are no gradients.
    let refused = |data: &Path, trace: &Path, options: &[&str], why: &str| {
        let mut command = asyncsgd();
        command.args(["simulate", "--workers", "2"]).args(options).arg("--replay").args([trace, data]);
        let wrong = command.output().unwrap();
        assert_eq!(wrong.status.code(), Some(2));
        assert_eq!(stderr(&wrong), format!("error: trace: {why}\n"));
    };
    let fewer = small(&folder, "fewer.svm", 500);
    refused(&fewer, &trace, &[], "found a run on 600 examples, expected 500");
    refused(&data, &trace, &["--batch", "2"], "found gradients of 1 examples, expected --batch 2");
    let blocks = folder.path().join("blocks.trace");
    let out = asyncsgd()
        .args(["profile", "--quiet", "--workers", "2", "--block", "16", "--epochs", "2", "--trace"])
        .args([&blocks, &data])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", stderr(&out));
    let why = "found updates of blocks of 16 examples, expected those of single gradients: record it with --block 1";
    refused(&data, &blocks, &[], why);
}

#[test]
fn what_would_change_nothing_is_refused() {
    for (options, why) in [
        (
            "--quadratic 3 --batch 2 --epochs 1",
            "--quadratic: found --batch too\n--quadratic: found --epochs too",
        ),
        ("--quadratic 3 --partition iid", "--quadratic: found --partition too"),
        ("--quadratic 3 --loss hinge", "--quadratic: found --loss too"),
        ("--noise 1 --heterogeneity 2", "--noise: needs --quadratic\n--heterogeneity: needs --quadratic"),
        ("--test-fraction 0.1", "--test, --test-fraction: nothing is measured on held-out rows"),
        ("--quadratic 3 --replay run --speeds exp:1", "--replay: found --speeds"),
        ("--quadratic 3 --algorithm rennala:2 --step delay-adaptive", "--step: found a weight by delay"),
        ("--quadratic 3 --algorithm blocks:2 --step constant", "--step: found another rule"),
        (
            "--quadratic 3 --algorithm async-stop",
            "--algorithm async-stop: found a --step that ignores no gradient",
        ),
        ("--quadratic 3 --speeds exp:1*sample", "--speeds: found the factor sample with --quadratic"),
        ("--quadratic 3 --least-eigenvalue 5", "--least-eigenvalue: found 5, expected a number above 0"),
        ("--quadratic 3 --least-eigenvalue 0", "--least-eigenvalue: found 0, expected a number above 0"),
    ] {
        let out = simulate(&options.split(' ').collect::<Vec<_>>());
        let told = stderr(&out);
        assert_eq!(out.status.code(), Some(2), "{options}: {told}");
        assert_eq!(told.lines().count(), why.lines().count(), "{options}: {told}");
        for (line, why) in told.lines().zip(why.lines()) {
            assert!(line.starts_with(&format!("error: {why}")), "{options}: {told}");
        }
    }
    // What is measured does not depend on how long the run may last: every so many gradients.
    let hit = |epochs: &str| {
        let options = "--workers 2 --algorithm blocks:1024 --rate 0.05 --target 0.5 --json - --epochs";
        let out = simulate(&options.split(' ').chain([epochs]).collect::<Vec<_>>());
        valid(&out.stdout)["simulation"]["first_hit"]["gradients"].as_u64().expect("the target is hit")
    };
    assert!(hit("2") < 131_072, "{}", hit("2"));
    assert_eq!(hit("1"), hit("2"));
    // Without updates there is no mean to expect.
    let out = simulate(&["--quadratic", "3", "--iterations", "0", "--json", "-"]);
    assert!(valid(&out.stdout)["delay"]["expected_mean"].is_null());
    // What has no weight by delay says so, and expects no mean delay.
    let out = simulate(&["--quadratic", "3", "--algorithm", "minibatch", "--iterations", "5", "--json", "-"]);
    let record = valid(&out.stdout);
    assert_eq!(record["plan"]["step"], "constant");
    assert!(record["delay"]["expected_mean"].is_null());
    let out = simulate(&["--quadratic", "3", "--speeds", "exp:1", "--iterations", "50", "--json", "-"]);
    let delay = &valid(&out.stdout)["delay"];
    assert!((delay["mean"].as_f64().unwrap() - delay["expected_mean"].as_f64().unwrap()).abs() < 1e-12);
}

#[test]
fn a_batch_of_more_rows_than_there_are_is_refused() {
    let folder = folder();
    let data = small(&folder, "data.svm", 600);
    for (options, why) in [
        (&["--batch", "601"][..], "--batch: found 601, expected at most the 600 rows"),
        (
            &["--batch", "61", "--partition", "iid", "--workers", "10"],
            "--batch: found 61, expected at most the 60 rows of some worker",
        ),
    ] {
        let out = asyncsgd().arg("simulate").args(options).arg(&data).output().unwrap();
        assert_eq!((out.status.code(), stderr(&out)), (Some(2), format!("error: {why}\n")));
    }
}

#[test]
fn many_workers_make_progress_at_the_automatic_rate() {
    let folder = folder();
    let data = small(&folder, "data.svm", 2000);
    let options = "--workers 500 --speeds exp:1*half:10+fixed:0.2 --epochs 3 --json -";
    for more in [&[][..], &["--nonconvex", "3"]] {
        let out = asyncsgd().arg("simulate").args(options.split(' ')).args(more).arg(&data).output().unwrap();
        let record = valid(&out.stdout);
        let series = record["series"].as_array().unwrap();
        let objectives: Vec<f64> = series.iter().map(|point| point["objective"].as_f64().unwrap()).collect();
        let (first, last) = (objectives[0], objectives[objectives.len() - 1]);
        let most = objectives.iter().copied().fold(0.0, f64::max);
        assert!(last < first && most < 1.05 * first, "{more:?}: {objectives:?}");
    }
}

#[test]
fn impossible_laws_are_one_line_each() {
    for (law, why) in [
        ("pareto:0", "shape and scale must be numbers above 0"),
        ("fixed:-1", "the time must be a number above 0"),
        ("exp:inf", "the mean must be a number above 0"),
        ("uniform:1,1", "needs a time above 0 and a spread in [0, 1)"),
        ("on-off:0,1", "needs a mean time on above 0 and off of at least 0"),
        ("straggler:2,17", "17 stragglers among 16 workers"),
        ("list:1,2", "2 times for 16 workers"),
    ] {
        let out = simulate(&["--quadratic", "3", "--speeds", law]);
        let told = stderr(&out);
        assert_eq!((out.status.code(), told.lines().count()), (Some(2), 1), "{law}: {told}");
        assert!(told.contains(why), "{law}: {told}");
    }
}
