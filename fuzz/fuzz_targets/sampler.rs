//! Any size, seed, count and scratch: the sampler's places are those of a naive shuffle, distinct and in range, and bad
//! arguments are refused before anything is written.
//!
//! Torch's inside-out shuffle begins at 214,748,364 entries, too many for a fuzz target to draw. Its kernels, which take
//! any number, are therefore compiled in here from the crate's own files and compared on smaller ones.
#![no_main]

use std::collections::{HashMap, HashSet};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use waveft_core::Error;
use waveft_core::sampling::{INSIDE_OUT_FROM, Location, locations, randperm, scratch_len};
use waveft_fuzz::numbers::Scratch;

#[allow(dead_code, unreachable_pub)]
#[path = "../../waveft-core/src/sampling/inside_out.rs"]
mod inside_out;
#[allow(dead_code, unreachable_pub)]
#[path = "../../waveft-core/src/isa.rs"]
mod isa;
#[allow(unreachable_pub)]
#[path = "../../waveft-core/src/kernel.rs"]
mod kernel;
/// What the sampler asks of the core's vectors: that there are any.
mod lanes {
    pub(crate) const HAS_VECTORS: bool = true;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../../waveft-core/src/sampling/mersenne_twister.rs"]
mod mersenne_twister;

use isa::Isa;
use mersenne_twister::MersenneTwister;

/// The most places drawn: what a run of many is made of must be quick.
const MOST_PLACES: u16 = 3000;

#[derive(Arbitrary, Debug)]
enum Input {
    Randperm {
        total: u64,
        seed: u64,
        count: u16,
        scratch: Scratch,
    },
    Locations {
        rows: u32,
        columns: u32,
        seed: u64,
        count: u16,
        scratch: Scratch,
    },
    InsideOut {
        total: u32,
        seed: u64,
        count: u32,
    },
}

/// Scratch as long as that, with something in it.
fn made(scratch: Scratch, total: u64, count: usize) -> Vec<u32> {
    // More than any count here needs, for counts that are refused.
    let needed = scratch_len(total, count).min(8 * usize::from(MOST_PLACES));
    vec![0xDEAD_BEEF; scratch.length(needed)]
}

fuzz_target!(|input: Input| {
    match input {
        Input::Randperm {
            total,
            seed,
            count,
            scratch,
        } => check_randperm(total, seed, usize::from(count % MOST_PLACES), scratch),
        Input::Locations {
            rows,
            columns,
            seed,
            count,
            scratch,
        } => {
            let count = usize::from(count % MOST_PLACES);
            check_locations(rows as usize, columns as usize, seed, count, scratch);
        }
        Input::InsideOut { total, seed, count } => {
            // The kernels test draws in groups from 2¹⁶ steps on.
            check_inside_out(u64::from(total % 100_000), seed, count);
        }
    }
});

fn check_randperm(total: u64, seed: u64, count: usize, scratch: Scratch) {
    let mut scratch = made(scratch, total, count);
    let is_long_enough = scratch.len() >= scratch_len(total, count);
    if total >= INSIDE_OUT_FROM && count > 0 {
        // As many draws as entries: only what is refused before them.
        return;
    }
    let mut places = vec![u64::MAX; count];
    let drawn = randperm(total, seed, &mut places, &mut scratch);
    if count == 0 || count as u64 > total {
        assert!(matches!(drawn, Err(Error::LocationCount { .. })));
        assert!(places.iter().all(|&place| place == u64::MAX));
    } else if !is_long_enough {
        assert!(matches!(
            drawn,
            Err(Error::Length {
                what: "scratch",
                ..
            })
        ));
        assert!(places.iter().all(|&place| place == u64::MAX));
    } else {
        assert_eq!(drawn, Ok(()));
        assert_eq!(places, forward(total, seed, count));
        assert_distinct(&places, total);
    }
}

fn check_locations(rows: usize, columns: usize, seed: u64, count: usize, scratch: Scratch) {
    let total = rows as u64 * columns as u64;
    if total >= INSIDE_OUT_FROM && rows.max(columns) < 1 << 30 && count > 0 {
        return;
    }
    let mut scratch = made(scratch, total, count);
    let mut places = vec![Location::default(); count];
    if locations(rows, columns, seed, &mut places, &mut scratch).is_err() {
        let is_refused = rows.min(columns) == 0
            || rows.max(columns) >= 1 << 30
            || count == 0
            || count as u64 > total
            || scratch.len() < scratch_len(total, count);
        assert!(is_refused);
        return;
    }
    let indices: Vec<u64> = places
        .iter()
        .map(|place| {
            assert!((place.row as usize) < rows && (place.column as usize) < columns);
            u64::from(place.row) * columns as u64 + u64::from(place.column)
        })
        .collect();
    assert_eq!(indices, forward(total, seed, count));
    assert_distinct(&indices, total);
}

fn check_inside_out(total: u64, seed: u64, count: u32) {
    if total == 0 {
        return;
    }
    let count = (u64::from(count) % total + 1) as usize;
    let mut expected: Vec<u64> = (0..total).collect();
    let mut generator = waveft_core::sampling::MersenneTwister::new(seed);
    for i in 0..total {
        let high = u64::from(generator.next_u32()) << 32;
        let chosen = (high | u64::from(generator.next_u32())) % (i + 1);
        expected[i as usize] = expected[chosen as usize];
        expected[chosen as usize] = i;
    }
    for isa in Isa::ALL {
        let mut places = vec![u64::MAX; count];
        let generator = MersenneTwister::new(seed);
        inside_out::shuffle(total, generator, &mut places, isa, |index| index);
        assert!(places == expected[..count], "{isa:?}");
    }
}

/// Torch's forward shuffle as it is: in full, or, where that is too much, on the entries that were displaced.
fn forward(total: u64, seed: u64, count: usize) -> Vec<u64> {
    let mut generator = waveft_core::sampling::MersenneTwister::new(seed);
    if total <= 10_000 {
        let mut entries: Vec<u64> = (0..total).collect();
        for i in 0..total - 1 {
            let z = u64::from(generator.next_u32()) % (total - i);
            entries.swap(i as usize, (i + z) as usize);
        }
        entries.truncate(count);
        return entries;
    }
    let mut displaced = HashMap::new();
    let mut places = Vec::new();
    for i in 0..count as u64 {
        let chosen = i + u64::from(generator.next_u32()) % (total - i);
        let at_current = displaced.get(&i).copied().unwrap_or(i);
        let at_chosen = displaced.insert(chosen, at_current).unwrap_or(chosen);
        // Where both are one place, the insertion changed nothing.
        places.push(at_chosen);
    }
    places
}

fn assert_distinct(places: &[u64], total: u64) {
    assert!(places.iter().all(|&place| place < total));
    let distinct: HashSet<_> = places.iter().collect();
    assert_eq!(distinct.len(), places.len());
}
