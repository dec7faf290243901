//! Normal random numbers as torch draws them on a CPU.

use std::f64::consts::TAU;

use waveft_core::sampling::MersenneTwister;

/// Numbers in a block of the transform of Box and Muller.
const BLOCK: usize = 16;

/// torch's normal random numbers: `torch.randn` in f32 after `torch.manual_seed`, call after call.
///
/// Fewer than 16 numbers are drawn in f64, two at a time, the second kept for the next such call; from 16 on they are
/// made in f32 in blocks of 16, and the last 16 are drawn once more when the count is no multiple of 16. (Box and
/// Muller, 1958, in both cases.)
///
/// Bits are the same on every platform, and agree with torch's scalar kernels to a few units in the last place of the
/// larger number of a pair. torch's own vector kernels differ from its scalar ones by as much.
///
/// # Examples
/// ```
/// use waveft_std::normal::NormalGenerator;
///
/// let mut numbers = [0.0; 3];
/// NormalGenerator::new(0).fill(&mut numbers);
/// let torch = [1.5409961, -0.2934289, -2.1787894];
/// assert!(numbers.iter().zip(torch).all(|(ours, torch)| (ours - torch).abs() < 1e-6));
/// ```
#[derive(Clone, Debug)]
pub struct NormalGenerator {
    bits: MersenneTwister,
    second_of_pair: Option<f64>,
}

impl NormalGenerator {
    /// The generator after `torch.manual_seed(seed)`; a negative seed is its two's complement.
    pub fn new(seed: u64) -> Self {
        Self {
            bits: MersenneTwister::new(seed),
            second_of_pair: None,
        }
    }

    /// Fills `numbers` as one call of `torch.randn(numbers.len())` does: mean 0, standard deviation 1. Cost: O(n).
    pub fn fill(&mut self, numbers: &mut [f32]) {
        if numbers.len() < BLOCK {
            numbers.fill_with(|| self.next_of_pair() as f32);
            return;
        }
        numbers.fill_with(|| self.uniform_f32());
        let mut blocks = numbers.chunks_exact_mut(BLOCK);
        blocks.by_ref().for_each(transform);
        let is_whole = blocks.into_remainder().is_empty();
        if !is_whole && let Some(last) = numbers.last_chunk_mut::<BLOCK>() {
            last.fill_with(|| self.uniform_f32());
            transform(last);
        }
    }

    fn next_of_pair(&mut self) -> f64 {
        if let Some(second) = self.second_of_pair.take() {
            return second;
        }
        let angle = TAU * self.uniform_f64();
        let radius = (-2.0 * libm::log1p(-self.uniform_f64())).sqrt();
        self.second_of_pair = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }

    /// Uniform in `[0, 1)`, of 24 bits.
    fn uniform_f32(&mut self) -> f32 {
        (self.bits.next_u32() & 0xff_ffff) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// Uniform in `[0, 1)`, of 53 bits.
    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.bits.next_u32());
        let word = high << 32 | u64::from(self.bits.next_u32());
        (word & ((1 << 53) - 1)) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

/// Turns a block of uniform numbers into normal ones: number `j` of the first half gives the radius, number `j` of the
/// second half the angle, of a pair of them.
fn transform(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(BLOCK / 2);
    for (x, y) in first.iter_mut().zip(second) {
        let radius = (-2.0 * libm::logf(1.0 - *x)).sqrt();
        let angle = (TAU * f64::from(*y)) as f32;
        *x = radius * libm::cosf(angle);
        *y = radius * libm::sinf(angle);
    }
}
