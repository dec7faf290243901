//! ΔW against PEFT itself: `delta.safetensors` and `merge.safetensors`, made by `tools/goldens.py`.

mod common;
mod little_endian;

use common::{Golden, Layer};
use half::{bf16, f16};
use serde_json::Value;
use waveft_core::element::{Element, Real};
use waveft_core::matrix::MatrixMut;

/// The layer of a case; PEFT's arithmetic is that of the spectrum's type.
fn layer<F: Real>(shape: (usize, usize), case: &Value, scaling: F, spectrum: &[F]) -> Layer<F> {
    let name = case["wavelet"].as_str().unwrap();
    let wavelet = case["use_idwt"].as_bool().unwrap();
    Layer::new(
        shape,
        wavelet.then(|| common::wavelet(name)),
        case["fan_in_fan_out"].as_bool().unwrap(),
        common::seed(&case["seed"]),
        scaling,
        spectrum,
    )
}

fn features(case: &Value) -> (usize, usize) {
    let size = |key: &str| case[key].as_u64().unwrap() as usize;
    (size("rows"), size("cols"))
}

fn written<F: Real, T: Element<Real = F>>(layer: &Layer<F>) -> Vec<T> {
    let (rows, columns) = layer.shape();
    let mut out = vec![T::zeroed(); rows * columns];
    let mut matrix = MatrixMut::new(&mut out, rows, columns).unwrap();
    layer.delta().write(&mut matrix).unwrap();
    out
}

/// `out × in`, from however the layer stores it.
fn out_by_in<T: Copy>(stored: &[T], (rows, columns): (usize, usize), transposed: bool) -> Vec<T> {
    if !transposed {
        return stored.to_vec();
    }
    let places = (0..columns).flat_map(|j| (0..rows).map(move |i| stored[i * columns + j]));
    places.collect()
}

/// Which entries exactly one atom covers: there our arithmetic is PEFT's bit for bit, while the
/// order in which torch's convolution sums several is its own affair.
fn alone(layer: &Layer<f32>) -> Vec<bool> {
    let (rows, columns) = layer.shape();
    let mut covers = vec![0; rows * columns];
    for i in 0..layer.coefficients.len() {
        let mut coefficients = vec![0.0; layer.coefficients.len()];
        coefficients[i] = 1.0;
        let single = Layer {
            atoms: layer.atoms.clone(),
            coefficients,
            bank: layer.bank,
            scaling: 1.0,
        };
        for (count, entry) in covers.iter_mut().zip(written::<f32, f32>(&single)) {
            *count += usize::from(entry != 0.0);
        }
    }
    covers.into_iter().map(|count| count == 1).collect()
}

/// How far PEFT's tables, which are PyWavelets', are from the wavelets they stand for; ours are
/// exact to rounding. Relative to the largest entry of ΔW.
fn table_error(wavelet: &str) -> f64 {
    match wavelet {
        "db3" => 2e-10,
        "sym3" => 5e-11,
        "sym4" | "sym5" | "sym6" | "sym7" | "sym8" => 2e-11,
        "sym2" | "sym9" | "sym10" => 1e-12,
        _ => 2e-15,
    }
}

#[test]
fn delta_is_pefts() {
    let golden = Golden::open("delta.safetensors");
    let mut covered_once = 0;
    for case in &golden.cases {
        let name = case["name"].as_str().unwrap();
        let scaling = case["scaling"].as_f64().unwrap();
        let transposed = case["fan_in_fan_out"].as_bool().unwrap();
        let (spectrum, delta) = (format!("{name}.spectrum"), format!("{name}.delta"));
        if case["dtype"] == "f64" {
            let spectrum = golden.tensor::<f64>(&spectrum);
            let layer = layer(features(case), case, scaling, &spectrum);
            let found = out_by_in(&written::<f64, f64>(&layer), layer.shape(), transposed);
            let expected = golden.tensor::<f64>(&delta);
            let largest = expected.iter().fold(0.0, |most: f64, e| most.max(e.abs()));
            assert_eq!(found.len(), expected.len(), "{name}");
            let bound = table_error(case["wavelet"].as_str().unwrap());
            for (found, expected) in found.iter().zip(&expected) {
                let off = (found - expected).abs();
                assert!(off <= bound * largest, "{name}: {found} for {expected}");
            }
        } else {
            let spectrum = golden.tensor::<f32>(&spectrum);
            let layer = layer(features(case), case, scaling as f32, &spectrum);
            let found = out_by_in(&written::<f32, f32>(&layer), layer.shape(), transposed);
            let expected = golden.tensor::<f32>(&delta);
            let largest = expected.iter().fold(0.0, |most: f32, e| most.max(e.abs()));
            let alone = out_by_in(&alone(&layer), layer.shape(), transposed);
            for ((found, expected), alone) in found.iter().zip(&expected).zip(alone) {
                let off = (found - expected).abs();
                assert!(off <= 1e-6 * largest, "{name}: {found} for {expected}");
                assert!(!alone || off == 0.0, "{name}: {found} for {expected}");
                covered_once += usize::from(alone);
            }
        }
    }
    assert!(covered_once > 500, "{covered_once}");
}

/// Adds a case's adapters one after the other, comparing with PEFT after each, then undoes them.
fn merges<T: Element + PartialEq + std::fmt::Debug>(
    golden: &Golden,
    case: &Value,
    scalar: impl Fn(f64) -> T::Real,
    real: impl Fn(T::Real) -> f64,
    epsilon: f64,
) {
    let name = case["name"].as_str().unwrap();
    let before = golden.tensor::<T>(&format!("{name}.weight"));
    let mut weight = before.clone();
    let mut undo = Vec::new();
    for (i, adapter) in case["adapters"].as_array().unwrap().iter().enumerate() {
        let spectrum = if case["spectrum_dtype"] == case["dtype"] {
            let values = golden.tensor::<T>(&format!("{name}.spectrum.{i}"));
            values.into_iter().map(T::to_real).collect()
        } else {
            golden.tensor::<T::Real>(&format!("{name}.spectrum.{i}"))
        };
        let scaling = scalar(adapter["scaling"].as_f64().unwrap());
        let layer = layer(features(case), adapter, scaling, &spectrum);
        let (rows, columns) = layer.shape();
        let mut record = vec![T::zeroed(); layer.delta().undo_len()];
        let mut matrix = MatrixMut::new(&mut weight, rows, columns).unwrap();
        layer
            .delta()
            .add_recording(&mut matrix, &mut record)
            .unwrap();
        let expected = golden.tensor::<T>(&format!("{name}.merged.{i}"));
        let delta = written::<T::Real, T::Real>(&layer);
        let largest = delta.iter().map(|&d| real(d).abs()).fold(0.0, f64::max);
        let equal = weight.iter().zip(&expected).filter(|(a, b)| a == b).count();
        let narrow = name.contains("narrow");
        // f32: dozens of overlapping atoms, summed in another order. A bf16 or f16 spectrum is
        // rounded after each of PEFT's steps, and only once by us.
        let roundings = match size_of::<T>() {
            2 if narrow => 16.0,
            2 => 1.01,
            _ => 8.0,
        };
        for (found, expected) in weight.iter().zip(&expected) {
            let (found, expected) = (real(found.to_real()), real(expected.to_real()));
            let bound = roundings * epsilon * (expected.abs() + largest);
            assert!(
                (found - expected).abs() <= bound,
                "{name}: {found} for {expected}"
            );
        }
        println!(
            "{name}: {equal} of {} entries have PEFT's bits",
            weight.len()
        );
        // Half types hide the order in which overlapping atoms are summed, all but always.
        let few = weight.len() / 50;
        assert!(
            narrow || size_of::<T>() > 2 || weight.len() - equal <= few,
            "{name}"
        );
        undo.push((layer, record));
    }
    while let Some((layer, record)) = undo.pop() {
        let (rows, columns) = layer.shape();
        let mut matrix = MatrixMut::new(&mut weight, rows, columns).unwrap();
        layer.delta().undo(&mut matrix, &record).unwrap();
    }
    assert_eq!(
        bytemuck::cast_slice::<T, u8>(&weight),
        bytemuck::cast_slice::<T, u8>(&before)
    );
}

#[test]
fn merging_is_pefts_and_undoing_is_exact() {
    let golden = Golden::open("merge.safetensors");
    let mut kinds = std::collections::BTreeSet::new();
    for case in &golden.cases {
        let kind = case["dtype"].as_str().unwrap();
        let narrow = |value: f64| value as f32;
        match kind {
            // As far as the table of sym8 goes.
            "f64" => merges::<f64>(&golden, case, |v| v, |v| v, 1e-10),
            "f32" => merges::<f32>(&golden, case, narrow, f64::from, 1.2e-7),
            "bf16" => merges::<bf16>(&golden, case, narrow, f64::from, 1.0 / 128.0),
            "f16" => merges::<f16>(&golden, case, narrow, f64::from, 1.0 / 1024.0),
            other => panic!("{other}"),
        }
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 4);
}

#[test]
fn subtracting_is_pefts_unmerge() {
    let golden = Golden::open("merge.safetensors");
    for case in golden.cases.iter().filter(|case| case["dtype"] == "bf16") {
        let name = case["name"].as_str().unwrap();
        let adapters = case["adapters"].as_array().unwrap();
        if adapters.len() > 1 || case["spectrum_dtype"] == "bf16" {
            continue;
        }
        let spectrum = golden.tensor::<f32>(&format!("{name}.spectrum.0"));
        let scaling = adapters[0]["scaling"].as_f64().unwrap() as f32;
        let layer = layer(features(case), &adapters[0], scaling, &spectrum);
        let (rows, columns) = layer.shape();
        let mut weight = golden.tensor::<bf16>(&format!("{name}.merged.0"));
        let mut matrix = MatrixMut::new(&mut weight, rows, columns).unwrap();
        layer.delta().subtract(&mut matrix).unwrap();
        let expected = golden.tensor::<bf16>(&format!("{name}.unmerged"));
        let equal = weight.iter().zip(&expected).filter(|(a, b)| a == b).count();
        assert!(
            weight.len() - equal <= weight.len() / 50,
            "{name}: {equal} of {}",
            weight.len()
        );
    }
}

#[test]
fn a_dense_spectrum_transformed_as_a_whole_gives_the_same_update() {
    for name in ["db1", "db4", "sym8", "bior2.4", "db38"] {
        for (rows, columns, transposed) in [(37usize, 52, false), (64, 33, true), (1, 1, false)] {
            let n = (rows * columns).div_ceil(3);
            let spectrum: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let wavelet = Some(common::wavelet(name));
            let layer = Layer::new((rows, columns), wavelet, transposed, 5, 2.5, &spectrum);
            let expected = written::<f32, f32>(&layer);
            let delta = layer.delta();
            assert!(delta.is_dense());
            let (rows, columns) = layer.shape();
            let mut scratch = vec![f32::NAN; delta.dense_scratch_len().unwrap()];
            // In bands of rows, in a wider matrix whose other elements stay.
            let mut found = vec![77.0f32; rows * (columns + 3)];
            for first in (0..rows).step_by(10) {
                let band = first..rows.min(first + 10);
                let delta = delta.rows(band.clone()).unwrap();
                let rest = &mut found[first * (columns + 3)..];
                let stride = columns + 3;
                let mut out =
                    MatrixMut::with_strides(rest, band.len(), columns, stride, 1).unwrap();
                delta.write_dense(&mut out, &mut scratch).unwrap();
            }
            for (found, expected) in found.chunks(columns + 3).zip(expected.chunks(columns)) {
                assert_eq!(found[columns..], [77.0; 3]);
                for (x, y) in found.iter().zip(expected) {
                    assert!((x - y).abs() < 2e-5, "{name}: {x} for {y}");
                }
            }
            let short = delta.write_dense(
                &mut MatrixMut::new(&mut vec![0.0; rows * columns], rows, columns).unwrap(),
                &mut scratch[1..],
            );
            assert!(short.is_err());
        }
    }
    let plain = Layer::new((4, 4), None, false, 5, 1.0f32, &[1.0; 9]);
    assert!(!plain.delta().is_dense());
    assert!(plain.delta().dense_scratch_len().is_err());
}
