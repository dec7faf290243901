//! The discrete wavelets of PyWavelets 1.9.0 as constants, and PEFT's own coif4.
//!
//! | constants | family | taps `L` | source |
//! |---|---|---|---|
//! | [`HAAR`] | Haar | 2 | Haar 1910 |
//! | [`DB1`] to [`DB38`] | Daubechies, extremal phase, `N` vanishing moments | `2N` | Daubechies 1988 |
//! | [`SYM2`] to [`SYM20`] | Daubechies, least asymmetric, `N` vanishing moments | `2N` | Daubechies 1992, § 8.1 |
//! | [`COIF1`] to [`COIF17`] | coiflets, `2N` vanishing moments of ψ and `2N − 1` of φ | `6N` | Daubechies 1992, § 8.2; 1993 |
//! | [`BIOR1_1`] to [`BIOR6_8`] | biorthogonal, symmetric | 2 to 20 | Cohen, Daubechies, Feauveau 1992 |
//! | [`RBIO1_1`] to [`RBIO6_8`] | bior with analysis and synthesis exchanged | 2 to 20 | as bior |
//! | [`DMEY`] | a finite approximation of Meyer's wavelet | 62 | Meyer 1990; PyWavelets' table |
//!
//! - A. Haar, “Zur Theorie der orthogonalen Funktionensysteme”, Math. Ann. 69 (1910).
//! - I. Daubechies, “Orthonormal bases of compactly supported wavelets”, Comm. Pure Appl. Math. 41 (1988).
//! - Y. Meyer, *Ondelettes et opérateurs*, Hermann (1990).
//! - A. Cohen, I. Daubechies, J.-C. Feauveau, “Biorthogonal bases of compactly supported wavelets”,
//!   Comm. Pure Appl. Math. 45 (1992).
//! - I. Daubechies, *Ten Lectures on Wavelets*, SIAM (1992).
//! - I. Daubechies, “Orthonormal bases of compactly supported wavelets II. Variations on a theme”,
//!   SIAM J. Math. Anal. 24 (1993).
//!
//! Each is a `const`, so that what a program does not name is not in it: `DB1.single()` links 8 bytes a filter and 24
//! of factors.
//! Only [`ALL`], and [`Wavelet::from_name`] which searches it, hold every table.

use super::{FilterBank, Wavelet, factors, tables};
use crate::lifting::{Factors, Step};

/// A wavelet from its two low-pass filters, arrays of one length, and its factors, if it has any.
///
/// Every filter is a constant of its own, so that a program keeps only those it uses.
macro_rules! wavelet {
    ($name:expr, $dec_lo:expr, $rec_lo:expr, $is_orthogonal:expr, $psi:expr, $phi:expr $(, $factors:expr)?) => {{
        const TAPS: usize = $rec_lo.len();
        const DEC_LO: [f64; TAPS] = $dec_lo;
        const REC_LO: [f64; TAPS] = $rec_lo;
        const DEC_HI: [f64; TAPS] = negated_from(0, REC_LO);
        const REC_HI: [f64; TAPS] = negated_from(1, DEC_LO);
        const SINGLE_DEC_LO: [f32; TAPS] = rounded(DEC_LO);
        const SINGLE_REC_LO: [f32; TAPS] = rounded(REC_LO);
        const SINGLE_DEC_HI: [f32; TAPS] = rounded(DEC_HI);
        const SINGLE_REC_HI: [f32; TAPS] = rounded(REC_HI);
        let (double_lifting, single_lifting) = lifting!($($factors)?);
        Wavelet {
            name: $name,
            double: FilterBank {
                dec_lo: &DEC_LO,
                dec_hi: &DEC_HI,
                rec_lo: &REC_LO,
                rec_hi: &REC_HI,
                lifting: double_lifting,
            },
            single: FilterBank {
                dec_lo: &SINGLE_DEC_LO,
                dec_hi: &SINGLE_DEC_HI,
                rec_lo: &SINGLE_REC_LO,
                rec_hi: &SINGLE_REC_HI,
                lifting: single_lifting,
            },
            is_orthogonal: $is_orthogonal,
            vanishing_moments_psi: $psi,
            vanishing_moments_phi: $phi,
        }
    }};
}

/// A bank's factors in both precisions.
macro_rules! lifting {
    () => {
        (None, None)
    };
    ($factors:expr) => {{
        const STEPS: usize = $factors.steps.len();
        const FACTORS: Factors<STEPS> = $factors;
        const SINGLE_STEPS: [Step<f32>; STEPS] = FACTORS.single_steps();
        (Some(FACTORS.double()), Some(FACTORS.single(&SINGLE_STEPS)))
    }};
}

/// The filter backwards.
const fn reversed<const L: usize>(taps: [f64; L]) -> [f64; L] {
    let mut result = taps;
    result.reverse();
    result
}

/// The quadrature mirror: every second tap negated, the one at `first` being the first.
const fn negated_from<const L: usize>(first: usize, taps: [f64; L]) -> [f64; L] {
    let mut result = taps;
    let mut k = first;
    while k < L {
        result[k] = -result[k];
        k += 2;
    }
    result
}

/// Each tap to the nearest f32.
const fn rounded<const L: usize>(taps: [f64; L]) -> [f32; L] {
    let mut result = [0.0; L];
    let mut k = 0;
    while k < L {
        result[k] = taps[k] as f32;
        k += 1;
    }
    result
}

macro_rules! daubechies {
    ($($identifier:ident $order:literal)*) => {$(
        #[doc = concat!("Daubechies' extremal-phase wavelet with ", $order, " vanishing moments, `L = 2 · ", $order, "`.")]
        pub const $identifier: Wavelet = wavelet!(
            concat!("db", $order),
            reversed(tables::$identifier),
            tables::$identifier,
            true,
            Some($order),
            Some(0),
            factors::$identifier
        );
    )*};
}

macro_rules! symlets {
    ($($identifier:ident $order:literal)*) => {$(
        #[doc = concat!("Daubechies' least asymmetric wavelet with ", $order, " vanishing moments, `L = 2 · ", $order, "`.")]
        pub const $identifier: Wavelet = wavelet!(
            concat!("sym", $order),
            reversed(tables::$identifier),
            tables::$identifier,
            true,
            Some($order),
            Some(0),
            factors::$identifier
        );
    )*};
}

macro_rules! coiflets {
    ($($identifier:ident $order:literal)*) => {$(
        #[doc = concat!("The coiflet with `2 · ", $order, "` vanishing moments of ψ, `L = 6 · ", $order, "`.")]
        pub const $identifier: Wavelet = wavelet!(
            concat!("coif", $order),
            reversed(tables::$identifier),
            tables::$identifier,
            true,
            Some(2 * $order),
            Some(2 * $order - 1),
            factors::$identifier
        );
    )*};
}

macro_rules! biorthogonal {
    ($($identifier:ident $reverse:ident $psi:literal . $phi:literal)*) => {$(
        #[doc = concat!("The biorthogonal wavelet ", $psi, ".", $phi, ".")]
        pub const $identifier: Wavelet = wavelet!(
            concat!("bior", $psi, ".", $phi),
            tables::$identifier[0],
            tables::$identifier[1],
            false,
            Some($psi),
            Some($phi),
            factors::$identifier
        );

        #[doc = concat!("The biorthogonal wavelet ", $psi, ".", $phi, " with analysis and synthesis exchanged.")]
        pub const $reverse: Wavelet = wavelet!(
            concat!("rbio", $psi, ".", $phi),
            reversed(tables::$identifier[1]),
            reversed(tables::$identifier[0]),
            false,
            Some($psi),
            Some($phi),
            factors::$reverse
        );
    )*};
}

/// The Haar wavelet, `L = 2`: [`DB1`] by its first name.
pub const HAAR: Wavelet = Wavelet {
    name: "haar",
    ..DB1
};

daubechies! {
    DB1 1
    DB2 2
    DB3 3
    DB4 4
    DB5 5
    DB6 6
    DB7 7
    DB8 8
    DB9 9
    DB10 10
    DB11 11
    DB12 12
    DB13 13
    DB14 14
    DB15 15
    DB16 16
    DB17 17
    DB18 18
    DB19 19
    DB20 20
    DB21 21
    DB22 22
    DB23 23
    DB24 24
    DB25 25
    DB26 26
    DB27 27
    DB28 28
    DB29 29
    DB30 30
    DB31 31
    DB32 32
    DB33 33
    DB34 34
    DB35 35
    DB36 36
    DB37 37
    DB38 38
}

symlets! {
    SYM2 2
    SYM3 3
    SYM4 4
    SYM5 5
    SYM6 6
    SYM7 7
    SYM8 8
    SYM9 9
    SYM10 10
    SYM11 11
    SYM12 12
    SYM13 13
    SYM14 14
    SYM15 15
    SYM16 16
    SYM17 17
    SYM18 18
    SYM19 19
    SYM20 20
}

coiflets! {
    COIF1 1
    COIF2 2
    COIF3 3
    COIF4 4
    COIF5 5
    COIF6 6
    COIF7 7
    COIF8 8
    COIF9 9
    COIF10 10
    COIF11 11
    COIF12 12
    COIF13 13
    COIF14 14
    COIF15 15
    COIF16 16
    COIF17 17
}

biorthogonal! {
    BIOR1_1 RBIO1_1 1 . 1
    BIOR1_3 RBIO1_3 1 . 3
    BIOR1_5 RBIO1_5 1 . 5
    BIOR2_2 RBIO2_2 2 . 2
    BIOR2_4 RBIO2_4 2 . 4
    BIOR2_6 RBIO2_6 2 . 6
    BIOR2_8 RBIO2_8 2 . 8
    BIOR3_1 RBIO3_1 3 . 1
    BIOR3_3 RBIO3_3 3 . 3
    BIOR3_5 RBIO3_5 3 . 5
    BIOR3_7 RBIO3_7 3 . 7
    BIOR3_9 RBIO3_9 3 . 9
    BIOR4_4 RBIO4_4 4 . 4
    BIOR5_5 RBIO5_5 5 . 5
    BIOR6_8 RBIO6_8 6 . 8
}

/// The discrete approximation of Meyer's wavelet, `L = 62`, tap for tap PyWavelets'.
///
/// Its table defines it. Even shifts are orthonormal to 0.0022 only and `dec_hi` sums to 0.0011, so synthesis does
/// not quite undo analysis.
pub const DMEY: Wavelet = wavelet!(
    "dmey",
    reversed(tables::DMEY),
    tables::DMEY,
    true,
    None,
    None
);

/// What PEFT 0.21.2 takes for coif4, `L = 24`: needed to reproduce adapters trained with it, for nothing else.
///
/// 21 of the 24 taps are not [`COIF4`]'s, by up to 0.0122, and the bank is not orthogonal. Not in [`ALL`] and not
/// known to [`Wavelet::from_name`].
///
/// # Examples
/// ```
/// use waveft_core::filter_bank::wavelets::{COIF4, PEFT_COIF4};
///
/// assert_eq!(PEFT_COIF4.name(), "peft-coif4");
/// assert_eq!(PEFT_COIF4.taps(), COIF4.taps());
/// assert_ne!(PEFT_COIF4.single().rec_lo(), COIF4.single().rec_lo());
/// ```
pub const PEFT_COIF4: Wavelet = wavelet!(
    "peft-coif4",
    reversed(tables::PEFT_COIF4),
    tables::PEFT_COIF4,
    false,
    None,
    None
);

/// All 106, in the order of PyWavelets' `wavelist(kind="discrete")`.
pub static ALL: [Wavelet; 106] = [
    BIOR1_1, BIOR1_3, BIOR1_5, BIOR2_2, BIOR2_4, BIOR2_6, BIOR2_8, BIOR3_1, BIOR3_3, BIOR3_5,
    BIOR3_7, BIOR3_9, BIOR4_4, BIOR5_5, BIOR6_8, COIF1, COIF2, COIF3, COIF4, COIF5, COIF6, COIF7,
    COIF8, COIF9, COIF10, COIF11, COIF12, COIF13, COIF14, COIF15, COIF16, COIF17, DB1, DB2, DB3,
    DB4, DB5, DB6, DB7, DB8, DB9, DB10, DB11, DB12, DB13, DB14, DB15, DB16, DB17, DB18, DB19, DB20,
    DB21, DB22, DB23, DB24, DB25, DB26, DB27, DB28, DB29, DB30, DB31, DB32, DB33, DB34, DB35, DB36,
    DB37, DB38, DMEY, HAAR, RBIO1_1, RBIO1_3, RBIO1_5, RBIO2_2, RBIO2_4, RBIO2_6, RBIO2_8, RBIO3_1,
    RBIO3_3, RBIO3_5, RBIO3_7, RBIO3_9, RBIO4_4, RBIO5_5, RBIO6_8, SYM2, SYM3, SYM4, SYM5, SYM6,
    SYM7, SYM8, SYM9, SYM10, SYM11, SYM12, SYM13, SYM14, SYM15, SYM16, SYM17, SYM18, SYM19, SYM20,
];
