//! ΔW on tokens, without ΔW: `y += x ΔWᵀ`, its adjoint, and the gradient of the spectrum.

use super::DeltaWeight;
use super::products::{Product, scratch_len};
use super::side::Side;
use super::token::ApplyToken;
use crate::array::{Array, ArrayMut};
use crate::element::{Element, Real};
use crate::error::{Error, check_length, check_scratch};
use crate::geometry::Geometry;
use crate::lanes::HAS_VECTORS;

/// Elements of scratch that [`DeltaWeight::apply`] and [`DeltaWeight::apply_transposed`] need with `count` coefficients, `n`.
///
/// In `f32` these are `8 (S + 2 L + 524) + ⌊S / 128⌋ + 4 n`, or `S + 2 L + 128 + ⌊S / 32⌋ + 4 n` without vector instructions, and 17
/// more; `S` are the slots of the side that has more ([`Axis::padded_length`](crate::geometry::Axis::padded_length)).
///
/// ```
/// use waveft_core::{geometry::Geometry, operator::apply_scratch_len};
/// const LAYER: Geometry = match Geometry::new(64, 48, 2) {
///     Ok(layer) => layer,
///     Err(_) => panic!("a layer that is none"),
/// };
/// static SCRATCH: [f32; apply_scratch_len::<f32>(LAYER, 100)] = [0.0; _];
/// ```
#[must_use]
pub const fn apply_scratch_len<F: Real>(layer: Geometry, count: usize) -> usize {
    scratch_len::<F>(layer, count, 0)
}

/// Elements of scratch that [`DeltaWeight::backward`] and [`DeltaWeight::grad_spectrum`] need with `count` coefficients: those of
/// [`apply_scratch_len`] and one for each coefficient.
#[must_use]
pub const fn backward_scratch_len<F: Real>(layer: Geometry, count: usize) -> usize {
    scratch_len::<F>(layer, count, count)
}

/// Matrix-free products. With `M` outputs, `N` inputs, filters of `L` taps and `n` coefficients, each costs
/// `O((M + N) · L + n)` operations a token, where forming ΔW for a product costs `O(M · N)`.
///
/// Tokens are rows: `x` and `dx` are tokens × N, `y` and `dy` tokens × M, with any stride from a token to the next, and
/// features next to each other. Types of 16 bits are computed in `f32` and rounded once, when they are written.
/// `fan_in_fan_out` is in the geometry and changes nothing here: `x` always has the layer's inputs.
///
/// Sums over tokens and within one are taken in an order that depends on the instruction set and on nothing else.
impl<F: Real> DeltaWeight<'_, F> {
    /// `y += x ΔWᵀ`: what the update adds to the layer's output.
    ///
    /// A single token in the type that is computed in goes the way of [`apply_token`](Self::apply_token), if there are vector
    /// instructions.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `x` is tokens × N and `y` tokens × M, or if [`rows`](Self::rows) made this a part of an
    /// update; [`Error::Stride`] unless features are next to each other; [`Error::Length`] unless `scratch` has
    /// [`apply_scratch_len`](Self::apply_scratch_len) elements or more.
    ///
    /// ```
    /// # use waveft_core::{array::*, filter_bank::wavelets::DB2, geometry::*, operator::DeltaWeight, sampling::Location};
    /// # use waveft_core::{matrix::MatrixMut, spectrum::*};
    /// let layer = Geometry::new(4, 6, DB2.taps())?;
    /// let places = [Location { row: 1, column: 2 }];
    /// let atoms = SortedAtoms::new(layer, &places, [Atom::default(); 1], &mut [0])?;
    /// let delta = DeltaWeight::new(SparseSpectrum::new(&atoms, &[2.0])?, Some(DB2.double()), 25.0)?;
    ///
    /// let (x, mut y) = ([0.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0_f64; 4]); // takes column 1 out of ΔW
    /// let mut scratch = vec![0.0; delta.apply_scratch_len()];
    /// delta.apply(&Array::new(&x, [1, 6])?, &mut ArrayMut::new(&mut y, [1, 4])?, &mut scratch)?;
    ///
    /// let mut weight = [0.0; 4 * 6];
    /// delta.write(&mut MatrixMut::new(&mut weight, 4, 6)?)?;
    /// assert!((0..4).all(|row| (y[row] - weight[row * 6 + 1]).abs() < 1e-15));
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn apply<T: Element<Real = F>>(
        &self,
        x: &Array<'_, T, 2>,
        y: &mut ArrayMut<'_, T, 2>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let [inputs, outputs] = self.sides();
        self.multiply(inputs, outputs, x, y, scratch)
    }

    /// `dx += dy ΔW`: the adjoint of [`apply`](Self::apply), which takes the gradient of the loss by the layer's output to
    /// that by its input.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply), with `dy` tokens × M and `dx` tokens × N.
    pub fn apply_transposed<T: Element<Real = F>>(
        &self,
        dy: &Array<'_, T, 2>,
        dx: &mut ArrayMut<'_, T, 2>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let [inputs, outputs] = self.sides();
        self.multiply(outputs, inputs, dy, dx, scratch)
    }

    /// `y += x ΔWᵀ` of one token, without scratch: `x` has N elements and `y` M. Touches nothing but what the atoms cover,
    /// `O(n · L)`.
    ///
    /// # Errors
    /// [`Error::Length`] unless `x` and `y` have the layer's lengths, [`Error::Shape`] if this is a part of an update.
    pub fn apply_token(&self, x: &[F], y: &mut [F]) -> Result<(), Error> {
        self.check_whole()?;
        let [inputs, outputs] = self.sides();
        for (what, side, found) in [("x", inputs, x.len()), ("y", outputs, y.len())] {
            check_length(what, side.axis.length(), found)?;
        }
        self.multiply_token(inputs, outputs, x, y);
        Ok(())
    }

    /// `gradient += ∂loss/∂c`, in the atoms' order: for each coefficient `scaling · Σ (Rᵀ dy)[its row] · (Cᵀ x)[its
    /// column]` over the tokens.
    ///
    /// # Errors
    /// Those of [`backward`](Self::backward).
    pub fn grad_spectrum<T: Element<Real = F>>(
        &self,
        x: &Array<'_, T, 2>,
        dy: &Array<'_, T, 2>,
        gradient: &mut [F],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.differentiate(x, dy, None, gradient, scratch)
    }

    /// [`grad_spectrum`](Self::grad_spectrum) and [`apply_transposed`](Self::apply_transposed) in one, which analyse `dy`
    /// once for both.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `x` and `dx` are tokens × N and `dy` tokens × M, or if this is a part of an update;
    /// [`Error::Stride`] unless features are next to each other; [`Error::Length`] unless `gradient` has `n` elements and
    /// `scratch` [`backward_scratch_len`](Self::backward_scratch_len) or more.
    pub fn backward<T: Element<Real = F>>(
        &self,
        x: &Array<'_, T, 2>,
        dy: &Array<'_, T, 2>,
        dx: &mut ArrayMut<'_, T, 2>,
        gradient: &mut [F],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.differentiate(x, dy, Some(dx), gradient, scratch)
    }

    /// [`apply_scratch_len`] of this layer.
    #[must_use]
    pub fn apply_scratch_len(&self) -> usize {
        let spectrum = self.spectrum;
        apply_scratch_len::<F>(spectrum.geometry(), spectrum.atoms().len())
    }

    /// [`backward_scratch_len`] of this layer.
    #[must_use]
    pub fn backward_scratch_len(&self) -> usize {
        let spectrum = self.spectrum;
        backward_scratch_len::<F>(spectrum.geometry(), spectrum.atoms().len())
    }

    fn multiply<T: Element<Real = F>>(
        &self,
        from: Side<'_, F>,
        to: Side<'_, F>,
        input: &Array<'_, T, 2>,
        output: &mut ArrayMut<'_, T, 2>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.check_whole()?;
        let tokens = input.shape()[0];
        check_tokens(input.shape(), input.strides(), tokens, from)?;
        check_tokens(output.shape(), output.strides(), tokens, to)?;
        check_scratch(self.apply_scratch_len(), scratch.len())?;
        // Where there is one lane a block is a single token, too.
        if HAS_VECTORS && tokens == 1 {
            let input = T::as_reals(input.data()).and_then(|x| x.get(..from.axis.length()));
            let output = T::as_reals_mut(output.data()).and_then(|y| y.get_mut(..to.axis.length()));
            if let (Some(input), Some(output)) = (input, output) {
                self.multiply_token(from, to, input, output);
                return Ok(());
            }
        }
        let product = Product {
            delta: self,
            kept: (from, input),
            swept: to,
            differentiated: None,
            output: Some(output.reborrow()),
            gradient: &mut [],
            scratch,
        };
        T::multiply_update(self.isa, product);
        Ok(())
    }

    fn multiply_token(&self, from: Side<'_, F>, to: Side<'_, F>, input: &[F], output: &mut [F]) {
        self.isa.run(ApplyToken {
            delta: self,
            from,
            to,
            input,
            output,
        });
    }

    fn differentiate<T: Element<Real = F>>(
        &self,
        x: &Array<'_, T, 2>,
        dy: &Array<'_, T, 2>,
        dx: Option<&mut ArrayMut<'_, T, 2>>,
        gradient: &mut [F],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.check_whole()?;
        let [inputs, outputs] = self.sides();
        let tokens = x.shape()[0];
        check_tokens(x.shape(), x.strides(), tokens, inputs)?;
        check_tokens(dy.shape(), dy.strides(), tokens, outputs)?;
        if let Some(dx) = &dx {
            check_tokens(dx.shape(), dx.strides(), tokens, inputs)?;
        }
        check_scratch(self.backward_scratch_len(), scratch.len())?;
        check_length("gradient", self.spectrum.atoms().len(), gradient.len())?;
        let product = Product {
            delta: self,
            kept: (outputs, dy),
            swept: inputs,
            differentiated: Some(x),
            output: dx.map(ArrayMut::reborrow),
            gradient,
            scratch,
        };
        T::multiply_update(self.isa, product);
        Ok(())
    }

    /// The layer's inputs and its outputs.
    fn sides(&self) -> [Side<'_, F>; 2] {
        let geometry = self.spectrum.geometry();
        let filters = match &self.bank {
            Some(bank) => [bank.rec_lo(), bank.rec_hi()],
            None => [F::NO_FILTER; 2],
        };
        let rows = Side {
            axis: geometry.rows(),
            is_rows: true,
            filters,
        };
        let columns = Side {
            axis: geometry.columns(),
            is_rows: false,
            filters,
        };
        if geometry.is_transposed() {
            [rows, columns]
        } else {
            [columns, rows]
        }
    }

    fn check_whole(&self) -> Result<(), Error> {
        let geometry = self.spectrum.geometry();
        let expected = (geometry.rows().length(), geometry.columns().length());
        let found = self.shape();
        if expected == found {
            Ok(())
        } else {
            Err(Error::Shape { expected, found })
        }
    }
}

fn check_tokens<F: Real>(
    shape: [usize; 2],
    strides: [usize; 2],
    tokens: usize,
    side: Side<'_, F>,
) -> Result<(), Error> {
    let expected = (tokens, side.axis.length());
    let found = (shape[0], shape[1]);
    if expected != found {
        return Err(Error::Shape { expected, found });
    }
    if strides[1] != 1 && shape[1] > 1 {
        return Err(Error::Stride {
            axis: 1,
            expected: 1,
            found: strides[1],
        });
    }
    Ok(())
}
