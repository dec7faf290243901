//! Inference with one adapter of PEFT's: places drawn from the seed, atoms put in order, and ΔW times tokens.
//!
//! The tokens are rows of the identity, so that what comes out are columns of ΔW, as PEFT has them.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::operator::{DeltaWeight, apply_scratch_len};
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};
use waveft_cortex_m::expected::{BANK, COLUMNS, COUNT, DELTA, ROWS, SCALING, SEED, SPECTRUM};
use waveft_cortex_m::finish;

const TOKENS: usize = 4;
const TAPS: usize = match BANK {
    Some(bank) => bank.taps(),
    None => 1,
};
const LAYER: Geometry = match Geometry::new(ROWS, COLUMNS, TAPS) {
    Ok(layer) => layer,
    Err(_) => panic!("PEFT's layer has sides"),
};

struct Memory {
    places: [Location; COUNT],
    drawing: [u32; scratch_len((ROWS * COLUMNS) as u64, COUNT)],
    order: [u32; COUNT],
    atoms: [Atom; COUNT],
    coefficients: [f32; COUNT],
    x: [f32; TOKENS * COLUMNS],
    y: [f32; TOKENS * ROWS],
    scratch: [f32; apply_scratch_len::<f32>(LAYER, COUNT)],
}

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory {
        places: [Location { row: 0, column: 0 }; COUNT],
        drawing: [0; scratch_len((ROWS * COLUMNS) as u64, COUNT)],
        order: [0; COUNT],
        atoms: [Atom::ZERO; COUNT],
        coefficients: [0.0; COUNT],
        x: [0.0; TOKENS * COLUMNS],
        y: [0.0; TOKENS * ROWS],
        scratch: [0.0; _],
    };
    for token in 0..TOKENS {
        MEMORY.x[token * COLUMNS + token] = 1.0;
    }
    let is_right = infer(MEMORY).is_ok() && equals_peft(&MEMORY.y);
    finish(is_right)
}

/// `y = x ΔWᵀ`. Kept apart, so that nothing is computed when it is compiled.
#[inline(never)]
fn infer(memory: &mut Memory) -> Result<(), Error> {
    locations(ROWS, COLUMNS, SEED, &mut memory.places, &mut memory.drawing)?;
    let atoms = SortedAtoms::new(
        LAYER,
        &memory.places,
        &mut memory.atoms[..],
        &mut memory.order,
    )?;
    gather(&memory.order, &SPECTRUM, &mut memory.coefficients)?;
    let spectrum = SparseSpectrum::new(&atoms, &memory.coefficients)?;
    let delta = DeltaWeight::new(spectrum, BANK, SCALING)?;
    let x = Array::new(&memory.x, [TOKENS, COLUMNS])?;
    let mut y = ArrayMut::new(&mut memory.y, [TOKENS, ROWS])?;
    delta.apply(&x, &mut y, &mut memory.scratch)
}

/// No part of inference, and not counted.
#[inline(never)]
fn equals_peft(y: &[f32]) -> bool {
    let largest = DELTA
        .iter()
        .fold(0.0f32, |most, entry| most.max(entry.abs()));
    y.chunks_exact(ROWS).enumerate().all(|(token, y)| {
        let column = DELTA.iter().skip(token).step_by(COLUMNS);
        y.iter()
            .zip(column)
            .all(|(y, entry)| (y - entry).abs() <= 1e-5 * largest)
    })
}
