//! waveft's side of `benches/transform/run`.
//!
//! `HOW` is `widest`, `portable`, `avx2` or `avx512`, the instructions to use, or `two-threads`.

#[path = "turns.rs"]
mod turns;

use rayon::ThreadPoolBuilder;
use turns::{Outcome, Transform, Work, answer};
use waveft_core::array::{Array, ArrayMut};
use waveft_core::extension_mode::ExtensionMode::Symmetric;
use waveft_core::filter_bank::{FilterBank, Wavelet};
use waveft_core::isa::Isa;
use waveft_core::transform::{Dwt, Wavedec};
use waveft_std::transform;

/// On one of two threads of a pool, so that what they share is begun at once.
fn main() -> Outcome<()> {
    let threads = ThreadPoolBuilder::new().num_threads(2).build()?;
    let answered = threads.install(|| answer(plan).map_err(|reason| reason.to_string()));
    Ok(answered?)
}

fn plan(work: &Work<'_>) -> Outcome<Box<dyn Transform>> {
    let bank = Wavelet::from_name(work.wavelet)?;
    let bank = bank.single();
    let isa = match work.how {
        "widest" => Isa::detect(),
        "portable" => Isa::Portable,
        "avx2" => Isa::Avx2,
        "avx512" => Isa::Avx512,
        "two-threads" => return parallel(bank, work),
        _ => return Err("unknown way to run it".into()),
    };
    if !isa.is_available() {
        return Err(format!("this machine has no {isa:?}").into());
    }
    match (&work.shape[..], work.levels) {
        (&[length], 1) => {
            let plan = Dwt::new(bank, Symmetric, length)?.with_isa(isa);
            let scratch = vec![0.0; plan.scratch_len()];
            Ok(Box::new(Line { plan, scratch }))
        }
        (&[rows, columns], levels) => {
            let axes = [(bank, Symmetric); 2];
            let plan = Wavedec::new(axes, [rows, columns], levels)?.with_isa(isa);
            let scratch = vec![0.0; plan.scratch_len::<f32>()];
            Ok(Box::new(Plane { plan, scratch }))
        }
        _ => Err("one level of a line or any of a plane".into()),
    }
}

/// The transform by two threads; what is timed beside it is `widest`.
fn parallel(bank: FilterBank<'static, f32>, work: &Work<'_>) -> Outcome<Box<dyn Transform>> {
    let &[rows, columns] = &work.shape[..] else {
        return Err("only planes are shared among threads".into());
    };
    let plan = Wavedec::new([(bank, Symmetric); 2], [rows, columns], work.levels)?;
    Ok(Box::new(Shared { plan }))
}

struct Shared {
    plan: Wavedec<'static, f32, 2>,
}

impl Transform for Shared {
    fn coefficients_len(&self) -> usize {
        self.plan.coefficients_len()
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        Ok(transform::forward(&self.plan, signal, coefficients)?)
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        Ok(transform::inverse(&self.plan, coefficients, signal)?)
    }
}

struct Line {
    plan: Dwt<'static, f32>,
    scratch: Vec<f32>,
}

impl Transform for Line {
    fn coefficients_len(&self) -> usize {
        2 * self.plan.band_length()
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at_mut(self.plan.band_length());
        Ok(self.plan.forward(signal, low, high, &mut self.scratch)?)
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let (low, high) = coefficients.split_at(self.plan.band_length());
        Ok(self.plan.inverse(low, high, signal, &mut self.scratch)?)
    }
}

struct Plane {
    plan: Wavedec<'static, f32, 2>,
    scratch: Vec<f32>,
}

impl Transform for Plane {
    fn coefficients_len(&self) -> usize {
        self.plan.coefficients_len()
    }

    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()> {
        let array = Array::new(signal, self.plan.shape())?;
        Ok(self.plan.forward(&array, coefficients, &mut self.scratch)?)
    }

    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()> {
        let mut array = ArrayMut::new(signal, self.plan.shape())?;
        Ok(self
            .plan
            .inverse(coefficients, &mut array, &mut self.scratch)?)
    }
}
