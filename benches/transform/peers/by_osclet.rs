//! The crate `osclet`. Its plane is one level, whose bands come out transposed. Its synthesis adds to its output.

use crate::by_levels::{Level, Levels};
use crate::turns::{Outcome, Transform, Work};
use osclet::WaveletFilterProvider;
use osclet::{BorderMode, Dwt2DExecutor, DwtExecutor, DwtSize, FilterBank2D, Osclet};
use std::borrow::Cow;
use std::sync::Arc;
use wavelets::Wavelet;

type Executor = Arc<dyn DwtExecutor<f32> + Send + Sync>;

pub(crate) fn plan(work: &Work<'_>) -> Outcome<Box<dyn Transform>> {
    // It names half-sample symmetry so.
    let mode = BorderMode::Reflect;
    // Its own names end at db24. Filters that are given it runs by the same routines; those for 4, 8 and 16 taps extend
    // the end of the signal otherwise than PyWavelets does.
    let executor = Osclet::make_custom_f32(Arc::new(Taps::of(work.wavelet)?), mode)?;
    match work.shape[..] {
        [length] => {
            let size = executor.dwt_size(length);
            let scratch = vec![0.0; executor.required_scratch_size(length)];
            Ok(Box::new(Line {
                executor,
                size,
                scratch,
            }))
        }
        [rows, columns] => Ok(Box::new(Levels::new(
            [rows, columns],
            work.levels,
            |shape| Ok(Plane::new(&executor, shape)),
        )?)),
        _ => Err("neither a line nor a plane".into()),
    }
}

struct Taps(Vec<f32>);

impl Taps {
    fn of(name: &str) -> Outcome<Self> {
        let wavelet = Wavelet::from_name(name)?;
        Ok(Self(
            wavelet.rec_lo().iter().map(|&tap| tap as f32).collect(),
        ))
    }
}

impl WaveletFilterProvider<f32> for Taps {
    fn get_wavelet(&self) -> Cow<'_, [f32]> {
        Cow::Borrowed(&self.0)
    }
}

struct Line {
    executor: Executor,
    size: DwtSize,
    scratch: Vec<f32>,
}

impl Transform for Line {
    fn coefficients_len(&self) -> usize {
        self.size.approx_length + self.size.details_length
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at_mut(self.size.approx_length);
        Ok(self
            .executor
            .execute_forward_with_scratch(signal, low, high, &mut self.scratch)?)
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at(self.size.approx_length);
        // It adds to what is there.
        signal.fill(0.0);
        Ok(self.executor.execute_inverse(low, high, signal)?)
    }
}

struct Plane {
    executor: Arc<dyn Dwt2DExecutor<f32> + Send + Sync>,
    shape: [usize; 2],
    approximation: [usize; 2],
    scratch: Vec<f32>,
}

impl Plane {
    fn new(line: &Executor, [rows, columns]: [usize; 2]) -> Self {
        let executor = Osclet::make_2d_dwt_f32(Arc::clone(line));
        let [down, across] = [rows, columns].map(|length| line.dwt_size(length).approx_length);
        Self {
            scratch: vec![0.0; executor.required_scratch_size(columns, rows)],
            approximation: [across, down],
            shape: [rows, columns],
            executor,
        }
    }
}

impl Level for Plane {
    fn approximation(&self) -> [usize; 2] {
        self.approximation
    }

    fn forward(&mut self, array: &[f32], bands: [&mut [f32]; 4]) -> Outcome<()> {
        let [rows, columns] = self.shape;
        let [ll, lh, hl, hh] = bands;
        let scratch = &mut self.scratch;
        Ok(self
            .executor
            .execute_forward(array, columns, rows, ll, lh, hl, hh, scratch)?)
    }

    fn inverse(&mut self, bands: [&[f32]; 4], array: &mut [f32]) -> Outcome<()> {
        let [rows, columns] = self.shape;
        // It adds to what is there.
        array.fill(0.0);
        self.scratch.fill(0.0);
        let [ll_band, lh_band, hl_band, hh_band] = bands;
        let bands = FilterBank2D {
            ll_band,
            lh_band,
            hl_band,
            hh_band,
        };
        Ok(self
            .executor
            .execute_inverse(array, &bands, columns, rows, &mut self.scratch)?)
    }
}
