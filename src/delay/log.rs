//! HDR interval logs (`.hlog`): who was late, when.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, IntervalLogWriterError, LogEntry, Tag,
};

use super::Profile;
use crate::{Error, Result};

const TITLE: &str = "[Histogram log format version 1.3]";
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"";
const EXPECTED: &str = "an HDR interval log (.hlog, V2 histograms)";

/// The most that one interval may inflate to: above what 2^40 different delays at three digits need.
const MOST: u64 = 64 << 20;

/// More records than any run makes, and few enough that intervals can be added up.
const MOST_RECORDS: u64 = 1 << 48;

/// The first bytes of an encoded histogram: whether it is deflated.
const DEFLATED: [u8; 4] = 0x1c84_9314_u32.to_be_bytes();

/// The bytes of an inflated histogram before its counts.
const HEADER: usize = 40;

/// What the values of a log count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Iterations: delays.
    Iterations,
    /// Nanoseconds: wall-clock staleness.
    Nanoseconds,
}

impl Unit {
    /// Its plural.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Iterations => "iterations",
            Unit::Nanoseconds => "nanoseconds",
        }
    }
}

/// Writes an HDR interval log: histograms in V2 deflate, one tag a worker, times relative to the start.
///
/// HdrHistogram's tools in any language read it. Comment lines keep what the format has no place for (unit,
/// exact sum and maximum, kept mass), so that [`Log`] reads back the same profiles.
pub struct LogWriter<W: Write> {
    out: W,
    serializer: V2DeflateSerializer,
}

impl<W: Write> LogWriter<W> {
    /// Begins a log of a run that started at `start`.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(mut out: W, start: SystemTime, unit: Unit) -> io::Result<Self> {
        let mut serializer = V2DeflateSerializer::new();
        let mut head = IntervalLogWriterBuilder::new();
        head.add_comment(TITLE).add_comment(&format!("[Unit: {}]", unit.name()));
        head.with_start_time(start).with_base_time(start).begin_log_with(&mut out, &mut serializer)?;
        writeln!(out, "{LEGEND}")?;
        Ok(LogWriter { out, serializer })
    }

    /// Writes what worker `tag` recorded from `start` (counted from the run's start) for `length`. The tag
    /// must be free of commas, spaces and line breaks.
    ///
    /// # Errors
    /// What the writer says; `InvalidInput` for a tag that the format cannot hold.
    pub fn interval(
        &mut self,
        tag: &str,
        start: Duration,
        length: Duration,
        profile: &Profile,
    ) -> io::Result<()> {
        let tag = Tag::new(tag).filter(|tag| !tag.is_empty()).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("the tag {tag:?} is not one word"))
        })?;
        writeln!(
            self.out,
            "#[Totals: {} {} {} {}]",
            profile.sum(),
            profile.max(),
            profile.kept(),
            profile.saturated()
        )?;
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.out, &mut self.serializer)?
            .write_histogram(&profile.to_hdr(), start, length, Some(tag))
            .map_err(|error| match error {
                IntervalLogWriterError::IoError(error) => error,
                IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
            })
    }

    /// Flushes, and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// An interval log that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// When the run started, if the log says.
    pub start: Option<SystemTime>,
    /// What the values count; logs of other programs do not say.
    pub unit: Option<Unit>,
    /// The intervals in the order of the file.
    pub intervals: Vec<Interval>,
}

/// What was recorded under one tag in one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// The worker; empty if the log has no tag.
    pub tag: String,
    /// When it began, as the log says: from the start of the run or, in logs without one, from 1970.
    pub start: Duration,
    /// How long it was.
    pub length: Duration,
    /// The records.
    pub profile: Profile,
}

impl Log {
    /// Reads a log from a file.
    ///
    /// # Errors
    /// That it cannot be opened; else as [`Log::parse`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
        Log::parse(&path.display().to_string(), &bytes)
    }

    /// Reads a log from `bytes`; `file` names them in errors.
    ///
    /// # Errors
    /// The first line that is not one of an interval log, or whose histogram is damaged.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let mut log = Log::default();
        let mut totals = None;
        for (number, line) in (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
            let wrong = |found: &str, expected: &str| Error::input(file, number, 0, found, expected);
            let text = std::str::from_utf8(line).map_err(|_| wrong("bytes that are not text", EXPECTED))?;
            let text = text.trim_end_matches(['\n', '\r']);
            if let Some(unit) = comment(text, "Unit") {
                let unit = [Unit::Iterations, Unit::Nanoseconds].into_iter().find(|u| u.name() == unit);
                log.unit = Some(unit.ok_or_else(|| wrong(text, "iterations or nanoseconds"))?);
            } else if let Some(numbers) = comment(text, "Totals") {
                totals = Some(
                    parse_totals(numbers).ok_or_else(|| wrong(text, "sum, maximum, kept mass, saturated"))?,
                );
            } else if !text.is_empty() {
                if !line.ends_with(b"\n") {
                    return Err(wrong("a line that is cut off", "the rest of it"));
                }
                match IntervalLogIterator::new(line).next() {
                    None => {}
                    Some(Ok(LogEntry::StartTime(time) | LogEntry::BaseTime(time))) => {
                        log.start = UNIX_EPOCH.checked_add(time);
                    }
                    Some(Ok(LogEntry::Interval(entry))) => {
                        let profile = decode(entry.encoded_histogram(), totals.take())
                            .map_err(|problem| wrong(&problem, "a V2 HDR histogram in base64"))?;
                        log.intervals.push(Interval {
                            tag: entry.tag().map_or_else(String::new, |tag| tag.as_str().to_owned()),
                            start: entry.start_timestamp(),
                            length: entry.duration(),
                            profile,
                        });
                    }
                    Some(Err(_)) => return Err(wrong(&excerpt(text), EXPECTED)),
                }
            }
        }
        if log.intervals.is_empty() {
            return Err(Error::input(file, 0, 0, "no interval", EXPECTED));
        }
        Ok(log)
    }

    /// The whole profile of each tag, in the order of their first intervals.
    pub fn profiles(&self) -> Vec<(String, Profile)> {
        let mut profiles: Vec<(String, Profile)> = Vec::new();
        for interval in &self.intervals {
            match profiles.iter_mut().find(|(tag, _)| *tag == interval.tag) {
                Some((_, profile)) => profile.merge(&interval.profile),
                None => profiles.push((interval.tag.clone(), interval.profile.clone())),
            }
        }
        profiles
    }
}

/// `#[key: value]` → value.
fn comment<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix("#[")?.strip_prefix(key)?.strip_prefix(": ")?.strip_suffix(']')
}

type Totals = (u64, u64, f64, u64);

fn parse_totals(numbers: &str) -> Option<Totals> {
    let mut numbers = numbers.split(' ');
    let mut next = || numbers.next();
    let totals = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
    numbers.next().is_none().then_some(totals)
}

fn decode(encoded: &str, totals: Option<Totals>) -> Result<Profile, String> {
    let mut bytes = STANDARD.decode(encoded).map_err(|error| format!("damaged base64 ({error})"))?;
    if bytes.starts_with(&DEFLATED) {
        let deflated = bytes.get(8..).unwrap_or_default();
        let mut inflated = Vec::new();
        ZlibDecoder::new(deflated)
            .take(MOST)
            .read_to_end(&mut inflated)
            .map_err(|error| format!("a damaged histogram ({error})"))?;
        bytes = inflated;
    }
    // The decoder trusts the length that stands in the header and allocates that much.
    let length = bytes.get(4..8).map(|b| u32::from_be_bytes(b.try_into().expect("four bytes")) as usize);
    if length.is_none_or(|length| length > bytes.len().saturating_sub(HEADER)) {
        return Err("a histogram that is cut off".to_owned());
    }
    let histogram: Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| format!("a damaged histogram ({error})"))?;
    if histogram.len() > MOST_RECORDS {
        return Err(format!("a histogram of {} records", histogram.len()));
    }
    let profile = Profile::from_hdr(&histogram);
    match totals {
        Some((sum, max, kept, saturated)) => profile
            .with_totals(sum, max, kept, saturated)
            .ok_or_else(|| "a histogram that contradicts its totals".to_owned()),
        None => Ok(profile),
    }
}

/// The first characters of a line.
fn excerpt(line: &str) -> String {
    let short: String = line.chars().take(40).collect();
    if short.len() < line.len() { format!("{short:?}…") } else { format!("{short:?}") }
}
