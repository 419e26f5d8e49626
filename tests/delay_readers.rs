//! The readers of logs and traces on bytes that nobody wrote: an answer or one line, never a panic.

use asyncsgd::delay::{Log, LogWriter, Profile, Recorder, Trace, Unit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use std::io::Read;
use std::time::{Duration, UNIX_EPOCH};
use xxhash_rust::xxh3::xxh3_64_with_seed;

fn profile(delays: impl IntoIterator<Item = u64>) -> Profile {
    let mut recorder = Recorder::new();
    delays.into_iter().for_each(|delay| recorder.record(delay, 0.5));
    recorder.reader().snapshot()
}

/// A log of two workers.
fn log() -> Vec<u8> {
    let mut log = LogWriter::new(Vec::new(), UNIX_EPOCH, Unit::Iterations).unwrap();
    for (tag, profile) in [("w0", profile(0..100)), ("w1", profile([0, 0, 9, 1 << 20]))] {
        log.interval(tag, Duration::ZERO, Duration::from_millis(1500), &profile).unwrap();
    }
    log.finish().unwrap()
}

/// The bytes of a histogram as they are before they are deflated.
fn histogram() -> Vec<u8> {
    let text = String::from_utf8(log()).unwrap();
    let encoded = text.lines().last().unwrap().rsplit(',').next().unwrap();
    let deflated = STANDARD.decode(encoded).unwrap();
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(&deflated[8..]).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Reads, uses what was read, and returns whether it was a log.
fn read_log(bytes: &[u8]) -> bool {
    match Log::parse("x.hlog", bytes) {
        Ok(log) => {
            let mut all = Profile::default();
            log.profiles().iter().for_each(|(_, profile)| all.merge(profile));
            assert!(all.quantile(0.5) <= all.max() && all.time_quantile(0.5) <= all.max());
            let mut again = LogWriter::new(Vec::new(), UNIX_EPOCH, Unit::Iterations).unwrap();
            for interval in &log.intervals {
                again.interval("w", interval.start, interval.length, &interval.profile).unwrap();
            }
            true
        }
        Err(error) => {
            assert!(error.exit_code() == 2 && !error.to_string().contains('\n'), "{error}");
            false
        }
    }
}

/// Reads to the end; the number of updates if it is a trace.
fn read_trace(bytes: &[u8]) -> Option<usize> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, bytes).unwrap();
    let read = Trace::open(&file).and_then(|trace| trace.collect::<Result<Vec<_>, _>>());
    if let Err(error) = &read {
        assert!(error.exit_code() == 2 && !error.to_string().contains('\n'), "{error}");
    }
    read.ok().map(|updates| updates.len())
}

/// A block whose check is right, whatever is in it.
fn block(worker: u32, updates: u32, body: &[u8]) -> Vec<u8> {
    let check = xxh3_64_with_seed(body, u64::from(worker) << 32 | u64::from(updates)) as u32;
    let head = [worker, updates, body.len() as u32, check].map(u32::to_le_bytes);
    [&head.concat()[..], body].concat()
}

/// Some of a block's body: a byte, or a LEB128 number at the upper end.
fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        (8usize..11, 0u8..3).prop_map(|(long, last)| [vec![0xff; long], vec![last]].concat()),
    ]
}

/// A head, and the block that tells of what run the trace is.
fn head() -> Vec<u8> {
    let run = [100u64, 1, 1].map(u64::to_le_bytes).concat();
    [&b"ASGDTRC\n\x02\x00\x00\x00"[..], &block(u32::MAX - 1, 0, &run)].concat()
}

#[test]
fn what_is_damaged_below_was_sound() {
    assert!(read_log(&log()));
    assert!(read_log(format!("0.0,1.0,1.0,{}\n", STANDARD.encode(histogram())).as_bytes()));
    // Iterations 5 and 7, delays 1 and 0, the second with another weight.
    let body = [[5, 2, 2, 1].as_slice(), &0.5f32.to_le_bytes()].concat();
    assert_eq!(read_trace(&[&head()[..], &block(3, 2, &body)].concat()), Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_as_a_log(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_log(&bytes);
    }

    #[test]
    fn any_numbers_in_a_line(
        tag in "(Tag=[a-z]{0,3},)?",
        start in "-?[0-9]{0,25}(\\.[0-9]{0,12})?(e-?[0-9]{1,4})?|nan|inf|-inf",
        length in "-?[0-9]{0,25}(\\.[0-9]{0,12})?(e-?[0-9]{1,4})?|nan|inf",
        max in "[0-9.]{0,8}",
        comment in "(#\\[(StartTime|BaseTime): -?[0-9]{0,25}(\\.[0-9]{0,9})? \\(seconds since epoch\\).{0,5}\n)?",
    ) {
        let encoded = STANDARD.encode(histogram());
        read_log(format!("{comment}{tag}{start},{length},{max},{encoded}\n").as_bytes());
    }

    #[test]
    fn a_log_with_changed_bytes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = log();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_log(&bytes);
    }

    /// Past the check of the deflated stream: the header's fields and the counts.
    #[test]
    fn a_histogram_with_changed_bytes(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        cut in 0usize..60,
    ) {
        let mut bytes = histogram();
        for (at, byte, in_header) in changes {
            let at = at.index(if in_header { 40 } else { bytes.len() });
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(50)));
        read_log(format!("0.0,1.0,1.0,{}\n", STANDARD.encode(bytes)).as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_as_a_trace(bytes in prop::collection::vec(any::<u8>(), 0..200), headed in any::<bool>()) {
        let head: &[u8] = if headed { &head() } else { &[] };
        read_trace(&[head, &bytes].concat());
    }

    #[test]
    fn any_blocks_as_a_trace(
        blocks in prop::collection::vec(
            (prop_oneof![0u32..3, any::<u32>()], 0u32..12, prop::collection::vec(part(), 0..12)),
            0..5,
        ),
    ) {
        let blocks = blocks.iter().map(|(worker, updates, body)| block(*worker, *updates, &body.concat()));
        read_trace(&[head(), blocks.flatten().collect()].concat());
    }
}
