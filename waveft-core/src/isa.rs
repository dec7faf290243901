//! Which vector instructions the machine has, and the one place where they are switched on.
//!
//! Kernels are written once, in plain Rust, as a `Kernel`; `Isa::run` compiles each for every
//! instruction set and enters the one asked for.

use crate::kernel::Kernel;
use portable::run_portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use {with_avx2::run_avx2, with_avx512::run_avx512};

/// An instruction set that the kernels are compiled for beside the portable one.
///
/// The portable kernels run everywhere and use what the compiler was told to assume; on x86-64 the
/// other two are compiled into every build and chosen at run time, so that a plain build loses
/// nothing against one made for the machine. The sparse update is the same bits for each of them; the
/// transforms differ in the last bits, where one fuses a multiplication with an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// Whatever the crate was compiled for.
    Portable,
    /// x86-64 with AVX2, FMA, BMI1 and BMI2.
    Avx2,
    /// The same with AVX-512 F, BW, DQ and VL.
    Avx512,
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(avx2, "avx2", "fma", "bmi1", "bmi2");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(
    avx512, "avx2", "fma", "bmi1", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl"
);

impl Isa {
    /// Every instruction set, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The widest that this machine runs. Costs one atomic load after the first call.
    ///
    /// ```
    /// use waveft_core::isa::Isa;
    /// assert!(Isa::detect().is_available());
    /// ```
    #[must_use]
    pub fn detect() -> Self {
        if Self::Avx512.is_available() {
            Self::Avx512
        } else if Self::Avx2.is_available() {
            Self::Avx2
        } else {
            Self::Portable
        }
    }

    /// Whether this machine runs it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::get(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::get(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The vector instructions that its kernels are made of: `"avx2"`, `"avx512"`, and for the portable
    /// one what `wide` takes under the build's target features, `"avx"`, `"sse2"`, `"neon"`,
    /// `"simd128"` or `"scalar"`.
    ///
    /// ```
    /// use waveft_core::isa::Isa;
    /// assert_eq!(Isa::Avx2.instructions(), "avx2");
    /// # #[cfg(target_arch = "aarch64")]
    /// assert_eq!(Isa::Portable.instructions(), "neon");
    /// ```
    #[must_use]
    pub const fn instructions(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable if cfg!(target_feature = "avx") => "avx",
            Self::Portable if cfg!(target_feature = "sse2") => "sse2",
            Self::Portable if cfg!(target_feature = "simd128") => "simd128",
            Self::Portable if cfg!(all(target_arch = "aarch64", target_feature = "neon")) => "neon",
            Self::Portable => "scalar",
        }
    }
}

impl Isa {
    /// Runs the kernel with these instructions, or with the portable ones where the machine lacks
    /// them.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        self.run_one(kernel, |kernel| kernel, |kernel| kernel, |kernel| kernel)
    }

    /// Runs one of three kernels that the work is made into, each compiled for its instructions alone.
    #[allow(unsafe_code)]
    #[inline(always)]
    pub(crate) fn run_one<W, A, B, C>(
        self,
        work: W,
        avx512: impl FnOnce(W) -> A,
        avx2: impl FnOnce(W) -> B,
        portable: impl FnOnce(W) -> C,
    ) -> A::Output
    where
        A: Kernel,
        B: Kernel<Output = A::Output>,
        C: Kernel<Output = A::Output>,
    {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `is_available` has just found every feature that the function enables.
            Self::Avx512 if self.is_available() => unsafe { run_avx512(avx512(work)) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `is_available` has just found every feature that the function enables.
            Self::Avx2 if self.is_available() => unsafe { run_avx2(avx2(work)) },
            _ => {
                let _ = (avx512, avx2);
                run_portable(portable(work))
            }
        }
    }
}

// Where kernels are entered, never inlined where instructions are chosen, so that what a kernel outlines is outlined. Each is in a
// module of its own, for the compiler translates modules side by side, and these are most of the crate.

mod portable {
    use crate::kernel::Kernel;

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    pub(crate) fn run_portable<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
}

#[cfg(target_arch = "x86_64")]
mod with_avx512 {
    use crate::kernel::Kernel;

    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2")]
    pub(crate) fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
}

#[cfg(target_arch = "x86_64")]
mod with_avx2 {
    use crate::kernel::Kernel;

    #[inline(never)]
    #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
    pub(crate) fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
}

/// Asks the memory for the element `at`, to change it; it need not be there. Nothing but time depends
/// on it.
#[allow(unsafe_code)]
#[inline(always)]
pub(crate) fn prefetch<T>(data: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        let address = data.as_ptr().wrapping_add(at).addr();
        // The intrinsic gives a prefetch for reading unless the build is for a machine with this
        // instruction, and the line would have to be asked for again to be written.
        // SAFETY: a hint that never faults, whatever the address, and that a machine without it
        // takes for no operation.
        unsafe {
            core::arch::asm!(
                "prefetchw [{}]",
                in(reg) address,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, at);
}

/// Asks the second-level cache for what is at an address, which need not be there. Nothing but time depends on it.
#[allow(unsafe_code)]
#[inline(always)]
pub(crate) fn prefetch_to_second_level(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a hint that never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks the memory for the element `at`, to read it; it need not be there. Nothing but time depends on
/// it.
#[allow(unsafe_code)]
#[inline(always)]
pub(crate) fn prefetch_to_read<T>(data: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint that never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(data.as_ptr().wrapping_add(at).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, at);
}
