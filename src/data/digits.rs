//! `index:value` with short decimal numbers: the extents are found 32 bytes at a time and the digits taken
//! eight at a time, with no branch for each digit, so that lengths that vary do not cost mispredictions, and
//! the next one can begin before this one is done.

use wide::u8x32;

const ONES: u64 = 0x0101_0101_0101_0101;
/// The most digits that may follow the point.
const PLACES: usize = 16;
/// The bytes that [`feature`] looks at.
const WINDOW: usize = 40;

/// 10^k for the digits that may follow the point, and the same in f64, where it is exact (up to 10²²).
const POWERS: [(u64, f64); PLACES + 1] = {
    let mut powers = [(1, 1.0); PLACES + 1];
    let mut k = 1;
    while k <= PLACES {
        let power = powers[k - 1].0 * 10;
        powers[k] = (power, power as f64);
        k += 1;
    }
    powers
};

/// The index and the value at the front of `text` and their length, if they have the short form
/// `digits:[-]digits[.digits]` with up to 8 digits before the colon, up to 7 before the point and up to 16
/// after it, and a blank or a newline follows. Correctly rounded.
#[inline(always)]
pub(super) fn feature(text: &[u8]) -> Option<(u64, f32, usize)> {
    let text: &[u8; WINDOW] = text.first_chunk()?;
    let bytes = u8x32::from(*text.first_chunk::<32>()?);
    let digits = bytes ^ u8x32::splat(b'0');
    let other = !digits.min(u8x32::splat(9)).simd_eq(digits).to_bitmask();
    // With the other control characters; the byte that ends the token is looked at below.
    let blank = bytes.min(u8x32::splat(b' ')).simd_eq(bytes).to_bitmask();

    let colon = other.trailing_zeros() as usize;
    let end = blank.trailing_zeros() as usize;
    if !(1..=8).contains(&colon)
        || text[colon] != b':'
        || end >= 32
        || !matches!(text[end], b' ' | b'\n' | b'\r')
    {
        return None;
    }
    let minus = text[colon + 1] == b'-';
    let start = colon + 1 + usize::from(minus);
    let whole = (other >> start).trailing_zeros() as usize;
    let point = start + whole;
    let mut mantissa = match whole {
        1 => u64::from(text[start] - b'0'),
        2..=7 => eight(text, start, whole),
        _ => return None,
    };
    let sign = u32::from(minus) << 31;
    if point == end {
        // Less than 2²⁴, so exact.
        return Some((eight(text, 0, colon), f32::from_bits((mantissa as f32).to_bits() | sign), end));
    }
    let places = end - point - 1;
    let all_digits = (other >> (point + 1)).trailing_zeros() as usize == places;
    if text[point] != b'.' || places == 0 || !all_digits {
        return None;
    }
    if places <= 8 {
        mantissa = mantissa * POWERS[places].0 + eight(text, point + 1, places);
    } else if places <= PLACES && whole == 1 {
        let (head, tail) = (eight(text, point + 1, 8), eight(text, point + 9, places - 8));
        mantissa = mantissa * POWERS[places].0 + head * POWERS[places - 8].0 + tail;
    } else {
        return None;
    }
    if mantissa >= 1 << 53 {
        return None;
    }
    // Both are exact in f64, so the quotient is rounded once (Clinger 1990). Rounding it again to f32 can
    // go wrong only from the very middle between two f32.
    let quotient = mantissa as i64 as f64 / POWERS[places].1;
    if quotient.to_bits() & 0x1fff_ffff == 0x1000_0000 {
        return None;
    }
    let value = f32::from_bits((quotient as f32).to_bits() | sign);
    Some((eight(text, 0, colon), value, end))
}

/// The number that the `count` digits from `at` on are, 1 to 8 of them within the first 32 bytes.
#[inline(always)]
fn eight(text: &[u8; WINDOW], at: usize, count: usize) -> u64 {
    let word = text[at & 31..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word)) ^ (ONES * 0x30);
    // Digits to the high end, zeros before them; then pairs, fours and all eight are joined (Lemire).
    let word = word << ((64 - 8 * count) & 63);
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let mask = 0x0000_00ff_0000_00ff;
    let low = (pairs & mask).wrapping_mul(100 + (1_000_000 << 32));
    let high = ((pairs >> 16) & mask).wrapping_mul(1 + (10_000 << 32));
    low.wrapping_add(high) >> 32
}

#[cfg(test)]
mod tests {
    use super::feature;
    use proptest::prelude::*;

    /// What follows in the text.
    const REST: &str = " 7:0.25 8:1 9:1 10:1 11:1 12:1 13:1 14:1 15:1";

    #[test]
    fn features_end_where_they_end() {
        let read = |text: &str| feature(format!("{text}{REST}").as_bytes());
        assert_eq!(read("1:1"), Some((1, 1.0, 3)));
        assert_eq!(read("12345678:-1234567.5"), Some((12_345_678, -1_234_567.5, 19)));
        assert_eq!(read("0012:0.0625\n1"), Some((12, 0.0625, 11)));
        assert_eq!(read("3:0.0000000000000001\r"), Some((3, 1e-16, 20)));
        assert_eq!(read("4:-0").map(|(_, value, _)| value.to_bits()), Some((-0f32).to_bits()));
        assert_eq!(feature(b"1:1 2:1"), None, "too near the end");
    }

    #[test]
    fn other_forms_are_left_to_the_full_parser() {
        let other = [
            "123456789:1",
            ":1",
            "a:1",
            "1;1",
            "1::1",
            "1:",
            "1:1e5",
            "1:1.5e3",
            "1:inf",
            "1:-",
            "1:.5",
            "1:+1",
            "1:1.",
            "1:12345678",
            "1:0.12345678901234567",
            "1:12.123456789",
            "1:1.2.3",
            "1:--1",
            "1:1x",
            "1:1#",
            "1:1\t",
            "1:1\u{b}",
            "1:/",
            "1:9:",
            " 1:1",
            "",
            "1:9.9999999999999999",
            "1:0000000000000000000000001",
            // The middle of two f32.
            "1:8388608.5",
        ];
        for text in other {
            assert_eq!(feature(format!("{text}{REST}").as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn short_numbers_are_rounded_as_by_std(
            index in "[0-9]{1,8}",
            minus in any::<bool>(),
            whole in prop_oneof![0u32..10, 0u32..10_000_000],
            fraction in proptest::option::of("[0-9]{1,16}"),
            end in "[ \n\r]",
        ) {
            let sign = if minus { "-" } else { "" };
            let value = match fraction {
                Some(fraction) => format!("{sign}{whole}.{fraction}"),
                None => format!("{sign}{whole}"),
            };
            let text = format!("{index}:{value}");
            let read = feature(format!("{text}{end}{REST}").as_bytes());
            if let Some((id, number, length)) = read {
                prop_assert_eq!(id, index.parse::<u64>().unwrap());
                prop_assert_eq!(number.to_bits(), value.parse::<f32>().unwrap().to_bits());
                prop_assert_eq!(length, text.len());
            }
            // All but the exact middles and what has more than 53 bits is read here.
            prop_assert!(read.is_some() || whole > 9 || value.len() > 16 || value.ends_with('5'));
        }

        #[test]
        fn what_is_read_is_what_std_reads(text in "[-+0-9.:e# \n]{0,40}") {
            let text = text + REST;
            if let Some((id, number, length)) = feature(text.as_bytes()) {
                let (index, value) = text[..length].split_once(':').unwrap();
                prop_assert_eq!(id, index.parse::<u64>().unwrap());
                prop_assert_eq!(number.to_bits(), value.parse::<f32>().unwrap().to_bits());
            }
        }
    }
}
