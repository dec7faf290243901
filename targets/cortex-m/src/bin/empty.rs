//! Nothing: what the others are compared with.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use waveft_cortex_m::finish;

#[entry]
fn main() -> ! {
    finish(true)
}
