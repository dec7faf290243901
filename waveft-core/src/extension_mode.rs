//! What a signal is taken to be beyond its ends.
//!
//! A filter near an end of a signal asks for samples that are not there. An [`ExtensionMode`] makes each of them from at
//! most three real ones. The nine modes, their names and their values are those of [PyWavelets], also for signals shorter
//! than the filter, where a mirrored or repeated copy is mirrored or repeated again.
//!
//! [PyWavelets]: https://pywavelets.readthedocs.io/en/latest/ref/signal-extension-modes.html

use crate::error::Error;

/// How a signal of `N` samples goes on beyond its ends.
///
/// The pictures show the signal 1, 2, 4, 3, 2 (●) and what a mode adds to it (○). [`transform`](crate::transform) says
/// what each means for an inverse and an adjoint.
///
/// # Examples
/// ```
/// use waveft_core::extension_mode::ExtensionMode;
///
/// assert_eq!(ExtensionMode::from_name("antireflect"), Ok(ExtensionMode::Antireflect));
/// assert_eq!(ExtensionMode::default().name(), "symmetric");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExtensionMode {
    /// Zeros beyond the ends: `0 0 0 | a b c d e | 0 0 0`.
    ///
    /// ```text
    ///              │    ●    │
    ///              │      ●  │
    ///              │  ●     ●│
    ///              │●        │
    /// ○─○─○─○─○─○─○│─────────│○─○─○─○─○─○─○─
    /// ```
    Zero,
    /// The end samples repeated: `a a a | a b c d e | e e e`.
    ///
    /// ```text
    ///              │    ●    │
    ///              │      ●  │
    ///              │  ●     ●│○ ○ ○ ○ ○ ○ ○
    /// ○ ○ ○ ○ ○ ○ ○│●        │
    /// ─────────────│─────────│──────────────
    /// ```
    Constant,
    /// Mirrored between samples, half-sample symmetric: `c b a | a b c d e | e d c`, of period `2N`.
    ///
    /// ```text
    ///         ○    │    ●    │    ○
    /// ○     ○      │      ●  │  ○
    ///   ○ ○     ○  │  ●     ●│○     ○     ○
    ///             ○│●        │        ○ ○
    /// ─────────────│─────────│──────────────
    /// ```
    #[default]
    Symmetric,
    /// Repeated: `c d e | a b c d e | a b c`.
    ///
    /// ```text
    ///         ○    │    ●    │    ○
    /// ○         ○  │      ●  │      ○
    ///   ○   ○     ○│  ●     ●│  ○     ○   ○
    ///     ○        │●        │○         ○
    /// ─────────────│─────────│──────────────
    /// ```
    Periodic,
    /// The straight lines through the two samples at each end:
    /// `4a−3b 3a−2b 2a−b | a b c d e | 2e−d 3e−2d 4e−3d`. With one sample as [`Constant`](Self::Constant).
    ///
    /// ```text
    ///              │    ●    │
    ///              │      ●  │
    ///              │  ●     ●│
    ///              │●        │○
    /// ────────────○│─────────│──○───────────
    ///           ○  │         │    ○
    ///         ○    │         │      ○
    ///       ○      │         │        ○
    ///     ○        │         │          ○
    ///   ○          │         │            ○
    /// ○            │         │
    /// ```
    Smooth,
    /// Repeated as in [`Periodic`](Self::Periodic), with only `⌈N/2⌉` coefficients a band: as few as can be. A signal
    /// of odd length first has its last sample doubled: `d e e | a b c d e | e a b`.
    ///
    /// ```text
    ///       ○      │    ●    │      ○
    ///         ○    │      ●  │        ○
    /// ○   ○     ○ ○│  ●     ●│○   ○     ○ ○
    ///   ○          │●        │  ○
    /// ─────────────│─────────│──────────────
    /// ```
    Periodization,
    /// Mirrored at the end samples, whole-sample symmetric: `d c b | a b c d e | d c b`, of period `2N − 2`. Needs two
    /// samples.
    ///
    /// ```text
    ///   ○       ○  │    ●    │  ○       ○
    ///     ○   ○    │      ●  │○           ○
    /// ○     ○     ○│  ●     ●│    ○   ○
    ///              │●        │      ○
    /// ─────────────│─────────│──────────────
    /// ```
    Reflect,
    /// Mirrored between samples and negated: `−c −b −a | a b c d e | −e −d −c`, of period `2N`.
    ///
    /// ```text
    ///              │    ●    │
    /// ○            │      ●  │
    ///   ○          │  ●     ●│            ○
    ///              │●        │          ○
    /// ─────────────│─────────│──────────────
    ///             ○│         │        ○
    ///     ○     ○  │         │○     ○
    ///       ○      │         │  ○
    ///         ○    │         │    ○
    /// ```
    Antisymmetric,
    /// Turned by half a turn about the end samples: `2a−d 2a−c 2a−b | a b c d e | 2e−d 2e−c 2e−b`, and again where a
    /// copy ends, so that values go on rising or falling by `2(e − a)` every `2N − 2` samples. Needs two samples.
    ///
    /// ```text
    ///              │         │          ○
    ///              │         │            ○
    ///              │    ●    │        ○
    ///              │      ●  │      ○
    ///   ○          │  ●     ●│    ○
    ///     ○        │●        │○
    /// ○─────○─────○│─────────│──○───────────
    ///         ○    │         │
    ///           ○  │         │
    /// ```
    Antireflect,
}

impl ExtensionMode {
    /// All nine, in PyWavelets' order.
    pub const ALL: [Self; 9] = [
        Self::Zero,
        Self::Constant,
        Self::Symmetric,
        Self::Periodic,
        Self::Smooth,
        Self::Periodization,
        Self::Reflect,
        Self::Antisymmetric,
        Self::Antireflect,
    ];

    /// PyWavelets' name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Constant => "constant",
            Self::Symmetric => "symmetric",
            Self::Periodic => "periodic",
            Self::Smooth => "smooth",
            Self::Periodization => "periodization",
            Self::Reflect => "reflect",
            Self::Antisymmetric => "antisymmetric",
            Self::Antireflect => "antireflect",
        }
    }

    /// The mode that PyWavelets has under a name, in lower case.
    ///
    /// # Errors
    /// [`Error::UnknownMode`], which says what there is.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == name);
        found.ok_or(Error::UnknownMode)
    }

    /// Samples that a signal has at least: 2 for the modes that mirror at the end samples, else 1.
    #[must_use]
    pub const fn least_length(self) -> usize {
        match self {
            Self::Reflect | Self::Antireflect => 2,
            _ => 1,
        }
    }

    /// The first copy of a signal of `length` samples before or behind it, in the modes that repeat samples one by one:
    /// what [`sample`](Self::sample) finds too, but faster.
    #[inline(always)]
    pub(crate) const fn first_copy(self, before: bool, length: usize) -> Option<FirstCopy> {
        let length = length as isize;
        let (start, step) = match self {
            Self::Symmetric | Self::Antisymmetric if before => (-1, -1),
            Self::Symmetric | Self::Antisymmetric => (2 * length - 1, -1),
            Self::Reflect if before => (0, -1),
            Self::Reflect => (2 * length - 2, -1),
            Self::Periodic if before => (length, 1),
            Self::Periodic => (-length, 1),
            Self::Constant if before => (0, 0),
            Self::Constant => (length - 1, 0),
            _ => return None,
        };
        Some(FirstCopy {
            start,
            step,
            is_negated: matches!(self, Self::Antisymmetric),
        })
    }

    /// The sample at `index` as a sum of at most three real ones: where each is and what it is multiplied by. Where a
    /// weight is zero the sample is not part of the sum, so that a NaN there does no harm.
    ///
    /// `length` is at least [`least_length`](Self::least_length). A weight exceeds the distance from the signal by 2 at
    /// most, and filters reach less than [`MAX_TAPS`](crate::filter_bank::MAX_TAPS) beyond it, so weights are exact.
    #[inline]
    pub(crate) fn sample(self, index: isize, length: usize) -> [(usize, i16); 3] {
        let last = length as isize - 1;
        let end = index.min(last).max(0);
        let one = |at, weight| [(at, weight), (0, 0), (0, 0)];
        let terms = match self {
            _ if index == end => one(index, 1),
            Self::Zero => one(0, 0),
            Self::Constant => one(end, 1),
            Self::Periodic => one(wrapped(index, last + 1), 1),
            Self::Periodization => {
                let period = length.next_multiple_of(2) as isize;
                one(wrapped(index, period).min(last), 1)
            }
            Self::Symmetric | Self::Antisymmetric => {
                let at = wrapped(index, 2 * last + 2);
                let negated = self == Self::Antisymmetric && at > last;
                one(at.min(2 * last + 1 - at), if negated { -1 } else { 1 })
            }
            Self::Reflect => {
                let at = wrapped(index, 2 * last);
                one(at.min(2 * last - at), 1)
            }
            Self::Antireflect => {
                // Two copies, of which the second is turned about the last sample, rise by twice what the signal rises
                // from its first sample to its last.
                let at = index.checked_rem_euclid(2 * last).unwrap_or(0);
                let rise = 2 * index.checked_div_euclid(2 * last).unwrap_or(0);
                if at <= last {
                    [(at, 1), (last, rise), (0, -rise)]
                } else {
                    [(2 * last - at, -1), (last, rise + 2), (0, -rise)]
                }
            }
            Self::Smooth if last == 0 => one(end, 1),
            Self::Smooth => {
                // On from the end along the line that leads there from its neighbour.
                let away = index - end;
                [
                    (end, 1 + away.abs()),
                    (end - away.signum(), -away.abs()),
                    (0, 0),
                ]
            }
        };
        terms.map(|(at, weight)| (at as usize, weight as i16))
    }
}

/// Samples beyond one end of a signal, each of which is one of its own: that at `index` is `start + step · index`, if there
/// is such a one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstCopy {
    pub(crate) start: isize,
    pub(crate) step: isize,
    pub(crate) is_negated: bool,
}

impl FirstCopy {
    /// Where the sample at `index` is; no place at all where that is before the signal.
    #[inline(always)]
    pub(crate) const fn place(self, index: isize) -> usize {
        (self.start + self.step * index) as usize
    }
}

/// `index` modulo a period, without a division where the index is within a period of the signal.
const fn wrapped(index: isize, period: isize) -> isize {
    if index >= 0 && index < period {
        index
    } else if index < 0 && index >= -period {
        index + period
    } else {
        match index.checked_rem_euclid(period) {
            Some(at) => at,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_fast_is_what_is_found() {
        let mut found = 0;
        for mode in ExtensionMode::ALL {
            for length in mode.least_length()..12 {
                for index in (-40..0).chain(length as isize..50) {
                    let copy = mode.first_copy(index < 0, length);
                    let Some(copy) = copy.filter(|copy| copy.place(index) < length) else {
                        continue;
                    };
                    let weight = if copy.is_negated { -1 } else { 1 };
                    let expected = [(copy.place(index), weight), (0, 0), (0, 0)];
                    assert_eq!(mode.sample(index, length), expected);
                    found += 1;
                }
            }
        }
        assert_eq!(found, 1430);
    }
}
