//! One token on its own, as decoding has it: the atoms one after the other.

use super::DeltaWeight;
use super::side::Side;
use crate::element::Real;
use crate::kernel::Kernel;
use crate::lanes::HAS_VECTORS;

/// `y += x ΔWᵀ` of one token.
pub(super) struct ApplyToken<'a, 'd, F> {
    pub(super) delta: &'a DeltaWeight<'d, F>,
    pub(super) from: Side<'a, F>,
    pub(super) to: Side<'a, F>,
    pub(super) input: &'a [F],
    pub(super) output: &'a mut [F],
}

impl<F: Real> Kernel for ApplyToken<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.from.axis.taps() {
            // Without vectors it would gain little, and be as large again.
            2 if HAS_VECTORS => self.run_with::<2>(),
            _ => self.run_with::<0>(),
        }
    }
}

impl<F: Real> ApplyToken<'_, '_, F> {
    /// Under filters of `TAPS` taps, or any number for 0.
    #[inline(always)]
    fn run_with<const TAPS: usize>(self) {
        let spectrum = self.delta.spectrum;
        for (atom, &coefficient) in spectrum.atoms().iter().zip(spectrum.coefficients()) {
            let (start, filter) = self.from.taps_on::<TAPS>(atom);
            let samples = self.input.get(start..).unwrap_or_default();
            let analysed = dot(filter, samples);
            let (start, filter) = self.to.taps_on::<TAPS>(atom);
            let value = self.delta.scaling * (coefficient * analysed);
            let samples = self.output.get_mut(start..).unwrap_or_default();
            for (sample, &tap) in samples.iter_mut().zip(filter) {
                *sample += value * tap;
            }
        }
    }
}

/// The sum of the products, in eight sums that vectors can hold.
#[inline(always)]
fn dot<F: Real>(taps: &[F], samples: &[F]) -> F {
    let samples = samples.get(..taps.len()).unwrap_or_default();
    let (tap_groups, taps) = taps.as_chunks::<8>();
    let (sample_groups, samples) = samples.as_chunks::<8>();
    let mut sum = F::ZERO;
    for (&tap, &sample) in taps.iter().zip(samples) {
        sum += tap * sample;
    }
    if tap_groups.is_empty() {
        return sum;
    }
    let mut sums = [F::ZERO; 8];
    for (taps, samples) in tap_groups.iter().zip(sample_groups) {
        for ((sum, &tap), &sample) in sums.iter_mut().zip(taps).zip(samples) {
            *sum += tap * sample;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    sum + (((a + e) + (c + g)) + ((b + f) + (d + h)))
}
