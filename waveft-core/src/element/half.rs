//! The types of 16 bits. All is done without a branch, so that it is done in vectors.

use super::Element;
use half::{bf16, f16};

macro_rules! half {
    ($half:ty, $widen:ident, $round:ident) => {
        impl Element for $half {
            type Real = f32;

            #[inline(always)]
            fn to_real(self) -> f32 {
                $widen(self.to_bits().into())
            }

            #[inline(always)]
            fn from_real(value: f32) -> Self {
                Self::from_bits($round(value) as u16)
            }

            // What is transposed then changes places once for two of them.
            const IN_PAIRS: bool = true;

            #[inline(always)]
            fn split(pair: f32) -> [f32; 2] {
                let bits = pair.to_bits();
                let [first, second] = in_memory([bits & 0xffff, bits >> 16]);
                [$widen(first), $widen(second)]
            }

            #[inline(always)]
            fn join([first, second]: [f32; 2]) -> f32 {
                let [low, high] = in_memory([$round(first), $round(second)]);
                f32::from_bits(low | high << 16)
            }
        }
    };
}

half!(bf16, widen_brain, round_to_brain);
half!(f16, widen_half, round_to_half);

/// What is in the low and the high half of a number in the order in which it lies in memory, or back.
#[inline(always)]
fn in_memory([low, high]: [u32; 2]) -> [u32; 2] {
    if cfg!(target_endian = "big") {
        [high, low]
    } else {
        [low, high]
    }
}

const SIGN: u32 = 1 << 31;
const INFINITY: u32 = 0x7f80_0000;

#[inline(always)]
fn widen_brain(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}

#[inline(always)]
fn round_to_brain(value: f32) -> u32 {
    const QUIET: u32 = 1 << 22;
    let bits = value.to_bits();
    // Half of the last place kept, and a tie goes up only from an odd one.
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    let rounded = if value.is_nan() {
        bits | QUIET
    } else {
        nearest
    };
    rounded >> 16
}

#[inline(always)]
fn widen_half(bits: u32) -> f32 {
    const EXPONENT: u32 = 0x0f80_0000;
    let magnitude = (bits & 0x7fff) << 13;
    // The exponent counts from 15 where a single's counts from 127; the product is exact, of what is subnormal, too.
    let finite = (f32::from_bits(magnitude) * f32::from_bits((127 + 127 - 15) << 23)).to_bits();
    let widened = if magnitude >= EXPONENT {
        magnitude | INFINITY
    } else {
        finite
    };
    f32::from_bits(widened | (bits & 0x8000) << 16)
}

#[inline(always)]
fn round_to_half(value: f32) -> u32 {
    /// The least that is infinite whatever its rounding, 2^16, and the least that is not subnormal, 2^−14.
    const TOO_LARGE: u32 = (127 + 16) << 23;
    const NORMAL: u32 = (127 - 14) << 23;
    /// A half, whose last place is that of the subnormal ones: a sum with it is rounded there.
    const LAST_PLACE: u32 = (127 - 1) << 23;
    let bits = value.to_bits();
    let magnitude = bits & !SIGN;
    let subnormal = (f32::from_bits(magnitude) + f32::from_bits(LAST_PLACE))
        .to_bits()
        .wrapping_sub(LAST_PLACE);
    // As above.
    let nearest = magnitude
        .wrapping_sub((127 - 15) << 23)
        .wrapping_add(0xfff + (magnitude >> 13 & 1))
        >> 13;
    let not_a_number = 0x7e00 | magnitude >> 13 & 0x3ff;
    let large = if magnitude > INFINITY {
        not_a_number
    } else {
        0x7c00
    };
    let finite = if magnitude < NORMAL {
        subnormal
    } else {
        nearest
    };
    let rounded = if magnitude >= TOO_LARGE {
        large
    } else {
        finite
    };
    rounded | (bits & SIGN) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number of 16 bits, and a few beside each and beside the middle to the next one.
    fn check<T: Element<Real = f32> + Into<f32>>(
        from_bits: fn(u16) -> T,
        to_bits: fn(T) -> u16,
        from_single: fn(f32) -> T,
    ) {
        let same = |left: f32, right: f32| {
            left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
        };
        for bits in 0..=u16::MAX {
            let stored = from_bits(bits);
            assert!(same(stored.to_real(), stored.into()), "{bits:#x}");

            let pair = [stored, from_bits(!bits)];
            let [first, second] = T::split(bytemuck::cast(pair));
            assert!(
                same(first, pair[0].to_real()) && same(second, pair[1].to_real()),
                "{bits:#x}"
            );
            let joined: [T; 2] = bytemuck::cast(T::join([first, second]));
            assert_eq!(
                joined.map(to_bits),
                [first, second].map(|value| to_bits(T::from_real(value)))
            );

            let next: f32 = from_bits(bits.wrapping_add(1)).into();
            let middle = stored.to_real() / 2.0 + next / 2.0;
            for near in [stored.to_real(), middle].map(f32::to_bits) {
                for value in (0..4)
                    .flat_map(|d| [near.wrapping_sub(d), near.wrapping_add(d)])
                    .map(f32::from_bits)
                {
                    let [found, expected] = [T::from_real(value), from_single(value)].map(to_bits);
                    assert_eq!(found, expected, "{value:?}");
                }
            }
        }
    }

    #[test]
    fn halves_are_widened_and_rounded_as_the_crate_does_it() {
        check(bf16::from_bits, bf16::to_bits, bf16::from_f32);
        check(f16::from_bits, f16::to_bits, f16::from_f32);
    }
}
