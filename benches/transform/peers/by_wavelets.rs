//! The crate `wavelets`: plans of one dimension, which also run along an axis of an array.

use crate::by_levels::{Level, Levels};
use crate::turns::{Outcome, Transform, Work};
use std::sync::Arc;
use wavelets::{Boundary, Dwt, DwtPlanner, Wavelet};

pub(crate) fn plan(work: &Work<'_>) -> Outcome<Box<dyn Transform>> {
    let wavelet = Wavelet::from_name(work.wavelet)?;
    let along = |length| DwtPlanner::new().plan_dwt(length, &wavelet, Boundary::Symmetric);
    match work.shape[..] {
        [length] => {
            let plan = along(length)?;
            let scratch = vec![0.0; plan.scratch_len()];
            Ok(Box::new(Line { plan, scratch }))
        }
        [rows, columns] => Ok(Box::new(Levels::new(
            [rows, columns],
            work.levels,
            |[rows, columns]| Ok(Plane::new(along(rows)?, along(columns)?)),
        )?)),
        _ => Err("neither a line nor a plane".into()),
    }
}

struct Line {
    plan: Arc<dyn Dwt<f32>>,
    scratch: Vec<f32>,
}

impl Transform for Line {
    fn coefficients_len(&self) -> usize {
        2 * self.plan.coeff_len()
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at_mut(self.plan.coeff_len());
        self.plan.forward_into(signal, low, high, &mut self.scratch);
        Ok(())
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at(self.plan.coeff_len());
        self.plan.inverse_into(low, high, signal, &mut self.scratch);
        Ok(())
    }
}

/// Along the rows, then each half along the columns.
struct Plane {
    down: Arc<dyn Dwt<f32>>,
    across: Arc<dyn Dwt<f32>>,
    halves: [Vec<f32>; 2],
    scratch: Vec<f32>,
}

impl Plane {
    fn new(down: Arc<dyn Dwt<f32>>, across: Arc<dyn Dwt<f32>>) -> Self {
        let (rows, columns) = (down.signal_len(), across.coeff_len());
        let scratch = across
            .axis_scratch_len(rows, 1)
            .max(down.axis_scratch_len(1, columns));
        let half = vec![0.0; rows * columns];
        Self {
            halves: [half.clone(), half],
            scratch: vec![0.0; scratch],
            down,
            across,
        }
    }
}

impl Level for Plane {
    fn approximation(&self) -> [usize; 2] {
        [self.down.coeff_len(), self.across.coeff_len()]
    }

    fn forward(&mut self, array: &[f32], bands: [&mut [f32]; 4]) -> Outcome<()> {
        let (rows, columns) = (self.down.signal_len(), self.across.coeff_len());
        let ([low, high], scratch) = (&mut self.halves, &mut self.scratch);
        self.across
            .forward_axis_into(array, rows, 1, low, high, scratch);
        let [ll, hl, lh, hh] = bands;
        self.down
            .forward_axis_into(low, 1, columns, ll, hl, scratch);
        self.down
            .forward_axis_into(high, 1, columns, lh, hh, scratch);
        Ok(())
    }

    fn inverse(&mut self, bands: [&[f32]; 4], array: &mut [f32]) -> Outcome<()> {
        let (rows, columns) = (self.down.signal_len(), self.across.coeff_len());
        let ([low, high], scratch) = (&mut self.halves, &mut self.scratch);
        let [ll, hl, lh, hh] = bands;
        self.down
            .inverse_axis_into(ll, hl, 1, columns, low, scratch);
        self.down
            .inverse_axis_into(lh, hh, 1, columns, high, scratch);
        self.across
            .inverse_axis_into(low, high, rows, 1, array, scratch);
        Ok(())
    }
}
