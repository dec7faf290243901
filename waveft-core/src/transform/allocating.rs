//! The transforms for those who have an allocator: results and scratch are made as they are needed.

use super::{Dwt, Wavedec};
use crate::array::{Array, ArrayMut};
use crate::element::{Element, Real};
use crate::error::Error;
use alloc::vec;
use alloc::vec::Vec;
use bytemuck::zeroed_vec;

impl<F: Real> Dwt<'_, F> {
    /// [`forward`](Self::forward), into an approximation and a detail of its own. Needs feature `alloc`.
    ///
    /// # Errors
    /// [`Error::Length`] unless the signal has `N` samples.
    ///
    /// # Examples
    /// ```
    /// use waveft_core::{extension_mode::ExtensionMode, filter_bank::wavelets::DB4, transform::Dwt};
    ///
    /// let signal = [1.0f64, 2.0, 4.0, 3.0];
    /// let dwt = Dwt::new(DB4.double(), ExtensionMode::Reflect, 4)?;
    /// let (approximation, detail) = dwt.forward_vec(&signal)?;
    /// let back = dwt.inverse_vec(&approximation, &detail)?;
    /// assert!(signal.iter().zip(back).all(|(x, y)| (x - y).abs() < 1e-14));
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn forward_vec<T: Element<Real = F>>(
        &self,
        signal: &[T],
    ) -> Result<(Vec<T>, Vec<T>), Error> {
        let mut bands = [
            zeroed_vec(self.band_length()),
            zeroed_vec(self.band_length()),
        ];
        let [approximation, detail] = &mut bands;
        self.forward(signal, approximation, detail, &mut self.scratch())?;
        Ok(bands.into())
    }

    /// [`inverse`](Self::inverse), into samples of its own. Needs feature `alloc`.
    ///
    /// # Errors
    /// [`Error::Length`] unless both bands have [`band_length`](Self::band_length) coefficients.
    pub fn inverse_vec<T: Element<Real = F>>(
        &self,
        approximation: &[T],
        detail: &[T],
    ) -> Result<Vec<T>, Error> {
        let mut signal = zeroed_vec(self.reconstructed_length());
        self.inverse(approximation, detail, &mut signal, &mut self.scratch())?;
        Ok(signal)
    }

    /// [`forward_adjoint`](Self::forward_adjoint), into samples of its own. Needs feature `alloc`.
    ///
    /// # Errors
    /// Those of [`inverse_vec`](Self::inverse_vec).
    pub fn forward_adjoint_vec<T: Element<Real = F>>(
        &self,
        approximation: &[T],
        detail: &[T],
    ) -> Result<Vec<T>, Error> {
        let mut signal = zeroed_vec(self.length());
        self.forward_adjoint(approximation, detail, &mut signal, &mut self.scratch())?;
        Ok(signal)
    }

    /// [`inverse_adjoint`](Self::inverse_adjoint), into an approximation and a detail of its own. Needs feature `alloc`.
    ///
    /// # Errors
    /// [`Error::Length`] unless the signal has [`reconstructed_length`](Self::reconstructed_length) samples.
    pub fn inverse_adjoint_vec<T: Element<Real = F>>(
        &self,
        signal: &[T],
    ) -> Result<(Vec<T>, Vec<T>), Error> {
        let mut bands = [
            zeroed_vec(self.band_length()),
            zeroed_vec(self.band_length()),
        ];
        let [approximation, detail] = &mut bands;
        self.inverse_adjoint(signal, approximation, detail, &mut self.scratch())?;
        Ok(bands.into())
    }

    fn scratch(&self) -> Vec<F> {
        vec![F::zero(); self.scratch_len()]
    }
}

impl<F: Real, const D: usize> Wavedec<'_, F, D> {
    /// [`forward`](Self::forward) of a row-major array, into coefficients of its own. Needs feature `alloc`.
    ///
    /// # Errors
    /// [`Error::Length`] unless the array has as many elements as the plan's shape.
    ///
    /// # Examples
    /// ```
    /// use waveft_core::{extension_mode::ExtensionMode, filter_bank::wavelets::SYM4, transform::Wavedec};
    ///
    /// let axis = (SYM4.single(), ExtensionMode::Symmetric);
    /// let plan = Wavedec::new([axis; 2], [32, 48], 2)?;
    /// let image = vec![1.0f32; 32 * 48];
    /// let coefficients = plan.forward_vec(&image)?;
    /// let back = plan.inverse_vec(&coefficients)?;
    /// assert!(image.iter().zip(back).all(|(x, y)| (x - y).abs() < 1e-5));
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn forward_vec<T: Element<Real = F>>(&self, array: &[T]) -> Result<Vec<T>, Error> {
        let mut coefficients = zeroed_vec(self.coefficients_len());
        let array = Array::new(array, self.shape())?;
        self.forward(&array, &mut coefficients, &mut self.scratch::<T>())?;
        Ok(coefficients)
    }

    /// [`inverse`](Self::inverse), into a row-major array of its own. Needs feature `alloc`.
    ///
    /// # Errors
    /// [`Error::Length`] unless there are [`coefficients_len`](Self::coefficients_len) coefficients.
    pub fn inverse_vec<T: Element<Real = F>>(&self, coefficients: &[T]) -> Result<Vec<T>, Error> {
        let mut data = zeroed_vec(self.shape().into_iter().product());
        let mut array = ArrayMut::new(&mut data, self.shape())?;
        self.inverse(coefficients, &mut array, &mut self.scratch::<T>())?;
        Ok(data)
    }

    /// [`forward_adjoint`](Self::forward_adjoint), into a row-major array of its own. Needs feature `alloc`.
    ///
    /// # Errors
    /// Those of [`inverse_vec`](Self::inverse_vec).
    pub fn forward_adjoint_vec<T: Element<Real = F>>(
        &self,
        coefficients: &[T],
    ) -> Result<Vec<T>, Error> {
        let mut data = zeroed_vec(self.shape().into_iter().product());
        let mut array = ArrayMut::new(&mut data, self.shape())?;
        self.forward_adjoint(coefficients, &mut array, &mut self.scratch::<T>())?;
        Ok(data)
    }

    /// [`inverse_adjoint`](Self::inverse_adjoint) of a row-major array, into coefficients of its own. Needs feature
    /// `alloc`.
    ///
    /// # Errors
    /// Those of [`forward_vec`](Self::forward_vec).
    pub fn inverse_adjoint_vec<T: Element<Real = F>>(&self, array: &[T]) -> Result<Vec<T>, Error> {
        let mut coefficients = zeroed_vec(self.coefficients_len());
        let array = Array::new(array, self.shape())?;
        self.inverse_adjoint(&array, &mut coefficients, &mut self.scratch::<T>())?;
        Ok(coefficients)
    }

    fn scratch<T: Element<Real = F>>(&self) -> Vec<F> {
        vec![F::zero(); self.scratch_len::<T>()]
    }
}
