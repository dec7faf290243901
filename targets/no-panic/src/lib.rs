//! Every checked entry point of `waveft-core` under a symbol of its own, with a panic handler that calls a function which
//! nobody defines.
#![no_std]

use core::ops::Range;
use half::{bf16, f16};
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::filter_bank::FilterBank;
use waveft_core::geometry::{Atom, Axis, Geometry};
use waveft_core::lifting::Lifting;
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::optimiser::{
    AdamW, AdamWUpdate, Rates, Sgd, SgdUpdate, clip_factor, first_non_finite, scale, sum_of_squares,
};
use waveft_core::sampling::{Location, MersenneTwister};
use waveft_core::schedule::Schedule;
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum};
use waveft_core::transform::{Algorithm, Band, Dwt, Wavedec};

unsafe extern "C" {
    /// Not defined anywhere: what calls it does not link.
    safe fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    a_panic_is_reachable()
}

/// Exports functions under their names. Their arguments are anybody's, so that nothing is known of them but their types.
macro_rules! entries {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block)*) => {$(
        #[unsafe(no_mangle)]
        pub fn $name($($argument: $type),*) -> $result $body
    )*};
}

/// What takes weights, tokens and arrays of a number type, under these names: the type that is stored, and the one computed in.
macro_rules! entries_for {
    ($element:ty, $real:ty: $delta_add:ident, $delta_add_recording:ident, $delta_undo:ident, $delta_apply:ident,
     $delta_backward:ident, $dwt_forward:ident, $dwt_inverse:ident, $wavedec_forward:ident, $wavedec_inverse:ident $(,)?) => {
        entries! {
            fn $delta_add(delta: &DeltaWeight<'_, $real>, weight: &mut MatrixMut<'_, $element>) -> Checked {
                delta.add(weight)
            }
            fn $delta_add_recording(
                delta: &DeltaWeight<'_, $real>,
                weight: &mut MatrixMut<'_, $element>,
                undo: &mut [$element],
            ) -> Checked {
                delta.add_recording(weight, undo)
            }
            fn $delta_undo(delta: &DeltaWeight<'_, $real>, weight: &mut MatrixMut<'_, $element>, undo: &[$element]) -> Checked {
                delta.undo(weight, undo)
            }
            fn $delta_apply(
                delta: &DeltaWeight<'_, $real>,
                x: &Array<'_, $element, 2>,
                y: &mut ArrayMut<'_, $element, 2>,
                scratch: &mut [$real],
            ) -> Checked {
                delta.apply(x, y, scratch)
            }
            fn $delta_backward(
                delta: &DeltaWeight<'_, $real>,
                x: &Array<'_, $element, 2>,
                dy: &Array<'_, $element, 2>,
                dx: &mut ArrayMut<'_, $element, 2>,
                gradient: &mut [$real],
                scratch: &mut [$real],
            ) -> Checked {
                delta.backward(x, dy, dx, gradient, scratch)
            }
            fn $dwt_forward(
                dwt: &Dwt<'_, $real>,
                signal: &[$element],
                low: &mut [$element],
                high: &mut [$element],
                scratch: &mut [$real],
            ) -> Checked {
                dwt.forward(signal, low, high, scratch)
            }
            fn $dwt_inverse(
                dwt: &Dwt<'_, $real>,
                low: &[$element],
                high: &[$element],
                signal: &mut [$element],
                scratch: &mut [$real],
            ) -> Checked {
                dwt.inverse(low, high, signal, scratch)
            }
            fn $wavedec_forward(
                plan: &Wavedec<'_, $real, 2>,
                array: &Array<'_, $element, 2>,
                coefficients: &mut [$element],
                scratch: &mut [$real],
            ) -> Checked {
                plan.forward(array, coefficients, scratch)
            }
            fn $wavedec_inverse(
                plan: &Wavedec<'_, $real, 2>,
                coefficients: &[$element],
                array: &mut ArrayMut<'_, $element, 2>,
                scratch: &mut [$real],
            ) -> Checked {
                plan.inverse(coefficients, array, scratch)
            }
        }
    };
}

type Checked = Result<(), Error>;
type Rows<'a> = Array<'a, f32, 2>;
type RowsMut<'a> = ArrayMut<'a, f32, 2>;

entries_for! {
    f32, f32:
    delta_add,
    delta_add_recording,
    delta_undo,
    delta_apply,
    delta_backward,
    dwt_forward,
    dwt_inverse,
    wavedec_forward,
    wavedec_inverse,
}

entries_for! {
    f64, f64:
    delta_add_double,
    delta_add_recording_double,
    delta_undo_double,
    delta_apply_double,
    delta_backward_double,
    dwt_forward_double,
    dwt_inverse_double,
    wavedec_forward_double,
    wavedec_inverse_double,
}

entries_for! {
    bf16, f32:
    delta_add_bf16,
    delta_add_recording_bf16,
    delta_undo_bf16,
    delta_apply_bf16,
    delta_backward_bf16,
    dwt_forward_bf16,
    dwt_inverse_bf16,
    wavedec_forward_bf16,
    wavedec_inverse_bf16,
}

entries_for! {
    f16, f32:
    delta_add_f16,
    delta_add_recording_f16,
    delta_undo_f16,
    delta_apply_f16,
    delta_backward_f16,
    dwt_forward_f16,
    dwt_inverse_f16,
    wavedec_forward_f16,
    wavedec_inverse_f16,
}

entries! {
    fn a_panic_for_comparison(places: &[u8], at: usize) -> u8 {
        places[at]
    }
    fn sampling_randperm(total: u64, seed: u64, places: &mut [u64], scratch: &mut [u32]) -> Checked {
        waveft_core::sampling::randperm(total, seed, places, scratch)
    }
    fn sampling_locations(
        rows: usize,
        columns: usize,
        seed: u64,
        places: &mut [Location],
        scratch: &mut [u32],
    ) -> Checked {
        waveft_core::sampling::locations(rows, columns, seed, places, scratch)
    }
    fn sampling_scratch_len(total: u64, count: usize) -> usize {
        waveft_core::sampling::scratch_len(total, count)
    }
    fn mersenne_twister_new(seed: u64) -> MersenneTwister {
        MersenneTwister::new(seed)
    }
    fn mersenne_twister_next(generator: &mut MersenneTwister) -> u32 {
        generator.next_u32()
    }
    fn axis_new(length: usize, taps: usize) -> Result<Axis, Error> {
        Axis::new(length, taps)
    }
    fn geometry_new(rows: usize, columns: usize, taps: usize) -> Result<Geometry, Error> {
        Geometry::new(rows, columns, taps)
    }
    fn geometry_atom(geometry: &Geometry, place: Location) -> Result<Atom, Error> {
        geometry.atom(place)
    }
    fn sorted_atoms_new(geometry: Geometry, places: &[Location], atoms: &mut [Atom], order: &mut [u32]) -> Checked {
        SortedAtoms::new(geometry, places, atoms, order).map(drop)
    }
    fn spectrum_gather(order: &[u32], drawn: &[f32], sorted: &mut [f32]) -> Checked {
        waveft_core::spectrum::gather(order, drawn, sorted)
    }
    fn spectrum_scatter(order: &[u32], sorted: &[f32], drawn: &mut [f32]) -> Checked {
        waveft_core::spectrum::scatter(order, sorted, drawn)
    }
    fn filter_bank_new(
        dec_lo: &'static [f32],
        dec_hi: &'static [f32],
        rec_lo: &'static [f32],
        rec_hi: &'static [f32],
    ) -> Result<FilterBank<'static, f32>, Error> {
        FilterBank::new(dec_lo, dec_hi, rec_lo, rec_hi)
    }
    fn filter_bank_with_lifting(
        bank: FilterBank<'static, f32>,
        lifting: Lifting<'static, f32>,
    ) -> Result<FilterBank<'static, f32>, Error> {
        bank.with_lifting(lifting)
    }
    fn wavelet_from_name(name: &str) -> Result<FilterBank<'static, f32>, Error> {
        waveft_core::filter_bank::Wavelet::from_name(name).map(|wavelet| wavelet.single())
    }
    fn delta_new(
        spectrum: SparseSpectrum<'static, f32>,
        bank: Option<FilterBank<'static, f32>>,
        scaling: f32,
    ) -> Result<DeltaWeight<'static, f32>, Error> {
        DeltaWeight::new(spectrum, bank, scaling)
    }
    fn delta_write(delta: &DeltaWeight<'_, f32>, weight: &mut MatrixMut<'_, f32>) -> Checked {
        delta.write(weight)
    }
    fn delta_subtract(delta: &DeltaWeight<'_, f32>, weight: &mut MatrixMut<'_, f32>) -> Checked {
        delta.subtract(weight)
    }
    fn delta_write_dense(
        delta: &DeltaWeight<'_, f32>,
        weight: &mut MatrixMut<'_, f32>,
        scratch: &mut [f32],
    ) -> Checked {
        delta.write_dense(weight, scratch)
    }
    fn delta_apply_transposed(
        delta: &DeltaWeight<'_, f32>,
        dy: &Rows<'_>,
        dx: &mut RowsMut<'_>,
        scratch: &mut [f32],
    ) -> Checked {
        delta.apply_transposed(dy, dx, scratch)
    }
    fn delta_apply_token(delta: &DeltaWeight<'_, f32>, x: &[f32], y: &mut [f32]) -> Checked {
        delta.apply_token(x, y)
    }
    fn delta_grad_spectrum(
        delta: &DeltaWeight<'_, f32>,
        x: &Rows<'_>,
        dy: &Rows<'_>,
        gradient: &mut [f32],
        scratch: &mut [f32],
    ) -> Checked {
        delta.grad_spectrum(x, dy, gradient, scratch)
    }
    fn delta_scratch_lens(delta: &DeltaWeight<'_, f32>) -> [usize; 3] {
        [delta.undo_len(), delta.apply_scratch_len(), delta.backward_scratch_len()]
    }
    fn dwt_new(bank: FilterBank<'_, f32>, mode: ExtensionMode, length: usize) -> Result<Dwt<'_, f32>, Error> {
        Dwt::new(bank, mode, length)
    }
    fn dwt_forward_adjoint(
        dwt: &Dwt<'_, f32>,
        low: &[f32],
        high: &[f32],
        signal: &mut [f32],
        scratch: &mut [f32],
    ) -> Checked {
        dwt.forward_adjoint(low, high, signal, scratch)
    }
    fn dwt_inverse_adjoint(
        dwt: &Dwt<'_, f32>,
        signal: &[f32],
        low: &mut [f32],
        high: &mut [f32],
        scratch: &mut [f32],
    ) -> Checked {
        dwt.inverse_adjoint(signal, low, high, scratch)
    }
    fn wavedec_new(
        axes: [(FilterBank<'static, f32>, ExtensionMode); 2],
        shape: [usize; 2],
        levels: usize,
    ) -> Result<Wavedec<'static, f32, 2>, Error> {
        Wavedec::new(axes, shape, levels)
    }
    fn delta_rows(delta: &DeltaWeight<'static, f32>, rows: Range<usize>) -> Result<DeltaWeight<'static, f32>, Error> {
        delta.rows(rows)
    }
    fn delta_dense_scratch_len(delta: &DeltaWeight<'_, f32>) -> Result<usize, Error> {
        let _ = delta.is_dense();
        delta.dense_scratch_len()
    }
    fn dwt_with_algorithm(dwt: Dwt<'static, f32>, algorithm: Algorithm) -> Result<Dwt<'static, f32>, Error> {
        dwt.with_algorithm(algorithm)
    }
    fn dwt_forward_along(
        dwt: &Dwt<'_, f32>,
        axis: usize,
        signal: &Rows<'_>,
        low: &mut RowsMut<'_>,
        high: &mut RowsMut<'_>,
        scratch: &mut [f32],
    ) -> Checked {
        dwt.forward_along(axis, signal, low, high, scratch)
    }
    fn dwt_inverse_along(
        dwt: &Dwt<'_, f32>,
        axis: usize,
        low: &Rows<'_>,
        high: &Rows<'_>,
        signal: &mut RowsMut<'_>,
        scratch: &mut [f32],
    ) -> Checked {
        dwt.inverse_along(axis, low, high, signal, scratch)
    }
    fn dwt_forward_adjoint_along(
        dwt: &Dwt<'_, f32>,
        axis: usize,
        low: &Rows<'_>,
        high: &Rows<'_>,
        signal: &mut RowsMut<'_>,
        scratch: &mut [f32],
    ) -> Checked {
        dwt.forward_adjoint_along(axis, low, high, signal, scratch)
    }
    fn dwt_inverse_adjoint_along(
        dwt: &Dwt<'_, f32>,
        axis: usize,
        signal: &Rows<'_>,
        low: &mut RowsMut<'_>,
        high: &mut RowsMut<'_>,
        scratch: &mut [f32],
    ) -> Checked {
        dwt.inverse_adjoint_along(axis, signal, low, high, scratch)
    }
    fn lifting_analysis(lifting: &Lifting<'_, f32>, even: &mut [f32], odd: &mut [f32]) -> () {
        lifting.analysis(even, odd);
    }
    fn lifting_synthesis(lifting: &Lifting<'_, f32>, low: &mut [f32], high: &mut [f32]) -> () {
        lifting.synthesis(low, high);
    }
    fn lifting_analysis_adjoint(lifting: &Lifting<'_, f32>, low: &mut [f32], high: &mut [f32]) -> () {
        lifting.analysis_adjoint(low, high);
    }
    fn lifting_synthesis_adjoint(lifting: &Lifting<'_, f32>, even: &mut [f32], odd: &mut [f32]) -> () {
        lifting.synthesis_adjoint(even, odd);
    }
    fn wavedec_band(plan: &Wavedec<'_, f32, 2>, level: usize, detail: [bool; 2]) -> Result<Band<2>, Error> {
        plan.band(level, detail)
    }
    fn wavedec_forward_adjoint(
        plan: &Wavedec<'_, f32, 2>,
        coefficients: &[f32],
        array: &mut RowsMut<'_>,
        scratch: &mut [f32],
    ) -> Checked {
        plan.forward_adjoint(coefficients, array, scratch)
    }
    fn wavedec_inverse_adjoint(
        plan: &Wavedec<'_, f32, 2>,
        array: &Rows<'_>,
        coefficients: &mut [f32],
        scratch: &mut [f32],
    ) -> Checked {
        plan.inverse_adjoint(array, coefficients, scratch)
    }
    fn wavedec_forward_rows(
        plan: &Wavedec<'_, f32, 2>,
        level: usize,
        rows: Range<usize>,
        array: &Rows<'_>,
        bands: [&mut [f32]; 4],
        scratch: &mut [f32],
    ) -> Checked {
        plan.forward_rows(level, rows, array, bands, scratch)
    }
    fn wavedec_inverse_rows(
        plan: &Wavedec<'_, f32, 2>,
        level: usize,
        rows: Range<usize>,
        bands: [&[f32]; 4],
        array: &mut RowsMut<'_>,
        scratch: &mut [f32],
    ) -> Checked {
        plan.inverse_rows(level, rows, bands, array, scratch)
    }
    fn wavedec_line_forward(
        plan: &Wavedec<'_, f32, 1>,
        array: &Array<'_, f32, 1>,
        coefficients: &mut [f32],
        scratch: &mut [f32],
    ) -> Checked {
        plan.forward(array, coefficients, scratch)
    }
    fn wavedec_line_inverse(
        plan: &Wavedec<'_, f32, 1>,
        coefficients: &[f32],
        array: &mut ArrayMut<'_, f32, 1>,
        scratch: &mut [f32],
    ) -> Checked {
        plan.inverse(coefficients, array, scratch)
    }
    fn wavedec_space_new(
        axes: [(FilterBank<'static, f32>, ExtensionMode); 3],
        shape: [usize; 3],
        levels: usize,
    ) -> Result<Wavedec<'static, f32, 3>, Error> {
        Wavedec::new(axes, shape, levels)
    }
    fn wavedec_space_forward(
        plan: &Wavedec<'_, f32, 3>,
        array: &Array<'_, f32, 3>,
        coefficients: &mut [f32],
        scratch: &mut [f32],
    ) -> Checked {
        plan.forward(array, coefficients, scratch)
    }
    fn wavedec_space_inverse(
        plan: &Wavedec<'_, f32, 3>,
        coefficients: &[f32],
        array: &mut ArrayMut<'_, f32, 3>,
        scratch: &mut [f32],
    ) -> Checked {
        plan.inverse(coefficients, array, scratch)
    }
    fn array_space_with_strides(
        data: &'static [f32],
        shape: [usize; 3],
        strides: [usize; 3],
    ) -> Result<Array<'static, f32, 3>, Error> {
        Array::with_strides(data, shape, strides)
    }
    fn matrix_new(data: &'static mut [f32], rows: usize, columns: usize) -> Result<MatrixMut<'static, f32>, Error> {
        MatrixMut::new(data, rows, columns)
    }
    fn matrix_with_strides(
        data: &'static mut [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Result<MatrixMut<'static, f32>, Error> {
        MatrixMut::with_strides(data, rows, columns, row_stride, column_stride)
    }
    fn array_new(data: &'static [f32], shape: [usize; 2]) -> Result<Rows<'static>, Error> {
        Array::new(data, shape)
    }
    fn array_with_strides(
        data: &'static [f32],
        shape: [usize; 2],
        strides: [usize; 2],
    ) -> Result<Rows<'static>, Error> {
        Array::with_strides(data, shape, strides)
    }
    fn array_mut_new(data: &'static mut [f32], shape: [usize; 2]) -> Result<RowsMut<'static>, Error> {
        ArrayMut::new(data, shape)
    }
    fn array_mut_with_strides(
        data: &'static mut [f32],
        shape: [usize; 2],
        strides: [usize; 2],
    ) -> Result<RowsMut<'static>, Error> {
        ArrayMut::with_strides(data, shape, strides)
    }
    fn adam_w_apply_double(
        update: &AdamWUpdate<f64>,
        values: &mut [f64],
        gradient: &[f64],
        first: &mut [f64],
        second: &mut [f64],
    ) -> Checked {
        update.apply(values, gradient, first, second)
    }
    fn rates_new(learning_rate: f64, weight_decay: f64) -> Result<Rates, Error> {
        Rates::new(learning_rate, weight_decay)
    }
    fn adam_w_new(betas: [f64; 2], epsilon: f64) -> Result<AdamW, Error> {
        AdamW::new(betas, epsilon)
    }
    fn adam_w_update(optimiser: &AdamW, step: u64, rates: Rates) -> Result<AdamWUpdate<f32>, Error> {
        optimiser.update(step, rates)
    }
    fn adam_w_apply(
        update: &AdamWUpdate<f32>,
        values: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) -> Checked {
        update.apply(values, gradient, first, second)
    }
    fn sgd_new(momentum: f64) -> Result<Sgd, Error> {
        Sgd::new(momentum)
    }
    fn sgd_update(optimiser: &Sgd, rates: Rates) -> SgdUpdate<f32> {
        optimiser.update(rates)
    }
    fn sgd_apply(update: &SgdUpdate<f32>, values: &mut [f32], gradient: &[f32], velocity: &mut [f32]) -> Checked {
        update.apply(values, gradient, velocity)
    }
    fn clipping(gradient: &mut [f32], most: f64) -> Result<Option<usize>, Error> {
        let norm = sum_of_squares(gradient);
        scale(gradient, clip_factor(most, norm)?);
        Ok(first_non_finite(gradient))
    }
    fn schedule_factor(schedule: Schedule, step: u64) -> f64 {
        schedule.factor(step)
    }
    fn extension_mode_from_name(name: &str) -> Result<ExtensionMode, Error> {
        ExtensionMode::from_name(name)
    }
}
