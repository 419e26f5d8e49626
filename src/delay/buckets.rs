//! Which bucket counts which values.
//!
//! Values below 512 have a bucket each. Above, an octave \[2^e, 2^(e+1)), e = 9 … 39, is cut into 256
//! buckets of width 2^(e−8), so a bucket's values differ from its highest by less than its width, which
//! relative to the value is at most 2^(e−8) / 2^e = 1/256. That is the bound on every quantile, which is
//! the highest value of its bucket (or the exact maximum, if that is lower).
//!
//! The edges are also edges of an HDR histogram of three significant digits (exact below 2,048, 1,024
//! buckets an octave above), so a value standing for its bucket there says the same here.

/// The largest value that is told apart, 2^40 − 1; larger ones are counted as this one.
// Few under loom, where each bucket is an object that every execution makes anew.
pub const LARGEST: u64 = if cfg!(loom) { 7 } else { (1 << 40) - 1 };

/// The number of buckets.
pub(super) const BUCKETS: usize = index(LARGEST) + 1;

/// The bucket of `value` ≤ [`LARGEST`].
#[inline]
pub(super) const fn index(value: u64) -> usize {
    // The octave's exponent less 8; 0 for all values below 512.
    let shift = 55 - (value | 256).leading_zeros();
    ((shift as usize) << 8) + (value >> shift) as usize
}

/// The lowest value of bucket `index`.
pub(super) const fn lowest(index: usize) -> u64 {
    let shift = (index >> 8).saturating_sub(1);
    ((index - (shift << 8)) as u64) << shift
}

/// The highest value of bucket `index`.
pub(super) const fn highest(index: usize) -> u64 {
    lowest(index + 1) - 1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_the_range() {
        assert_eq!((lowest(0), highest(BUCKETS - 1)), (0, LARGEST));
        for i in 0..BUCKETS {
            assert_eq!((index(lowest(i)), index(highest(i))), (i, i));
        }
    }

    #[test]
    fn buckets_are_exact_below_512_and_narrow_above() {
        for i in 0..BUCKETS {
            let width = highest(i) - lowest(i);
            assert!(if i < 512 { width == 0 } else { width * 256 < lowest(i) });
        }
        assert_eq!((index(511), index(512), index(513), index(514)), (511, 512, 512, 513));
    }
}
