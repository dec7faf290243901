//! The crate `ndwt`: filtering, which gives PyWavelets' coefficients, and lifting, which gives as many coefficients as
//! there are samples and extends within its steps.

use crate::turns::{Outcome, Transform, Work};
use ndwt::Wavelet;
use ndwt::boundarys::BoundaryCondition::{self, Symmetric};
use ndwt::dwt::driver::{WaveletTransform as Filtering, get_transform_shape};
use ndwt::dwt::get_outlen;
use ndwt::lwt::driver::WaveletTransform as Lifting;

/// What it takes as elements a vector of f32.
const LANES: usize = 8;

pub(crate) fn plan(work: &Work<'_>) -> Outcome<Box<dyn Transform>> {
    let wavelet = named(work.wavelet)?;
    let transform = Filtering::new(wavelet, Symmetric);
    let axes: Vec<usize> = (0..work.shape.len()).collect();
    Ok(match work.shape[..] {
        [length] => Box::new(FilteredLine {
            band: get_outlen(wavelet.width(), length),
            transform,
        }),
        _ => Box::new(FilteredArray {
            length: get_transform_shape(&work.shape, &axes, work.levels, wavelet.width(), false)
                .iter()
                .product(),
            transform,
            shape: work.shape.clone(),
            axes,
            levels: work.levels,
        }),
    })
}

pub(crate) fn plan_lifting(work: &Work<'_>) -> Outcome<Box<dyn Transform>> {
    let transform = Lifting::new(named(work.wavelet)?, Symmetric);
    Ok(match work.shape[..] {
        [length] => Box::new(LiftedLine { transform, length }),
        _ => Box::new(LiftedArray {
            transform,
            shape: work.shape.clone(),
            axes: (0..work.shape.len()).collect(),
            levels: work.levels,
        }),
    })
}

fn named(wavelet: &str) -> Outcome<Wavelet> {
    match wavelet {
        "haar" => Ok(Wavelet::Daubechies1),
        "db2" => Ok(Wavelet::Daubechies2),
        "db4" => Ok(Wavelet::Daubechies4),
        // It has no sym8: db8 has as many taps.
        "sym8" => Ok(Wavelet::Daubechies8),
        _ => Err("its Daubechies wavelets end at 10, its symlets at 6".into()),
    }
}

struct FilteredLine {
    transform: Filtering<f32, BoundaryCondition, LANES>,
    band: usize,
}

impl Transform for FilteredLine {
    fn coefficients_len(&self) -> usize {
        2 * self.band
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at_mut(self.band);
        self.transform.forward_1d(signal, low, high);
        Ok(())
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at(self.band);
        self.transform.inverse_1d(low, high, signal);
        Ok(())
    }
}

struct FilteredArray {
    transform: Filtering<f32, BoundaryCondition, LANES>,
    length: usize,
    shape: Vec<usize>,
    axes: Vec<usize>,
    levels: usize,
}

impl Transform for FilteredArray {
    fn coefficients_len(&self) -> usize {
        self.length
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        let (shape, axes) = (&self.shape, &self.axes);
        self.transform
            .forward_multilevel_nd(signal, coefficients, shape, axes, self.levels);
        Ok(())
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let (shape, axes) = (&self.shape, &self.axes);
        self.transform
            .inverse_multilevel_nd(coefficients, signal, shape, axes, self.levels);
        Ok(())
    }
}

struct LiftedLine {
    transform: Lifting<f32, BoundaryCondition, LANES>,
    length: usize,
}

impl Transform for LiftedLine {
    fn coefficients_len(&self) -> usize {
        self.length
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at_mut(self.length.div_ceil(2));
        self.transform.forward_1d(signal, low, high);
        Ok(())
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at(self.length.div_ceil(2));
        self.transform.inverse_1d(low, high, signal);
        Ok(())
    }
}

struct LiftedArray {
    transform: Lifting<f32, BoundaryCondition, LANES>,
    shape: Vec<usize>,
    axes: Vec<usize>,
    levels: usize,
}

impl Transform for LiftedArray {
    fn coefficients_len(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        let (shape, axes) = (&self.shape, &self.axes);
        self.transform
            .forward_multilevel_nd(signal, coefficients, shape, axes, self.levels);
        Ok(())
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let (shape, axes) = (&self.shape, &self.axes);
        self.transform
            .inverse_multilevel_nd(coefficients, signal, shape, axes, self.levels);
        Ok(())
    }
}
