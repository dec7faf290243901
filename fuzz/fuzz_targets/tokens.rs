//! Products with tokens under any wavelet or taps, of any layer, number of tokens, place in memory, element type, bits and
//! instruction set: what does not fit is refused and nothing is written, gaps stay as they are and change no bit, products
//! and gradients are those of the matrix formed in f64, within a bound, and the adjoint is the adjoint.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use num_traits::{One, Zero};
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::element::{Element, Real};
use waveft_core::isa::Isa;
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_fuzz::layer::{Layer, MadeLayer, Most};
use waveft_fuzz::numbers::*;
use waveft_fuzz::with_element;

/// Few enough atoms to be quick with a hundred taps, enough for every vector to have a rest.
const MOST: Most = Most {
    side: 64,
    drawn: 1000,
    entries: 50_000,
};

/// The most tokens: blocks of 16 lanes, and some more.
const MOST_TOKENS: u8 = 36;

#[derive(Arbitrary, Debug)]
struct Input {
    element: ElementType,
    layer: MadeLayer,
    tokens: u8,
    isa: u8,
    /// Of the layer's inputs, of its outputs, and of the scratch.
    layouts: [Layout; 3],
    scratch: Scratch,
    /// Coefficients, scaling, made-up taps and tokens.
    values: Values,
}

/// Elements before the first token, between tokens, and behind the last.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Layout {
    before: u8,
    between: u8,
    after: u8,
}

fuzz_target!(|input: Input| with_element!(input.element, check(&input)));

fn check<T: Element<Real: Number>>(input: &Input) {
    let own_taps = |count| input.values.take(1, count);
    let Some(layer) = input.layer.make::<T::Real>(MOST, own_taps) else {
        return;
    };
    let mut coefficients: Vec<T::Real> = input.values.take(2, layer.order.len() + 1);
    let scaling = coefficients.pop().expect("one more than there are atoms");
    let isa = Isa::ALL[usize::from(input.isa) % Isa::ALL.len()];
    let delta = layer.delta(&coefficients, scaling).with_isa(isa);
    let batch = Batch::<T>::new(&delta, &layer, input);
    let found = batch.products(&delta);
    check_layout(&delta, &batch, &found, input);
    check_refusals(&delta, &batch);
    check_parts(&delta, &batch, &found);
    if let Values::Noise(_) = input.values {
        let portable = batch.products(&delta.clone().with_isa(Isa::Portable));
        let bounds = Bounds::new(&layer, &coefficients, scaling, input.element);
        for found in [&found, &portable] {
            bounds.check(&batch, found);
        }
        bounds.check_adjoint(&delta, &batch);
    }
}

/// Tokens without gaps.
struct Batch<T: Element> {
    tokens: usize,
    /// Inputs and outputs of the layer.
    sides: [usize; 2],
    x: Vec<T>,
    dy: Vec<T>,
    /// What is there before.
    y: Vec<T>,
    dx: Vec<T>,
    gradient: Vec<T::Real>,
}

/// What products and gradients were added to.
struct Products<T: Element> {
    y: Vec<T>,
    dx: Vec<T>,
    /// The gradient by the input, and both of `backward`.
    gradient: Vec<T::Real>,
    backward: (Vec<T>, Vec<T::Real>),
}

impl<T: Element<Real: Number>> Batch<T> {
    fn new(delta: &DeltaWeight<'_, T::Real>, layer: &Layer<T::Real>, input: &Input) -> Self {
        let (outputs, inputs) = layer.atoms.geometry().features();
        let tokens = usize::from(input.tokens % MOST_TOKENS) + 1;
        assert_eq!(delta.shape().0 * delta.shape().1, inputs * outputs);
        Self {
            tokens,
            sides: [inputs, outputs],
            x: input.values.take(3, tokens * inputs),
            dy: input.values.take(4, tokens * outputs),
            y: input.values.take(5, tokens * outputs),
            dx: input.values.take(6, tokens * inputs),
            gradient: input.values.take(7, layer.order.len()),
        }
    }

    fn shape(&self, side: usize) -> [usize; 2] {
        [self.tokens, self.sides[side]]
    }

    /// All of them, without gaps.
    fn products(&self, delta: &DeltaWeight<'_, T::Real>) -> Products<T> {
        let mut scratch = dirty(delta.apply_scratch_len());
        let fits = "the layer's shapes";
        let x = Array::new(&self.x, self.shape(0)).expect(fits);
        let dy = Array::new(&self.dy, self.shape(1)).expect(fits);
        let (mut y, mut dx) = (self.y.clone(), self.dx.clone());
        let mut to = ArrayMut::new(&mut y, self.shape(1)).expect(fits);
        delta.apply(&x, &mut to, &mut scratch).expect(fits);
        let mut to = ArrayMut::new(&mut dx, self.shape(0)).expect(fits);
        delta
            .apply_transposed(&dy, &mut to, &mut scratch)
            .expect(fits);

        let mut scratch = dirty(delta.backward_scratch_len());
        let mut gradient = self.gradient.clone();
        let done = delta.grad_spectrum(&x, &dy, &mut gradient, &mut scratch);
        done.expect(fits);
        let mut backward = (self.dx.clone(), self.gradient.clone());
        let mut to = ArrayMut::new(&mut backward.0, self.shape(0)).expect(fits);
        let done = delta.backward(&x, &dy, &mut to, &mut backward.1, &mut scratch);
        done.expect(fits);
        Products {
            y,
            dx,
            gradient,
            backward,
        }
    }
}

/// Scratch whose contents would be seen if they were used.
fn dirty<F: Real>(length: usize) -> Vec<F> {
    vec![F::from_f64(f64::NAN); length]
}

/// Tokens with gaps: where they lie, and what is between them.
struct Strided<T> {
    data: Vec<T>,
    before: usize,
    stride: usize,
    shape: [usize; 2],
}

impl<T: Element> Strided<T> {
    fn new(tokens: &[T], shape: [usize; 2], layout: Layout) -> Self {
        let before = usize::from(layout.before % 32);
        let stride = shape[1] + usize::from(layout.between % 32);
        let length = before + (shape[0] - 1) * stride + shape[1] + usize::from(layout.after % 32);
        let mut data = repeated(&[0xA5, 0x3C, 0x7F], 0, length);
        for (token, from) in tokens.chunks(shape[1]).enumerate() {
            data[before + token * stride..][..shape[1]].copy_from_slice(from);
        }
        Self {
            data,
            before,
            stride,
            shape,
        }
    }

    fn array(&self) -> Array<'_, T, 2> {
        Array::with_strides(&self.data[self.before..], self.shape, [self.stride, 1])
            .expect("within the slice")
    }

    fn array_mut(&mut self) -> ArrayMut<'_, T, 2> {
        let data = &mut self.data[self.before..];
        ArrayMut::with_strides(data, self.shape, [self.stride, 1]).expect("kept apart")
    }
}

/// Everything on tokens with gaps, which gives the bits that it gives without; or is refused, and writes nothing.
fn check_layout<T: Element<Real: Number>>(
    delta: &DeltaWeight<'_, T::Real>,
    batch: &Batch<T>,
    expected: &Products<T>,
    input: &Input,
) {
    let at =
        |tokens: &[T], side: usize| Strided::new(tokens, batch.shape(side), input.layouts[side]);
    let (x, dy) = (at(&batch.x, 0), at(&batch.dy, 1));
    let offset = usize::from(input.layouts[2].before % 32);
    let scratch = |needed| {
        let length = input.scratch.length(needed);
        (dirty::<T::Real>(offset + length), length >= needed)
    };

    let (mut held, fits) = scratch(delta.apply_scratch_len());
    let mut y = at(&batch.y, 1);
    let done = delta.apply(&x.array(), &mut y.array_mut(), &mut held[offset..]);
    check_done(done, fits);
    assert_same(
        &y.data,
        &at(if fits { &expected.y } else { &batch.y }, 1).data,
    );
    let mut dx = at(&batch.dx, 0);
    let done = delta.apply_transposed(&dy.array(), &mut dx.array_mut(), &mut held[offset..]);
    check_done(done, fits);
    assert_same(
        &dx.data,
        &at(if fits { &expected.dx } else { &batch.dx }, 0).data,
    );

    let (mut held, fits) = scratch(delta.backward_scratch_len());
    let mut gradient = batch.gradient.clone();
    let done = delta.grad_spectrum(&x.array(), &dy.array(), &mut gradient, &mut held[offset..]);
    check_done(done, fits);
    assert_same(
        &gradient,
        if fits {
            &expected.gradient
        } else {
            &batch.gradient
        },
    );
    let mut gradient = batch.gradient.clone();
    let mut dx = at(&batch.dx, 0);
    let mut to = dx.array_mut();
    let done = delta.backward(
        &x.array(),
        &dy.array(),
        &mut to,
        &mut gradient,
        &mut held[offset..],
    );
    check_done(done, fits);
    let (expected_dx, expected) = match fits {
        true => (&expected.backward.0, &expected.backward.1),
        false => (&batch.dx, &batch.gradient),
    };
    assert_same(&dx.data, &at(expected_dx, 0).data);
    assert_same(&gradient, expected);
}

fn check_done(done: Result<(), Error>, fits: bool) {
    let is_short = matches!(
        done,
        Err(Error::Length {
            what: "scratch",
            ..
        })
    );
    assert!(if fits { done.is_ok() } else { is_short }, "{done:?}");
}

/// Other shapes, strides and lengths are refused, and nothing is written.
fn check_refusals<T: Element<Real: Number>>(delta: &DeltaWeight<'_, T::Real>, batch: &Batch<T>) {
    let [inputs, outputs] = batch.sides;
    let mut scratch = dirty(delta.backward_scratch_len().max(delta.apply_scratch_len()));
    let array = |data, shape| Array::new(data, shape).expect("its own shape");
    let x = array(&batch.x, batch.shape(0));
    let dy = array(&batch.dy, batch.shape(1));
    // One more token, one more feature, and features apart.
    let shapes = [
        ([batch.tokens + 1, inputs], 1),
        ([batch.tokens, inputs + 1], 1),
        ([batch.tokens, inputs], 2),
    ];
    for (shape, stride) in shapes {
        if stride == 2 && inputs == 1 {
            continue;
        }
        let held = vec![T::from_real(T::Real::one()); stride * shape[0] * shape[1]];
        let mut other = held.clone();
        let strides = [stride * shape[1], stride];
        let mut y = batch.y.clone();
        let mut gradient = batch.gradient.clone();
        let x = Array::with_strides(&held, shape, strides).expect("within the slice");
        let mut of_y = ArrayMut::new(&mut y, batch.shape(1)).expect("its own shape");
        assert!(delta.apply(&x, &mut of_y, &mut scratch).is_err());
        assert!(
            delta
                .grad_spectrum(&x, &dy, &mut gradient, &mut scratch)
                .is_err()
        );
        let x = array(&batch.x, batch.shape(0));
        let mut dx = ArrayMut::with_strides(&mut other, shape, strides).expect("kept apart");
        assert!(delta.apply_transposed(&dy, &mut dx, &mut scratch).is_err());
        let done = delta.backward(&x, &dy, &mut dx, &mut gradient, &mut scratch);
        assert!(done.is_err());
        assert_same(&other, &held);
        assert_same(&y, &batch.y);
        assert_same(&gradient, &batch.gradient);
    }
    let longer = [&batch.gradient[..], &[T::Real::one()]].concat();
    let (mut gradient, mut dx) = (longer.clone(), batch.dx.clone());
    let mut to = ArrayMut::new(&mut dx, batch.shape(0)).expect("its own shape");
    assert!(
        delta
            .grad_spectrum(&x, &dy, &mut gradient, &mut scratch)
            .is_err()
    );
    let done = delta.backward(&x, &dy, &mut to, &mut gradient, &mut scratch);
    assert!(done.is_err());
    let rows = delta.shape().0;
    if rows > 1 {
        let part = delta.rows(0..rows - 1).expect("rows of the weight");
        assert!(part.apply_transposed(&dy, &mut to, &mut scratch).is_err());
        let gradient = &mut gradient[1..];
        assert!(
            part.backward(&x, &dy, &mut to, gradient, &mut scratch)
                .is_err()
        );
    }
    assert_same(&gradient, &longer);
    assert_same(&dx, &batch.dx);
    let mut y = dirty::<T::Real>(outputs);
    assert!(delta.apply_token(&dirty(inputs + 1), &mut y).is_err());
    assert!(delta.apply_token(&dirty(inputs), &mut y[1..]).is_err());
}

/// Both ways to the gradient give the same bits, and a single token goes its own way.
fn check_parts<T: Element<Real: Number>>(
    delta: &DeltaWeight<'_, T::Real>,
    batch: &Batch<T>,
    found: &Products<T>,
) {
    assert_same(&found.gradient, &found.backward.1);
    if let (1, Some(x), Some(y), Some(expected)) = (
        batch.tokens,
        T::as_reals(&batch.x),
        T::as_reals(&batch.y),
        T::as_reals(&found.y),
    ) {
        let mut y = y.to_vec();
        delta.apply_token(x, &mut y).expect("the layer's lengths");
        assert_same(&y, expected);
    }
}

/// The matrix formed in f64, and what rounding may make of products with it.
struct Bounds {
    /// Outputs × inputs, and the same of the absolute values of taps, coefficients and scaling.
    weight: Vec<f64>,
    size: Vec<f64>,
    /// Of what is computed in, times the most operations that an entry takes; and of what is stored.
    computed: f64,
    stored: f64,
    /// What is lost at least, for f16's numbers end early.
    least: f64,
    coefficients: Vec<f64>,
}

/// ΔW in f64, outputs × inputs.
fn formed(layer: &Layer<f64>, coefficients: &[f64], scaling: f64) -> Vec<f64> {
    let delta = layer.delta(coefficients, scaling);
    let (rows, columns) = delta.shape();
    let mut stored = vec![0.0; rows * columns];
    let mut matrix = MatrixMut::new(&mut stored, rows, columns).expect("its own shape");
    delta.write(&mut matrix).expect("its own shape");
    if !layer.atoms.geometry().is_transposed() {
        return stored;
    }
    let entry = |at: usize| stored[at % rows * columns + at / rows];
    (0..rows * columns).map(entry).collect()
}

impl Bounds {
    fn new<F: Number>(
        layer: &Layer<F>,
        coefficients: &[F],
        scaling: F,
        element: ElementType,
    ) -> Self {
        let (double, scaling) = (double(coefficients), Real::to_f64(scaling));
        let size: Vec<f64> = double.iter().map(|c| c.abs()).collect();
        let taps = layer.atoms.geometry().rows().taps();
        let operations = 2 * taps + coefficients.len() + MOST_TOKENS as usize + 8;
        let computed = match element {
            ElementType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        };
        Self {
            weight: formed(&layer.with_taps(Real::to_f64), &double, scaling),
            size: formed(
                &layer.with_taps(|tap: F| Real::to_f64(tap).abs()),
                &size,
                scaling.abs(),
            ),
            computed: computed * operations as f64,
            stored: element.epsilon(),
            least: match element {
                ElementType::F16 => 2f64.powi(-24),
                _ => 0.0,
            },
            coefficients: double,
        }
    }

    /// That `found` is `before` and the product of `from`, whose `to`-th weight of the `from`-th feature `at` gives.
    fn check_product<T: Element<Real: Number>>(
        &self,
        [from, before, found]: [&[T]; 3],
        [tokens, from_side, to_side]: [usize; 3],
        at: impl Fn(usize, usize) -> usize,
    ) {
        let [from, before, found] = [from, before, found].map(double);
        for token in 0..tokens {
            let from = &from[token * from_side..][..from_side];
            for to in 0..to_side {
                let (mut expected, mut size) = (before[token * to_side + to], 0.0);
                for (feature, value) in from.iter().enumerate() {
                    expected += self.weight[at(feature, to)] * value;
                    size += self.size[at(feature, to)] * value.abs();
                }
                let before = before[token * to_side + to].abs();
                let found = found[token * to_side + to];
                let most = self.computed * (size + before) + self.stored * expected.abs();
                if !found.is_finite() {
                    // Where f16 ends.
                    assert!(expected.abs() > 60_000.0, "{expected} {found}");
                    continue;
                }
                let error = (found - expected).abs();
                assert!(
                    error <= most + self.least,
                    "{token} {to}: {found} {expected} {most}"
                );
            }
        }
    }

    fn check<T: Element<Real: Number>>(&self, batch: &Batch<T>, found: &Products<T>) {
        let [inputs, outputs] = batch.sides;
        let tokens = batch.tokens;
        let forward = |feature, to| to * inputs + feature;
        let back = |feature, to| feature * inputs + to;
        let y = [&batch.x[..], &batch.y, &found.y];
        self.check_product(y, [tokens, inputs, outputs], forward);
        for dx in [&found.dx, &found.backward.0] {
            let dx = [&batch.dy[..], &batch.dx, dx];
            self.check_product(dx, [tokens, outputs, inputs], back);
        }
        self.check_gradient(batch, found);
    }

    /// The loss `⟨dy, ΔW x⟩` is linear in the coefficients: it is the product of these and its gradient.
    fn check_gradient<T: Element<Real: Number>>(&self, batch: &Batch<T>, found: &Products<T>) {
        let (expected, size) = self.loss(batch);
        let before = double(&batch.gradient);
        let parts = double(&found.gradient).into_iter().zip(&before);
        let gradient: Vec<f64> = parts.map(|(found, before)| found - before).collect();
        let before = before.iter().zip(&self.coefficients);
        let rounded: f64 = before.map(|(g, c)| (g * c).abs()).sum();
        let error = (product(&gradient, &self.coefficients) - expected).abs();
        let most = self.computed * (size + rounded);
        assert!(error <= most, "gradient: {error} {most} of {expected}");
    }

    /// `⟨dy, ΔW x⟩`, and the same of absolute values.
    fn loss<T: Element<Real: Number>>(&self, batch: &Batch<T>) -> (f64, f64) {
        let [inputs, outputs] = batch.sides;
        let (x, dy) = (double(&batch.x), double(&batch.dy));
        let (mut loss, mut size) = (0.0, 0.0);
        for (x, dy) in x.chunks(inputs).zip(dy.chunks(outputs)) {
            for (row, dy) in dy.iter().enumerate() {
                let weight = self.weight[row * inputs..][..inputs].iter();
                let products = weight.zip(&self.size[row * inputs..][..inputs]).zip(x);
                for ((weight, of_size), x) in products {
                    loss += dy * weight * x;
                    size += (dy * of_size * x).abs();
                }
            }
        }
        (loss, size)
    }

    /// `⟨dy, ΔW x⟩ = ⟨ΔWᵀ dy, x⟩`, computed in what tokens are stored in.
    fn check_adjoint<T: Element<Real: Number>>(
        &self,
        delta: &DeltaWeight<'_, T::Real>,
        batch: &Batch<T>,
    ) {
        let zeros = |count| vec![T::from_real(T::Real::zero()); count];
        let batch = Batch {
            y: zeros(batch.y.len()),
            dx: zeros(batch.dx.len()),
            x: batch.x.clone(),
            dy: batch.dy.clone(),
            gradient: batch.gradient.clone(),
            ..*batch
        };
        let found = batch.products(delta);
        let [y, dy, dx, x] = [&found.y, &batch.dy, &found.dx, &batch.x].map(|v| double(v));
        let (one, other) = (product(&y, &dy), product(&dx, &x));
        if !one.is_finite() || !other.is_finite() {
            return;
        }
        let (_, size) = self.loss(&batch);
        let error = (one - other).abs();
        let lost: f64 = dy
            .iter()
            .chain(&x)
            .map(|value| value.abs() * self.least)
            .sum();
        let most = (self.computed + self.stored) * 2.0 * size + lost;
        assert!(error <= most, "adjoint: {one} {other} {most}");
    }
}
