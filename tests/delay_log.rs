//! HDR interval logs, percentile text and CSV.

use std::time::{Duration, UNIX_EPOCH};

use asyncsgd::delay::{LARGEST, Log, LogWriter, Profile, Recorder, Unit, write_buckets, write_percentiles};
use proptest::prelude::*;

fn profile(delays: impl IntoIterator<Item = u64>, weight: f64) -> Profile {
    let mut recorder = Recorder::new();
    delays.into_iter().for_each(|delay| recorder.record(delay, weight));
    recorder.reader().snapshot()
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// (tag, start in ms, profile), each a second long.
fn written(intervals: &[(&str, u64, Profile)]) -> Vec<u8> {
    let mut log =
        LogWriter::new(Vec::new(), UNIX_EPOCH + millis(1_700_000_000_250), Unit::Iterations).unwrap();
    for (tag, start, profile) in intervals {
        log.interval(tag, millis(*start), millis(1000), profile).unwrap();
    }
    log.finish().unwrap()
}

#[test]
fn a_log_has_the_standard_form() {
    let bytes = written(&[("0", 0, profile(0..100, 1.0)), ("1", 1500, profile([5, 70_000], 0.25))]);
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "#[Histogram log format version 1.3]");
    assert_eq!(lines[1], "#[Unit: iterations]");
    assert_eq!(lines[2], "#[StartTime: 1700000000.250 (seconds since epoch)]");
    assert_eq!(lines[3], "#[BaseTime: 1700000000.250 (seconds since epoch)]");
    assert_eq!(
        lines[4],
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
    );
    assert_eq!(lines[5], "#[Totals: 4950 99 100 0]");
    // HISTF is the base64 of the cookie of V2 deflate.
    assert!(lines[6].starts_with("Tag=0,0.000,1.000,99.000,HISTF"), "{}", lines[6]);
    assert_eq!(lines[7], "#[Totals: 70005 70000 0.5 0]");
    assert!(lines[8].starts_with("Tag=1,1.500,1.000,70015.000,HISTF"), "{}", lines[8]);
    assert_eq!(lines.len(), 9);
}

#[test]
fn logs_round_trip() {
    let intervals = [
        ("w0", 0, profile((0..1000).map(|i| i * i), 0.5)),
        ("w1", 0, profile([3, 3, 3, LARGEST, u64::MAX], 1.0)),
        ("w0", 1000, profile([], 1.0)),
        ("w0", 2250, profile([1, 700, 701], 0.1)),
    ];
    let log = Log::parse("run.hlog", &written(&intervals)).unwrap();
    assert_eq!(log.unit, Some(Unit::Iterations));
    assert_eq!(log.start, Some(UNIX_EPOCH + millis(1_700_000_000_250)));
    assert_eq!(log.intervals.len(), intervals.len());
    for (read, (tag, start, profile)) in log.intervals.iter().zip(&intervals) {
        assert_eq!((read.tag.as_str(), read.start, read.length), (*tag, millis(*start), millis(1000)));
        assert_eq!(read.profile, *profile);
    }
    let mut whole = intervals[0].2.clone();
    whole.merge(&intervals[3].2);
    assert_eq!(log.profiles(), [("w0".to_owned(), whole), ("w1".to_owned(), intervals[1].2.clone())]);
}

#[test]
fn logs_are_read_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.hlog");
    std::fs::write(&path, written(&[("0", 0, profile(0..9, 1.0))])).unwrap();
    assert_eq!(Log::read(&path).unwrap().intervals[0].profile, profile(0..9, 1.0));
    let missing = Log::read(dir.path().join("none.hlog")).unwrap_err();
    assert_eq!(missing.exit_code(), 1);
}

/// As jHiccup may write them: no tag, no totals, not deflated, other line ends.
#[test]
fn foreign_logs_are_read() {
    use base64::Engine;
    use hdrhistogram::serialization::{Serializer, V2Serializer};
    let mut histogram = hdrhistogram::Histogram::<u64>::new(2).unwrap();
    histogram.record_n(100, 7).unwrap();
    histogram.record_n(1_000_000, 1).unwrap();
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    let text = format!("#[Logged with jHiccup version 2.0.7]\r\n0.127,1.007,2.769,{encoded}\r\n\r\n");
    let log = Log::parse("j.hlog", text.as_bytes()).unwrap();
    assert_eq!((log.unit, log.start, log.intervals[0].tag.as_str()), (None, None, ""));
    let profile = &log.intervals[0].profile;
    assert_eq!((profile.count(), profile.quantile(0.5), profile.kept_mass()), (8, 100, 1.0));
    assert_eq!(profile.max(), histogram.highest_equivalent(1_000_000));
}

#[test]
fn damaged_and_foreign_files_are_told_in_one_line() {
    let good = String::from_utf8(written(&[("0", 0, profile(0..100, 1.0))])).unwrap();
    let lines: Vec<_> = good.lines().collect();
    let encoded = lines[6].rsplit(',').next().unwrap();
    let with = |encoded: &str| format!("Tag=0,0.000,1.000,99.000,{encoded}\n");
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "x.hlog: found no interval"),
        ("#[Unit: iterations]\n".into(), "x.hlog: found no interval"),
        ("label,1:3\n".into(), "x.hlog:1: found \"label,1:3\", expected an HDR interval log"),
        ("+1 1:0.5 2:0.25 3:0.125 4:0.0625 5:0.03125\n".into(), "5:0.031\"…"),
        (good.trim_end().into(), "x.hlog:7: found a line that is cut off"),
        (good.replace("iterations", "parsecs"), "x.hlog:2: found #[Unit: parsecs], expected iterations or"),
        (good.replace("4950 99 100 0", "4950 99 100"), "x.hlog:6: found #[Totals: 4950 99 100]"),
        (good.replace("4950 99 100 0", "4950 98 100 0"), "x.hlog:7: found a histogram that contradicts"),
        (good.replace("4950 99 100 0", "9999 99 100 0"), "x.hlog:7: found a histogram that contradicts"),
        (good.replace("4950 99 100 0", "4950 99 NaN 0"), "x.hlog:7: found a histogram that contradicts"),
        (good.replace("4950 99 100 0", "4950 99 100 101"), "x.hlog:7: found a histogram that contradicts"),
        (with("HIST!"), "x.hlog:1: found damaged base64"),
        (with(""), "x.hlog:1: found a histogram that is cut off"),
        (with("HISTFAAA"), "x.hlog:1: found a damaged histogram"),
        (with(&encoded[..encoded.len() / 8 * 4]), "x.hlog:1: found a damaged histogram"),
        (with("AAAAAAAAAAAAAAAA"), "x.hlog:1: found a damaged histogram"),
    ];
    for (text, expected) in cases {
        let error = Log::parse("x.hlog", text.as_bytes()).expect_err(&text);
        let message = error.to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{text}: {message}");
        assert_eq!(error.exit_code(), 2);
    }
    let binary = Log::parse("x.hlog", b"\x89PNG\r\n\xff\xfe\n").unwrap_err().to_string();
    assert!(binary.starts_with("x.hlog:1: found bytes that are not text"), "{binary}");
}

#[test]
fn a_count_beyond_reason_is_refused() {
    use base64::Engine;
    use hdrhistogram::serialization::{Serializer, V2Serializer};
    let mut histogram = hdrhistogram::Histogram::<u64>::new(2).unwrap();
    histogram.record_n(1, 1 << 62).unwrap();
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    let error = Log::parse("x", format!("0.0,1.0,1.0,{encoded}\n").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("a histogram of 4611686018427387904 records"), "{error}");
}

/// A header that promises 4 GB is refused before anything of that size is allocated.
#[test]
fn a_length_that_lies_is_refused() {
    use base64::Engine;
    let mut bytes = 0x1c84_9303_u32.to_be_bytes().to_vec();
    bytes.extend(u32::MAX.to_be_bytes());
    bytes.resize(60, 0);
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    let error = Log::parse("x", format!("0.0,1.0,1.0,{encoded}\n").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
}

#[test]
fn tags_are_one_word() {
    let mut log = LogWriter::new(Vec::new(), UNIX_EPOCH, Unit::Nanoseconds).unwrap();
    for tag in ["", "a b", "a,b", "a\nb"] {
        let error = log.interval(tag, millis(0), millis(1), &profile([1], 1.0)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_profile_round_trips(
        delays in prop::collection::vec(prop_oneof![0u64..40, 0u64..5000, 0..1u64 << 41], 0..200),
        weight in 0.0..2.0f64,
    ) {
        let profile = profile(delays, weight);
        let log = Log::parse("x", &written(&[("w", 0, profile.clone())])).unwrap();
        prop_assert_eq!(&log.intervals[0].profile, &profile);
    }

    #[test]
    fn a_changed_byte_is_read_or_refused(at in 0usize..1000, byte in 0u8..128) {
        let mut bytes = written(&[("0", 0, profile(0..100, 1.0)), ("1", 0, profile([9, 1 << 20], 1.0))]);
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Err(error) = Log::parse("x", &bytes) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

#[test]
fn percentiles_have_the_standard_form() {
    // 0 … 99, each once: the p-th percentile is p − 1.
    let mut out = Vec::new();
    write_percentiles(&mut out, &profile(0..100, 1.0)).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
    assert_eq!(lines[1], "");
    assert_eq!(lines[2], "       0.000 0.000000000000          1           1.00");
    assert_eq!(lines[3], "       9.000 0.100000000000         10           1.11");
    assert!(lines.contains(&"      49.000 0.500000000000         50           2.00"));
    assert!(lines.contains(&"      74.000 0.750000000000         75           4.00"));
    assert!(lines.contains(&"      99.000 1.000000000000        100"));
    // The variance of 0 … 99 is (100² − 1)/12 = 833.25.
    assert_eq!(
        &lines[lines.len() - 3..],
        [
            "#[Mean    =       49.500, StdDeviation   =       28.866]",
            "#[Max     =       99.000, Total count    =          100]",
            "#[Buckets =           30, SubBuckets     =         2048]",
        ]
    );
    let mut out = Vec::new();
    write_percentiles(&mut out, &profile([], 1.0)).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("Total count    =            0"));
}

#[test]
fn buckets_as_csv() {
    let mut out = Vec::new();
    let (a, b) = (profile([0, 0, 1, 1024], 1.0), profile([7], 1.0));
    write_buckets(&mut out, [("w0", &a), ("say \"b\", ok", &b)]).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "name,lowest,highest,count,share_up_to\n\
         w0,0,0,2,0.5\n\
         w0,1,1,1,0.75\n\
         w0,1024,1024,1,1\n\
         \"say \"\"b\"\", ok\",7,7,1,1\n"
    );
}
