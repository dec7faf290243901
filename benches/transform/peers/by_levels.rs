//! Several levels of two dimensions, for libraries that have one.

use crate::turns::{Outcome, Transform};

/// One level: from `[rows, columns]` entries to four bands of `band_len` coefficients, the approximation first.
pub(crate) trait Level {
    /// Entries along each axis of the approximation, as the next level sees it.
    fn approximation(&self) -> [usize; 2];
    fn forward(&mut self, array: &[f32], bands: [&mut [f32]; 4]) -> Outcome<()>;
    fn inverse(&mut self, bands: [&[f32]; 4], array: &mut [f32]) -> Outcome<()>;
}

/// All levels, the finest first. The coefficients are the details of each and the last approximation.
pub(crate) struct Levels<L> {
    levels: Vec<L>,
    /// What each level leaves to the next.
    approximations: Vec<Vec<f32>>,
}

impl<L: Level> Levels<L> {
    pub(crate) fn new(
        mut shape: [usize; 2],
        count: usize,
        level: impl Fn([usize; 2]) -> Outcome<L>,
    ) -> Outcome<Self> {
        let (mut levels, mut approximations) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let made = level(shape)?;
            shape = made.approximation();
            approximations.push(vec![0.0; shape[0] * shape[1]]);
            levels.push(made);
        }
        Ok(Self {
            levels,
            approximations,
        })
    }
}

impl<L: Level> Transform for Levels<L> {
    fn coefficients_len(&self) -> usize {
        let details: usize = self.approximations.iter().map(|a| 3 * a.len()).sum();
        details + self.approximations.last().map_or(0, Vec::len)
    }

    fn forward(&mut self, signal: &[f32], mut coefficients: &mut [f32]) -> Outcome<()> {
        let last = self.levels.len() - 1;
        for (index, level) in self.levels.iter_mut().enumerate() {
            let (before, after) = self.approximations.split_at_mut(index);
            let array = before.last().map_or(signal, Vec::as_slice);
            let length = after[0].len();
            let (details, rest) = coefficients.split_at_mut(3 * length);
            let (horizontal, details) = details.split_at_mut(length);
            let (vertical, diagonal) = details.split_at_mut(length);
            let approximation = if index == last {
                &mut rest[..]
            } else {
                &mut after[0]
            };
            level.forward(array, [approximation, horizontal, vertical, diagonal])?;
            coefficients = rest;
        }
        Ok(())
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let mut end = coefficients.len();
        let last = self.levels.len() - 1;
        for (index, level) in self.levels.iter_mut().enumerate().rev() {
            let (before, after) = self.approximations.split_at_mut(index);
            let length = after[0].len();
            let approximation = if index == last {
                end -= length;
                &coefficients[end..]
            } else {
                &after[0]
            };
            let details = &coefficients[end - 3 * length..end];
            end -= 3 * length;
            let (horizontal, details) = details.split_at(length);
            let (vertical, diagonal) = details.split_at(length);
            let array = match before.last_mut() {
                Some(array) => &mut array[..],
                None => &mut *signal,
            };
            level.inverse([approximation, horizontal, vertical, diagonal], array)?;
        }
        Ok(())
    }
}
