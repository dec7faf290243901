//! ΔW on tokens against ΔW formed, its adjoint and the gradient of its spectrum.

mod common;
mod little_endian;

use common::{Layer, formed};
use half::{bf16, f16};
use waveft_core::array::{Array, ArrayMut};
use waveft_core::element::{Element, Real};
use waveft_core::error::Error;
use waveft_core::filter_bank::wavelets::{BIOR2_4, DB1, DB2, DB4, DB38, PEFT_COIF4, SYM8};
use waveft_core::filter_bank::{FilterBank, MAX_TAPS, Wavelet};
use waveft_core::isa::Isa;

const FAMILIES: [Option<&Wavelet>; 8] = [
    None,
    Some(&DB1),
    Some(&DB2),
    Some(&DB4),
    Some(&SYM8),
    Some(&BIOR2_4),
    Some(&PEFT_COIF4),
    Some(&DB38),
];

/// Outputs, inputs, coefficients.
const SHAPES: [(usize, usize, usize); 8] = [
    (1, 1, 1),
    (1, 9, 4),
    (7, 50, 60),
    (33, 17, 40),
    (16, 64, 1024),
    (65, 130, 33),
    (100, 3, 200),
    (200, 129, 700),
];

/// Numbers in −1 … 1 that look like none in particular.
fn numbers<F: Real>(count: usize, seed: usize) -> Vec<F> {
    let mut state = seed as u32 ^ 0x9e37_79b9;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 17) as i16
    };
    let scale: F = <F as From<i16>>::from(i16::MAX);
    let half = <F as From<i16>>::from(2);
    (0..count)
        .map(|_| half * <F as From<i16>>::from(next()) / scale - F::one())
        .collect()
}

fn layer<F: Real>(
    wavelet: Option<&Wavelet>,
    (outputs, inputs, n): (usize, usize, usize),
    transposed: bool,
) -> Layer<F> {
    let scaling = <F as From<i16>>::from(3);
    let shape = (outputs, inputs);
    Layer::new(shape, wavelet, transposed, 777, scaling, &numbers(n, 5))
}

fn dot<F: Real>(one: &[F], other: &[F]) -> f64 {
    let products = one.iter().zip(other);
    products.map(|(a, b)| a.to_f64() * b.to_f64()).sum()
}

/// The largest difference, beside the largest of `expected` (or one).
fn difference<F: Real>(found: &[F], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0f64, |most, x| most.max(x.abs()));
    let differences = found.iter().zip(expected);
    differences.fold(0.0, |most, (f, e)| f64::max(most, (f.to_f64() - e).abs())) / largest
}

/// Everything of one layer and one number of tokens, against matrix products in f64 with ΔW in `F`.
fn check<F: Real>(layer: &Layer<F>, transposed: bool, tokens: usize, isa: Isa, bound: f64) {
    let delta = layer.delta().with_isa(isa);
    let weight = formed(layer, transposed);
    let (outputs, inputs) = layer.atoms.geometry().features();
    let (x, dy) = (
        numbers::<F>(tokens * inputs, 1),
        numbers::<F>(tokens * outputs, 2),
    );
    let (y_before, dx_before) = (
        numbers::<F>(tokens * outputs, 3),
        numbers::<F>(tokens * inputs, 4),
    );
    let entry = |row: usize, column: usize| weight[row * inputs + column].to_f64();
    let expected_y = |at: usize| {
        let (token, row) = (at / outputs, at % outputs);
        let terms =
            (0..inputs).map(|column| x[token * inputs + column].to_f64() * entry(row, column));
        y_before[at].to_f64() + terms.sum::<f64>()
    };
    let expected_dx = |at: usize| {
        let (token, column) = (at / inputs, at % inputs);
        let terms = (0..outputs).map(|row| dy[token * outputs + row].to_f64() * entry(row, column));
        dx_before[at].to_f64() + terms.sum::<f64>()
    };
    let expected_y: Vec<f64> = (0..tokens * outputs).map(expected_y).collect();
    let expected_dx: Vec<f64> = (0..tokens * inputs).map(expected_dx).collect();

    // Dirty scratch, and more of it than is needed.
    let mut scratch = vec![<F as From<i16>>::from(99); delta.backward_scratch_len() + 3];
    let (mut y, mut dx) = (y_before.clone(), dx_before.clone());
    let x = Array::new(&x, [tokens, inputs]).unwrap();
    let dy = Array::new(&dy, [tokens, outputs]).unwrap();
    let mut to = ArrayMut::new(&mut y, [tokens, outputs]).unwrap();
    delta.apply(&x, &mut to, &mut scratch).unwrap();
    let mut to = ArrayMut::new(&mut dx, [tokens, inputs]).unwrap();
    delta.apply_transposed(&dy, &mut to, &mut scratch).unwrap();
    let context = format!("{:?} {isa:?} {tokens} {transposed}", layer.atoms.geometry());
    let found = [difference(&y, &expected_y), difference(&dx, &expected_dx)];
    assert!(
        found.iter().all(|&found| found < bound),
        "y, dx {found:?}, not {bound}: {context}"
    );

    let n = layer.coefficients.len();
    let (mut gradient, mut fused) = (numbers::<F>(n, 6), numbers::<F>(n, 6));
    let before = gradient.clone();
    delta
        .grad_spectrum(&x, &dy, &mut gradient, &mut scratch)
        .unwrap();
    let mut again = dx_before.clone();
    let mut to = ArrayMut::new(&mut again, [tokens, inputs]).unwrap();
    delta
        .backward(&x, &dy, &mut to, &mut fused, &mut scratch)
        .unwrap();
    assert!(gradient == fused, "{context}");
    assert!(
        difference(&again, &expected_dx) < bound,
        "fused dx {context}"
    );
    // The loss ⟨dy, ΔW x⟩ is linear in the coefficients: those of one at a time tell its gradient.
    for at in (0..n).step_by(n.div_ceil(7)) {
        let mut alone = vec![F::zero(); n];
        alone[at] = F::one();
        let alone = Layer {
            atoms: layer.atoms.clone(),
            coefficients: alone,
            ..*layer
        };
        let weight = formed(&alone, transposed);
        let expected: f64 = (0..tokens * outputs)
            .map(|index| {
                let (token, row) = (index / outputs, index % outputs);
                let x = &numbers::<F>(tokens * inputs, 1)[token * inputs..][..inputs];
                numbers::<F>(tokens * outputs, 2)[index].to_f64()
                    * dot(&weight[row * inputs..][..inputs], x)
            })
            .sum();
        let found = (gradient[at] - before[at]).to_f64();
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(
            error < 4.0 * bound,
            "gradient {at}: {found} {expected} {context}"
        );
    }
}

#[test]
fn products_and_gradients_are_those_of_the_matrix() {
    for wavelet in FAMILIES {
        for shape in SHAPES {
            for transposed in [false, true] {
                let single = layer::<f32>(wavelet, shape, transposed);
                let double = layer::<f64>(wavelet, shape, transposed);
                let tokens = 1 + (shape.0 * 7 + shape.1) % 5;
                check(&single, transposed, tokens, Isa::detect(), 5e-6);
                check(&double, transposed, tokens, Isa::detect(), 1e-14);
            }
        }
    }
}

#[test]
fn the_longest_filters_reach_behind_the_next_group_of_features() {
    // A group has 128 features at most, and fewer where tokens do not begin with a cache line.
    let filters = [11, 12, 13, 14].map(|seed| &*numbers::<f64>(MAX_TAPS, seed).leak());
    let [dec_lo, dec_hi, rec_lo, rec_hi] = filters;
    let bank = FilterBank::without_reconstruction(dec_lo, dec_hi, rec_lo, rec_hi).unwrap();
    for (outputs, inputs, n) in [(7, 50, 60), (304, 1, 200), (200, 528, 700)] {
        for transposed in [false, true] {
            let shape = (outputs, inputs);
            let coefficients = numbers(n, 5);
            let layer = Layer::with_bank(shape, Some(bank), transposed, 777, 3.0, &coefficients);
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                for tokens in [2, 9] {
                    check(&layer, transposed, tokens, isa, 1e-13);
                }
            }
        }
    }
}

#[test]
fn any_number_of_tokens_on_every_instruction_set() {
    let shape = (20, 35, 90);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for wavelet in [None, Some(&DB1), Some(&DB4)] {
            for tokens in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64] {
                check(
                    &layer::<f32>(wavelet, shape, false),
                    false,
                    tokens,
                    isa,
                    5e-6,
                );
                check(
                    &layer::<f64>(wavelet, shape, true),
                    true,
                    tokens,
                    isa,
                    1e-14,
                );
            }
        }
    }
}

#[test]
fn the_adjoint_passes_the_dot_test() {
    for wavelet in FAMILIES {
        for shape in SHAPES {
            let layer = layer::<f64>(wavelet, shape, false);
            let (delta, (outputs, inputs)) = (layer.delta(), layer.atoms.geometry().features());
            let tokens = 5;
            let (x, dy) = (numbers(tokens * inputs, 1), numbers(tokens * outputs, 2));
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            let mut scratch = vec![0.0; delta.apply_scratch_len()];
            let from = Array::new(&x, [tokens, inputs]).unwrap();
            let mut to = ArrayMut::new(&mut y, [tokens, outputs]).unwrap();
            delta.apply(&from, &mut to, &mut scratch).unwrap();
            let from = Array::new(&dy, [tokens, outputs]).unwrap();
            let mut to = ArrayMut::new(&mut dx, [tokens, inputs]).unwrap();
            delta
                .apply_transposed(&from, &mut to, &mut scratch)
                .unwrap();
            let (one, other) = (dot(&y, &dy), dot(&x, &dx));
            let size = (dot(&y, &y) * dot(&dy, &dy)).sqrt().max(f64::MIN_POSITIVE);
            assert!(
                (one - other).abs() / size < 1e-14,
                "{one} {other} {shape:?}"
            );
        }
    }
}

#[test]
fn one_token_is_the_same_on_its_own() {
    for wavelet in FAMILIES {
        for transposed in [false, true] {
            let layer = layer::<f64>(wavelet, (65, 130, 400), transposed);
            let delta = layer.delta();
            let x = numbers::<f64>(130 * 2, 1);
            let (mut block, mut alone) = (vec![0.5; 65 * 2], vec![0.5; 65 * 2]);
            let mut scratch = vec![0.0; delta.apply_scratch_len()];
            let mut to = ArrayMut::new(&mut block, [2, 65]).unwrap();
            let from = Array::new(&x, [2, 130]).unwrap();
            delta.apply(&from, &mut to, &mut scratch).unwrap();
            for (x, y) in x.chunks(130).zip(alone.chunks_mut(65)) {
                delta.apply_token(x, y).unwrap();
            }
            assert!(difference(&alone, &block) < 1e-14);
        }
    }
}

#[test]
fn results_do_not_depend_on_where_tokens_lie_in_memory() {
    // Groups of features begin with a cache line, wherever that is.
    for (wavelet, transposed) in [(None, false), (Some(&DB1), true), (Some(&DB4), false)] {
        let (outputs, inputs, tokens) = (96, 176, 21);
        let layer = layer::<f32>(wavelet, (outputs, inputs, 900), transposed);
        let delta = layer.delta();
        let (x, dy) = (numbers(tokens * inputs, 1), numbers(tokens * outputs, 2));
        let mut expected = None;
        for offset in 0..20 {
            let at = |numbers: &[f32]| [&vec![7.0; offset], numbers].concat();
            let (x, dy) = (at(&x), at(&dy));
            let (mut y, mut dx) = (vec![0.5f32; dy.len()], vec![0.5f32; x.len()]);
            let mut gradient = vec![0.0; 900];
            let mut scratch = vec![f32::NAN; delta.backward_scratch_len() + offset];
            let scratch = &mut scratch[offset..];
            let x = Array::new(&x[offset..], [tokens, inputs]).unwrap();
            let dy = Array::new(&dy[offset..], [tokens, outputs]).unwrap();
            let mut of_y = ArrayMut::new(&mut y[offset..], [tokens, outputs]).unwrap();
            delta.apply(&x, &mut of_y, scratch).unwrap();
            let mut of_dx = ArrayMut::new(&mut dx[offset..], [tokens, inputs]).unwrap();
            let backward = delta.backward(&x, &dy, &mut of_dx, &mut gradient, scratch);
            backward.unwrap();
            let found = (y.split_off(offset), dx.split_off(offset), gradient);
            let expected = expected.get_or_insert_with(|| found.clone());
            assert!(found == *expected, "{wavelet:?} from element {offset} on");
        }
    }
}

#[test]
fn tokens_may_be_apart_and_what_is_between_them_stays() {
    let layer = layer::<f32>(Some(&DB2), (20, 30, 50), false);
    let delta = layer.delta();
    let tokens = 19;
    let x = numbers::<f32>(tokens * 30, 1);
    let mut scratch = vec![0.0; delta.apply_scratch_len()];
    let mut together = vec![0.25; tokens * 20];
    let mut to = ArrayMut::new(&mut together, [tokens, 20]).unwrap();
    let from = Array::new(&x, [tokens, 30]).unwrap();
    delta.apply(&from, &mut to, &mut scratch).unwrap();

    let mut apart_x = vec![f32::NAN; tokens * 37];
    for (to, from) in apart_x.chunks_mut(37).zip(x.chunks(30)) {
        to[..30].copy_from_slice(from);
    }
    let mut apart = vec![0.25; tokens * 23];
    let mut to = ArrayMut::with_strides(&mut apart, [tokens, 20], [23, 1]).unwrap();
    let from = Array::with_strides(&apart_x, [tokens, 30], [37, 1]).unwrap();
    delta.apply(&from, &mut to, &mut scratch).unwrap();
    for (apart, together) in apart.chunks(23).zip(together.chunks(20)) {
        assert_eq!(apart[..20], *together);
        assert_eq!(apart[20..], [0.25; 3][..apart.len() - 20]);
    }
}

#[test]
fn tokens_that_are_read_may_overlap() {
    let (tokens, inputs, outputs) = (19, 600, 20);
    let layer = layer::<f32>(Some(&DB2), (outputs, inputs, 50), false);
    let delta = layer.delta();
    let signal = numbers::<f32>(inputs + 3 * tokens, 1);
    let mut scratch = vec![0.0; delta.apply_scratch_len()];
    for stride in [0, 1, 3] {
        let apart = (0..tokens).flat_map(|token| &signal[token * stride..][..inputs]);
        let apart: Vec<f32> = apart.copied().collect();
        let inputs_apart = Array::new(&apart, [tokens, inputs]).unwrap();
        let overlapping = Array::with_strides(&signal, [tokens, inputs], [stride, 1]).unwrap();
        let results = [inputs_apart, overlapping].map(|x| {
            let mut y = vec![0.25; tokens * outputs];
            let mut to = ArrayMut::new(&mut y, [tokens, outputs]).unwrap();
            delta.apply(&x, &mut to, &mut scratch).unwrap();
            y
        });
        assert_eq!(results[0], results[1]);
    }
}

#[test]
fn half_precision_is_computed_in_single_and_rounded_once() {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for wavelet in [None, Some(&DB1), Some(&SYM8)] {
            for tokens in [1, 6, 33] {
                rounds_once::<bf16>(isa, wavelet, tokens);
                rounds_once::<f16>(isa, wavelet, tokens);
            }
        }
    }
}

fn rounds_once<T: Element<Real = f32> + PartialEq>(
    isa: Isa,
    wavelet: Option<&Wavelet>,
    tokens: usize,
) {
    let layer = layer::<f32>(wavelet, (40, 50, 300), false);
    let delta = layer.delta().with_isa(isa);
    let round = |values: &[f32]| -> Vec<T> { values.iter().map(|&v| T::from_real(v)).collect() };
    let widen = |values: &[T]| -> Vec<f32> { values.iter().map(|value| value.to_real()).collect() };
    let (x, mut y) = (
        round(&numbers(tokens * 50, 1)),
        round(&numbers(tokens * 40, 2)),
    );
    let mut scratch = vec![0.0; delta.apply_scratch_len()];
    // Twice the tokens, so that a single one takes the same way.
    let (wide_x, mut wide_y) = (widen(&x).repeat(2), widen(&y).repeat(2));
    let from = Array::new(&wide_x, [2 * tokens, 50]).unwrap();
    let mut to = ArrayMut::new(&mut wide_y, [2 * tokens, 40]).unwrap();
    delta.apply(&from, &mut to, &mut scratch).unwrap();
    let from = Array::new(&x, [tokens, 50]).unwrap();
    let mut to = ArrayMut::new(&mut y, [tokens, 40]).unwrap();
    delta.apply(&from, &mut to, &mut scratch).unwrap();
    assert!(
        y == round(&wide_y[..y.len()]),
        "{isa:?} {wavelet:?} {tokens}"
    );
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let layer = layer::<f32>(Some(&DB2), (20, 30, 50), false);
    let delta = layer.delta();
    let x = vec![1.0f32; 60];
    let (mut y, mut scratch) = (vec![0.5f32; 40], vec![0.0; delta.backward_scratch_len()]);
    let from = Array::new(&x, [2, 30]).unwrap();
    let shape = |expected, found| Err(Error::Shape { expected, found });

    let mut to = ArrayMut::new(&mut y[..20], [1, 20]).unwrap();
    assert_eq!(
        delta.apply(&from, &mut to, &mut scratch),
        shape((2, 20), (1, 20))
    );
    let turned = Array::new(&x, [3, 20]).unwrap();
    let mut to = ArrayMut::new(&mut y, [2, 20]).unwrap();
    assert_eq!(
        delta.apply(&turned, &mut to, &mut scratch),
        shape((3, 30), (3, 20))
    );
    let by_columns = Array::with_strides(&x, [2, 30], [1, 2]).unwrap();
    let stride = Error::Stride {
        axis: 1,
        expected: 1,
        found: 2,
    };
    assert_eq!(delta.apply(&by_columns, &mut to, &mut scratch), Err(stride));
    let needed = delta.apply_scratch_len();
    let short = Error::Length {
        what: "scratch",
        expected: needed,
        found: needed - 1,
    };
    let scratch_short = &mut scratch[..needed - 1];
    assert_eq!(delta.apply(&from, &mut to, scratch_short), Err(short));
    let part = delta.rows(0..10).unwrap();
    assert_eq!(
        part.apply(&from, &mut to, &mut scratch),
        shape((20, 30), (10, 30))
    );

    let mut gradient = vec![0.5; 49];
    let dy = vec![1.0f32; 40];
    let dy = Array::new(&dy, [2, 20]).unwrap();
    let short = Error::Length {
        what: "gradient",
        expected: 50,
        found: 49,
    };
    assert_eq!(
        delta.grad_spectrum(&from, &dy, &mut gradient, &mut scratch),
        Err(short)
    );
    let token = Error::Length {
        what: "x",
        expected: 30,
        found: 29,
    };
    assert_eq!(delta.apply_token(&x[..29], &mut y[..20]), Err(token));
    assert_eq!(y, [0.5; 40]);
    assert_eq!(gradient, [0.5; 49]);
}
