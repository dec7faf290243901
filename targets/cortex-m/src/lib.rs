//! What the firmwares share: how they end, and how instructions and stack are counted.
#![no_std]

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::STACK_PAINT_VALUE;
use cortex_m_semihosting::debug;

/// What the build script wrote.
#[allow(missing_docs)]
pub mod expected {
    include!(concat!(env!("OUT_DIR"), "/expected.rs"));
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    finish(false)
}

/// Ends the emulator with status 0, or 1.
pub fn finish(is_right: bool) -> ! {
    debug::exit(if is_right {
        debug::EXIT_SUCCESS
    } else {
        debug::EXIT_FAILURE
    });
    loop {
        cortex_m::asm::nop();
    }
}

/// Counts instructions by the system timer. Of QEMU with `-icount shift=0` each takes a nanosecond, and the mps2-an386's timer
/// runs at 25 MHz: 40 instructions a tick.
pub struct Instructions(SYST);

impl Instructions {
    const TICK: u32 = 40;
    const LAST: u32 = 0x00FF_FFFF;

    /// Starts the timer. A count may be up to 671 million instructions.
    #[must_use]
    pub fn new(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(Self::LAST);
        timer.clear_current();
        timer.enable_counter();
        Self(timer)
    }

    /// Runs some work; returns what it yields and how many instructions it took, to within 80.
    pub fn count<T>(&mut self, work: impl FnOnce() -> T) -> (T, u32) {
        let before = SYST::get_current();
        let result = work();
        let ticks = before.wrapping_sub(SYST::get_current()) & Self::LAST;
        (result, ticks * Self::TICK)
    }
}

/// The most bytes of stack that there have been at once: what of it is no longer as it was painted at start.
#[must_use]
pub fn stack_high_water_mark() -> usize {
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let (top, bottom) = (&raw const _stack_start, &raw const _stack_end);
    let mut at = bottom;
    // SAFETY: cortex-m-rt's linker script puts both symbols on word boundaries of one memory, and what lies between was painted
    // and is initialised.
    while at < top && unsafe { at.read_volatile() } == STACK_PAINT_VALUE {
        at = at.wrapping_add(1);
    }
    top.addr() - at.addr()
}
