//! The house rules that the compiler does not know: which part may import which, where atomics, threads and
//! `unsafe` may stand, and how long a file may be.
#![cfg(not(loom))]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The parts from the bottom up, and what each may import besides itself. What is not listed here fails.
const IMPORTS: [(&str, &[&str]); 23] = [
    ("sync", &[]),
    ("error", &[]),
    ("real", &["kernel", "sync"]),
    ("kernel", &["real", "sync"]),
    ("weights", &["kernel", "real"]),
    ("output", &["error"]),
    ("memory", &["error"]),
    ("law", &["error"]),
    ("params", &["error", "kernel", "memory", "real", "sync", "weights"]),
    ("clock", &["sync"]),
    ("delay", &["error", "sync"]),
    ("step", &["error", "sync"]),
    ("data", &["error", "kernel", "memory", "output", "sync"]),
    ("topology", &["error"]),
    ("model", &["data", "error", "kernel", "memory", "output", "real", "weights"]),
    ("hogwild", &["clock", "delay", "error", "kernel", "model", "params", "real", "step", "sync", "weights"]),
    (
        "engine",
        &[
            "clock", "data", "delay", "error", "hogwild", "kernel", "law", "memory", "model", "output",
            "params", "real", "step", "sync", "topology", "weights",
        ],
    ),
    // Deterministic and on one thread: neither `engine` and `hogwild` nor `sync`; of `params` a formula.
    (
        "sim",
        &["data", "delay", "error", "kernel", "law", "memory", "model", "params", "real", "step", "weights"],
    ),
    ("roofline", &["hogwild", "kernel", "model", "params", "step", "sync", "topology", "weights"]),
    ("record", &["delay", "error"]),
    ("report", &["delay", "error", "output", "record"]),
    // The program's parts see the library from outside, as `asyncsgd::`.
    ("cli", &[]),
    // loom models of what is not public.
    ("models", &["clock", "delay", "params", "sync", "weights"]),
];

/// Outside paths and where they may stand: everything else that shares state or starts threads comes from
/// `sync.rs`. An interrupt's flag is a plain `std` one because the user's side, a signal handler, sets it.
const OUTSIDE: [(&str, &[&str]); 15] = [
    ("std::sync::atomic::AtomicBool", &["sync.rs", "engine/", "cli/"]),
    ("std::sync::atomic::Ordering", &["sync.rs", "engine/", "cli/"]),
    ("std::sync::Arc", &["sync.rs", "cli/"]),
    ("std::sync", &["sync.rs"]),
    ("std::thread::available_parallelism", &["topology.rs"]),
    // An objective that waits.
    ("std::thread::sleep", &["sync.rs", "cli/reproduce/guard.rs"]),
    // A reader that feeds a stream, and a listener to signals.
    ("std::thread::Builder", &["cli/interrupt.rs", "cli/stream.rs"]),
    ("std::thread", &["sync.rs"]),
    ("core::sync", &[]),
    ("loom", &["sync.rs", "models.rs"]),
    ("arc_swap", &["sync.rs"]),
    ("crossbeam", &["sync.rs"]),
    ("atomic_float", &["sync.rs"]),
    ("clap", &["cli/"]),
    ("indicatif", &["cli/"]),
];

/// Words and where they may stand.
const WORDS: [(&str, &[&str]); 12] = [
    ("unsafe", &["kernel/", "params/placement.rs", "data/slots.rs"]),
    ("todo!", &[]),
    ("unimplemented!", &[]),
    ("dbg!", &[]),
    ("thread_local!", &[]),
    ("static mut", &[]),
    // Results go to stdout and progress to stderr: the program's business.
    ("println!", &["cli/", "main.rs"]),
    // They panic when nobody listens any more.
    ("eprintln!", &[]),
    ("print!", &["cli/", "main.rs"]),
    ("eprint!", &[]),
    // Real time is the engine's; the simulator has its own.
    ("Instant", &["engine/", "cli/", "delay/", "roofline/"]),
    ("SystemTime", &["engine/", "cli/", "delay/"]),
];

/// Lines of a source file.
const LONGEST: usize = 400;

/// A source file under `root`.
struct Source {
    /// From `root`, with forward slashes.
    name: String,
    lines: Vec<String>,
    /// The lines with comments and the contents of strings blanked.
    code: Vec<String>,
}

fn sources(root: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(source(&root, path));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn source(root: &Path, path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let parts: Vec<_> =
        path.strip_prefix(root).unwrap().iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let code = blank(&text).lines().map(str::to_owned).collect();
    Source { name: parts.join("/"), lines, code }
}

/// The text with comments and the contents of string literals replaced by spaces, lines kept.
fn blank(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let hidden = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..hidden].chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = &rest[hidden..];
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The byte offsets at which `word` stands by itself.
fn occurrences(text: &str, word: &str) -> Vec<usize> {
    let alone = |&(at, _): &(usize, &str)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        // A path that begins with `::` or goes through another name is a different one.
        !before.is_some_and(|c| is_word(c) || c == ':')
            && (word.ends_with('!') || !after.is_some_and(is_word))
    };
    text.match_indices(word).filter(alone).map(|(at, _)| at).collect()
}

/// The full paths of the import or path expression at the front of `text`, groups expanded.
fn paths(text: &str) -> (Vec<String>, &str) {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut all = Vec::new();
        loop {
            let (some, after) = paths(rest);
            all.extend(some);
            // Past `as name` up to the comma or the end of the group.
            let stop = after.find([',', '}']).unwrap_or(after.len());
            let Some(next) = after[stop..].strip_prefix(',') else {
                return (all, after.get(stop + 1..).unwrap_or_default());
            };
            rest = next;
        }
    }
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let more = rest.strip_prefix("::").filter(|more| more.starts_with(|c: char| is_word(c) || c == '{'));
    match more {
        Some(more) => {
            let (inner, rest) = paths(more);
            (inner.into_iter().map(|path| format!("{name}::{path}")).collect(), rest)
        }
        None if name.is_empty() => (Vec::new(), rest),
        None => (vec![name.to_owned()], rest),
    }
}

/// All paths in a file that begin with one of `roots`, each with its line.
fn paths_from(source: &Source, roots: &[&str]) -> Vec<(usize, String)> {
    let code = source.code.join("\n");
    let at = |&root: &&str| occurrences(&code, root).into_iter().collect::<Vec<_>>();
    let all = roots.iter().flat_map(at);
    all.flat_map(|at| {
        let line = 1 + code[..at].matches('\n').count();
        paths(&code[at..]).0.into_iter().map(move |path| (line, path))
    })
    .collect()
}

/// The module that each name re-exported at the crate's root comes from.
fn reexports(lib: &Source) -> BTreeMap<String, String> {
    let code = lib.code.join("\n");
    let uses = occurrences(&code, "use").into_iter().flat_map(|at| paths(&code[at + 3..]).0);
    uses.filter_map(|path| {
        let (module, name) = (path.split("::").next()?, path.rsplit("::").next()?);
        Some((name.to_owned(), module.to_owned()))
    })
    .collect()
}

fn part(name: &str) -> &str {
    name.split(['/', '.']).next().unwrap_or(name)
}

fn allowed(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| name == *place || place.ends_with('/') && name.starts_with(place))
}

fn report(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn parts_import_downward_only() {
    let all = sources("src");
    let lib = all.iter().find(|source| source.name == "lib.rs").unwrap();
    let reexported = reexports(lib);
    assert_eq!(reexported["Dataset"], "data");
    let table = BTreeMap::from(IMPORTS);
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for source in all.iter().filter(|source| !matches!(&*source.name, "lib.rs" | "main.rs")) {
        let own = part(&source.name);
        let Some(may) = table.get(own) else {
            wrong.push(format!("src/{}: '{own}' is not in the table of parts", source.name));
            continue;
        };
        for (line, path) in paths_from(source, &["crate"]) {
            let Some(name) = path.split("::").nth(1) else { continue };
            let module = reexported.get(name).map_or(name, String::as_str);
            seen += 1;
            if module != own && !may.contains(&module) {
                wrong.push(format!("src/{}:{line}: {own} imports {path}", source.name));
            }
        }
        // A chain of `super` must not leave the part; a module inside the file is one level deeper.
        let depth = source.name.matches('/').count() + usize::from(!source.name.ends_with("/mod.rs"));
        for (number, line) in source.code.iter().enumerate() {
            let nested =
                source.code[..number].iter().any(|line| line.starts_with("mod ") && line.ends_with('{'));
            if line.contains(&"super::".repeat(depth + usize::from(nested))) {
                wrong.push(format!("src/{}:{}: `super` leaves {own}", source.name, number + 1));
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were found");
    report(wrong);
}

#[test]
fn atomics_and_threads_come_through_one_door() {
    let mut wrong = Vec::new();
    for source in &sources("src") {
        let roots: Vec<&str> =
            OUTSIDE.iter().map(|(path, _)| part(path.split("::").next().unwrap())).collect();
        for (line, path) in paths_from(source, &roots).into_iter().filter(|(_, path)| path.contains("::")) {
            let rule = OUTSIDE.iter().find(|(prefix, _)| {
                path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            });
            if rule.is_some_and(|(_, places)| !allowed(&source.name, places)) {
                wrong.push(format!("src/{}:{line}: {path}", source.name));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    report(wrong);
}

#[test]
fn words_stand_where_they_may() {
    let mut wrong = Vec::new();
    for source in &sources("src") {
        for (word, places) in WORDS {
            for (number, line) in source.code.iter().enumerate() {
                if !occurrences(line, word).is_empty() && !allowed(&source.name, places) {
                    wrong.push(format!("src/{}:{}: {word}", source.name, number + 1));
                }
            }
        }
    }
    report(wrong);
}

#[test]
fn orderings_say_why() {
    // How far above its comment may stand.
    const REACH: usize = 8;
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for source in &sources("src") {
        for (number, line) in source.code.iter().enumerate() {
            for at in occurrences(line, "Ordering") {
                let name = paths(&line[at..]).0.concat().replace("Ordering::", "");
                if !matches!(&*name, "Acquire" | "Release" | "AcqRel" | "SeqCst") {
                    continue;
                }
                seen += 1;
                let near = &source.lines[number.saturating_sub(REACH)..=number];
                let says = |word: &str| {
                    near.iter().any(|line| line.find("//").is_some_and(|at| line[at..].contains(word)))
                };
                if !(says(&name) || name == "AcqRel" && says("Acquire") && says("Release")) {
                    wrong.push(format!("src/{}:{}: {name} without a word why", source.name, number + 1));
                }
            }
        }
    }
    assert!(seen > 10, "only {seen} orderings were found");
    report(wrong);
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for root in ["src", "tests", "benches", "tools"] {
        for source in sources(root) {
            let (name, lines) = (format!("{root}/{}", source.name), source.lines.len());
            if lines > LONGEST {
                wrong.push(format!("{name}: {lines} lines, expected at most {LONGEST}"));
            }
        }
    }
    report(wrong);
}

/// Where there is no program, its tests are left out.
#[test]
fn tests_of_the_program_ask_for_it() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let starts = [concat!("asyncsgd", "()"), concat!("CARGO_BIN", "_EXE")];
    let runs = |source: &Source| {
        let starts = |line: &String| starts.iter().any(|text| line.contains(text));
        !source.name.contains('/') && source.lines.iter().any(starts)
    };
    let asks = |source: &Source| {
        let name = source.name.trim_end_matches(".rs");
        manifest.contains(&format!("[[test]]\nname = \"{name}\"\nrequired-features = [\"cli\"]\n"))
    };
    let wrong = sources("tests").into_iter().filter(|source| runs(source) && !asks(source));
    report(wrong.map(|source| format!("{}: expected required-features = [\"cli\"]", source.name)).collect());
}

#[test]
fn the_reader_of_rust_reads_it() {
    assert_eq!(
        paths("crate::a::{b, c::{self, D as E}, f}; x").0,
        ["crate::a::b", "crate::a::c::self", "crate::a::c::D", "crate::a::f"]
    );
    assert_eq!(paths("std::thread::spawn(f)").0, ["std::thread::spawn"]);
    assert_eq!(blank("a // b\n\"c\\\"d\" e '\"' /* f */g"), "a     \n       e            g");
    assert_eq!(occurrences("unsafe not_unsafe unsafe_x (unsafe) x::unsafe", "unsafe"), [0, 28]);
}
