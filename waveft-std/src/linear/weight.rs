//! The frozen weight of a layer, and what merging overwrites of it.

use std::marker::PhantomData;
use std::sync::Arc;

use bytemuck::{cast_slice, try_cast_slice};
use half::{bf16, f16};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;

use super::base::{Base, Features, SingleElement};
use super::product::{Matrix, multiply};
use crate::checkpoint::{Checkpoint, Dtype};
use crate::error::{Error, Result};

/// A frozen weight in f32, bf16 or f16: `M × N` row-major, or `N × M` if it is stored [`fan_in_fan_out`](Self::fan_in_fan_out).
///
/// It is borrowed, owned or in a mapped checkpoint, and copied only when an adapter is merged into one that is not owned.
/// Products are the `gemm` crate's on rayon's threads, in f32 and the same bits for any number of threads; a narrow weight is
/// widened by the panel of 256 features, never as a whole.
///
/// ```
/// use half::bf16;
/// use waveft_std::linear::{Base, Weight};
///
/// let elements = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(bf16::from_f32);
/// let weight = Weight::new(&elements[..], 2, 3)?;
/// let mut y = [0.0f32; 2];
/// weight.forward(&[1.0, 0.0, -1.0], Some(&[0.5, 0.0]), &mut y)?;
/// assert_eq!(y, [-1.5, -2.0]);
/// # Ok::<(), waveft_std::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Weight<'a> {
    elements: Elements<'a>,
    rows: usize,
    columns: usize,
    is_transposed: bool,
}

/// A weight's elements: made from a slice, or from a vector to own.
#[derive(Clone, Debug)]
pub enum Elements<'a> {
    /// In `f32`.
    F32(Stored<'a, f32>),
    /// In `bf16`.
    BF16(Stored<'a, bf16>),
    /// In `f16`.
    F16(Stored<'a, f16>),
}

/// Elements of one type, and what was overwritten by the adapters merged into them.
#[derive(Clone, Debug)]
pub struct Stored<'a, T> {
    data: Data<'a, T>,
    /// The first `merged` are in use. The others wait for the next merge, so that swapping allocates nothing.
    records: Vec<Vec<T>>,
    merged: usize,
}

#[derive(Clone, Debug)]
enum Data<'a, T> {
    Borrowed(&'a [T]),
    Owned(Vec<T>),
    /// A tensor of this name, aligned for `T`.
    Mapped(Arc<Checkpoint>, String, PhantomData<T>),
}

macro_rules! from {
    ($($element:ty, $variant:ident);*) => {
        $(
            impl<'a> From<&'a [$element]> for Elements<'a> {
                fn from(elements: &'a [$element]) -> Self {
                    Self::$variant(Stored::new(Data::Borrowed(elements)))
                }
            }

            impl From<Vec<$element>> for Elements<'_> {
                fn from(elements: Vec<$element>) -> Self {
                    Self::$variant(Stored::new(Data::Owned(elements)))
                }
            }
        )*
    };
}

from!(f32, F32; bf16, BF16; f16, F16);

/// Does the same with elements of any type.
macro_rules! with_stored {
    ($elements:expr, $stored:ident => $work:expr) => {
        match $elements {
            Elements::F32($stored) => $work,
            Elements::BF16($stored) => $work,
            Elements::F16($stored) => $work,
        }
    };
}

impl<'a> Weight<'a> {
    /// A weight of `rows × columns` elements, row-major: a slice of f32, bf16 or f16, or a vector of them.
    ///
    /// # Errors
    /// If a side is zero, or there are not `rows · columns` elements.
    pub fn new(elements: impl Into<Elements<'a>>, rows: usize, columns: usize) -> Result<Self> {
        let elements = elements.into();
        let found = with_stored!(&elements, stored => stored.data.get().len());
        if rows == 0 || columns == 0 {
            let found = format!("{rows} x {columns}");
            return Err(Error::layer("weight", "rows and columns", found));
        }
        if rows.checked_mul(columns) != Some(found) {
            let expected = format!("{rows} x {columns} elements");
            return Err(Error::layer("weight", expected, found.to_string()));
        }
        Ok(Self {
            elements,
            rows,
            columns,
            is_transposed: false,
        })
    }

    /// The weight that a mapped checkpoint has under this name. It is read where it lies, unless it is not aligned for its
    /// type: then it is copied.
    ///
    /// # Errors
    /// If there is no such tensor, or it is not a matrix in F32, BF16 or F16.
    pub fn mapped(file: Arc<Checkpoint>, name: &str) -> Result<Self> {
        let unfit =
            |expected: &str, found: String| Error::tensor(file.path(), name, expected, found);
        let Some(tensor) = file.tensor(name) else {
            return Err(unfit("a tensor of this name", "none".to_owned()));
        };
        let &[rows, columns] = tensor.shape else {
            return Err(unfit("a matrix", format!("shape {:?}", tensor.shape)));
        };
        let elements = match tensor.dtype {
            Dtype::F32 => Elements::F32(Stored::map(&file, name, f32::from_le_bytes)),
            Dtype::BF16 => Elements::BF16(Stored::map(&file, name, bf16::from_le_bytes)),
            Dtype::F16 => Elements::F16(Stored::map(&file, name, f16::from_le_bytes)),
            other => return Err(unfit("F32, BF16 or F16", other.to_string())),
        };
        Self::new(elements, rows, columns)
    }

    /// The same elements as a weight stored inputs × outputs, as transformers' Conv1D has it.
    #[must_use]
    pub fn fan_in_fan_out(mut self) -> Self {
        self.is_transposed = true;
        self
    }

    /// The type of the elements.
    pub fn dtype(&self) -> Dtype {
        match self.elements {
            Elements::F32(_) => Dtype::F32,
            Elements::BF16(_) => Dtype::BF16,
            Elements::F16(_) => Dtype::F16,
        }
    }

    /// Rows and columns as they are stored.
    pub fn stored(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Whether it is stored inputs × outputs.
    pub fn is_fan_in_fan_out(&self) -> bool {
        self.is_transposed
    }

    /// The elements' bytes as they are stored, in the machine's byte order; with what is merged, if anything is.
    pub fn bytes(&self) -> &[u8] {
        with_stored!(&self.elements, stored => cast_slice(stored.data.get()))
    }

    /// Adds an update and keeps what it overwrites.
    pub(crate) fn add(&mut self, delta: &DeltaWeight<'_, f32>) -> Result<(), waveft_core::Error> {
        let (rows, columns) = self.stored();
        with_stored!(&mut self.elements, stored => stored.add(delta, rows, columns))
    }

    /// Puts back what the last addition overwrote, which was of this update.
    pub(crate) fn undo(&mut self, delta: &DeltaWeight<'_, f32>) -> Result<(), waveft_core::Error> {
        let (rows, columns) = self.stored();
        with_stored!(&mut self.elements, stored => stored.undo(delta, rows, columns))
    }

    /// `out = input · Wᵀ + bias`, or with `transposed` `input · W + bias`.
    fn product<T: SingleElement>(
        &self,
        input: &[T],
        bias: Option<&[f32]>,
        out: &mut [T],
        transposed: bool,
    ) -> Result<()> {
        let (outputs, inputs) = self.features();
        let (features, depth) = match transposed {
            true => (inputs, outputs),
            false => (outputs, inputs),
        };
        let tokens = input.len() / depth;
        let biases = bias.map_or(features, <[f32]>::len);
        if input.len() != tokens * depth || out.len() != tokens * features || biases != features {
            let expected =
                format!("tokens x {depth} elements in, tokens x {features} out, {features} biases");
            let found = format!("{}, {} and {biases}", input.len(), out.len());
            return Err(Error::layer("weight", expected, found));
        }
        let strides = match transposed == self.is_transposed {
            true => [self.columns, 1],
            false => [1, self.columns],
        };
        with_stored!(&self.elements, stored => {
            let elements = stored.data.get();
            multiply(Matrix { elements, features, depth, strides }, input, bias, out);
        });
        Ok(())
    }
}

impl Features for Weight<'_> {
    fn features(&self) -> (usize, usize) {
        match self.is_transposed {
            true => (self.columns, self.rows),
            false => (self.rows, self.columns),
        }
    }
}

impl<T: SingleElement> Base<T> for Weight<'_> {
    fn forward(&self, x: &[T], bias: Option<&[f32]>, y: &mut [T]) -> Result<()> {
        self.product(x, bias, y, false)
    }

    fn backward(&self, dy: &[T], dx: &mut [T]) -> Result<()> {
        self.product(dy, None, dx, true)
    }
}

impl<'a, T: SingleElement> Stored<'a, T> {
    fn new(data: Data<'a, T>) -> Self {
        Self {
            data,
            records: Vec::new(),
            merged: 0,
        }
    }

    /// A tensor that is there, of elements of this type.
    fn map<const SIZE: usize>(
        file: &Arc<Checkpoint>,
        name: &str,
        read: impl Fn([u8; SIZE]) -> T,
    ) -> Self {
        let bytes = file.tensor(name).map_or(&[][..], |tensor| tensor.bytes);
        let is_readable = cfg!(target_endian = "little") && try_cast_slice::<u8, T>(bytes).is_ok();
        Self::new(if is_readable {
            Data::Mapped(Arc::clone(file), name.to_owned(), PhantomData)
        } else {
            let (elements, _) = bytes.as_chunks();
            Data::Owned(elements.iter().map(|&bytes| read(bytes)).collect())
        })
    }

    fn add(
        &mut self,
        delta: &DeltaWeight<'_, f32>,
        rows: usize,
        columns: usize,
    ) -> Result<(), waveft_core::Error> {
        if self.records.len() == self.merged {
            self.records.push(Vec::new());
        }
        let record = &mut self.records[self.merged];
        record.resize(delta.undo_len(), T::from_real(0.0));
        let mut weight = MatrixMut::new(self.data.own(), rows, columns)?;
        delta.add_recording(&mut weight, record)?;
        self.merged += 1;
        Ok(())
    }

    fn undo(
        &mut self,
        delta: &DeltaWeight<'_, f32>,
        rows: usize,
        columns: usize,
    ) -> Result<(), waveft_core::Error> {
        let mut weight = MatrixMut::new(self.data.own(), rows, columns)?;
        let last = self.merged.saturating_sub(1);
        let record = self.records.get(last).map_or(&[][..], Vec::as_slice);
        delta.undo(&mut weight, record)?;
        self.merged = last;
        Ok(())
    }
}

impl<T: SingleElement> Data<'_, T> {
    fn get(&self) -> &[T] {
        match self {
            Self::Borrowed(elements) => elements,
            Self::Owned(elements) => elements,
            // Its alignment was checked, and the map stays where it is.
            Self::Mapped(file, name, _) => file
                .tensor(name)
                .and_then(|tensor| try_cast_slice(tensor.bytes).ok())
                .unwrap_or_default(),
        }
    }

    /// The elements to be changed: from now on a copy of its own.
    fn own(&mut self) -> &mut [T] {
        if !matches!(self, Self::Owned(_)) {
            *self = Self::Owned(self.get().to_vec());
        }
        match self {
            Self::Owned(elements) => elements,
            _ => &mut [],
        }
    }
}
