//! The synthesis filters of every wavelet in 15 KB: one filter each. A table of whole wavelets, with analysis, lifting steps and
//! both precisions, would take 240 KB.

use waveft_core::Error;
use waveft_core::filter_bank::{FilterBank, MAX_TAPS, wavelets};

/// A wavelet's name and the low-pass filter of its synthesis.
struct Synthesis {
    name: &'static str,
    low: &'static [f32],
}

const COUNT: usize = wavelets::ALL.len() + 1;

/// PyWavelets' wavelets, and after them what PEFT takes for coif4.
static TABLE: [Synthesis; COUNT] = {
    const NONE: Synthesis = Synthesis { name: "", low: &[] };
    let mut table = [NONE; COUNT];
    let mut at = 0;
    while at < COUNT {
        let wavelet = if at < wavelets::ALL.len() {
            &wavelets::ALL[at]
        } else {
            &wavelets::PEFT_COIF4
        };
        table[at] = Synthesis {
            name: wavelet.name(),
            low: wavelet.single().rec_lo(),
        };
        at += 1;
    }
    table
};

fn low(family: &[u8], order: &[u8]) -> Option<&'static [f32]> {
    let is_named =
        |wavelet: &&Synthesis| wavelet.name.as_bytes().strip_prefix(family) == Some(order);
    TABLE.iter().find(is_named).map(|wavelet| wavelet.low)
}

/// A bank with the synthesis of the wavelet of this name, whose high-pass filter is put into `high`. Its analysis is not the
/// wavelet's: no update looks at it.
pub(crate) fn bank(
    name: &[u8],
    high: &'static mut [f32; MAX_TAPS],
) -> Result<FilterBank<'static, f32>, Error> {
    let low_pass = low(b"", name).ok_or(Error::UnknownWavelet)?;
    // The mirror of the low-pass filter of analysis; that is the one of synthesis backwards, of bior its twin's in rbio.
    let (family, order) = name.split_at(name.len().min(4));
    let analysis = match family {
        b"bior" => low(b"rbio", order),
        b"rbio" => low(b"bior", order),
        _ => Some(low_pass),
    };
    let high = high.get_mut(..low_pass.len()).unwrap_or_default();
    for (k, (to, &tap)) in high
        .iter_mut()
        .zip(analysis.unwrap_or_default().iter().rev())
        .enumerate()
    {
        *to = if k % 2 == 0 { tap } else { -tap };
    }
    let high_pass: &[f32] = high;
    FilterBank::without_reconstruction(low_pass, high_pass, low_pass, high_pass)
}
