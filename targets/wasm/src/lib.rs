//! WaveFT adapters for WebAssembly: plain functions over linear memory, for `waveft.mjs` or any other host.
//!
//! There is no allocator. Every buffer is the caller's, anywhere from `__heap_base` on (exported) in a memory that the caller
//! grows: the module writes to what it is given and to its stack, and keeps nothing from one call to the next. Pointers are
//! byte offsets; matrices are row-major `f32`. A layer is used in three steps:
//!
//! 1. [`draw`] its `n` places, in `8 · n` bytes, with [`draw_scratch_length`] words of scratch.
//! 2. [`layer_new`] sorts them into a layer of [`layer_bytes`]`(n)` bytes, with `4 · n` bytes for the order.
//! 3. [`layer_add`] adds ΔW to a weight, and [`layer_undo`] takes it out to the bit, as often as wanted; places and order are no
//!    longer needed.
//!
//! Functions that check their arguments return a [status](status): 0, or what is wrong.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod synthesis;

use core::mem::{align_of, size_of};
use core::slice::{from_raw_parts, from_raw_parts_mut};

use waveft_core::Error;
use waveft_core::filter_bank::{FilterBank, MAX_TAPS};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};

/// A layer's update, at the head of the caller's bytes; its atoms, its coefficients and its high-pass filter follow.
pub struct Layer {
    atoms: SortedAtoms<&'static mut [Atom]>,
    coefficients: &'static [f32],
    bank: Option<FilterBank<'static, f32>>,
    scaling: f32,
}

/// What is wrong, as a number: 0 for nothing, 1 an empty axis, 2 an axis that is too long, 3 an unknown wavelet, 4 more
/// coefficients than entries or none, 5 a place that is outside or comes twice, 6 a buffer of another length.
pub fn status(result: Result<(), Error>) -> u32 {
    match result {
        Ok(()) => 0,
        Err(Error::EmptyAxis) => 1,
        Err(Error::AxisTooLong { .. }) => 2,
        Err(Error::UnknownWavelet) => 3,
        Err(Error::LocationCount { .. }) => 4,
        Err(Error::OutOfBounds { .. } | Error::RepeatedPlace { .. }) => 5,
        Err(_) => 6,
    }
}

/// Words (`u32`) of scratch that [`draw`] takes for `count` places of a layer with `outputs × inputs` entries.
#[unsafe(no_mangle)]
pub extern "C" fn draw_scratch_length(outputs: usize, inputs: usize, count: usize) -> usize {
    scratch_len(outputs as u64 * inputs as u64, count)
}

/// Writes PEFT's `count` places of a seed (below zero: its two's complement) to `places`, each a row and a column, `u32`.
///
/// # Safety
/// `places` has `8 · count` bytes and `scratch` `4 · scratch_length`, both at a multiple of 4 and apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn draw(
    outputs: usize,
    inputs: usize,
    seed: u64,
    places: *mut Location,
    count: usize,
    scratch: *mut u32,
    scratch_length: usize,
) -> u32 {
    // SAFETY: the caller's, as said above; every pattern of bits is a number.
    let places = unsafe { from_raw_parts_mut(places, count) };
    // SAFETY: likewise.
    let scratch = unsafe { from_raw_parts_mut(scratch, scratch_length) };
    status(locations(outputs, inputs, seed, places, scratch))
}

/// Bytes of a layer with `count` coefficients: less than 512, and `12 · count`.
#[unsafe(no_mangle)]
pub extern "C" fn layer_bytes(count: usize) -> usize {
    const HEAD: usize = size_of::<Layer>() + size_of::<[f32; MAX_TAPS]>();
    HEAD.saturating_add(count.saturating_mul(size_of::<Atom>() + size_of::<f32>()))
}

/// Makes a layer: `ΔW = scaling · R · S · Cᵀ` of `outputs × inputs`, or of `inputs × outputs` with `fan_in_fan_out`.
///
/// `spectrum` has its coefficients in the order of `places`, and `name` that of its wavelet; none stands for
/// `use_idwt = false`. If another status than 0 is returned, there is no layer.
///
/// # Safety
/// `layer` has [`layer_bytes`]`(count)` bytes at a multiple of 4, which stay as they are while the layer is used, `places`
/// `8 · count`, `spectrum` and `order` `4 · count` at a multiple of 4, `name` `name_length`; all are apart.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn layer_new(
    layer: *mut Layer,
    outputs: usize,
    inputs: usize,
    fan_in_fan_out: bool,
    name: *const u8,
    name_length: usize,
    scaling: f32,
    places: *const Location,
    spectrum: *const f32,
    count: usize,
    order: *mut u32,
) -> u32 {
    const { assert!(align_of::<Layer>() == 4 || size_of::<usize>() != 4) };
    // SAFETY: the caller's, as said above; behind the layer come the atoms, the coefficients and the filter, as `layer_bytes`
    // counts them, all of alignment 4. Every pattern of bits is an atom or a number.
    let (places, spectrum, order, name, atoms, coefficients, high) = unsafe {
        let atoms = layer.add(1).cast::<Atom>();
        let coefficients = atoms.add(count).cast::<f32>();
        (
            from_raw_parts(places, count),
            from_raw_parts(spectrum, count),
            from_raw_parts_mut(order, count),
            from_raw_parts(name, name_length),
            from_raw_parts_mut(atoms, count),
            from_raw_parts_mut(coefficients, count),
            &mut *coefficients.add(count).cast::<[f32; MAX_TAPS]>(),
        )
    };
    let made = || {
        let bank = match name {
            [] => None,
            name => Some(synthesis::bank(name, high)?),
        };
        let mut geometry = Geometry::new(outputs, inputs, bank.map_or(1, |bank| bank.taps()))?;
        if fan_in_fan_out {
            geometry = geometry.fan_in_fan_out();
        }
        let atoms = SortedAtoms::new(geometry, places, atoms, order)?;
        gather(order, spectrum, coefficients)?;
        Ok(Layer {
            atoms,
            coefficients,
            bank,
            scaling,
        })
    };
    status(made().map(|made| {
        // SAFETY: the caller's bytes, as said above; there is nothing in them to be dropped.
        unsafe { layer.write(made) }
    }))
}

impl Layer {
    fn delta(&self) -> Result<DeltaWeight<'_, f32>, Error> {
        let spectrum = SparseSpectrum::new(&self.atoms, self.coefficients)?;
        DeltaWeight::new(spectrum, self.bank, self.scaling)
    }

    /// Works on a matrix with the shape of ΔW.
    ///
    /// # Safety
    /// `weight` has as many elements, at a multiple of 4.
    unsafe fn on(
        &self,
        weight: *mut f32,
        work: impl FnOnce(&DeltaWeight<'_, f32>, &mut MatrixMut<'_, f32>) -> Result<(), Error>,
    ) -> u32 {
        let on = || {
            let delta = self.delta()?;
            let (rows, columns) = delta.shape();
            // SAFETY: the caller's, as said above.
            let weight = unsafe { from_raw_parts_mut(weight, rows.saturating_mul(columns)) };
            work(&delta, &mut MatrixMut::new(weight, rows, columns)?)
        };
        status(on())
    }
}

/// Elements that [`layer_add`] keeps: `min(n · L², outputs · inputs)`.
///
/// # Safety
/// `layer` was made by [`layer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn layer_undo_length(layer: &Layer) -> usize {
    layer.delta().map_or(0, |delta| delta.undo_len())
}

/// `weight += ΔW`, as PEFT merges, keeping in `undo` what it overwrites. ΔW itself is what comes of zeros.
///
/// # Safety
/// `layer` was made by [`layer_new`]; `weight` has ΔW's bytes and `undo` [`layer_undo_length`] elements, at a multiple of 4 and
/// apart from each other and from the layer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn layer_add(layer: &Layer, weight: *mut f32, undo: *mut f32) -> u32 {
    // SAFETY: the caller's, as said above.
    let undo = unsafe { from_raw_parts_mut(undo, layer_undo_length(layer)) };
    // SAFETY: likewise.
    unsafe { layer.on(weight, |delta, weight| delta.add_recording(weight, undo)) }
}

/// Puts back every byte that [`layer_add`] overwrote.
///
/// # Safety
/// That of [`layer_add`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn layer_undo(layer: &Layer, weight: *mut f32, undo: *const f32) -> u32 {
    // SAFETY: the caller's, as said above.
    let undo = unsafe { from_raw_parts(undo, layer_undo_length(layer)) };
    // SAFETY: likewise.
    unsafe { layer.on(weight, |delta, weight| delta.undo(weight, undo)) }
}

/// A trap, which the host sees as an exception. Nothing above should get here: arguments are checked.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
