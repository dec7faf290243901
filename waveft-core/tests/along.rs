//! Transforms along an axis of strided arrays against those of each line on its own.

use half::bf16;
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::element::{Element, Real};
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::filter_bank::{FilterBank, wavelets};
use waveft_core::isa::Isa;
use waveft_core::transform::{Algorithm, Dwt};

const AXES: usize = 3;

/// Elements that belong to no entry.
const FOREIGN: i16 = 77;

/// Strides of a shape whose axes lie in memory in an order, the first the widest, with `gap` elements
/// left out behind each run along the last, and `step` elements from an entry of it to the next.
fn strides(shape: [usize; AXES], order: [usize; AXES], gap: usize, step: usize) -> [usize; AXES] {
    let mut strides = [0; AXES];
    let mut stride = step;
    for &axis in order.iter().rev() {
        strides[axis] = stride;
        stride = stride * shape[axis] + gap;
    }
    strides
}

/// Elements that an array reaches, and some more.
fn reach(shape: [usize; AXES], strides: [usize; AXES]) -> usize {
    5 + (0..AXES)
        .map(|axis| (shape[axis] - 1) * strides[axis])
        .sum::<usize>()
}

/// The places of each line along an axis, entry by entry.
fn lines(shape: [usize; AXES], strides: [usize; AXES], axis: usize) -> Vec<Vec<usize>> {
    let mut others = shape;
    others[axis] = 1;
    let mut lines = Vec::new();
    for i in 0..others[0] {
        for j in 0..others[1] {
            for k in 0..others[2] {
                let start = i * strides[0] + j * strides[1] + k * strides[2];
                lines.push(
                    (0..shape[axis])
                        .map(|at| start + at * strides[axis])
                        .collect(),
                );
            }
        }
    }
    lines
}

fn noise<T: Element>(length: usize, seed: usize) -> Vec<T> {
    let value = |i: usize| ((i * 7919 + seed * 104_729) % 2003) as i16 - 1001;
    let thousand = <T::Real as From<i16>>::from(1000);
    (0..length)
        .map(|i| T::from_real(<T::Real as From<i16>>::from(value(i)) / thousand))
        .collect()
}

/// Entries of a line, and that nothing else was written.
fn check<T: Element + PartialEq>(
    found: &[T],
    expected: &[(Vec<usize>, Vec<T>)],
    tolerance: f64,
    case: &str,
) {
    let foreign = T::from_real(<T::Real as From<i16>>::from(FOREIGN));
    let mut own = vec![None; found.len()];
    for (places, values) in expected {
        for (&place, &value) in places.iter().zip(values) {
            assert!(own[place].replace(value).is_none());
        }
    }
    for (&found, own) in found.iter().zip(own) {
        match own {
            None => assert!(found == foreign, "{case}: a foreign element was written"),
            Some(value) => {
                let (x, y) = (found.to_real().to_f64(), value.to_real().to_f64());
                assert!((x - y).abs() <= tolerance, "{case}: {x} for {y}");
            }
        }
    }
}

/// All four operators along each axis of one shape, in every order of the axes in memory.
fn agree<T: Element + PartialEq>(bank: FilterBank<'_, T::Real>, tolerance: f64)
where
    T::Real: Real,
{
    let dirty = <T::Real as From<i16>>::from(i16::MAX);
    let foreign = T::from_real(<T::Real as From<i16>>::from(FOREIGN));
    for (index, mode) in ExtensionMode::ALL.into_iter().enumerate() {
        for axis in 0..AXES {
            let mut shape = [3, 7, 4];
            shape[axis] = 9 + index;
            let dwt = Dwt::new(bank, mode, shape[axis]).unwrap();
            let dwt = dwt.with_algorithm(Algorithm::Direct).unwrap();
            let mut band_shape = shape;
            band_shape[axis] = dwt.band_length();
            let mut whole = shape;
            whole[axis] = dwt.reconstructed_length();
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 1, 0]] {
                for (gap, step) in [(0, 1), (3, 1), (0, 2)] {
                    let case = format!("{mode:?}, axis {axis}, {order:?}, {gap}, {step}");
                    let layout = |shape| strides(shape, order, gap, step);
                    let [of_signal, of_band, of_whole] = [shape, band_shape, whole].map(layout);
                    let mut scratch = vec![dirty; dwt.along_scratch_len()];
                    let band = |seed| noise::<T>(reach(band_shape, of_band), seed);
                    let bands = [band(1), band(2)];
                    let views = bands
                        .each_ref()
                        .map(|band| Array::with_strides(band, band_shape, of_band).unwrap());
                    let take = |from: &[T], places: &[usize]| -> Vec<T> {
                        places.iter().map(|&place| from[place]).collect()
                    };
                    let of_bands = lines(band_shape, of_band, axis);

                    for adjoint in [false, true] {
                        // Analysis.
                        let (shape, strides) = if adjoint {
                            (whole, of_whole)
                        } else {
                            (shape, of_signal)
                        };
                        let signal = noise::<T>(reach(shape, strides), 3);
                        let view = Array::with_strides(&signal, shape, strides).unwrap();
                        let mut found = [foreign; 2].map(|x| vec![x; reach(band_shape, of_band)]);
                        let [low, high] = &mut found;
                        let mut low = ArrayMut::with_strides(low, band_shape, of_band).unwrap();
                        let mut high = ArrayMut::with_strides(high, band_shape, of_band).unwrap();
                        let scratch = &mut scratch;
                        let mut expected = [vec![], vec![]];
                        for (places, of_band) in lines(shape, strides, axis).iter().zip(&of_bands) {
                            let line = take(&signal, places);
                            let mut parts = [foreign; 2].map(|x| vec![x; dwt.band_length()]);
                            let [a, d] = &mut parts;
                            if adjoint {
                                dwt.inverse_adjoint(&line, a, d, scratch).unwrap();
                            } else {
                                dwt.forward(&line, a, d, scratch).unwrap();
                            }
                            for (expected, part) in expected.iter_mut().zip(parts) {
                                expected.push((of_band.clone(), part));
                            }
                        }
                        let done = if adjoint {
                            dwt.inverse_adjoint_along(axis, &view, &mut low, &mut high, scratch)
                        } else {
                            dwt.forward_along(axis, &view, &mut low, &mut high, scratch)
                        };
                        done.unwrap();
                        for (found, expected) in found.iter().zip(&expected) {
                            check(found, expected, tolerance, &case);
                        }

                        // Synthesis.
                        let (shape, strides) = if adjoint {
                            (self::shape_of(shape, axis, dwt.length()), of_signal)
                        } else {
                            (whole, of_whole)
                        };
                        let mut found = vec![foreign; reach(shape, strides)];
                        let mut signal =
                            ArrayMut::with_strides(&mut found, shape, strides).unwrap();
                        let [low, high] = &views;
                        let done = if adjoint {
                            dwt.forward_adjoint_along(axis, low, high, &mut signal, scratch)
                        } else {
                            dwt.inverse_along(axis, low, high, &mut signal, scratch)
                        };
                        done.unwrap();
                        let expected: Vec<_> = lines(shape, strides, axis)
                            .into_iter()
                            .zip(&of_bands)
                            .map(|(places, of_band)| {
                                let parts = bands.each_ref().map(|band| take(band, of_band));
                                let mut line = vec![foreign; places.len()];
                                let [a, d] = &parts;
                                if adjoint {
                                    dwt.forward_adjoint(a, d, &mut line, scratch).unwrap();
                                } else {
                                    dwt.inverse(a, d, &mut line, scratch).unwrap();
                                }
                                (places, line)
                            })
                            .collect();
                        check(&found, &expected, tolerance, &case);
                    }
                }
            }
        }
    }
}

fn shape_of(mut shape: [usize; AXES], axis: usize, length: usize) -> [usize; AXES] {
    shape[axis] = length;
    shape
}

#[test]
fn lines_of_an_array_are_transformed_as_lines() {
    agree::<f64>(wavelets::DB3.double(), 1e-13);
    agree::<f64>(wavelets::HAAR.double(), 1e-14);
    agree::<f32>(wavelets::BIOR4_4.single(), 1e-4);
    agree::<bf16>(wavelets::SYM4.single(), 0.3);
}

#[test]
fn instruction_sets_agree_on_wide_arrays() {
    let shape = [37, 1100];
    let data = noise::<f32>(37 * 1100, 1);
    let mut results = Vec::new();
    for isa in Isa::ALL {
        let dwt = Dwt::new(wavelets::DB4.single(), ExtensionMode::Smooth, 37).unwrap();
        let dwt = dwt.with_isa(isa);
        let band = [dwt.band_length(), 1100];
        let (mut a, mut d) = (vec![0.0; band[0] * 1100], vec![0.0; band[0] * 1100]);
        let mut scratch = vec![f32::NAN; dwt.along_scratch_len()];
        let mut low = ArrayMut::new(&mut a, band).unwrap();
        let mut high = ArrayMut::new(&mut d, band).unwrap();
        let signal = Array::new(&data, shape).unwrap();
        dwt.forward_along(0, &signal, &mut low, &mut high, &mut scratch)
            .unwrap();
        let mut back = vec![f32::NAN; 38 * 1100];
        let mut whole = ArrayMut::new(&mut back, [38, 1100]).unwrap();
        let (low, high) = (Array::new(&a, band).unwrap(), Array::new(&d, band).unwrap());
        dwt.inverse_along(0, &low, &high, &mut whole, &mut scratch)
            .unwrap();
        for (x, y) in data.iter().zip(&back) {
            assert!((x - y).abs() < 1e-4, "{isa:?}: {y} for {x}");
        }
        results.push([a, d, back].concat());
    }
    for result in &results[1..] {
        let close = |(x, y): (&f32, &f32)| (x - y).abs() < 1e-4;
        assert!(results[0].iter().zip(result).all(close));
    }
}

#[test]
fn wrong_axes_shapes_and_scratch_are_refused_and_nothing_is_written() {
    let dwt = Dwt::new(wavelets::DB2.double(), ExtensionMode::Zero, 6).unwrap();
    let data = [1.0f64; 24];
    let signal = Array::new(&data, [4, 6]).unwrap();
    let (mut low, mut high) = ([7.0; 16], [7.0; 16]);
    let mut scratch = vec![0.0; dwt.along_scratch_len()];
    let mut run = |axis, shape, scratch: &mut [f64]| {
        let low = &mut ArrayMut::new(&mut low, shape).unwrap();
        let high = &mut ArrayMut::new(&mut high, [4, 4]).unwrap();
        dwt.forward_along(axis, &signal, low, high, scratch)
    };
    let axes = Error::NoSuchAxis { axes: 2, found: 2 };
    assert_eq!(run(2, [4, 4], &mut scratch), Err(axes));
    let error = |what, axis, expected, found| {
        Err(Error::AxisLength {
            what,
            axis,
            expected,
            found,
        })
    };
    assert_eq!(run(0, [4, 4], &mut scratch), error("signal", 0, 6, 4));
    assert_eq!(
        run(1, [2, 8], &mut scratch),
        error("approximation", 0, 4, 2)
    );
    let short = scratch.len() - 1;
    let refused = Error::Length {
        what: "scratch",
        expected: scratch.len(),
        found: short,
    };
    assert_eq!(run(1, [4, 4], &mut scratch[..short]), Err(refused));
    assert_eq!(run(1, [4, 4], &mut scratch), Ok(()));
    assert!(!low.contains(&7.0) && !high.contains(&7.0));
}
