//! What C gets is what the core makes, bit for bit.

mod support;

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use support::*;
use waveft_capi::delta_weight::*;
use waveft_capi::filter_bank::*;
use waveft_capi::optimiser::*;
use waveft_capi::status::Status;
use waveft_capi::transform::*;
use waveft_capi::wavedec2::*;
use waveft_capi::wavelets;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::filter_bank::wavelets::{DB2, PEFT_COIF4};
use waveft_core::filter_bank::{FilterBank as CoreBank, Wavelet};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator;
use waveft_core::optimiser::{self, Rates};
use waveft_core::sampling::{self, Location};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};
use waveft_core::transform;

/// Runs calls in order and asks that each succeeds.
macro_rules! ok {
    ($($call:expr;)*) => {
        $(
            // SAFETY: the fixture's memory.
            assert_eq!(unsafe { $call }, Status::Ok);
        )*
    };
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn core_bank(bank: &FilterBank) -> [&[f32]; 4] {
    // SAFETY: a bank of the library.
    [bank.dec_lo, bank.dec_hi, bank.rec_lo, bank.rec_hi]
        .map(|filter| unsafe { std::slice::from_raw_parts(filter, bank.taps) })
}

#[test]
fn every_bank_is_the_cores_by_symbol_and_by_name() {
    let names = waveft_core::filter_bank::wavelets::ALL.iter();
    let wavelets = names.chain([&PEFT_COIF4]);
    assert_eq!(wavelets::ALL.len(), wavelets.clone().count());
    for ((symbol, bank), wavelet) in wavelets::ALL.iter().zip(wavelets) {
        let name = wavelet.name().to_uppercase().replace(['.', '-'], "_");
        assert_eq!(*symbol, format!("WAVEFT_{name}"));
        let single: CoreBank<'_, f32> = wavelet.single();
        let expected = [
            single.dec_lo(),
            single.dec_hi(),
            single.rec_lo(),
            single.rec_hi(),
        ];
        assert_eq!(core_bank(bank), expected);
        if Wavelet::from_name(wavelet.name()).is_ok() {
            let name = CString::new(wavelet.name()).unwrap();
            let mut named = MaybeUninit::uninit();
            ok!(waveft_filter_bank_named(name.as_ptr(), named.as_mut_ptr()););
            // SAFETY: written, as the status says.
            assert_eq!(core_bank(unsafe { named.assume_init_ref() }), expected);
        }
    }
}

/// Runs `work` on the core's update of a fixture's adapter.
fn with_core(
    fan_in_fan_out: bool,
    bank: Option<CoreBank<'_, f32>>,
    work: impl FnOnce(&operator::DeltaWeight<'_, f32>),
) {
    let mut layer = Geometry::new(OUTPUTS, INPUTS, bank.map_or(1, |bank| bank.taps())).unwrap();
    if fan_in_fan_out {
        layer = layer.fan_in_fan_out();
    }
    let mut places = [Location::default(); COUNT];
    sampling::locations(OUTPUTS, INPUTS, SEED, &mut places, &mut [0; 8 * COUNT]).unwrap();
    let mut order = [0; COUNT];
    let atoms = SortedAtoms::new(layer, &places, [Atom::default(); COUNT], &mut order).unwrap();
    let mut coefficients = [0.0; COUNT];
    gather(&order, &numbers(COUNT, 1), &mut coefficients).unwrap();
    let spectrum = SparseSpectrum::new(&atoms, &coefficients).unwrap();
    work(&operator::DeltaWeight::new(spectrum, bank, 25.0).unwrap());
}

#[test]
fn an_update_is_the_cores() {
    let banks = [
        (&raw const wavelets::DB2, Some(DB2.single())),
        (null(), None),
    ];
    for ((bank, core_bank), fan_in_fan_out) in banks.into_iter().zip([false, true]) {
        let mut f = Fixture::with(fan_in_fan_out.into(), bank);
        let mut expected = f.clone();
        let (rows, columns) = (f.weight_view.rows, f.weight_view.columns);
        let (undo, scratch) = (f.undo.len(), f.scratch.len());
        with_core(fan_in_fan_out, core_bank, |delta| {
            let e = &mut *expected;
            let changes: [(CoreChange, Change); 3] = [
                (
                    |delta, weight| delta.write(weight),
                    waveft_delta_weight_write,
                ),
                (|delta, weight| delta.add(weight), waveft_delta_weight_add),
                (
                    |delta, weight| delta.subtract(weight),
                    waveft_delta_weight_subtract,
                ),
            ];
            for (core, change) in changes {
                core(
                    delta,
                    &mut MatrixMut::new(&mut e.weight, rows, columns).unwrap(),
                )
                .unwrap();
                ok!(change(&f.delta, &f.weight_view););
                assert_eq!(bits(&f.weight), bits(&e.weight));
            }

            ok!(waveft_delta_weight_undo_len(&f.delta, &mut f.length););
            assert_eq!(f.length, delta.undo_len());
            let mut weight = MatrixMut::new(&mut e.weight, rows, columns).unwrap();
            delta.add_recording(&mut weight, &mut e.undo).unwrap();
            ok!(waveft_delta_weight_add_recording(&f.delta, &f.weight_view, f.undo.as_mut_ptr(), undo););
            assert_eq!(
                (bits(&f.weight), bits(&f.undo)),
                (bits(&e.weight), bits(&e.undo))
            );
            let mut weight = MatrixMut::new(&mut e.weight, rows, columns).unwrap();
            delta.undo(&mut weight, &e.undo).unwrap();
            ok!(waveft_delta_weight_undo(&f.delta, &f.weight_view, f.undo.as_ptr(), undo););
            assert_eq!(bits(&f.weight), bits(&e.weight));

            let x = Array::new(&e.x, [TOKENS, INPUTS]).unwrap();
            let dy = Array::new(&e.dy, [TOKENS, OUTPUTS]).unwrap();
            ok!(waveft_delta_weight_apply_scratch_len(&f.delta, &mut f.length););
            assert_eq!(f.length, delta.apply_scratch_len());
            let mut y = ArrayMut::new(&mut e.y, [TOKENS, OUTPUTS]).unwrap();
            delta.apply(&x, &mut y, &mut e.scratch).unwrap();
            ok!(waveft_delta_weight_apply(&f.delta, &f.x_view, &f.y_view, f.scratch.as_mut_ptr(), scratch););
            assert_eq!(bits(&f.y), bits(&e.y));
            delta
                .apply_token(&e.x[..INPUTS], &mut e.y[..OUTPUTS])
                .unwrap();
            ok!(waveft_delta_weight_apply_token(&f.delta, f.x.as_ptr(), INPUTS, f.y.as_mut_ptr(), OUTPUTS););
            assert_eq!(bits(&f.y), bits(&e.y));
            let mut dx = ArrayMut::new(&mut e.dx, [TOKENS, INPUTS]).unwrap();
            delta
                .apply_transposed(&dy, &mut dx, &mut e.scratch)
                .unwrap();
            ok!(waveft_delta_weight_apply_transposed(
                &f.delta, &f.dy_view, &f.dx_view, f.scratch.as_mut_ptr(), scratch););
            assert_eq!(bits(&f.dx), bits(&e.dx));

            ok!(waveft_delta_weight_backward_scratch_len(&f.delta, &mut f.length););
            assert_eq!(f.length, delta.backward_scratch_len());
            let mut dx = ArrayMut::new(&mut e.dx, [TOKENS, INPUTS]).unwrap();
            delta
                .backward(&x, &dy, &mut dx, &mut e.gradient, &mut e.scratch)
                .unwrap();
            delta
                .grad_spectrum(&x, &dy, &mut e.gradient, &mut e.scratch)
                .unwrap();
            for dx in [&raw const f.dx_view, null()] {
                ok!(waveft_delta_weight_backward(
                    &f.delta, &f.x_view, &f.dy_view, dx, f.gradient.as_mut_ptr(), COUNT,
                    f.scratch.as_mut_ptr(), scratch););
            }
            assert_eq!(
                (bits(&f.dx), bits(&f.gradient)),
                (bits(&e.dx), bits(&e.gradient))
            );
        });
    }
}

type CoreChange =
    fn(&operator::DeltaWeight<'_, f32>, &mut MatrixMut<'_, f32>) -> Result<(), waveft_core::Error>;
type Change =
    unsafe extern "C" fn(*const DeltaWeight, *const waveft_capi::matrix::MatrixMut) -> Status;

#[test]
fn a_step_is_the_cores() {
    let mut f = Fixture::new();
    let mut e = f.clone();
    let update = optimiser::AdamW::new([0.9, 0.999], 1e-8).unwrap();
    let update = update.update(3, Rates::new(0.01, 0.1).unwrap()).unwrap();
    let [first, second] = &mut e.moments;
    update
        .apply(&mut e.drawn, &e.gradient, first, second)
        .unwrap();
    let [first, second] = f.moments.each_mut().map(|moment| moment.as_mut_ptr());
    ok!(waveft_adam_w_step(&f.adam_w, 3, f.drawn.as_mut_ptr(), f.gradient.as_ptr(), first, second, COUNT););
    assert_eq!((&f.drawn, &f.moments), (&e.drawn, &e.moments));

    ok!(waveft_sum_of_squares(f.gradient.as_ptr(), COUNT, &mut f.number););
    assert_eq!(f.number, optimiser::sum_of_squares(&e.gradient));
    ok!(waveft_clip_factor(0.1, 0.7, &mut f.number););
    assert_eq!(f.number, optimiser::clip_factor(0.1, 0.7).unwrap());
    ok!(waveft_scale(f.gradient.as_mut_ptr(), COUNT, f.number););
    optimiser::scale(&mut e.gradient, f.number);
    assert_eq!(f.gradient, e.gradient);
    ok!(waveft_scale(null_mut(), 0, 2.0););
}

#[test]
fn a_line_is_the_cores() {
    let mut f = Fixture::new();
    let mut e = f.clone();
    let dwt = transform::Dwt::new(DB2.single(), ExtensionMode::Reflect, SAMPLES).unwrap();
    ok!(waveft_dwt_measure(&f.dwt, &mut f.dwt_lengths););
    let lengths = DwtLengths {
        band: dwt.band_length(),
        reconstructed: dwt.reconstructed_length(),
        scratch: dwt.scratch_len(),
    };
    assert_eq!(f.dwt_lengths, lengths);
    let (band, reconstructed) = (lengths.band, lengths.reconstructed);
    let (scratch, scratch_len) = (f.scratch.as_mut_ptr(), lengths.scratch);
    let [low, high] = f.bands.each_mut().map(|band| band.as_mut_ptr());
    let (signal, back) = (f.signal.as_mut_ptr(), f.reconstructed.as_mut_ptr());
    let [e_low, e_high] = &mut e.bands;

    dwt.forward(&e.signal, e_low, e_high, &mut e.scratch)
        .unwrap();
    ok!(waveft_dwt_forward(&f.dwt, signal, SAMPLES, low, high, band, scratch, scratch_len););
    assert_eq!([&f.bands[0], &f.bands[1]], [&*e_low, &*e_high]);
    dwt.inverse(e_low, e_high, &mut e.reconstructed, &mut e.scratch)
        .unwrap();
    ok!(waveft_dwt_inverse(&f.dwt, low, high, band, back, reconstructed, scratch, scratch_len););
    assert_eq!(f.reconstructed, e.reconstructed);
    dwt.forward_adjoint(e_low, e_high, &mut e.signal, &mut e.scratch)
        .unwrap();
    ok!(waveft_dwt_forward_adjoint(&f.dwt, low, high, band, signal, SAMPLES, scratch, scratch_len););
    assert_eq!(f.signal, e.signal);
    dwt.inverse_adjoint(&e.reconstructed, e_low, e_high, &mut e.scratch)
        .unwrap();
    ok!(waveft_dwt_inverse_adjoint(&f.dwt, back, reconstructed, low, high, band, scratch, scratch_len););
    assert_eq!([&f.bands[0], &f.bands[1]], [&*e_low, &*e_high]);
}

#[test]
fn an_image_is_the_cores() {
    let mut f = Fixture::new();
    let mut e = f.clone();
    let axis = (DB2.single(), ExtensionMode::Symmetric);
    let plan = transform::Wavedec::new([axis; 2], [ROWS, COLUMNS], 1).unwrap();
    ok!(waveft_wavedec2_measure(&f.wavedec2, &mut f.wavedec2_lengths););
    let lengths = Wavedec2Lengths {
        coefficients: plan.coefficients_len(),
        scratch: plan.scratch_len::<f32>(),
    };
    assert_eq!(f.wavedec2_lengths, lengths);
    for (row, column) in [(false, false), (false, true), (true, false), (true, true)] {
        let expected = plan.band(1, [row, column]).unwrap();
        ok!(waveft_wavedec2_band(&f.wavedec2, 1, row, column, &mut f.band););
        let found = (f.band.start, [f.band.rows, f.band.columns]);
        assert_eq!(found, (expected.range.start, expected.shape));
    }
    let coefficients = lengths.coefficients;
    let (bands, scratch, scratch_len) = (
        f.bands2.as_mut_ptr(),
        f.scratch.as_mut_ptr(),
        lengths.scratch,
    );

    let image = Array::new(&e.image, [ROWS, COLUMNS]).unwrap();
    plan.forward(&image, &mut e.bands2, &mut e.scratch).unwrap();
    ok!(waveft_wavedec2_forward(&f.wavedec2, &f.image_view, bands, coefficients, scratch, scratch_len););
    assert_eq!(f.bands2, e.bands2);
    let mut image = ArrayMut::new(&mut e.image, [ROWS, COLUMNS]).unwrap();
    plan.inverse(&e.bands2, &mut image, &mut e.scratch).unwrap();
    ok!(waveft_wavedec2_inverse(&f.wavedec2, bands, coefficients, &f.image_view_mut, scratch, scratch_len););
    assert_eq!(f.image, e.image);
    let mut image = ArrayMut::new(&mut e.image, [ROWS, COLUMNS]).unwrap();
    plan.forward_adjoint(&e.bands2, &mut image, &mut e.scratch)
        .unwrap();
    ok!(waveft_wavedec2_forward_adjoint(
        &f.wavedec2, bands, coefficients, &f.image_view_mut, scratch, scratch_len););
    assert_eq!(f.image, e.image);
    let image = Array::new(&f.image, [ROWS, COLUMNS]).unwrap();
    plan.inverse_adjoint(&image, &mut e.bands2, &mut e.scratch)
        .unwrap();
    ok!(waveft_wavedec2_inverse_adjoint(&f.wavedec2, &f.image_view, bands, coefficients, scratch, scratch_len););
    assert_eq!(f.bands2, e.bands2);
}
