//! What is compiled once for each instruction set.

/// Work that is compiled for each instruction set. `run` must be `#[inline(always)]`, or it stays
/// at what the crate was compiled for.
pub trait Kernel {
    /// What the work yields.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}
