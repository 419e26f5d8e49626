//! How late gradients were: recorded by each worker, read while it runs, written for other tools.
//!
//! A [`Recorder`] belongs to one worker and costs it a few nanoseconds a record; a [`Reader`] takes a
//! [`Profile`] of it at any time. Profiles merge, and convert to `hdrhistogram`'s type, HDR interval logs
//! ([`LogWriter`], [`Log`]), percentile text and CSV.
//!
//! ```
//! use asyncsgd::delay::Recorder;
//!
//! let mut recorder = Recorder::new();
//! let reader = recorder.reader(); // for any other thread
//! for delay in 0..100 {
//!     recorder.record(delay, if delay < 50 { 1.0 } else { 0.5 });
//! }
//! let profile = reader.snapshot();
//! assert_eq!((profile.count(), profile.mean(), profile.max()), (100, 49.5, 99));
//! assert_eq!((profile.quantile(0.5), profile.kept_mass()), (49, 0.75));
//! ```

mod buckets;
mod distribution;
mod log;
mod probe;
mod profile;
mod recorder;
mod timeline;
mod timing;
mod trace;
mod tracer;

pub use buckets::LARGEST;
pub use distribution::{write_buckets, write_percentiles};
pub use log::{Interval, Log, LogWriter, Unit};
pub(crate) use probe::{Hold, Probe};
pub use profile::{Bucket, Profile, Profiles};
pub use recorder::{Reader, Recorder};
pub use timeline::{Span, Timeline};
pub use timing::Timing;
pub(crate) use timing::{Sampler, TimingReader, sample_cost};
pub use trace::{Trace, Traced, TracedRun};
pub(crate) use tracer::Line;
pub use tracer::{Summary as TraceSummary, Tracer};
