//! The cache of parsed data: what is read from it is what the text says, and what is wrong with it is told
//! and replaced.
#![cfg(unix)]

use asyncsgd::{Dataset, Loader, Logistic, Trainer};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

fn text(rows: usize) -> String {
    let row = |i: usize| {
        let features = (0..i % 7).map(|k| format!(" {}:{}", 1 + k * 5 + i % 5, (i + k) % 9 + 1));
        format!("{} {}\n", if i.is_multiple_of(3) { "+1" } else { "-1" }, features.collect::<String>())
    };
    (0..rows).map(row).collect()
}

/// A folder with a file, and the folder of its cache.
fn scene(rows: usize) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (file, cache) = (folder.path().join("data.svm"), folder.path().join("a/cache"));
    fs::write(&file, text(rows)).unwrap();
    (folder, file, cache)
}

fn load(file: &Path, cache: &Path, seed: u64) -> Dataset {
    Loader::new(file).cache(cache).seed(seed).load().unwrap()
}

/// The only entry of the cache.
fn entry(cache: &Path) -> PathBuf {
    let entries: Vec<_> = cache.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

/// Makes the entry clearly younger than the file, as it is two seconds later.
fn age(entry: &Path) {
    let later = SystemTime::now() + Duration::from_secs(10);
    File::options().write(true).open(entry).unwrap().set_modified(later).unwrap();
}

fn assert_same(a: &Dataset, b: &Dataset) {
    assert_eq!(a.rows().arrays(), b.rows().arrays());
    assert_eq!((a.labels(), a.order(), a.feature_order()), (b.labels(), b.order(), b.feature_order()));
    assert_eq!((a.name(), a.hash(), a.one_based()), (b.name(), b.hash(), b.one_based()));
    assert_eq!(a.features(), b.features());
}

/// Loads twice: the first time from the text, with this warning, and then from the cache.
fn rebuilt(file: &Path, cache: &Path, warning: Option<&str>) {
    let fresh = Loader::new(file).load().unwrap();
    let first = load(file, cache, 0);
    assert!(!first.cached().read);
    let told = first.cached().warning.as_deref();
    assert_eq!(told.is_some(), warning.is_some(), "{told:?}");
    assert!(told.is_none_or(|told| told.contains(warning.unwrap()) && !told.contains('\n')), "{told:?}");
    assert_same(&first, &fresh);
    let second = load(file, cache, 0);
    assert!(second.cached().read);
    assert_eq!(second.cached().warning, None);
    assert_same(&second, &fresh);
}

#[test]
fn a_second_load_is_the_first_to_the_bit() {
    let (_folder, file, cache) = scene(3000);
    rebuilt(&file, &cache, None);
    // With another seed the rows are laid out again, and the entry stays.
    for seed in [0, 1, 77] {
        let read = load(&file, &cache, seed);
        assert!(read.cached().read);
        assert_same(&read, &Loader::new(&file).seed(seed).load().unwrap());
    }
    entry(&cache);

    let train = |data: Dataset| {
        let data = data.binary().unwrap();
        Trainer::new(Logistic::default()).workers(1).epochs(2).run(&data).unwrap().weights
    };
    assert_eq!(train(load(&file, &cache, 5)), train(Loader::new(&file).seed(5).load().unwrap()));
}

#[test]
fn a_stamp_is_believed_once_the_entry_is_clearly_younger() {
    let (_folder, file, cache) = scene(50);
    load(&file, &cache, 0);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let first = inode(&entry(&cache));
    // Too fresh: hashed, found the same, and written again.
    assert!(load(&file, &cache, 0).cached().read);
    assert_ne!(inode(&entry(&cache)), first);
    age(&entry(&cache));
    let aged = inode(&entry(&cache));
    assert!(load(&file, &cache, 0).cached().read);
    assert_eq!(inode(&entry(&cache)), aged);
    // Touched: another stamp with the same content.
    let earlier = SystemTime::now() - Duration::from_secs(1000);
    File::options().write(true).open(&file).unwrap().set_modified(earlier).unwrap();
    assert!(load(&file, &cache, 0).cached().read);
    assert_ne!(inode(&entry(&cache)), aged);
}

#[test]
fn a_changed_file_is_parsed_again() {
    let (_folder, file, cache) = scene(60);
    load(&file, &cache, 0);
    age(&entry(&cache));
    // Of the same length.
    fs::write(&file, text(60).replace(":3", ":4")).unwrap();
    rebuilt(&file, &cache, Some("a cache entry of older content"));
    fs::write(&file, text(40)).unwrap();
    rebuilt(&file, &cache, Some("a cache entry of older content"));
    entry(&cache);
}

#[test]
fn every_damaged_byte_is_found() {
    let (_folder, file, cache) = scene(40);
    load(&file, &cache, 0);
    let (entry, fresh) = (entry(&cache), Loader::new(&file).load().unwrap());
    let whole = fs::read(&entry).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&entry, damaged).unwrap();
        age(&entry);
        let data = load(&file, &cache, 0);
        assert!(!data.cached().read && data.cached().warning.is_some(), "byte {at}");
        assert_same(&data, &fresh);
    }
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&entry, &whole[..length]).unwrap();
        age(&entry);
        rebuilt(&file, &cache, Some("a damaged cache entry"));
    }
    fs::write(&entry, [&whole[..], &[0]].concat()).unwrap();
    age(&entry);
    rebuilt(&file, &cache, Some("a damaged cache entry"));
}

#[test]
fn another_version_is_replaced() {
    let (_folder, file, cache) = scene(40);
    load(&file, &cache, 0);
    let mut bytes = fs::read(entry(&cache)).unwrap();
    bytes[8..12].copy_from_slice(&99u32.to_ne_bytes());
    fs::write(entry(&cache), bytes).unwrap();
    rebuilt(&file, &cache, Some("a cache entry of another version"));
}

#[test]
fn options_and_files_have_entries_of_their_own() {
    let (folder, file, cache) = scene(40);
    load(&file, &cache, 0);
    let wide = || Loader::new(&file).cache(&cache).features(900).load().unwrap();
    assert!(!wide().cached().read);
    assert_eq!((wide().cached().read, wide().features()), (true, 900));
    let zero = || Loader::new(&file).cache(&cache).zero_based(true).load().unwrap();
    assert!(!zero().cached().read);
    assert!(zero().cached().read && !zero().one_based());
    // A column of labels is refused of a text that is known, too.
    assert!(Loader::new(&file).cache(&cache).label("y").load().is_err());
    let other = folder.path().join("other.svm");
    fs::copy(&file, &other).unwrap();
    assert!(!load(&other, &cache, 0).cached().read);

    // Test sets have the numbering of their training set.
    let (a, b) = (load(&file, &cache, 0), Loader::bytes("b", "1 7:1 36:2\n").load().unwrap());
    for train in [&a, &a.clone().with_intercept(), &Loader::bytes("c", text(40)).features(50).load().unwrap()]
    {
        let test = || Loader::new(&other).cache(&cache).like(train).load().unwrap();
        let fresh = Loader::new(&other).like(train).load().unwrap();
        assert!(!test().cached().read);
        assert!(test().cached().read);
        assert_same(&test(), &fresh);
        assert_eq!(test().intercept(), train.intercept());
    }
    assert!(Loader::new(&other).cache(&cache).like(&b).load().is_ok());

    // The features that a test set needs are told from an entry, too.
    let third = folder.path().join("third.svm");
    fs::copy(&file, &third).unwrap();
    assert_eq!(Loader::new(&third).cache(&cache).dimension().unwrap(), a.features());
    assert!(load(&third, &cache, 0).cached().read);
}

#[test]
fn compressed_files_are_cached_and_bytes_are_not() {
    let (_folder, file, cache) = scene(300);
    let plain = Loader::new(&file).load().unwrap();
    fs::write(&file, zstd::encode_all(text(300).as_bytes(), 3).unwrap()).unwrap();
    rebuilt(&file, &cache, None);
    assert_same(&load(&file, &cache, 0), &plain);
    let bytes = || Loader::bytes("bytes", text(300)).cache(&cache).load().unwrap();
    assert!(!bytes().cached().read && !bytes().cached().read);
    entry(&cache);
}

#[test]
fn where_nothing_can_be_written_the_data_are_right_all_the_same() {
    let (_folder, file, cache) = scene(40);
    fs::create_dir_all(cache.parent().unwrap()).unwrap();
    fs::write(&cache, "a file where the folder should be").unwrap();
    let data = load(&file, &cache, 0);
    assert!(!data.cached().read);
    let warning = data.cached().warning.clone().unwrap();
    assert!(warning.contains("cannot ") && warning.lines().count() == 1, "{warning}");
    assert_same(&data, &Loader::new(&file).load().unwrap());
}

#[test]
fn bad_text_is_an_error_and_not_an_entry() {
    let (_folder, file, cache) = scene(40);
    File::options().append(true).open(&file).unwrap().write_all(b"oops\n").unwrap();
    let error = Loader::new(&file).cache(&cache).load().unwrap_err();
    assert!(error.to_string().contains(":41:1: found `oops`"), "{error}");
    assert!(!cache.exists());
}

#[test]
fn several_at_a_time_get_the_same() {
    let (_folder, file, cache) = scene(2000);
    let fresh = Loader::new(&file).load().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (file, cache) = (file.clone(), cache.clone());
            std::thread::spawn(move || (0..5).map(|_| load(&file, &cache, 0)).collect::<Vec<_>>())
        })
        .collect();
    for data in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
        assert_eq!(data.cached().warning, None);
        assert_same(&data, &fresh);
    }
    assert!(load(&file, &cache, 0).cached().read);
    entry(&cache);
}

#[test]
fn an_entry_that_is_no_file_is_neither_read_nor_written() {
    let (_folder, file, cache) = scene(40);
    load(&file, &cache, 0);
    let entry = entry(&cache);
    for make in ["mkfifo", "ln -s /dev/zero"] {
        fs::remove_file(&entry).unwrap();
        let mut words = make.split(' ');
        let mut command = std::process::Command::new(words.next().unwrap());
        assert!(command.args(words).arg(&entry).status().unwrap().success());
        let data = load(&file, &cache, 0);
        assert!(!data.cached().read);
        let told = data.cached().warning.clone().unwrap();
        assert!(told.contains("no regular file") && told.lines().count() == 1, "{told}");
        assert_same(&data, &Loader::new(&file).load().unwrap());
    }
}

#[test]
fn files_with_long_names_are_kept() {
    let (folder, file, cache) = scene(40);
    // Cut within a character of two bytes, and a name of the most bytes.
    let long = folder.path().join(format!("a{}", "é".repeat(127)));
    fs::rename(file, &long).unwrap();
    rebuilt(&long, &cache, None);
}
