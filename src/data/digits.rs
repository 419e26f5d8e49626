//! Short decimal numbers, eight digits at a time: no branch for each digit, so that lengths that vary do
//! not cost mispredictions.

const ONES: u64 = 0x0101_0101_0101_0101;

/// 10^k for the digits that may follow the point, and the same exactly in f64.
const POWERS: [(u64, f64); 9] = {
    let mut powers = [(1, 1.0); 9];
    let mut k = 1;
    while k < 9 {
        let power = powers[k - 1].0 * 10;
        powers[k] = (power, power as f64);
        k += 1;
    }
    powers
};

/// The number of leading digits of `text`, at most 8, and their value; `None` with less than 8 bytes left.
#[inline(always)]
pub(super) fn leading(text: &[u8]) -> Option<(usize, u64)> {
    let word = u64::from_le_bytes(*text.first_chunk()?) ^ (ONES * u64::from(b'0'));
    // The top bit of each byte that is no digit (above 9). A carry runs only into later bytes.
    let other = (word.wrapping_add(ONES * 0x76) | word) & (ONES * 0x80);
    let count = (other.trailing_zeros() / 8) as usize;
    if count == 0 {
        return Some((0, 0));
    }
    // Digits to the high end, zeros before them; then pairs, fours and all eight are joined (Lemire).
    let word = word << (64 - 8 * count);
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let mask = 0x0000_00ff_0000_00ff;
    let low = (pairs & mask).wrapping_mul(100 + (1_000_000 << 32));
    let high = ((pairs >> 16) & mask).wrapping_mul(1 + (10_000 << 32));
    Some((count, low.wrapping_add(high) >> 32))
}

/// The number at the front of `text` and its length, if it has the short form `[-]digits[.digits]` with up
/// to 7 digits before the point and 8 after it, and a byte follows that can belong to no number. Correctly
/// rounded.
#[inline(always)]
pub(super) fn short(text: &[u8]) -> Option<(f32, usize)> {
    let sign = usize::from(*text.first()? == b'-');
    let (whole, mut mantissa) = leading(&text[sign..])?;
    let mut length = sign + whole;
    let mut places = 0;
    if text[length] == b'.' {
        length += 1;
        let (count, fraction) = leading(&text[length..])?;
        (places, length) = (count, length + count);
        mantissa = mantissa * POWERS[places].0 + fraction;
    }
    let ends = matches!(text[length], b' ' | b'\n' | b'\r' | b'\t');
    if whole == 0 || whole > 7 || !ends {
        return None;
    }
    // Both are exact in f64, so the quotient is rounded once (Clinger 1990). Rounding it again to f32 can
    // go wrong only from the very middle between two f32.
    let quotient = mantissa as i64 as f64 / POWERS[places].1;
    if quotient.to_bits() & 0x1fff_ffff == 0x1000_0000 {
        return None;
    }
    Some((f32::from_bits((quotient as f32).to_bits() | (sign as u32) << 31), length))
}

#[cfg(test)]
mod tests {
    use super::{leading, short};
    use proptest::prelude::*;

    #[test]
    fn digits_end_where_they_end() {
        assert_eq!(leading(b"12345678"), Some((8, 12_345_678)));
        assert_eq!(leading(b"0012:345"), Some((4, 12)));
        assert_eq!(leading(b":1234567"), Some((0, 0)));
        assert_eq!(leading(b"9/:99999"), Some((1, 9)));
        assert_eq!(leading(b"99\xff\xff9999"), Some((2, 99)));
        assert_eq!(leading(b"1234567"), None);
    }

    #[test]
    fn other_forms_are_left_to_the_full_parser() {
        for text in ["1e5", "1.5e3", "inf", "-", ".5", "+1", "12345678", "0.123456789", "1.2.3", "--1", "1x"]
        {
            assert_eq!(short(format!("{text} 1:1 2:1 3:1 4:1").as_bytes()), None, "{text}");
        }
        assert_eq!(short(b"1"), None, "too near the end");
        // 16777217 is the middle of two f32, but so is 8388608.5: decided by the full parser.
        assert_eq!(short(b"8388608.5 1:1 1:1 1:1"), None);
    }

    proptest! {
        #[test]
        fn short_numbers_are_rounded_as_by_std(
            minus in any::<bool>(),
            whole in 0u32..10_000_000,
            fraction in proptest::option::of("[0-9]{0,8}"),
        ) {
            let sign = if minus { "-" } else { "" };
            let text = match fraction {
                Some(fraction) => format!("{sign}{whole}.{fraction}"),
                None => format!("{sign}{whole}"),
            };
            if let Some((number, length)) = short(format!("{text} 17:0.25 18:1").as_bytes()) {
                prop_assert_eq!(number.to_bits(), text.parse::<f32>().unwrap().to_bits());
                prop_assert_eq!(length, text.len());
            }
        }
    }
}
