//! A bank in read-only memory for each wavelet, `WAVEFT_` and the name of its constant in `waveft-core`.
//!
//! Each is a symbol of its own, so that a linker keeps what is named.

use crate::filter_bank::FilterBank;
use waveft_core::filter_bank::wavelets;

macro_rules! banks {
    ($($wavelet:ident)*) => {
        $(
            #[unsafe(export_name = concat!("WAVEFT_", stringify!($wavelet)))]
            #[doc = concat!("The bank of [`wavelets::", stringify!($wavelet), "`].")]
            pub static $wavelet: FilterBank = FilterBank::of(&wavelets::$wavelet);
        )*

        /// Their symbols, for the header, and the banks.
        pub static ALL: [(&str, &FilterBank); 107] = [
            $((concat!("WAVEFT_", stringify!($wavelet)), &$wavelet)),*
        ];
    };
}

banks! {
    BIOR1_1 BIOR1_3 BIOR1_5 BIOR2_2 BIOR2_4 BIOR2_6 BIOR2_8 BIOR3_1 BIOR3_3 BIOR3_5 BIOR3_7 BIOR3_9
    BIOR4_4 BIOR5_5 BIOR6_8 COIF1 COIF2 COIF3 COIF4 COIF5 COIF6 COIF7 COIF8 COIF9 COIF10 COIF11
    COIF12 COIF13 COIF14 COIF15 COIF16 COIF17 DB1 DB2 DB3 DB4 DB5 DB6 DB7 DB8 DB9 DB10 DB11 DB12
    DB13 DB14 DB15 DB16 DB17 DB18 DB19 DB20 DB21 DB22 DB23 DB24 DB25 DB26 DB27 DB28 DB29 DB30 DB31
    DB32 DB33 DB34 DB35 DB36 DB37 DB38 DMEY HAAR RBIO1_1 RBIO1_3 RBIO1_5 RBIO2_2 RBIO2_4 RBIO2_6
    RBIO2_8 RBIO3_1 RBIO3_3 RBIO3_5 RBIO3_7 RBIO3_9 RBIO4_4 RBIO5_5 RBIO6_8 SYM2 SYM3 SYM4 SYM5 SYM6
    SYM7 SYM8 SYM9 SYM10 SYM11 SYM12 SYM13 SYM14 SYM15 SYM16 SYM17 SYM18 SYM19 SYM20 PEFT_COIF4
}
