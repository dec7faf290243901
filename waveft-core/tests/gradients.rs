//! The gradients against differences of a loss that is no polynomial, in f64 and with ΔW formed.

mod common;
mod little_endian;

use common::{Layer, formed, layers};
use proptest::prelude::*;
use waveft_core::array::{Array, ArrayMut};

/// What the differences are taken over: error `O(STEP⁴)` of the formula, `O(ε / STEP)` of the rounding.
const STEP: f64 = 1e-3;

/// A layer's coefficients and inputs, and the outputs that it has before the update is added.
#[derive(Clone, Debug)]
struct Point {
    layer: Layer<f64>,
    transposed: bool,
    x: Vec<f64>,
    before: Vec<f64>,
}

/// A direction in the coefficients and in the inputs.
struct Direction {
    coefficients: Vec<f64>,
    x: Vec<f64>,
}

impl Point {
    /// `Σ sin(y)`, `y = before + x ΔWᵀ`.
    fn loss(&self) -> f64 {
        let weight = formed(&self.layer, self.transposed);
        let (outputs, inputs) = self.layer.atoms.geometry().features();
        let tokens = self.x.chunks(inputs).zip(self.before.chunks(outputs));
        let of_token = |(x, before): (&[f64], &[f64])| {
            let rows = weight.chunks(inputs).zip(before);
            rows.map(|(row, before)| (before + dot(row, x)).sin())
                .sum::<f64>()
        };
        tokens.map(of_token).sum()
    }

    /// `∂loss/∂y` where the layer itself says that `y` is.
    fn output_gradient(&self) -> Vec<f64> {
        let (outputs, inputs) = self.layer.atoms.geometry().features();
        let delta = self.layer.delta();
        let tokens = self.x.len() / inputs;
        let mut y = self.before.clone();
        let mut scratch = vec![f64::NAN; delta.apply_scratch_len()];
        let x = Array::new(&self.x, [tokens, inputs]).unwrap();
        let mut to = ArrayMut::new(&mut y, [tokens, outputs]).unwrap();
        delta.apply(&x, &mut to, &mut scratch).unwrap();
        y.into_iter().map(f64::cos).collect()
    }

    /// The loss's gradient by the coefficients and by the inputs, which all products agree about.
    fn gradient(&self) -> Direction {
        let (outputs, inputs) = self.layer.atoms.geometry().features();
        let delta = self.layer.delta();
        let tokens = self.x.len() / inputs;
        let dy = self.output_gradient();
        let x = Array::new(&self.x, [tokens, inputs]).unwrap();
        let dy = Array::new(&dy, [tokens, outputs]).unwrap();
        let mut scratch = vec![f64::NAN; delta.backward_scratch_len()];
        let (mut dx, mut coefficients) = (
            vec![0.0; self.x.len()],
            vec![0.0; self.layer.coefficients.len()],
        );
        let (mut apart_dx, mut apart) = (dx.clone(), coefficients.clone());
        let mut to = ArrayMut::new(&mut dx, [tokens, inputs]).unwrap();
        delta
            .backward(&x, &dy, &mut to, &mut coefficients, &mut scratch)
            .unwrap();
        delta
            .grad_spectrum(&x, &dy, &mut apart, &mut scratch)
            .unwrap();
        let mut to = ArrayMut::new(&mut apart_dx, [tokens, inputs]).unwrap();
        delta.apply_transposed(&dy, &mut to, &mut scratch).unwrap();
        assert_eq!(coefficients, apart);
        // One token alone is multiplied in another order.
        for (fused, apart) in dx.iter().zip(&apart_dx) {
            assert!(
                (fused - apart).abs() < 1e-11 * fused.abs().max(1.0),
                "{fused} {apart}"
            );
        }
        Direction {
            coefficients,
            x: dx,
        }
    }

    fn moved(&self, along: &Direction, by: f64) -> Self {
        let step = |values: &mut [f64], along: &[f64]| {
            for (value, along) in values.iter_mut().zip(along) {
                *value += by * along;
            }
        };
        let mut moved = self.clone();
        step(&mut moved.layer.coefficients, &along.coefficients);
        step(&mut moved.x, &along.x);
        moved
    }

    /// The loss's derivative along a direction, by central differences of the fourth order.
    fn slope(&self, along: &Direction) -> f64 {
        let loss = |by: f64| self.moved(along, by * STEP).loss();
        (8.0 * (loss(1.0) - loss(-1.0)) - (loss(2.0) - loss(-2.0))) / (12.0 * STEP)
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// Numbers in −1 … 1.
fn numbers(count: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0..1.0f64, count)
}

fn points() -> impl Strategy<Value = Point> {
    // Past a block of tokens and a part of one.
    (layers(), 1usize..20).prop_flat_map(
        |((wavelet, shape, spectrum, seed, transposed), tokens)| {
            let layer = Layer::new(shape, wavelet, transposed, seed, 0.5, &spectrum);
            let (outputs, inputs) = layer.atoms.geometry().features();
            (numbers(tokens * inputs), numbers(tokens * outputs)).prop_map(move |(x, before)| {
                Point {
                    layer: layer.clone(),
                    transposed,
                    x,
                    before,
                }
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn gradients_are_the_slopes_of_the_loss(point in points(), at in prop::array::uniform4(0.0..1.0f64)) {
        let gradient = point.gradient();
        let zeros = || Direction {
            coefficients: vec![0.0; point.layer.coefficients.len()],
            x: vec![0.0; point.x.len()],
        };
        let mut directions = Vec::new();
        for at in at {
            let mut one = zeros();
            one.coefficients[(at * point.layer.coefficients.len() as f64) as usize] = 1.0;
            directions.push(one);
            let mut one = zeros();
            one.x[(at * point.x.len() as f64) as usize] = 1.0;
            directions.push(one);
        }
        // All of them at once, and not far.
        let signs = |length: usize| {
            let size = 1.0 / (length as f64).sqrt();
            (0..length).map(|at| size * (17.0 * at as f64).sin()).collect::<Vec<f64>>()
        };
        directions.push(Direction { x: signs(point.x.len()), ..zeros() });
        directions.push(Direction { coefficients: signs(point.layer.coefficients.len()), ..zeros() });
        for along in directions {
            let expected = point.slope(&along);
            let found = dot(&gradient.coefficients, &along.coefficients) + dot(&gradient.x, &along.x);
            let off = (found - expected).abs() / expected.abs().max(1.0);
            prop_assert!(off < 1e-8, "{found} for {expected}");
        }
    }
}
