//! Learns to read turned digits, and holds every loss and coefficient against the host's.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use learning::{Learner, Memory, STEPS, scratch_len};
use waveft_core::Error;
use waveft_cortex_m::expected::{BANK, CORRECT, HIDDEN, LOSSES, OUTPUT};
use waveft_cortex_m::{Instructions, finish, stack_high_water_mark};

/// How far a loss may be from the host's, relative to it, and a coefficient, relative to the layer's largest. The host sums in another
/// order and may fuse multiplications with additions.
const TOLERANCE: f32 = 1e-3;

const SCRATCH: usize = scratch_len(match BANK {
    Some(bank) => bank.taps(),
    None => 1,
});

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();
    static mut SCRATCH_MEMORY: [f32; SCRATCH] = [0.0; SCRATCH];
    let Some(peripherals) = cortex_m::Peripherals::take() else {
        finish(false)
    };
    let instructions = Instructions::new(peripherals.SYST);
    finish(learn(MEMORY, SCRATCH_MEMORY, instructions) == Ok(true))
}

fn learn(
    memory: &mut Memory,
    scratch: &mut [f32],
    mut instructions: Instructions,
) -> Result<bool, Error> {
    let (learner, setup) = instructions.count(|| Learner::new(BANK, memory));
    let mut learner = learner?;
    let before = learner.correct(scratch)?;
    hprintln!("right before: {} of 200", before);
    let mut most = 0;
    let mut largest = 0.0f32;
    for (step, expected) in LOSSES.iter().enumerate() {
        let (loss, count) = instructions.count(|| learner.step(scratch));
        let loss = loss?;
        most = most.max(count);
        largest = largest.max((loss - expected).abs() / expected);
        if step % 10 == 0 || step + 1 == STEPS {
            hprintln!("step {}: loss {} / 1000", step, (loss * 1000.0) as u32);
        }
    }
    let after = learner.correct(scratch)?;
    hprintln!("right after: {} of 200", after);
    for (found, expected) in learner
        .coefficients()
        .into_iter()
        .zip([&HIDDEN[..], &OUTPUT[..]])
    {
        largest = largest.max(difference(found, expected));
    }
    hprintln!(
        "largest difference from the host: {} / 1000000000",
        (largest * 1e9) as u32
    );
    let stack = stack_high_water_mark();
    hprintln!(
        "figures: setup {} step {} stack {} scratch {}",
        setup,
        most,
        stack,
        4 * SCRATCH
    );
    Ok(largest <= TOLERANCE && [before, after] == CORRECT && 2 * before < after)
}

/// The largest difference, relative to the largest that is expected.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let pairs = found.iter().zip(expected);
    let difference = pairs.fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    difference
        / expected
            .iter()
            .fold(0.0f32, |most, value| most.max(value.abs()))
}
