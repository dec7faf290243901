//! Arrays of any number of axes in somebody's memory: a shape and strides over a slice.

use crate::error::Error;

/// An array of `D` axes. Its entry at `i` is element `Σ i[axis] · strides[axis]` of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a, T, const D: usize> {
    data: &'a [T],
    shape: [usize; D],
    strides: [usize; D],
}

/// An [`Array`] that can be changed: no element belongs to two entries.
#[derive(Debug)]
pub struct ArrayMut<'a, T, const D: usize> {
    data: &'a mut [T],
    shape: [usize; D],
    strides: [usize; D],
}

impl<'a, T, const D: usize> Array<'a, T, D> {
    /// A row-major array that fills `data`.
    ///
    /// # Errors
    /// [`Error::EmptyAxis`] if an axis has no length, [`Error::Length`] unless `data` has as many
    /// elements as the shape has entries.
    pub fn new(data: &'a [T], shape: [usize; D]) -> Result<Self, Error> {
        fills(shape, data.len())?;
        Ok(Self {
            data,
            shape,
            strides: row_major(shape),
        })
    }

    /// An array with any strides: part of a larger one, or one whose axes are exchanged.
    ///
    /// # Errors
    /// [`Error::EmptyAxis`] if an axis has no length, [`Error::Length`] if `data` ends before the last
    /// entry.
    ///
    /// ```
    /// use waveft_core::array::Array;
    /// let data = [0.0; 12]; // 3 × 4
    /// assert!(Array::with_strides(&data, [4, 3], [1, 4]).is_ok());
    /// assert!(Array::with_strides(&data, [4, 3], [2, 4]).is_err());
    /// ```
    pub fn with_strides(
        data: &'a [T],
        shape: [usize; D],
        strides: [usize; D],
    ) -> Result<Self, Error> {
        reach(shape, strides, data.len())?;
        Ok(Self {
            data,
            shape,
            strides,
        })
    }

    /// Entries along each axis.
    #[must_use]
    pub const fn shape(&self) -> [usize; D] {
        self.shape
    }

    /// Elements from an entry to the next along each axis.
    #[must_use]
    pub const fn strides(&self) -> [usize; D] {
        self.strides
    }

    pub(crate) const fn data(&self) -> &'a [T] {
        self.data
    }
}

impl<'a, T, const D: usize> ArrayMut<'a, T, D> {
    /// A row-major array that fills `data`.
    ///
    /// # Errors
    /// Those of [`Array::new`].
    pub fn new(data: &'a mut [T], shape: [usize; D]) -> Result<Self, Error> {
        fills(shape, data.len())?;
        Ok(Self {
            data,
            shape,
            strides: row_major(shape),
        })
    }

    /// An array with any strides that keep its entries apart.
    ///
    /// # Errors
    /// Those of [`Array::with_strides`]; [`Error::OverlappingAxes`] unless each axis' stride steps over
    /// all that the axes of smaller strides reach.
    ///
    /// ```
    /// use waveft_core::array::ArrayMut;
    /// let mut data = [0.0; 12];
    /// assert!(ArrayMut::with_strides(&mut data, [4, 3], [1, 4]).is_ok());
    /// assert!(ArrayMut::with_strides(&mut data, [4, 3], [1, 3]).is_err());
    /// ```
    pub fn with_strides(
        data: &'a mut [T],
        shape: [usize; D],
        strides: [usize; D],
    ) -> Result<Self, Error> {
        reach(shape, strides, data.len())?;
        apart(shape, strides)?;
        Ok(Self {
            data,
            shape,
            strides,
        })
    }

    /// Entries along each axis.
    #[must_use]
    pub const fn shape(&self) -> [usize; D] {
        self.shape
    }

    /// Elements from an entry to the next along each axis.
    #[must_use]
    pub const fn strides(&self) -> [usize; D] {
        self.strides
    }

    pub(crate) const fn data(&mut self) -> &mut [T] {
        self.data
    }

    /// The same array, borrowed for less long.
    pub(crate) const fn reborrow(&mut self) -> ArrayMut<'_, T, D> {
        ArrayMut {
            data: self.data,
            shape: self.shape,
            strides: self.strides,
        }
    }
}

/// Entries of a shape, if `usize` counts them.
pub(crate) fn entries<const D: usize>(shape: [usize; D]) -> Option<usize> {
    shape.into_iter().try_fold(1usize, usize::checked_mul)
}

/// That a row-major array of a shape fills a slice of `found` elements.
fn fills<const D: usize>(shape: [usize; D], found: usize) -> Result<(), Error> {
    if shape.contains(&0) {
        return Err(Error::EmptyAxis);
    }
    let expected = entries(shape).unwrap_or(usize::MAX);
    if expected != found {
        return Err(Error::Length {
            what: "array",
            expected,
            found,
        });
    }
    Ok(())
}

/// The strides of an array without gaps whose last axis is innermost. Its entries are counted by `usize`.
pub(crate) fn row_major<const D: usize>(shape: [usize; D]) -> [usize; D] {
    let mut strides = [1; D];
    let mut stride = 1;
    for axis in (0..D).rev() {
        strides[axis] = stride;
        stride *= shape[axis];
    }
    strides
}

/// That the last entry is an element.
fn reach<const D: usize>(
    shape: [usize; D],
    strides: [usize; D],
    found: usize,
) -> Result<(), Error> {
    if shape.contains(&0) {
        return Err(Error::EmptyAxis);
    }
    let mut expected = 1usize;
    for (length, stride) in shape.into_iter().zip(strides) {
        expected = expected.saturating_add((length - 1).saturating_mul(stride));
    }
    if found < expected {
        return Err(Error::Length {
            what: "array",
            expected,
            found,
        });
    }
    Ok(())
}

/// That no two entries are one element. `reach` has found that nothing overflows.
fn apart<const D: usize>(shape: [usize; D], strides: [usize; D]) -> Result<(), Error> {
    for (axis, (&length, &stride)) in shape.iter().zip(&strides).enumerate() {
        // Of axes with the same stride, the earlier steps over the later.
        let smaller = |&(other, &step): &(usize, &usize)| {
            other != axis && (step < stride || (step == stride && other > axis))
        };
        let reached = strides.iter().enumerate().filter(smaller);
        let least = 1 + reached
            .map(|(other, step)| (shape[other] - 1) * step)
            .sum::<usize>();
        if length > 1 && stride < least {
            return Err(Error::OverlappingAxes {
                axis,
                least,
                found: stride,
            });
        }
    }
    Ok(())
}
