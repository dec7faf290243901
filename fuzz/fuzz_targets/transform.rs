//! Any wavelet or taps, modes, shape, levels, instruction set, algorithm, strides, element type and values: what does not
//! fit is refused and nothing is written, nothing outside the array is written, synthesis inverts analysis where the
//! banks reconstruct, adjoints are adjoints, and lifting gives what convolution gives.
#![no_main]

use std::array::from_fn;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use num_traits::{One, Zero};
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::element::{Element, Real};
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::filter_bank::{FilterBank, MAX_TAPS, Wavelet, wavelets};
use waveft_core::isa::Isa;
use waveft_core::transform::{Algorithm, Dwt, Wavedec, dwt_max_level};
use waveft_fuzz::numbers::*;
use waveft_fuzz::with_element;

/// The longest axis.
const LONGEST: usize = 6000;

/// The most that the product of `length + taps` over the axes may be, for every eighth input: enough for a line to be cut
/// into chunks.
const LARGE: usize = 20_000;

/// The same for the others: enough for every vector to have a rest, and ten times as quick.
const SMALL: usize = 1200;

#[derive(Arbitrary, Debug)]
struct Input {
    element: ElementType,
    axes: u8,
    filters: [Filters; 3],
    modes: [u8; 3],
    shape: [u16; 3],
    size: u8,
    levels: u8,
    isa: u8,
    line: Line,
    layout: Layout,
    scratch: Scratch,
    values: Values,
}

#[derive(Arbitrary, Debug)]
enum Filters {
    Named(u8),
    /// An orthogonal lattice of rotations by these angles.
    Lattice(Vec<u8>),
    /// Any taps, so that synthesis need not invert analysis.
    Own {
        taps: u8,
        numbers: Vec<i8>,
    },
}

/// How the first axis is transformed on its own.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Line {
    lifting: bool,
    /// The place of something that is not a number, if there is any.
    not_a_number: Option<u16>,
}

/// Where entries are, of arrays of two axes.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Layout {
    column_major: bool,
    between_lines: u8,
    after: u8,
}

fuzz_target!(|input: Input| with_element!(input.element, check_axes(&input)));

fn check_axes<T: Element<Real: Number>>(input: &Input) {
    match input.axes % 4 {
        0 => check::<T, 0>(input),
        1 => check::<T, 1>(input),
        2 => check::<T, 2>(input),
        _ => check::<T, 3>(input),
    }
}

fn named(index: u8) -> &'static Wavelet {
    &wavelets::ALL[usize::from(index) % wavelets::ALL.len()]
}

/// `dec_lo`, `dec_hi`, `rec_lo`, `rec_hi`, and whether synthesis inverts analysis.
fn filters<F: Number>(filters: &Filters) -> ([Vec<F>; 4], bool) {
    match filters {
        Filters::Named(index) => {
            let wavelet = named(*index);
            let bank = F::filter_bank(wavelet);
            let all = [bank.dec_lo(), bank.dec_hi(), bank.rec_lo(), bank.rec_hi()];
            (all.map(<[F]>::to_vec), wavelet.name() != "dmey")
        }
        Filters::Lattice(angles) => {
            let mut low = vec![1.0f64];
            let mut high = vec![1.0f64];
            for (step, angle) in angles.iter().take(MAX_TAPS / 2).enumerate() {
                let (sin, cos) = (f64::from(*angle) / 40.0).sin_cos();
                if step == 0 {
                    (low, high) = (vec![cos, sin], vec![-sin, cos]);
                    continue;
                }
                low.extend([0.0; 2]);
                high.splice(0..0, [0.0; 2]);
                let pairs = low.iter().zip(&high);
                (low, high) = pairs
                    .map(|(low, high)| (cos * low + sin * high, cos * high - sin * low))
                    .unzip();
            }
            let rec = [low, high].map(|taps| taps.into_iter().map(real).collect::<Vec<F>>());
            let dec = rec.clone().map(|taps| taps.into_iter().rev().collect());
            let [[dec_lo, dec_hi], [rec_lo, rec_hi]] = [dec, rec];
            ([dec_lo, dec_hi, rec_lo, rec_hi], true)
        }
        Filters::Own { taps, numbers } => {
            let taps = usize::from(*taps) % (MAX_TAPS + 4);
            let number = |at: usize| match numbers.get(at % numbers.len().max(1)) {
                Some(&number) => real(f64::from(number) / 128.0),
                None => F::one(),
            };
            let all = from_fn(|filter| (0..taps).map(|i| number(filter * taps + i)).collect());
            (all, false)
        }
    }
}

fn check<T: Element<Real: Number>, const D: usize>(input: &Input) {
    let found: [_; D] = from_fn(|axis| filters::<T::Real>(&input.filters[axis]));
    let mut banks = Vec::new();
    for (filters, ([dec_lo, dec_hi, rec_lo, rec_hi], _)) in input.filters.iter().zip(&found) {
        let bank = match filters {
            // This one has its lifting steps, too.
            Filters::Named(index) => Ok(T::Real::filter_bank(named(*index))),
            _ => FilterBank::without_reconstruction(dec_lo, dec_hi, rec_lo, rec_hi),
        };
        match bank {
            Ok(bank) => banks.push(bank),
            Err(error) => {
                let found = dec_lo.len();
                assert!(!(2..=MAX_TAPS).contains(&found) || found % 2 == 1);
                assert_eq!(
                    error,
                    Error::TapCount {
                        found,
                        most: MAX_TAPS
                    }
                );
                return;
            }
        }
    }
    let modes = ExtensionMode::ALL;
    let axes: [_; D] = from_fn(|axis| (banks[axis], modes[usize::from(input.modes[axis]) % 9]));
    let most = if input.size.is_multiple_of(8) {
        LARGE
    } else {
        SMALL
    };
    let mut shape: [usize; D] = from_fn(|axis| usize::from(input.shape[axis]) % LONGEST);
    let is_too_large = |shape: [usize; D]| {
        let extended = shape
            .iter()
            .zip(&axes)
            .map(|(length, (bank, _))| length + bank.taps());
        extended.product::<usize>() > most
    };
    while is_too_large(shape) && shape.iter().any(|&length| length > 1) {
        shape = shape.map(|length| length.div_ceil(2));
    }
    if is_too_large(shape) {
        return;
    }
    let lengths = axes.iter().zip(shape);
    let most = lengths
        .clone()
        .map(|((bank, _), length)| dwt_max_level(length, bank.taps()));
    let most = most.min().unwrap_or(0).max(1);
    let levels = usize::from(input.levels) % (most + 2);
    let isa = Isa::ALL[usize::from(input.isa) % Isa::ALL.len()];
    let Ok(plan) = Wavedec::new(axes, shape, levels) else {
        let short = lengths
            .clone()
            .any(|((_, mode), length)| length < mode.least_length());
        assert!(D == 0 || short || levels == 0 || levels > most);
        return;
    };
    assert!(D > 0 && (1..=most).contains(&levels));
    let plan = plan.with_isa(isa);
    check_layout::<T, D>(&plan, input);
    let tolerance = 16.0 * input.element.epsilon();
    let gains = axes.map(|(bank, mode)| gain(bank, mode));
    check_line::<T>(
        Dwt::new(axes[0].0, axes[0].1, shape[0])
            .expect("an axis of the plan")
            .with_isa(isa),
        matches!(&input.filters[0], Filters::Named(index) if named(*index).name() != "dmey"),
        input,
        tolerance * gains[0],
    );
    let tolerance = tolerance
        * gains
            .map(|gain| gain.powi(levels as i32))
            .iter()
            .product::<f64>();
    if matches!(input.values, Values::Noise(_)) {
        check_adjoints::<T, D>(&plan, input, tolerance);
        if found.iter().all(|(_, reconstructs)| *reconstructs) {
            check_round_trip::<T, D>(&plan, input, tolerance);
        }
    }
}

/// A bound on what a level makes of a vector's norm.
fn gain<F: Number>(bank: FilterBank<'_, F>, mode: ExtensionMode) -> f64 {
    let filters = [bank.dec_lo(), bank.dec_hi(), bank.rec_lo(), bank.rec_hi()];
    let taps = filters.concat().into_iter();
    let size = taps.map(|tap| tap.to_f64().abs()).sum::<f64>();
    let taps = bank.taps() as f64;
    let extended = match mode {
        ExtensionMode::Smooth | ExtensionMode::Antireflect => 4.0 * taps,
        _ => 1.0,
    };
    1.0 + size * extended * taps.sqrt()
}

/// All four operators on a line, by the algorithm that was drawn and, with the portable instructions, by convolution:
/// lifting is refused where a bank has no factors, gives nearly the same where it has some, and what is not a number
/// gets no further with it.
fn check_line<T: Element<Real: Number>>(
    dwt: Dwt<'_, T::Real>,
    is_factored: bool,
    input: &Input,
    tolerance: f64,
) {
    let (drawn, is_possible) = match input.line.lifting {
        true => (dwt.with_algorithm(Algorithm::Lifting), is_factored),
        false => (dwt.with_algorithm(Algorithm::Direct), true),
    };
    assert_eq!(drawn.is_ok(), is_possible);
    let Ok(drawn) = drawn else {
        return;
    };
    let portable = dwt.with_isa(Isa::Portable);
    let direct = portable
        .with_algorithm(Algorithm::Direct)
        .expect("any bank has its taps");
    for operator in Operator::ALL {
        let (from, to) = match operator {
            Operator::Forward => (dwt.length(), 2 * dwt.band_length()),
            Operator::InverseAdjoint => (dwt.reconstructed_length(), 2 * dwt.band_length()),
            Operator::Inverse => (2 * dwt.band_length(), dwt.reconstructed_length()),
            Operator::ForwardAdjoint => (2 * dwt.band_length(), dwt.length()),
        };
        let mut source = input.values.take::<T>(2, from);
        let size = norm(&double(&source));
        if let Some(at) = input.line.not_a_number {
            source[usize::from(at) % from] = T::from_real(T::Real::zero() / T::Real::zero());
        }
        let [found, expected] = [drawn, direct].map(|dwt| {
            let mut to = vec![T::from_real(T::Real::one()); to];
            let mut scratch = vec![T::Real::zero() / T::Real::zero(); dwt.scratch_len()];
            let done = operator.run(&dwt, &source, &mut to, &mut scratch);
            done.expect("the plan's lengths");
            double(&to)
        });
        let numbers: Vec<f64> = found
            .iter()
            .copied()
            .filter(|value| !value.is_nan())
            .collect();
        if matches!(input.values, Values::Noise(_)) && !overflows(input, &numbers) {
            let both = found.iter().zip(&expected);
            let (found, expected): (Vec<f64>, Vec<f64>) =
                both.filter(|(_, expected)| !expected.is_nan()).unzip();
            let error = apart(&found, &expected);
            assert!(
                error <= tolerance * size,
                "{operator:?}: {:e}",
                error / size
            );
        }
    }
}

/// The operators of a line.
#[derive(Clone, Copy, Debug)]
enum Operator {
    Forward,
    Inverse,
    ForwardAdjoint,
    InverseAdjoint,
}

impl Operator {
    const ALL: [Self; 4] = [
        Self::Forward,
        Self::Inverse,
        Self::ForwardAdjoint,
        Self::InverseAdjoint,
    ];

    /// Bands lie behind each other.
    fn run<T: Element>(
        self,
        dwt: &Dwt<'_, T::Real>,
        from: &[T],
        to: &mut [T],
        scratch: &mut [T::Real],
    ) -> Result<(), Error> {
        match self {
            Self::Forward | Self::InverseAdjoint => {
                let (approximation, detail) = to.split_at_mut(dwt.band_length());
                match self {
                    Self::Forward => dwt.forward(from, approximation, detail, scratch),
                    _ => dwt.inverse_adjoint(from, approximation, detail, scratch),
                }
            }
            Self::Inverse | Self::ForwardAdjoint => {
                let (approximation, detail) = from.split_at(dwt.band_length());
                match self {
                    Self::Inverse => dwt.inverse(approximation, detail, to, scratch),
                    _ => dwt.forward_adjoint(approximation, detail, to, scratch),
                }
            }
        }
    }
}

fn scratch<T: Element, const D: usize>(plan: &Wavedec<'_, T::Real, D>) -> Vec<T::Real> {
    // What is in it is of no account.
    vec![T::Real::zero() / T::Real::zero(); plan.scratch_len::<T>()]
}

/// Analysis or its like, of a row-major array.
fn analysed<T: Element, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    data: &[T],
    is_adjoint: bool,
) -> Vec<T> {
    let array = Array::new(data, plan.shape()).expect("the plan's shape");
    let mut coefficients = vec![T::from_real(T::Real::one()); plan.coefficients_len()];
    let mut scratch = scratch::<T, D>(plan);
    let done = match is_adjoint {
        false => plan.forward(&array, &mut coefficients, &mut scratch),
        true => plan.inverse_adjoint(&array, &mut coefficients, &mut scratch),
    };
    done.expect("the plan's lengths");
    coefficients
}

/// Synthesis or its like, to a row-major array.
fn synthesised<T: Element, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    coefficients: &[T],
    is_adjoint: bool,
) -> Vec<T> {
    let mut data = vec![T::from_real(T::Real::one()); plan.shape().iter().product()];
    let mut array = ArrayMut::new(&mut data, plan.shape()).expect("the plan's shape");
    let mut scratch = scratch::<T, D>(plan);
    let done = match is_adjoint {
        false => plan.inverse(coefficients, &mut array, &mut scratch),
        true => plan.forward_adjoint(coefficients, &mut array, &mut scratch),
    };
    done.expect("the plan's lengths");
    data
}

/// All four operators on an array with gaps, which give the bits they give without; or are refused, and write nothing.
fn check_layout<T: Element<Real: Number>, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    input: &Input,
) {
    let shape = plan.shape();
    let entries: usize = shape.iter().product();
    let data = input.values.take::<T>(0, entries);
    let coefficients = input.values.take::<T>(1, plan.coefficients_len());

    // Lines are the last axis, or the first; the others have no gaps.
    let layout = input.layout;
    let mut order: [usize; D] = from_fn(|axis| axis);
    if layout.column_major {
        order.reverse();
    }
    let mut strides = [1; D];
    for at in (0..D.saturating_sub(1)).rev() {
        let inner = order[at + 1];
        let gap = if at + 2 == D {
            usize::from(layout.between_lines)
        } else {
            0
        };
        strides[order[at]] = strides[inner] * shape[inner] + gap;
    }
    let place = |mut entry: usize| {
        let mut place = 0;
        for (length, stride) in shape.into_iter().zip(strides).rev() {
            place += entry % length * stride;
            entry /= length;
        }
        place
    };
    let length = place(entries - 1) + 1 + usize::from(layout.after);
    let filler: Vec<T> = repeated(&[0xA5, 0x3C, 0x7F], 0, length);
    let strided = |data: &[T]| {
        let mut strided = filler.clone();
        for (entry, &value) in data.iter().enumerate() {
            strided[place(entry)] = value;
        }
        strided
    };

    let mut scratch = scratch::<T, D>(plan);
    let needed = scratch.len();
    scratch.resize(input.scratch.length(needed), T::Real::one());
    let is_long_enough = scratch.len() >= needed;
    let mut expected_strides = [1; D];
    for axis in (1..D).rev() {
        expected_strides[axis - 1] = expected_strides[axis] * shape[axis];
    }
    let takes_any = matches!(input.element, ElementType::Bf16 | ElementType::F16);
    let is_taken = takes_any
        || (0..D).all(|axis| {
            strides[axis] == expected_strides[axis] || shape[axis] == 1 || (D == 2 && axis == 0)
        });
    for is_adjoint in [false, true] {
        let held = strided(&data);
        let array = Array::with_strides(&held, shape, strides).expect("within the slice");
        let mut found = coefficients.clone();
        let done = match is_adjoint {
            false => plan.forward(&array, &mut found, &mut scratch),
            true => plan.inverse_adjoint(&array, &mut found, &mut scratch),
        };
        assert_eq!(done.is_ok(), is_taken && is_long_enough, "{done:?}");
        let expected = if done.is_ok() {
            analysed(plan, &data, is_adjoint)
        } else {
            coefficients.clone()
        };
        assert_same(&found, &expected);

        let mut held = filler.clone();
        let mut array = ArrayMut::with_strides(&mut held, shape, strides).expect("kept apart");
        let done = match is_adjoint {
            false => plan.inverse(&coefficients, &mut array, &mut scratch),
            true => plan.forward_adjoint(&coefficients, &mut array, &mut scratch),
        };
        assert_eq!(done.is_ok(), is_taken && is_long_enough, "{done:?}");
        if done.is_ok() {
            let expected = strided(&synthesised(plan, &coefficients, is_adjoint));
            assert_same(&held, &expected);
        } else {
            assert!(bytes(&held) == bytes(&filler), "nothing was written");
        }
    }
    check_lengths(plan, &data, &coefficients);
}

/// Slices of other lengths and arrays of another shape are refused, and nothing is written.
fn check_lengths<T: Element<Real: Number>, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    data: &[T],
    coefficients: &[T],
) {
    let mut scratch = scratch::<T, D>(plan);
    let array = Array::new(data, plan.shape()).expect("the plan's shape");
    let mut longer = [coefficients, &coefficients[..1]].concat();
    let before = bytes(&longer);
    assert!(plan.forward(&array, &mut longer, &mut scratch).is_err());
    assert!(bytes(&longer) == before, "nothing was written");
    let mut shape = plan.shape();
    shape[D - 1] += 1;
    let mut other = vec![data[0]; shape.iter().product()];
    let before = bytes(&other);
    let mut array = ArrayMut::new(&mut other, shape).expect("its own shape");
    assert!(
        plan.inverse(coefficients, &mut array, &mut scratch)
            .is_err()
    );
    assert!(bytes(&other) == before, "nothing was written");
}

/// Whether values exceeded 65504, where f16 ends: so they may with made-up taps, and where short signals are extended far
/// along several axes.
fn overflows(input: &Input, values: &[f64]) -> bool {
    matches!(input.element, ElementType::F16) && values.iter().any(|value| !value.is_finite())
}

/// `⟨A x, c⟩ = ⟨x, Aᵀ c⟩`, and the same of synthesis; other instructions give nearly the same.
fn check_adjoints<T: Element<Real: Number>, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    input: &Input,
    tolerance: f64,
) {
    let data = input.values.take::<T>(0, plan.shape().iter().product());
    let coefficients = input.values.take::<T>(1, plan.coefficients_len());
    let (x, c) = (double(&data), double(&coefficients));
    let portable = plan.with_isa(Isa::Portable);
    for is_adjoint in [false, true] {
        let analysis = double(&analysed(plan, &data, is_adjoint));
        let synthesis = double(&synthesised(plan, &coefficients, !is_adjoint));
        if overflows(input, &analysis) || overflows(input, &synthesis) {
            continue;
        }
        let (left, right) = (product(&analysis, &c), product(&x, &synthesis));
        assert!(
            (left - right).abs() <= tolerance * norm(&x) * norm(&c),
            "{left:e} and {right:e}"
        );
        let other = double(&analysed(&portable, &data, is_adjoint));
        assert!(apart(&analysis, &other) <= tolerance * norm(&x));
        let other = double(&synthesised(&portable, &coefficients, !is_adjoint));
        assert!(apart(&synthesis, &other) <= tolerance * norm(&c));
    }
}

fn check_round_trip<T: Element<Real: Number>, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    input: &Input,
    tolerance: f64,
) {
    let data = input.values.take::<T>(0, plan.shape().iter().product());
    let coefficients = analysed(plan, &data, false);
    let (x, back) = (
        double(&data),
        double(&synthesised(plan, &coefficients, false)),
    );
    let coefficients = double(&coefficients);
    if overflows(input, &coefficients) {
        return;
    }
    let size = norm(&x) + norm(&coefficients);
    assert!(
        apart(&x, &back) <= tolerance * size,
        "{:e}",
        apart(&x, &back) / size
    );
}
