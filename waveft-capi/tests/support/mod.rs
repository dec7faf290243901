//! An adapter, a batch, a line and an image in memory as C has it, and every function called on them.
#![allow(dead_code, unreachable_pub)]

use std::ptr::from_ref;
use waveft_capi::atoms::*;
use waveft_capi::delta_weight::*;
use waveft_capi::filter_bank::*;
use waveft_capi::locations::*;
use waveft_capi::matrix::*;
use waveft_capi::optimiser::*;
use waveft_capi::status::Status;
use waveft_capi::transform::*;
use waveft_capi::wavedec2::*;
use waveft_capi::wavelets::DB2;

pub const OUTPUTS: usize = 7;
pub const INPUTS: usize = 10;
pub const COUNT: usize = 6;
pub const TOKENS: usize = 3;
pub const SAMPLES: usize = 21;
pub const ROWS: usize = 9;
pub const COLUMNS: usize = 12;
pub const SEED: u64 = 777;

/// Everything that calls read and write.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixture {
    pub layer: Layer,
    pub locations: Vec<Location>,
    pub storage: Vec<Atom>,
    pub order: Vec<u32>,
    pub atoms: Vec<Atoms>,
    pub drawn: Vec<f32>,
    pub coefficients: Vec<f32>,
    pub bank: FilterBank,
    pub delta: DeltaWeight,
    pub weight: Vec<f32>,
    pub weight_view: MatrixMut,
    pub undo: Vec<f32>,
    pub x: Vec<f32>,
    pub x_view: Matrix,
    pub y: Vec<f32>,
    pub y_view: MatrixMut,
    pub dy: Vec<f32>,
    pub dy_view: Matrix,
    pub dx: Vec<f32>,
    pub dx_view: MatrixMut,
    pub gradient: Vec<f32>,
    pub adam_w: AdamW,
    pub moments: [Vec<f32>; 2],
    pub dwt: Dwt,
    pub signal: Vec<f32>,
    pub reconstructed: Vec<f32>,
    pub bands: [Vec<f32>; 2],
    pub wavedec2: Wavedec2,
    pub image: Vec<f32>,
    pub image_view: Matrix,
    pub image_view_mut: MatrixMut,
    pub bands2: Vec<f32>,
    pub scratch: Vec<f32>,
    /// For a view of other memory than its own.
    pub spare: Vec<f32>,
    pub places: Vec<Location>,
    pub places_scratch: Vec<u32>,
    pub new_storage: Vec<Atom>,
    pub new_order: Vec<u32>,
    pub new_atoms: Vec<Atoms>,
    pub new_bank: FilterBank,
    pub length: usize,
    pub number: f64,
    pub dwt_lengths: DwtLengths,
    pub wavedec2_lengths: Wavedec2Lengths,
    pub band: Band,
}

/// Numbers without a pattern.
pub fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn view(data: &[f32], rows: usize, columns: usize) -> Matrix {
    Matrix {
        data: data.as_ptr(),
        len: data.len(),
        rows,
        columns,
        row_stride: columns,
        column_stride: 1,
    }
}

pub fn view_mut(data: &mut [f32], rows: usize, columns: usize) -> MatrixMut {
    MatrixMut {
        data: data.as_mut_ptr(),
        len: data.len(),
        rows,
        columns,
        row_stride: columns,
        column_stride: 1,
    }
}

impl Fixture {
    /// On the heap, for it holds its own addresses.
    pub fn new() -> Box<Self> {
        Self::with(0, &DB2)
    }

    /// An adapter without a wavelet if `bank` is null.
    pub fn with(fan_in_fan_out: u32, bank: *const FilterBank) -> Box<Self> {
        // SAFETY: banks of the library, or null.
        let taps = unsafe { bank.as_ref() }.map_or(1, |bank| bank.taps);
        let layer = Layer {
            out_features: OUTPUTS,
            in_features: INPUTS,
            taps,
            fan_in_fan_out,
        };
        let mut locations = vec![Location::default(); COUNT];
        let mut places_scratch = vec![0; 8 * COUNT];
        let mut storage = vec![Atom::default(); COUNT];
        let mut order = vec![0; COUNT];
        let mut atoms = vec![Atoms::default()];
        let drawn = numbers(COUNT, 1);
        let mut coefficients = vec![0.0; COUNT];
        // SAFETY: all slices have the lengths given.
        let statuses = unsafe {
            let places = locations.as_mut_ptr();
            let (scratch, len) = (places_scratch.as_mut_ptr(), places_scratch.len());
            let (storage, order) = (storage.as_mut_ptr(), order.as_mut_ptr());
            let (sorted, atoms) = (coefficients.as_mut_ptr(), atoms.as_mut_ptr());
            [
                waveft_locations(OUTPUTS, INPUTS, SEED, places, COUNT, scratch, len),
                waveft_atoms_sort(&layer, places, COUNT, storage, order, atoms),
                waveft_gather(order, drawn.as_ptr(), sorted, COUNT),
            ]
        };
        assert_eq!(statuses, [Status::Ok; 3]);
        let delta = DeltaWeight {
            atoms: atoms.as_ptr(),
            coefficients: coefficients.as_ptr(),
            count: COUNT,
            bank,
            scaling: 25.0,
        };
        let (rows, columns) = match fan_in_fan_out {
            0 => (OUTPUTS, INPUTS),
            _ => (INPUTS, OUTPUTS),
        };
        let mut weight = numbers(OUTPUTS * INPUTS, 2);
        let x = numbers(TOKENS * INPUTS, 3);
        let mut y = numbers(TOKENS * OUTPUTS, 4);
        let dy = numbers(TOKENS * OUTPUTS, 5);
        let mut dx = numbers(TOKENS * INPUTS, 6);
        let mut image = numbers(ROWS * COLUMNS, 7);
        let undo = (COUNT * taps * taps).min(OUTPUTS * INPUTS);
        Box::new(Self {
            layer,
            locations,
            storage,
            order,
            atoms,
            drawn,
            coefficients,
            bank: DB2,
            delta,
            weight_view: view_mut(&mut weight, rows, columns),
            weight,
            undo: numbers(undo, 8),
            x_view: view(&x, TOKENS, INPUTS),
            x,
            y_view: view_mut(&mut y, TOKENS, OUTPUTS),
            y,
            dy_view: view(&dy, TOKENS, OUTPUTS),
            dy,
            dx_view: view_mut(&mut dx, TOKENS, INPUTS),
            dx,
            gradient: numbers(COUNT, 9),
            adam_w: AdamW {
                learning_rate: 0.01,
                weight_decay: 0.1,
                first_beta: 0.9,
                second_beta: 0.999,
                epsilon: 1e-8,
            },
            moments: [numbers(COUNT, 10), vec![0.25; COUNT]],
            dwt: Dwt {
                bank: &DB2,
                mode: Mode::Reflect as u32,
                length: SAMPLES,
            },
            signal: numbers(SAMPLES, 11),
            reconstructed: numbers(SAMPLES + 1, 12),
            bands: [numbers(12, 13), numbers(12, 14)],
            wavedec2: Wavedec2 {
                bank: &DB2,
                mode: Mode::Symmetric as u32,
                rows: ROWS,
                columns: COLUMNS,
                levels: 1,
            },
            image_view: view(&image, ROWS, COLUMNS),
            image_view_mut: view_mut(&mut image, ROWS, COLUMNS),
            image,
            bands2: numbers(4 * 6 * 7, 15),
            scratch: numbers(8000, 16),
            spare: Vec::new(),
            places: vec![Location { row: 7, column: 7 }; COUNT],
            places_scratch,
            new_storage: vec![Atom::default(); COUNT],
            new_order: vec![9; COUNT],
            new_atoms: vec![Atoms::default()],
            new_bank: DB2,
            length: 99,
            number: 99.0,
            dwt_lengths: DwtLengths {
                band: 99,
                reconstructed: 99,
                scratch: 99,
            },
            wavedec2_lengths: Wavedec2Lengths {
                coefficients: 99,
                scratch: 99,
            },
            band: Band {
                start: 99,
                rows: 99,
                columns: 99,
            },
        })
    }
}

/// A call of a function: with the addresses and lengths that are in it, or others.
pub struct Call {
    pub name: &'static str,
    /// Addresses, and whether what is there is written.
    pub pointers: Vec<(usize, bool)>,
    /// Lengths, and what one less comes to.
    pub lengths: Vec<(usize, Status)>,
    pub function: fn(&[usize], &[usize]) -> Status,
}

impl Call {
    pub fn run(&self) -> Status {
        (self.function)(&self.addresses(), &self.lengths())
    }

    pub fn addresses(&self) -> Vec<usize> {
        self.pointers.iter().map(|pointer| pointer.0).collect()
    }

    pub fn lengths(&self) -> Vec<usize> {
        self.lengths.iter().map(|length| length.0).collect()
    }

    pub fn has<T>(&self, at: &T) -> bool {
        self.addresses().contains(&from_ref(at).addr())
    }
}

/// `read` and `write` addresses of the fixture's fields, by a macro for they are of many types.
macro_rules! call {
    ($fixture:ident, $function:ident($($kind:ident $field:ident $([$i:literal])?),*; $($length:expr => $status:ident),*)
        |$p:ident, $l:ident| $($argument:expr),*) => {
        Call {
            name: stringify!($function),
            pointers: vec![$(call!(@$kind $fixture $field $([$i])?)),*],
            lengths: vec![$(($length, Status::$status)),*],
            // SAFETY: addresses are the fixture's, of as many elements, or bad ones, which the functions are to find.
            function: |$p, $l| { let _ = $l; unsafe { $function($($argument),*) } },
        }
    };
    (@to $fixture:ident $field:ident) => { ((&raw mut $fixture.$field).expose_provenance(), true) };
    (@of $fixture:ident $field:ident) => { ((&raw mut $fixture.$field).expose_provenance(), false) };
    (@read $fixture:ident $field:ident $([$i:literal])?) => {
        ($fixture.$field$([$i])?.as_mut_ptr().expose_provenance(), false)
    };
    (@write $fixture:ident $field:ident $([$i:literal])?) => {
        ($fixture.$field$([$i])?.as_mut_ptr().expose_provenance(), true)
    };
}

/// Every function that takes pointers, but for the one that takes a name. Each call is a good one.
pub fn calls(f: &mut Fixture) -> Vec<Call> {
    let (undo, scratch, bands) = (f.undo.len(), f.scratch.len(), f.bands[0].len());
    vec![
        call!(f, waveft_locations_scratch_len(to length;) |p, l| OUTPUTS, INPUTS, COUNT, p[0] as _),
        call!(f, waveft_locations(write places, write places_scratch; 32 => Length)
            |p, l| OUTPUTS, INPUTS, SEED, p[0] as _, COUNT, p[1] as _, l[0]),
        call!(f, waveft_atoms_sort(of layer, read locations, write new_storage, write new_order, write new_atoms;)
            |p, l| p[0] as _, p[1] as _, COUNT, p[2] as _, p[3] as _, p[4] as _),
        call!(f, waveft_gather(read order, read drawn, write gradient; COUNT => OutOfBounds)
            |p, l| p[0] as _, p[1] as _, p[2] as _, l[0]),
        call!(f, waveft_scatter(read order, read coefficients, write gradient; COUNT => OutOfBounds)
            |p, l| p[0] as _, p[1] as _, p[2] as _, l[0]),
        call!(f, waveft_filter_bank_check(of bank;) |p, l| p[0] as _),
        call!(f, waveft_delta_weight_write(of delta, of weight_view;) |p, l| p[0] as _, p[1] as _),
        call!(f, waveft_delta_weight_add(of delta, of weight_view;) |p, l| p[0] as _, p[1] as _),
        call!(f, waveft_delta_weight_subtract(of delta, of weight_view;) |p, l| p[0] as _, p[1] as _),
        call!(f, waveft_delta_weight_undo_len(of delta, to length;) |p, l| p[0] as _, p[1] as _),
        call!(f, waveft_delta_weight_add_recording(of delta, of weight_view, write undo; undo => Length)
            |p, l| p[0] as _, p[1] as _, p[2] as _, l[0]),
        call!(f, waveft_delta_weight_undo(of delta, of weight_view, read undo; undo => Length)
            |p, l| p[0] as _, p[1] as _, p[2] as _, l[0]),
        call!(f, waveft_delta_weight_apply_scratch_len(of delta, to length;) |p, l| p[0] as _, p[1] as _),
        call!(f, waveft_delta_weight_apply(of delta, of x_view, of y_view, write scratch; scratch => Ok)
            |p, l| p[0] as _, p[1] as _, p[2] as _, p[3] as _, l[0]),
        call!(f, waveft_delta_weight_apply_transposed(of delta, of dy_view, of dx_view, write scratch; scratch => Ok)
            |p, l| p[0] as _, p[1] as _, p[2] as _, p[3] as _, l[0]),
        call!(f, waveft_delta_weight_apply_token(of delta, read x, write y; INPUTS => Length, OUTPUTS => Length)
            |p, l| p[0] as _, p[1] as _, l[0], p[2] as _, l[1]),
        call!(f, waveft_delta_weight_backward_scratch_len(of delta, to length;) |p, l| p[0] as _, p[1] as _),
        call!(f, waveft_delta_weight_backward(of delta, of x_view, of dy_view, of dx_view, write gradient, write scratch;
            COUNT => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, p[2] as _, p[3] as _, p[4] as _, l[0], p[5] as _, l[1]),
        call!(f, waveft_adam_w_step(of adam_w, write drawn, read gradient, write moments[0], write moments[1]; COUNT => Ok)
            |p, l| p[0] as _, 3, p[1] as _, p[2] as _, p[3] as _, p[4] as _, l[0]),
        call!(f, waveft_sum_of_squares(read gradient, to number; COUNT => Ok) |p, l| p[0] as _, l[0], p[1] as _),
        call!(f, waveft_clip_factor(to number;) |p, l| 1.0, 2.0, p[0] as _),
        call!(f, waveft_scale(write gradient; COUNT => Ok) |p, l| p[0] as _, l[0], 0.5),
        call!(f, waveft_dwt_measure(of dwt, to dwt_lengths;) |p, l| p[0] as _, p[1] as _),
        call!(f, waveft_dwt_forward(of dwt, read signal, write bands[0], write bands[1], write scratch;
            SAMPLES => Length, bands => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, l[0], p[2] as _, p[3] as _, l[1], p[4] as _, l[2]),
        call!(f, waveft_dwt_inverse(of dwt, read bands[0], read bands[1], write reconstructed, write scratch;
            bands => Length, SAMPLES + 1 => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, p[2] as _, l[0], p[3] as _, l[1], p[4] as _, l[2]),
        call!(f, waveft_dwt_forward_adjoint(of dwt, read bands[0], read bands[1], write signal, write scratch;
            bands => Length, SAMPLES => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, p[2] as _, l[0], p[3] as _, l[1], p[4] as _, l[2]),
        call!(f, waveft_dwt_inverse_adjoint(of dwt, read reconstructed, write bands[0], write bands[1], write scratch;
            SAMPLES + 1 => Length, bands => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, l[0], p[2] as _, p[3] as _, l[1], p[4] as _, l[2]),
        call!(f, waveft_wavedec2_measure(of wavedec2, to wavedec2_lengths;) |p, l| p[0] as _, p[1] as _),
        call!(f, waveft_wavedec2_band(of wavedec2, to band;) |p, l| p[0] as _, 1, false, true, p[1] as _),
        call!(f, waveft_wavedec2_forward(of wavedec2, of image_view, write bands2, write scratch;
            4 * 6 * 7 => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, p[2] as _, l[0], p[3] as _, l[1]),
        call!(f, waveft_wavedec2_inverse(of wavedec2, read bands2, of image_view_mut, write scratch;
            4 * 6 * 7 => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, l[0], p[2] as _, p[3] as _, l[1]),
        call!(f, waveft_wavedec2_forward_adjoint(of wavedec2, read bands2, of image_view_mut, write scratch;
            4 * 6 * 7 => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, l[0], p[2] as _, p[3] as _, l[1]),
        call!(f, waveft_wavedec2_inverse_adjoint(of wavedec2, of image_view, write bands2, write scratch;
            4 * 6 * 7 => Length, scratch => Ok)
            |p, l| p[0] as _, p[1] as _, p[2] as _, l[0], p[3] as _, l[1]),
    ]
}
