//! The inside-out shuffle, of which only the first entries are kept.
//!
//! Draw `u` of step `i` changes the kept entries only if `u mod (i + 1)` is one of them, which is
//! rare. Whether it might be is decided for eight draws at a time from the fraction of `u / (i + 1)`
//! in floating point with a margin for its error; what may be a hit is then computed exactly.

use super::mersenne_twister::{MersenneTwister, WORDS};
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::lanes::HAS_VECTORS;

/// 64-bit draws in a block of the generator.
const DRAWS: usize = WORDS / 2;
/// Draws that are tested at a time.
const GROUP: usize = 8;
/// `1.5 · 2⁵²`: adding and subtracting it rounds a number below `2⁵¹` to an integer.
const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
/// Steps from which on `u / (i + 1) < 2⁴⁸`, well below what [`TO_INTEGER`] rounds.
const TESTED_FROM: u64 = 1 << 16;
/// Converting `u` and dividing each err by `2⁻⁵³` of the quotient, `2⁶⁴ / (i + 1)` at the most: the
/// remainder is off by less than `2 · 2⁶⁴ · 2⁻⁵³ = 4096`, rounded up.
const MARGIN: f64 = 4100.0;

/// Writes the first entries of a permutation of `total`, which are at most `total` and at least 1.
pub(super) fn shuffle<P: Copy>(
    total: u64,
    generator: MersenneTwister,
    places: &mut [P],
    isa: Isa,
    place: impl Fn(u64) -> P,
) {
    isa.run(Shuffle {
        total,
        generator,
        places,
        place,
    });
}

struct Shuffle<'a, P, F> {
    total: u64,
    generator: MersenneTwister,
    places: &'a mut [P],
    place: F,
}

impl<P: Copy, F: Fn(u64) -> P> Kernel for Shuffle<'_, P, F> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let mut block = [0; WORDS];
        let mut first = 0;
        while first < self.total {
            self.generator.next_block(&mut block);
            for (group, draws) in block.as_chunks().0.iter().enumerate() {
                let start = first + (group * GROUP) as u64;
                if may_hit(draws, start, self.places.len()) {
                    self.step(draws, start);
                }
            }
            first += DRAWS as u64;
        }
    }
}

impl<P: Copy, F: Fn(u64) -> P> Shuffle<'_, P, F> {
    /// The steps `start..` of one group, exactly.
    #[cold]
    fn step(&mut self, draws: &[u32; 2 * GROUP], start: u64) {
        for (i, pair) in (start..self.total).zip(draws.as_chunks::<2>().0) {
            let chosen = draw(pair).checked_rem(i + 1).unwrap_or(0);
            let [current, chosen] = [i, chosen].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
            let at_chosen = self.places.get(chosen).copied();
            if let (Some(to), Some(entry)) = (self.places.get_mut(current), at_chosen) {
                *to = entry;
            }
            if let Some(to) = self.places.get_mut(chosen) {
                *to = (self.place)(i);
            }
        }
    }
}

/// Torch's 64-bit draw: the first word is the high one.
#[inline(always)]
fn draw(pair: &[u32; 2]) -> u64 {
    u64::from(pair[0]) << 32 | u64::from(pair[1])
}

/// False only if none of the steps `start..start + 8` touches the first `count` entries. Without vector instructions the exact
/// steps are as fast, and a microcontroller need not link arithmetic in f64.
#[inline(always)]
fn may_hit(draws: &[u32; 2 * GROUP], start: u64, count: usize) -> bool {
    if !HAS_VECTORS || start < TESTED_FROM || start < count as u64 {
        return true;
    }
    let reach = count as f64 + MARGIN;
    let mut hit = false;
    for (lane, pair) in draws.as_chunks::<2>().0.iter().enumerate() {
        let steps = (start + 1) as f64 + lane as f64;
        let quotient = draw(pair) as f64 / steps;
        let nearest = (quotient + TO_INTEGER) - TO_INTEGER;
        // The remainder, or that minus `steps` where the fraction is above a half.
        let remainder = (quotient - nearest) * steps;
        let may_wrap = 2.0 * reach > steps;
        hit |= (remainder > -MARGIN) & (remainder < reach) | may_wrap;
    }
    hit
}
