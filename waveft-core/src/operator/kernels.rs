//! The kernels, each compiled in this crate for every type that is stored, so that those who use it need not.

use super::DeltaWeight;
use super::products::Product;
use super::updates::{Add, Record, Undo};
use crate::error::Error;
use crate::isa::Isa;
use crate::matrix::MatrixMut;
use half::{bf16, f16};

/// Weights and tokens of a stored type.
pub trait UpdateKernels: Sized {
    /// What is computed in.
    type Sums;

    /// Adds the update times a scaling.
    fn add_update(
        delta: &DeltaWeight<'_, Self::Sums>,
        weight: &mut MatrixMut<'_, Self>,
        add: Add<Self::Sums>,
    ) -> Result<(), Error>;

    /// Adds it, and keeps what is overwritten.
    fn record_update(
        delta: &DeltaWeight<'_, Self::Sums>,
        weight: &mut MatrixMut<'_, Self>,
        record: Record<'_, Self, Self::Sums>,
    ) -> Result<(), Error>;

    /// Puts back what was kept.
    fn undo_update(
        delta: &DeltaWeight<'_, Self::Sums>,
        weight: &mut MatrixMut<'_, Self>,
        undo: Undo<'_, Self>,
    ) -> Result<(), Error>;

    /// Runs the kernel.
    fn multiply_update(isa: Isa, kernel: Product<'_, '_, Self::Sums, Self>);
}

macro_rules! update_kernels {
    ($stored:ty, $sums:ty) => {
        impl UpdateKernels for $stored {
            type Sums = $sums;

            fn add_update(
                delta: &DeltaWeight<'_, $sums>,
                weight: &mut MatrixMut<'_, Self>,
                add: Add<$sums>,
            ) -> Result<(), Error> {
                delta.sweep(weight, add)
            }

            fn record_update(
                delta: &DeltaWeight<'_, $sums>,
                weight: &mut MatrixMut<'_, Self>,
                record: Record<'_, Self, $sums>,
            ) -> Result<(), Error> {
                delta.sweep(weight, record)
            }

            fn undo_update(
                delta: &DeltaWeight<'_, $sums>,
                weight: &mut MatrixMut<'_, Self>,
                undo: Undo<'_, Self>,
            ) -> Result<(), Error> {
                delta.sweep(weight, undo)
            }

            #[cfg_attr(target_os = "none", inline(always))]
            fn multiply_update(isa: Isa, kernel: Product<'_, '_, $sums, Self>) {
                isa.run_narrow_lanes(kernel);
            }
        }
    };
}

update_kernels!(f32, f32);
update_kernels!(f64, f64);
update_kernels!(bf16, f32);
update_kernels!(f16, f32);
