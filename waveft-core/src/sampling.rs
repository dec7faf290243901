//! The places that WaveFT trains: the first entries of `torch.randperm`, bit for bit.
//!
//! An adapter's file holds no places. PEFT draws them again from the seed, so every bit of the
//! generator and of both shuffles counts. Neither shuffle needs a permutation in memory to give its
//! first `n` entries: the forward one is run for `n` steps on the few entries it displaced, the
//! inside-out one keeps only the `n` entries asked for and skips, several draws at a time, the draws
//! that do not touch them.

mod inside_out;
mod mersenne_twister;

use crate::error::Error;
use crate::isa::Isa;
use bytemuck::{Pod, Zeroable};
use core::num::NonZero;

pub use mersenne_twister::MersenneTwister;

/// From this many entries on torch shuffles inside out, below it forward.
pub const INSIDE_OUT_FROM: u64 = (u32::MAX / 20) as u64;

/// A place in an `M × N` matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct Location {
    /// Row, `0..M`.
    pub row: u32,
    /// Column, `0..N`.
    pub column: u32,
}

/// Elements of scratch that drawing `count` of `total` places takes: at most `8 · count`, none for
/// the inside-out shuffle.
#[must_use]
pub const fn scratch_len(total: u64, count: usize) -> usize {
    if total >= INSIDE_OUT_FROM {
        0
    } else {
        let table = table_len(count);
        // A permutation in full is no longer than a sparse table that is nearly as long as it.
        if total <= table as u64 {
            total as usize
        } else {
            table
        }
    }
}

/// Elements of the sparse table: two a slot, at least twice as many slots as entries.
const fn table_len(count: usize) -> usize {
    match count.checked_mul(2) {
        Some(twice) if twice <= 1 << 30 => 2 * twice.next_power_of_two(),
        _ => usize::MAX,
    }
}

/// Writes the first `places.len()` entries of `torch.randperm(total, generator=…manual_seed(seed))`.
///
/// A negative seed is its two's complement. `scratch` holds at least
/// [`scratch_len`]`(total, places.len())` elements; what is in them does not matter.
///
/// # Errors
/// [`Error::LocationCount`] unless `1 ≤ places.len() ≤ total`, [`Error::Length`] if the scratch is
/// too short.
///
/// # Cost
/// Below [`INSIDE_OUT_FROM`] entries `O(places.len())`; from there on two draws for each of the
/// `total` entries, as torch makes them, with AVX2 or AVX-512 where the machine has them.
///
/// ```
/// use waveft_core::sampling::{randperm, scratch_len};
/// let mut places = [0; 3];
/// let mut scratch = [0; scratch_len(4096 * 4096, 3)];
/// randperm(4096 * 4096, 777, &mut places, &mut scratch)?;
/// assert_eq!(places, [1374311, 8240085, 6766295]);
/// # Ok::<(), waveft_core::Error>(())
/// ```
pub fn randperm(
    total: u64,
    seed: u64,
    places: &mut [u64],
    scratch: &mut [u32],
) -> Result<(), Error> {
    draw(total, seed, places, scratch, Isa::detect(), |index| index)
}

/// Writes where an `rows × columns` layer has its trained coefficients, in PEFT's order.
///
/// Entry `k` belongs to coefficient `k` of the saved spectrum. The scratch and the errors are those
/// of [`randperm`] with `total = rows · columns`; both sides are below 2³⁰.
///
/// ```
/// use waveft_core::sampling::{Location, locations, scratch_len};
/// let mut places = [Location::default(); 2];
/// let mut scratch = [0; scratch_len(4096 * 4096, 2)];
/// locations(4096, 4096, 777, &mut places, &mut scratch)?;
/// assert_eq!(places[0], Location { row: 335, column: 2151 });
/// # Ok::<(), waveft_core::Error>(())
/// ```
pub fn locations(
    rows: usize,
    columns: usize,
    seed: u64,
    places: &mut [Location],
    scratch: &mut [u32],
) -> Result<(), Error> {
    for length in [rows, columns] {
        if length >= 1 << 30 {
            return Err(Error::AxisTooLong { length, taps: 0 });
        }
    }
    let total = rows as u64 * columns as u64;
    let columns = NonZero::new(columns as u64).ok_or(Error::EmptyAxis)?;
    if total == 0 {
        return Err(Error::EmptyAxis);
    }
    let place = |index: u64| Location {
        row: (index / columns) as u32,
        column: (index % columns) as u32,
    };
    draw(total, seed, places, scratch, Isa::detect(), place)
}

/// Both shuffles, with `place` giving what to store for an index.
fn draw<P: Copy>(
    total: u64,
    seed: u64,
    places: &mut [P],
    scratch: &mut [u32],
    isa: Isa,
    place: impl Fn(u64) -> P,
) -> Result<(), Error> {
    if places.is_empty() || places.len() as u64 > total {
        return Err(Error::LocationCount {
            entries: total,
            found: places.len(),
        });
    }
    let expected = scratch_len(total, places.len());
    let found = scratch.len();
    let Some(scratch) = scratch.get_mut(..expected) else {
        return Err(Error::Length {
            what: "scratch",
            expected,
            found,
        });
    };
    let mut generator = MersenneTwister::new(seed);
    if total >= INSIDE_OUT_FROM {
        inside_out::shuffle(total, generator, places, isa, place);
    } else if scratch.len() as u64 == total {
        forward(
            total as u32,
            &mut generator,
            places,
            Dense::new(scratch),
            place,
        );
    } else {
        forward(
            total as u32,
            &mut generator,
            places,
            Sparse::new(scratch),
            place,
        );
    }
    Ok(())
}

/// Fisher and Yates' shuffle from the front, stopped after the entries that are asked for.
fn forward<P: Copy>(
    total: u32,
    generator: &mut MersenneTwister,
    places: &mut [P],
    mut displaced: impl Displaced,
    place: impl Fn(u64) -> P,
) {
    for (i, entry) in (0..total).zip(places) {
        // The last entry has nowhere to go, and torch makes no draw for it.
        let chosen = if i + 1 < total {
            i + generator.next_u32().checked_rem(total - i).unwrap_or(0)
        } else {
            i
        };
        *entry = place(u64::from(displaced.take_and_put(chosen, i)));
    }
}

/// The entries of a permutation that are not where they were.
trait Displaced {
    /// Returns what is at `chosen` and puts what is at `current` there. `current` is never asked
    /// for again, so nothing is put in its place.
    fn take_and_put(&mut self, chosen: u32, current: u32) -> u32;
}

/// All entries, for counts near the total.
struct Dense<'a>(&'a mut [u32]);

impl<'a> Dense<'a> {
    fn new(entries: &'a mut [u32]) -> Self {
        for (entry, i) in entries.iter_mut().zip(0..) {
            *entry = i;
        }
        Self(entries)
    }
}

impl Displaced for Dense<'_> {
    fn take_and_put(&mut self, chosen: u32, current: u32) -> u32 {
        let at_current = self.0.get(current as usize).copied().unwrap_or_default();
        let at_chosen = self.0.get_mut(chosen as usize);
        at_chosen.map_or(0, |entry| core::mem::replace(entry, at_current))
    }
}

/// A hash table with open addressing, never more than half full: an index plus one beside its
/// entry, zero where a slot is free.
struct Sparse<'a> {
    slots: &'a mut [[u32; 2]],
    shift: u32,
}

impl<'a> Sparse<'a> {
    fn new(scratch: &'a mut [u32]) -> Self {
        scratch.fill(0);
        let slots = scratch.as_chunks_mut().0;
        let shift = u32::BITS - slots.len().trailing_zeros();
        Self { slots, shift }
    }

    /// Where the slot of `index` is, or the free one where it would go.
    fn slot(&self, index: u32) -> usize {
        let key = index + 1;
        let mask = self.slots.len().wrapping_sub(1);
        // Fibonacci hashing: the golden ratio's digits spread neighbours over the table.
        let mut at = (key.wrapping_mul(0x9E37_79B9) >> self.shift) as usize;
        let others = |&[other, _]: &[u32; 2]| other != key && other != 0;
        while self.slots.get(at & mask).is_some_and(others) {
            at += 1;
        }
        at & mask
    }
}

impl Displaced for Sparse<'_> {
    fn take_and_put(&mut self, chosen: u32, current: u32) -> u32 {
        let at_current = match self.slots.get(self.slot(current)) {
            None | Some([0, _]) => current,
            Some(&[_, entry]) => entry,
        };
        let at = self.slot(chosen);
        let slot = self.slots.get_mut(at);
        match slot.map(|slot| core::mem::replace(slot, [chosen + 1, at_current])) {
            None | Some([0, _]) => chosen,
            Some([_, entry]) => entry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(total: u64, seed: u64, count: usize, isa: Isa) -> Vec<u64> {
        let mut places = vec![0; count];
        // Dirty and longer than needed.
        let mut scratch = vec![0xDEAD_BEEF; scratch_len(total, count) + 3];
        draw(total, seed, &mut places, &mut scratch, isa, |i| i).unwrap();
        places
    }

    /// Torch's two loops as they are, the whole permutation in memory.
    fn naive(total: u64, seed: u64) -> Vec<u64> {
        let mut generator = MersenneTwister::new(seed);
        let mut entries: Vec<u64> = (0..total).collect();
        if total < INSIDE_OUT_FROM {
            for i in 0..total - 1 {
                let z = u64::from(generator.next_u32()) % (total - i);
                entries.swap(i as usize, (i + z) as usize);
            }
        } else {
            for i in 0..total {
                let high = u64::from(generator.next_u32()) << 32;
                let z = (high | u64::from(generator.next_u32())) % (i + 1);
                entries[i as usize] = entries[z as usize];
                entries[z as usize] = i;
            }
        }
        entries
    }

    #[test]
    fn inside_out_gives_torchs_places() {
        let expected = [
            150358698, 199533091, 83306822, 145970095, 40813261, 111338416, 71047571, 163718730,
            64709267, 26058358,
        ];
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            assert_eq!(first(230_000_000, 777, 10, isa), expected, "{isa:?}");
        }
    }

    /// The kernels of the inside-out shuffle on totals small enough for many counts; torch would
    /// shuffle these forward.
    #[test]
    fn inside_out_equals_the_naive_loop_for_every_isa() {
        for total in [1, 2, 311, 312, 313, 65_535, 65_536, 100_003, 1_000_000] {
            let mut generator = MersenneTwister::new(total);
            let mut expected: Vec<u64> = (0..total).collect();
            for i in 0..total {
                let high = u64::from(generator.next_u32()) << 32;
                let z = (high | u64::from(generator.next_u32())) % (i + 1);
                expected[i as usize] = expected[z as usize];
                expected[z as usize] = i;
            }
            for count in [1, 2, 100, 5_000, 40_000, total as usize] {
                let count = count.min(total as usize);
                for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                    let mut places = vec![0; count];
                    let generator = MersenneTwister::new(total);
                    inside_out::shuffle(total, generator, &mut places, isa, |i| i);
                    assert!(places == expected[..count], "{total} {count} {isa:?}");
                }
            }
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut places = [7; 5];
        let fewer = randperm(4, 0, &mut places, &mut [0; 64]);
        assert_eq!(
            fewer,
            Err(Error::LocationCount {
                entries: 4,
                found: 5
            })
        );
        assert_eq!(
            randperm(4, 0, &mut [], &mut []),
            Err(Error::LocationCount {
                entries: 4,
                found: 0
            })
        );
        let short = randperm(1000, 0, &mut places, &mut [0; 31]);
        assert_eq!(
            short,
            Err(Error::Length {
                what: "scratch",
                expected: 32,
                found: 31
            })
        );
        let empty = locations(0, 5, 0, &mut [Location::default()], &mut [0; 64]);
        assert_eq!(empty, Err(Error::EmptyAxis));
        assert_eq!(places, [7; 5]);
    }

    #[test]
    fn scratch_is_linear_in_the_count() {
        for count in 1..5000 {
            assert!(scratch_len(1 << 27, count) <= 8 * count);
        }
        assert_eq!(scratch_len(INSIDE_OUT_FROM, 5000), 0);
        assert_eq!(scratch_len(1 << 20, usize::MAX), 1 << 20);
    }

    proptest! {
        #[test]
        fn forward_equals_the_naive_loop(total in 1u64..3000, share in 0.0..1.0f64, seed: u64) {
            let count = ((total as f64 * share) as usize).max(1);
            let expected = naive(total, seed);
            prop_assert_eq!(&first(total, seed, count, Isa::Portable)[..], &expected[..count]);
        }
    }
}
