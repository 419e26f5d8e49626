//! The program is killed at random moments: the last checkpoint is whole, and a run that goes on from it ends as one
//! that was never killed. `tools/kills.sh` does it hundreds of times.
#![cfg(all(unix, not(loom)))]

use asyncsgd::{Checkpoint, SavedModel};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

fn asyncsgd(directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asyncsgd"));
    command.current_dir(directory).args(words).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Enough for checkpoints of some hundred kilobytes and epochs of some milliseconds.
fn data(directory: &Path) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut text = String::new();
    for _ in 0..4000 {
        let label = if rng.random_range(0..3) == 0 { 1 } else { -1 };
        write!(text, "{label}").unwrap();
        let mut id = 0;
        for _ in 0..10 {
            id += rng.random_range(1..3000);
            write!(text, " {id}:{}", rng.random_range(-9..10)).unwrap();
        }
        text.push('\n');
    }
    std::fs::write(directory.join("data.svm"), text).unwrap();
}

fn wait(mut child: Child, what: &str) {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(120), "{what} hangs");
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

const RUN: [&str; 12] = [
    "train",
    "data.svm",
    "--workers",
    "1",
    "--epochs",
    "150",
    "--checkpoint",
    "run.ckpt",
    "--checkpoint-every",
    "1ms",
    "--seed",
    "3",
];

#[test]
fn kills_never_lose_the_last_checkpoint() {
    let kills = std::env::var("ASYNCSGD_KILLS").map_or(12, |kills| kills.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    data(directory);
    let whole = [&RUN[..6], &RUN[10..], &["--save", "whole.safetensors", "--quiet"]].concat();
    wait(asyncsgd(directory, &whole).spawn().unwrap(), "the uninterrupted run");

    let seed = std::env::var("ASYNCSGD_KILL_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let checkpoint = directory.join("run.ckpt");
    let (mut before, mut alive, mut finished) = (0, 0, 0);
    for kill in 0..kills {
        let words = if checkpoint.exists() { vec!["train", "--resume", "run.ckpt"] } else { RUN.to_vec() };
        let mut child = asyncsgd(directory, &words).spawn().unwrap();
        // Some while they start, most soon after they have saved.
        if kill % 4 > 0 {
            let (start, there) = (Instant::now(), modified(&checkpoint));
            while modified(&checkpoint) == there && child.try_wait().unwrap().is_none() {
                assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint");
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..30_000)));
        finished += u64::from(child.try_wait().unwrap().is_some_and(|status| status.success()));
        child.kill().unwrap();
        child.wait().unwrap();
        if before > 0 || checkpoint.exists() {
            let saved = Checkpoint::open(&checkpoint).unwrap_or_else(|e| panic!("after kill {kill}: {e}"));
            assert!(
                saved.iterations() >= before,
                "kill {kill}: back from {before} to {}",
                saved.iterations()
            );
            alive += u64::from(saved.iterations() > before);
            before = saved.iterations();
        }
        if finished > 0 {
            // From the start again.
            finish(directory);
            std::fs::remove_file(&checkpoint).unwrap();
            (before, finished) = (0, 0);
        }
    }
    println!("{kills} kills, {alive} of them after a new checkpoint");
    assert!(alive > 0, "no run was killed while it trained");
    if checkpoint.exists() {
        finish(directory);
    }
    // What killed writers have left is gone.
    let left = std::fs::read_dir(directory)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0);
}

/// When the file took its place.
fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// Goes on to the end, which is that of the uninterrupted run.
fn finish(directory: &Path) {
    let words = ["train", "--resume", "run.ckpt", "--save", "end.safetensors", "--quiet"];
    wait(asyncsgd(directory, &words).spawn().unwrap(), "the last run");
    let [whole, end] =
        ["whole.safetensors", "end.safetensors"].map(|name| std::fs::read(directory.join(name)).unwrap());
    // The tensors stand at the end, behind the words about the run.
    let tail = |bytes: &[u8]| bytes[bytes.len() - 60_000..].to_vec();
    assert!(tail(&whole) == tail(&end), "the resumed run ended elsewhere");
    SavedModel::load(&directory.join("end.safetensors")).unwrap();
}

/// Sends signals to a process, a millisecond apart.
#[cfg(target_os = "linux")]
fn send(signals: &[&str], to: &Child) {
    let sent: Vec<String> = signals.iter().map(|signal| format!("kill -s {signal} {}", to.id())).collect();
    assert!(Command::new("sh").args(["-c", &sent.join(" && sleep 0.001 && ")]).status().unwrap().success());
}

/// Endless training that was begun by `env` with these options, once its first checkpoint is there.
#[cfg(target_os = "linux")]
fn endless(directory: &Path, env: &str) -> Child {
    data(directory);
    let words = "train data.svm --epochs 1e6 --checkpoint c --checkpoint-every 20ms --save m.safetensors";
    let mut command = Command::new("env");
    command.current_dir(directory).args([env, env!("CARGO_BIN_EXE_asyncsgd")]).args(words.split(' '));
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !directory.join("c").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// `timeout` sends its signal to the program and then to its group.
#[cfg(target_os = "linux")]
#[test]
fn signals_end_training_and_keep_what_was_learnt() {
    for signal in ["TERM", "HUP", "INT"] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let child = endless(directory, "--default-signal");
        send(&[signal, signal], &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(directory.join("m.safetensors").exists(), "{signal}");
        let saved = Checkpoint::open(directory.join("c")).unwrap();
        assert!(saved.iterations() > 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn signals_that_are_ignored_remain_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = endless(directory.path(), "--ignore-signal=HUP");
    send(&["HUP"], &child);
    std::thread::sleep(Duration::from_millis(400));
    assert!(child.try_wait().unwrap().is_none(), "the run ended");
    send(&["TERM"], &child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
}

/// What the command says on standard error, and its exit code, in a directory.
fn said_in(directory: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = asyncsgd(directory, words).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_run_goes_on_in_another_directory_and_with_data_that_have_moved() {
    let [home, away] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (home, away) = (home.path(), away.path());
    data(home);
    let begun = "train -j1 -qe1 --schedule constant --checkpoint c --checkpoint-every=1 -- data.svm";
    let begun: Vec<&str> = begun.split(' ').collect();
    assert_eq!(said_in(home, &begun), (Some(0), String::new()));
    let [checkpoint, moved] =
        [home.join("c"), away.join("new.svm")].map(|path| path.to_str().unwrap().to_owned());
    let on = |epochs: &str| {
        let file = Checkpoint::open(&checkpoint).unwrap();
        assert_eq!(file.iterations(), 4000 * epochs.parse::<u64>().unwrap());
    };
    on("1");
    assert_eq!(said_in(away, &["train", "--resume", &checkpoint, "-e2"]), (Some(0), String::new()));
    on("2");
    std::fs::rename(home.join("data.svm"), &moved).unwrap();
    let (code, text) = said_in(away, &["train", "--resume", &checkpoint, "-e3"]);
    assert_eq!((code, text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("data.svm: cannot open"), "{text}");
    // By its new name from where it lies, and that is what is kept.
    let new = ["train", "--epochs=3", &format!("--resume={checkpoint}"), "--", "new.svm"];
    assert_eq!(said_in(away, &new), (Some(0), String::new()));
    on("3");
    assert_eq!(said_in(home, &["train", "--resume", "c", "--epochs", "4"]), (Some(0), String::new()));
    on("4");
    let text = std::fs::read_to_string(&moved).unwrap();
    std::fs::write(away.join("other.svm"), text + "1 1:1\n").unwrap();
    let (code, text) = said_in(away, &["train", "other.svm", "--resume", &checkpoint, "-e5"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("c: data: found "), "{text}");
}

/// JSON has no number for the objective of such a run.
#[test]
fn a_run_that_overflowed_and_went_back_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let text: String = (0..400).map(|r| format!("1 1:{}\n", if r % 100 == 9 { 60 } else { 1 })).collect();
    std::fs::write(directory.join("far.svm"), text).unwrap();
    let begun = "train far.svm --loss squared --l2 0 -j1 -qe5 --schedule constant --checkpoint c --checkpoint-every 1";
    let (code, told) = said_in(directory, &begun.split(' ').collect::<Vec<_>>());
    assert!(code == Some(0) && told.contains("went back"), "{told}");
    let (code, told) = said_in(directory, &["train", "--resume", "c", "-e6"]);
    assert_eq!((code, told.contains("wrong")), (Some(0), false), "{told}");
    let (code, told) = said_in(directory, &["train", "far.svm", "-q", "--checkpoint-every", "1"]);
    assert_eq!((code, told.lines().count()), (Some(2), 1), "{told}");
}

/// The workers are those of the file where a machine has other cores.
#[cfg(target_os = "linux")]
#[test]
fn a_run_goes_on_with_as_many_workers_as_it_had() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    data(directory);
    let begun = "-c 0 ASYNCSGD train data.svm -qe1 --schedule constant --checkpoint c --checkpoint-every 1";
    let program = env!("CARGO_BIN_EXE_asyncsgd");
    let words = begun.split(' ').map(|word| if word == "ASYNCSGD" { program } else { word });
    let done = Command::new("taskset").args(words).current_dir(directory).status().unwrap();
    assert!(done.success());
    assert_eq!(said_in(directory, &["train", "--resume", "c", "-e2"]), (Some(0), String::new()));
    assert_eq!(Checkpoint::open(directory.join("c")).unwrap().workers(), Some(1));
}

#[test]
fn what_cannot_be_resumed_is_refused_in_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    data(directory);
    let said = |words: &[&str]| said_in(directory, words);
    let short =
        ["train", "data.svm", "-j1", "--epochs", "2", "--checkpoint", "c", "--checkpoint-every", "1", "-q"];
    assert_eq!(said(&short), (Some(0), String::new()));
    let (code, text) = said(&["train", "--resume", "c", "--seed", "9", "-q"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("seed: found 0, expected 9"), "{text}");
    let (code, text) = said(&["train", "--resume", "data.svm"]);
    assert_eq!(
        (code, text.as_str()),
        (Some(2), "error: data.svm: found another kind of file, expected a checkpoint\n")
    );
    let (code, text) = said(&["train", "data.svm", "--checkpoint", "data.svm"]);
    assert_eq!((code, text.lines().count()), (Some(2), 1), "{text}");
    let mut bytes = std::fs::read(directory.join("c")).unwrap();
    bytes[100] ^= 1;
    std::fs::write(directory.join("c"), bytes).unwrap();
    let (code, text) = said(&["train", "--resume", "c"]);
    assert_eq!(
        (code, text.as_str()),
        (Some(2), "error: c: found a damaged file: its checksum is wrong, expected a whole checkpoint\n")
    );
}

#[cfg(unix)]
#[test]
fn where_a_checkpoint_cannot_stand_is_told_before_training() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("small.svm"), "1 1:1 2:3\n-1 2:1\n").unwrap();
    assert!(Command::new("mkfifo").arg(directory.join("pipe")).status().unwrap().success());
    let to = |path: &str| said_in(directory, &["train", "small.svm", "-qe1", "-j1", "--checkpoint", path]);
    assert_eq!(to("pipe"), (Some(2), "error: pipe: found a device or a pipe, expected a file\n".into()));
    let (code, text) = to("a/b/c");
    assert_eq!(code, Some(1));
    assert!(text.starts_with("error: a/b/c: cannot create: "), "{text}");
    // Another run's file will be replaced, but not in silence.
    assert_eq!(to("c"), (Some(0), String::new()));
    let warning = "warning: c: the checkpoint that is there will be replaced; --resume continues it\n";
    assert_eq!(to("c"), (Some(0), warning.into()));
    assert_eq!(said_in(directory, &["train", "--resume", "c", "-qe1"]), (Some(0), String::new()));
    // What the file cannot keep.
    let name = std::ffi::OsStr::from_bytes(b"d\xff.svm");
    std::fs::copy(directory.join("small.svm"), directory.join(name)).unwrap();
    let mut command = asyncsgd(directory, &["train", "-qe1", "-j1", "--checkpoint", "other"]);
    let output = command.arg(name).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.starts_with("error: --checkpoint: found ") && text.ends_with(", expected UTF-8 to keep\n"),
        "{text}"
    );
    // Another network is named as a command names it.
    let network = ["train", "small.svm", "-qe1", "-j1", "--model", "mlp:2-3-2", "--checkpoint", "net"];
    assert_eq!(said_in(directory, &network), (Some(0), String::new()));
    let (_, text) = said_in(directory, &["train", "--resume", "net", "--model", "mlp:2-4-2,tanh"]);
    let line = "model: found mlp:2-3-2,relu softmax, expected mlp:2-4-2,tanh softmax\n";
    assert!(text.contains(line), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_checkpoint_that_fails_is_told_while_the_run_goes_on() {
    use std::io::{BufRead, BufReader};
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    data(directory);
    std::fs::create_dir(directory.join("sub")).unwrap();
    let words = ["train", "data.svm", "-qe1e6", "--checkpoint", "sub/c", "--checkpoint-every", "10ms"];
    let mut child = asyncsgd(directory, &words).spawn().unwrap();
    let start = Instant::now();
    // It may be just writing another.
    while !directory.join("sub/c").exists() || std::fs::remove_dir_all(directory.join("sub")).is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("warning: a checkpoint was not written: sub/c: cannot "), "{line}");
    assert!(child.try_wait().unwrap().is_none());
    send(&["TERM"], &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// Address space for a dozen threads, and a stack that no address space has room for. The stacks are large so that what
/// the refused one leaves is enough for the small maps that std makes in threads that start: it aborts without them.
#[cfg(target_os = "linux")]
#[test]
fn threads_that_the_system_refuses_are_told_and_nothing_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    data(directory);
    let said = |set: &str, words: &str| {
        let script = format!("{set} && exec \"$0\" {words} -q");
        let mut command = Command::new("sh");
        command.current_dir(directory).args(["-c", &script, env!("CARGO_BIN_EXE_asyncsgd")]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (start, mut child) = (Instant::now(), child);
        while child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(60), "{words} hangs");
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{words}: {text}");
        text
    };
    for words in ["train data.svm -e5 -j 3000 --checkpoint c", "stream data.svm -j 3000"] {
        let text = said("export RAYON_NUM_THREADS=2 RUST_MIN_STACK=268435456; ulimit -v 4000000", words);
        assert!(text.starts_with("error: cannot start worker ") && text.contains(" of 3000: "), "{text}");
    }
    let text = said("export RUST_MIN_STACK=200000000000000", "train data.svm");
    assert!(text.starts_with("error: cannot start the pool of threads: "), "{text}");
    assert!(!directory.join("c").exists());
}
