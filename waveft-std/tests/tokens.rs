//! The update's products with tokens and the spectrum's gradient, against PEFT's layers and torch's autograd.

mod goldens;

use goldens::{Goldens, deviation};
use half::bf16;
use serde_json::Value;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::element::{Element, Real};
use waveft_core::filter_bank::{Wavelet, wavelets};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather, scatter};

/// A type that cases are in, from what the file holds of it.
trait FromExact: Element {
    fn from_exact(value: f64) -> Self;
    fn real_from_exact(value: f64) -> Self::Real;
    fn to_exact(self) -> f64 {
        self.to_real().to_f64()
    }
}

impl FromExact for f32 {
    fn from_exact(value: f64) -> Self {
        value as f32
    }
    fn real_from_exact(value: f64) -> f32 {
        value as f32
    }
}

impl FromExact for f64 {
    fn from_exact(value: f64) -> Self {
        value
    }
    fn real_from_exact(value: f64) -> f64 {
        value
    }
}

impl FromExact for bf16 {
    fn from_exact(value: f64) -> Self {
        bf16::from_f64(value)
    }
    fn real_from_exact(value: f64) -> f32 {
        value as f32
    }
}

/// An adapter of a layer, its coefficients in the atoms' order.
struct Adapter<F> {
    atoms: SortedAtoms<Vec<Atom>>,
    order: Vec<u32>,
    coefficients: Vec<F>,
    wavelet: Option<&'static Wavelet>,
    scaling: F,
}

impl<F: Real> Adapter<F> {
    fn new(case: &Value, adapter: &Value, drawn: &[F], scaling: F) -> Self {
        let [rows, columns] = ["rows", "cols"].map(|side| case[side].as_u64().unwrap() as usize);
        let wavelet = adapter["use_idwt"].as_bool().unwrap().then(|| {
            match adapter["wavelet"].as_str().unwrap() {
                "coif4" => &wavelets::PEFT_COIF4,
                name => Wavelet::from_name(name).unwrap(),
            }
        });
        let mut geometry = Geometry::new(rows, columns, wavelet.map_or(1, Wavelet::taps)).unwrap();
        if case["fan_in_fan_out"].as_bool().unwrap() {
            geometry = geometry.fan_in_fan_out();
        }
        let n = drawn.len();
        // As torch takes it: a negative one as two's complement.
        let seed = adapter["seed"].as_str().unwrap().parse::<i128>().unwrap() as u64;
        let mut places = vec![Location::default(); n];
        let mut scratch = vec![0; scratch_len((rows * columns) as u64, n)];
        locations(rows, columns, seed, &mut places, &mut scratch).unwrap();
        let mut order = vec![0; n];
        let atoms = vec![Atom::default(); n];
        let atoms = SortedAtoms::new(geometry, &places, atoms, &mut order).unwrap();
        let mut coefficients = drawn.to_vec();
        gather(&order, drawn, &mut coefficients).unwrap();
        Self {
            atoms,
            order,
            coefficients,
            wavelet,
            scaling,
        }
    }

    fn delta(&self) -> DeltaWeight<'_, F> {
        let spectrum = SparseSpectrum::new(&self.atoms, &self.coefficients).unwrap();
        DeltaWeight::new(spectrum, self.wavelet.map(F::filter_bank), self.scaling).unwrap()
    }
}

/// One layer in `T`; `bound` is for everything but what torch's own result is off.
fn check<T: FromExact>(goldens: &Goldens, case: &Value, bound: f64) {
    let name = case["name"].as_str().unwrap();
    let values = |tensor: &str| goldens.values(&format!("{name}.{tensor}"));
    let elements = |tensor: &str| {
        values(tensor)
            .into_iter()
            .map(T::from_exact)
            .collect::<Vec<T>>()
    };
    let [rows, columns, tokens] =
        ["rows", "cols", "tokens"].map(|side| case[side].as_u64().unwrap() as usize);
    let (x, dy) = (elements("x"), elements("dy"));
    let (x, dy) = (
        Array::new(&x, [tokens, columns]).unwrap(),
        Array::new(&dy, [tokens, rows]).unwrap(),
    );

    // The base's part, in f64.
    let (weight, x64, dy64) = (values("weight"), values("x"), values("dy"));
    let transposed = case["fan_in_fan_out"].as_bool().unwrap();
    let entry = |row: usize, column: usize| match transposed {
        true => weight[column * rows + row],
        false => weight[row * columns + column],
    };
    let bias = match case["bias"].as_str() {
        Some("none") => vec![0.0; rows],
        _ => values("bias"),
    };
    let of_base = |token: usize, row: usize| {
        let terms = (0..columns).map(|column| x64[token * columns + column] * entry(row, column));
        bias[row] + terms.sum::<f64>()
    };
    let of_base_back = |token: usize, column: usize| {
        let terms = (0..rows).map(|row| dy64[token * rows + row] * entry(row, column));
        terms.sum::<f64>()
    };
    let y = (0..tokens * rows).map(|at| T::from_exact(of_base(at / rows, at % rows)));
    let dx =
        (0..tokens * columns).map(|at| T::from_exact(of_base_back(at / columns, at % columns)));
    let (mut y, mut dx): (Vec<T>, Vec<T>) = (y.collect(), dx.collect());

    let torch_is_off = |tensor: &str| case["deviation"][tensor].as_f64().unwrap();
    for (index, adapter) in case["adapters"].as_array().unwrap().iter().enumerate() {
        let drawn = values(&format!("spectrum.{index}"));
        let drawn: Vec<_> = drawn.into_iter().map(T::real_from_exact).collect();
        let scaling = T::real_from_exact(adapter["scaling"].as_f64().unwrap());
        let adapter = Adapter::new(case, adapter, &drawn, scaling);
        let delta = adapter.delta();
        let mut scratch = vec![T::Real::ZERO; delta.backward_scratch_len()];
        let mut gradient = vec![T::Real::ZERO; drawn.len()];
        let mut to = ArrayMut::new(&mut y, [tokens, rows]).unwrap();
        delta.apply(&x, &mut to, &mut scratch).unwrap();
        let mut to = ArrayMut::new(&mut dx, [tokens, columns]).unwrap();
        delta
            .backward(&x, &dy, &mut to, &mut gradient, &mut scratch)
            .unwrap();

        let mut in_drawn_order = gradient.clone();
        scatter(&adapter.order, &gradient, &mut in_drawn_order).unwrap();
        let tensor = format!("dspectrum.{index}");
        let found = in_drawn_order.iter().map(|value| value.to_f64());
        let off = deviation(found, &values(&tensor));
        assert!(
            off <= bound + torch_is_off(&tensor),
            "{name}.{tensor} {off:e}"
        );
    }
    for (tensor, found) in [("y", y), ("dx", dx)] {
        let off = deviation(found.into_iter().map(T::to_exact), &values(tensor));
        assert!(
            off <= bound + torch_is_off(tensor),
            "{name}.{tensor} {off:e}"
        );
    }
}

#[test]
fn products_and_gradients_are_those_of_peft() {
    let goldens = Goldens::read();
    let layers = goldens.cases["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 81);
    for case in layers {
        match case["dtype"].as_str() {
            // PEFT's taps are off by up to 3.6e-12, of which each atom has two.
            Some("f64") => check::<f64>(&goldens, case, 7.2e-12),
            Some("f32") => check::<f32>(&goldens, case, 1e-6),
            // A rounding of the base's part and one of the sum.
            _ => check::<bf16>(&goldens, case, 1.0 / 128.0),
        }
    }
}
