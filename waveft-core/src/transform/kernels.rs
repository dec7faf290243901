//! The kernels, each compiled in this crate for every number type, so that those who use it need not.

use super::frame::{Factors, Frame};
use super::plane::{AnalysePlane, SynthesisePlane};
use super::rows::{AnalyseRows, SynthesiseRows};
use crate::element::{Element, Real};
use crate::isa::Isa;
use crate::lanes::{LaneKernel, Lanes};
use crate::polyphase::{Backwards, Joined, Terms, combine, side_by_side};
use half::{bf16, f16};

/// One line, from samples to coefficients, by convolution or in factors.
pub struct Analyse<'a, F, T> {
    pub(super) frame: &'a Frame<'a, F>,
    pub(super) factors: Option<&'a Factors<F>>,
    pub(super) signal: &'a [T],
    pub(super) bands: [&'a mut [T]; 2],
    pub(super) scratch: &'a mut [F],
}

impl<F: Real, T: Element<Real = F>> LaneKernel<F> for Analyse<'_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        let (frame, signal, scratch) = (self.frame, self.signal, self.scratch);
        let [low, high] = self.bands;
        frame.analyse::<L, _, _>(self.factors, signal, low, high, scratch);
    }
}

/// One line, from coefficients to samples, by convolution or in factors.
pub struct Synthesise<'a, F, T> {
    pub(super) frame: &'a Frame<'a, F>,
    pub(super) factors: Option<&'a Factors<F>>,
    pub(super) bands: [&'a [T]; 2],
    pub(super) signal: &'a mut [T],
    pub(super) scratch: &'a mut [F],
}

impl<F: Real, T: Element<Real = F>> LaneKernel<F> for Synthesise<'_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        let (frame, signal, scratch) = (self.frame, self.signal, self.scratch);
        let [low, high] = self.bands;
        match self.factors {
            None => frame.synthesise::<L, _, _>(low, high, signal, scratch),
            Some(factors) => {
                frame.synthesise_lifted::<L, _, _>(factors, self.bands, signal, scratch);
            }
        }
    }
}

/// One line from its coefficients alone, by convolution with two filters: an even number of samples, of which those of pair
/// `u` belong to coefficients `u` to `u + L/2 − 1`.
pub struct Join<'a, F, T> {
    pub(super) filters: [&'a [F]; 2],
    pub(super) bands: [&'a [T]; 2],
    pub(super) signal: &'a mut [T],
}

impl<F: Real, T: Element<Real = F>> LaneKernel<F> for Join<'_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        let terms = Terms {
            taps: side_by_side(self.filters),
            inputs: Backwards {
                sequences: self.bands,
                first: 0,
            },
        };
        combine::<L, _, _, _>(&terms, &mut Joined(self.signal));
    }
}

/// Lines of a stored type.
pub trait LineKernels: Sized {
    /// What is computed in.
    type Sums;

    /// Runs the kernel.
    fn analyse_line(isa: Isa, kernel: Analyse<'_, Self::Sums, Self>);

    /// Runs the kernel.
    fn synthesise_line(isa: Isa, kernel: Synthesise<'_, Self::Sums, Self>);

    /// Runs the kernel.
    fn join_line(isa: Isa, kernel: Join<'_, Self::Sums, Self>);
}

/// Rows and planes of a type that is computed in.
pub trait PlaneKernels: Sized {
    /// Runs the kernel.
    fn analyse_rows(isa: Isa, kernel: AnalyseRows<'_, Self>);

    /// Runs the kernel.
    fn synthesise_rows(isa: Isa, kernel: SynthesiseRows<'_, Self>);

    /// Runs the kernel.
    fn analyse_plane(isa: Isa, kernel: AnalysePlane<'_, Self>);

    /// Runs the kernel.
    fn synthesise_plane(isa: Isa, kernel: SynthesisePlane<'_, Self>);
}

macro_rules! line_kernels {
    ($stored:ty, $sums:ty) => {
        impl LineKernels for $stored {
            type Sums = $sums;

            fn analyse_line(isa: Isa, kernel: Analyse<'_, $sums, Self>) {
                isa.run_lanes(kernel);
            }

            fn synthesise_line(isa: Isa, kernel: Synthesise<'_, $sums, Self>) {
                isa.run_lanes(kernel);
            }

            fn join_line(isa: Isa, kernel: Join<'_, $sums, Self>) {
                isa.run_lanes(kernel);
            }
        }
    };
}

line_kernels!(f32, f32);
line_kernels!(f64, f64);
line_kernels!(bf16, f32);
line_kernels!(f16, f32);

macro_rules! plane_kernels {
    ($real:ty) => {
        impl PlaneKernels for $real {
            fn analyse_rows(isa: Isa, kernel: AnalyseRows<'_, Self>) {
                isa.run_lanes(kernel);
            }

            fn synthesise_rows(isa: Isa, kernel: SynthesiseRows<'_, Self>) {
                isa.run_lanes(kernel);
            }

            fn analyse_plane(isa: Isa, kernel: AnalysePlane<'_, Self>) {
                isa.run_lanes(kernel);
            }

            fn synthesise_plane(isa: Isa, kernel: SynthesisePlane<'_, Self>) {
                isa.run_lanes(kernel);
            }
        }
    };
}

plane_kernels!(f32);
plane_kernels!(f64);
