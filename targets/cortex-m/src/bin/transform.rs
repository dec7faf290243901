//! Synthesis after analysis, the locations of seed 777, and ΔW of an adapter of PEFT's.
#![no_std]
#![no_main]

use core::array::from_fn;
use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use waveft_core::Error;
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, randperm, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};
use waveft_core::transform::Dwt;
use waveft_cortex_m::expected::{BANK, COLUMNS, COUNT, DELTA, ROWS, SCALING, SEED, SPECTRUM};
use waveft_cortex_m::finish;

#[entry]
fn main() -> ! {
    let checks = [
        ("dwt", transforms()),
        ("locations", draws()),
        ("delta", writes()),
    ];
    for (name, result) in checks {
        hprintln!(
            "{}: {}",
            name,
            if result == Ok(true) { "right" } else { "WRONG" }
        );
    }
    finish(checks.iter().all(|(_, result)| *result == Ok(true)))
}

/// A line of odd length, there and back.
fn transforms() -> Result<bool, Error> {
    const LENGTH: usize = 61;
    let Some(bank) = BANK else { return Ok(true) };
    let signal: [f32; LENGTH] = from_fn(|at| ((at * at) % 17) as f32 - 8.0);
    for mode in ExtensionMode::ALL {
        let dwt = Dwt::new(bank, mode, LENGTH)?;
        let (mut low, mut high, mut back) = ([0.0; LENGTH], [0.0; LENGTH], [0.0; LENGTH + 1]);
        let mut scratch = [0.0; 512];
        let (low, high) = (
            &mut low[..dwt.band_length()],
            &mut high[..dwt.band_length()],
        );
        dwt.forward(&signal, low, high, &mut scratch)?;
        dwt.inverse(low, high, &mut back, &mut scratch)?;
        if signal.iter().zip(&back).any(|(x, y)| (x - y).abs() > 1e-4) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// torch's first entries, of the shuffle from the front.
fn draws() -> Result<bool, Error> {
    let mut places = [0; 3];
    randperm(
        4096 * 4096,
        777,
        &mut places,
        &mut [0; scratch_len(4096 * 4096, 3)],
    )?;
    Ok(places == [1_374_311, 8_240_085, 6_766_295])
}

/// PEFT's ΔW.
fn writes() -> Result<bool, Error> {
    let layer = Geometry::new(ROWS, COLUMNS, BANK.map_or(1, |bank| bank.taps()))?;
    let (mut places, mut order) = ([Location::default(); COUNT], [0; COUNT]);
    let mut drawing = [0; scratch_len((ROWS * COLUMNS) as u64, COUNT)];
    locations(ROWS, COLUMNS, SEED, &mut places, &mut drawing)?;
    let atoms = SortedAtoms::new(layer, &places, [Atom::ZERO; COUNT], &mut order)?;
    let mut coefficients = [0.0; COUNT];
    gather(&order, &SPECTRUM, &mut coefficients)?;
    let delta = DeltaWeight::new(SparseSpectrum::new(&atoms, &coefficients)?, BANK, SCALING)?;
    let mut weight = [0.0f32; ROWS * COLUMNS];
    delta.write(&mut MatrixMut::new(&mut weight, ROWS, COLUMNS)?)?;
    let largest = DELTA
        .iter()
        .fold(0.0f32, |most, entry| most.max(entry.abs()));
    Ok(weight
        .iter()
        .zip(&DELTA)
        .all(|(found, entry)| (found - entry).abs() <= 1e-5 * largest))
}
