//! What can be wrong with an argument, with what was expected and what was found.

use core::fmt;
use core::ops::Range;

/// Why a checked entry point refused its arguments. Nothing was written when one is returned.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A matrix side or a signal has no elements.
    EmptyAxis,
    /// An axis of `length` samples with a filter of `taps` taps exceeds what an atom's indices reach:
    /// `length + taps < 2³⁰` is expected.
    AxisTooLong {
        /// Samples on the axis.
        length: usize,
        /// Taps of the filter.
        taps: usize,
    },
    /// A filter whose number of taps is odd, zero, or above `most`.
    TapCount {
        /// Taps found.
        found: usize,
        /// The largest even number accepted.
        most: usize,
    },
    /// The four filters of a bank are not of one length.
    UnequalFilters {
        /// Taps of `dec_lo`, `dec_hi`, `rec_lo` and `rec_hi`.
        found: [usize; 4],
    },
    /// A name that none of the discrete wavelets has.
    UnknownWavelet,
    /// A name that none of the extension modes has.
    UnknownMode,
    /// A tap that is NaN or infinite.
    NonFinite {
        /// `"dec_lo"`, `"dec_hi"`, `"rec_lo"` or `"rec_hi"`.
        filter: &'static str,
        /// The tap's index.
        at: usize,
    },
    /// A filter bank whose synthesis does not invert its analysis.
    NotReconstructing {
        /// The largest reconstruction error accepted.
        most: f64,
        /// The error found.
        found: f64,
    },
    /// More locations asked for than the matrix has entries, or none.
    LocationCount {
        /// Entries of the matrix: the largest count.
        entries: u64,
        /// The count asked for.
        found: usize,
    },
    /// A location, an atom or a range outside the matrix.
    OutOfBounds {
        /// What was out of bounds: `"row"`, `"column"`, …
        what: &'static str,
        /// The first value that is too large.
        bound: u64,
        /// The value found.
        found: u64,
    },
    /// A quantity of training outside its range: `least ≤ value < bound` is expected.
    OutOfRange {
        /// Which quantity: `"learning rate"`, `"momentum"`, …
        what: &'static str,
        /// The smallest value accepted.
        least: f64,
        /// The first value that is too large; infinite if every finite one is accepted.
        bound: f64,
        /// The value found.
        found: f64,
    },
    /// A place of a spectrum that comes twice.
    RepeatedPlace {
        /// Its first index in the list of places.
        first: usize,
        /// Its second index.
        second: usize,
    },
    /// A slice of the wrong length.
    Length {
        /// Which slice.
        what: &'static str,
        /// Elements expected.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// A signal shorter than its extension mode needs, or longer than a slice can be.
    SignalLength {
        /// The smallest length accepted.
        least: usize,
        /// The largest length accepted.
        most: usize,
        /// The length found.
        found: usize,
    },
    /// A matrix of the wrong shape, rows × columns.
    Shape {
        /// Shape expected.
        expected: (usize, usize),
        /// Shape found.
        found: (usize, usize),
    },
    /// Strides that place two entries of a matrix in one element.
    OverlappingStrides {
        /// Elements from a row to the next.
        row_stride: usize,
        /// Elements from a column to the next.
        column_stride: usize,
    },
    /// A stride that places two entries of an array in one element.
    OverlappingAxes {
        /// The axis, counted from 0.
        axis: usize,
        /// The smallest stride that steps over what the axes of smaller strides reach.
        least: usize,
        /// The stride found.
        found: usize,
    },
    /// An array that is laid out in another way than the operation takes.
    Stride {
        /// The axis, counted from 0.
        axis: usize,
        /// Elements from an entry to the next that were expected.
        expected: usize,
        /// Elements from an entry to the next that were found.
        found: usize,
    },
    /// An array of the wrong length along one axis.
    AxisLength {
        /// Which array.
        what: &'static str,
        /// The axis, counted from 0.
        axis: usize,
        /// Length expected.
        expected: usize,
        /// Length found.
        found: usize,
    },
    /// An axis that an array does not have.
    NoSuchAxis {
        /// The array's number of axes.
        axes: usize,
        /// The axis asked for, counted from 0.
        found: usize,
    },
    /// A filter bank without lifting steps, where they are asked for.
    NotFactored,
    /// Lifting steps of another filter bank.
    OtherSteps {
        /// `"dec_lo"`, `"dec_hi"`, `"rec_lo"` or `"rec_hi"`.
        filter: &'static str,
        /// The index of a tap that the steps make another; outside the filter taps are zero.
        at: isize,
        /// The tap.
        expected: f64,
        /// What the steps make; NaN where their offsets leave nothing.
        found: f64,
    },
    /// More levels than the plan can take, or fewer.
    Levels {
        /// The least number accepted.
        least: usize,
        /// The largest number accepted.
        most: usize,
        /// The number found.
        found: usize,
    },
}

/// That a slice has just the elements it should have.
pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Length {
        what,
        expected,
        found,
    })
}

/// That scratch has as many elements as are needed, or more.
pub(crate) fn check_scratch(expected: usize, found: usize) -> Result<(), Error> {
    check_length("scratch", expected, found.min(expected))
}

/// That a range of rows is not empty and ends at row `most` or before.
pub(crate) fn check_rows(most: usize, rows: &Range<usize>) -> Result<(), Error> {
    let most = most as u64;
    let [start, end] = [rows.start, rows.end].map(|row| row as u64);
    for (what, bound, found) in [
        ("end of rows", most + 1, end),
        ("start of rows", end, start),
    ] {
        if found >= bound {
            return Err(Error::OutOfBounds { what, bound, found });
        }
    }
    Ok(())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EmptyAxis => write!(f, "expected an axis of at least one element, found none"),
            Self::AxisTooLong { length, taps } => write!(
                f,
                "expected length + taps below 2^30, found {length} + {taps}"
            ),
            Self::TapCount { found, most } => write!(
                f,
                "expected an even number of taps from 2 to {most}, found {found}"
            ),
            Self::UnequalFilters { found } => write!(
                f,
                "expected four filters of one length, found dec_lo {}, dec_hi {}, rec_lo {}, rec_hi {}",
                found[0], found[1], found[2], found[3]
            ),
            Self::UnknownWavelet => write!(
                f,
                "expected the name of a discrete wavelet, found another: there are haar, db1 to db38, sym2 to sym20, coif1 to coif17, dmey, and bior and rbio 1.1, 1.3, 1.5, 2.2, 2.4, 2.6, 2.8, 3.1, 3.3, 3.5, 3.7, 3.9, 4.4, 5.5, 6.8"
            ),
            Self::UnknownMode => write!(
                f,
                "expected the name of an extension mode, found another: there are zero, constant, symmetric, periodic, smooth, periodization, reflect, antisymmetric, antireflect"
            ),
            Self::NonFinite { filter, at } => {
                write!(f, "expected finite taps, found another at {at} of {filter}")
            }
            Self::NotReconstructing { most, found } => write!(
                f,
                "expected filters that reconstruct to {most:e}, found an error of {found:e}"
            ),
            Self::LocationCount { entries, found } => write!(
                f,
                "expected 1 to {entries} locations (rows x columns), found {found}"
            ),
            Self::OutOfBounds { what, bound, found } => {
                write!(f, "expected {what} below {bound}, found {found}")
            }
            Self::OutOfRange {
                what,
                least,
                bound,
                found,
            } if bound.is_finite() => write!(
                f,
                "expected {what} of at least {least} and below {bound}, found {found}"
            ),
            Self::OutOfRange {
                what, least, found, ..
            } => write!(
                f,
                "expected finite {what} of at least {least}, found {found}"
            ),
            Self::RepeatedPlace { first, second } => write!(
                f,
                "expected different places, found the same at {first} and at {second}"
            ),
            Self::Length {
                what,
                expected,
                found,
            } => write!(f, "expected {what} of {expected} elements, found {found}"),
            Self::SignalLength { least, most, found } => {
                let (bound, samples) = if found < least {
                    ("least", least)
                } else {
                    ("most", most)
                };
                write!(
                    f,
                    "expected a signal of at {bound} {samples} samples, found {found}"
                )
            }
            Self::Shape { expected, found } => write!(
                f,
                "expected a matrix of {} x {}, found {} x {}",
                expected.0, expected.1, found.0, found.1
            ),
            Self::OverlappingStrides {
                row_stride,
                column_stride,
            } => write!(
                f,
                "expected strides that keep entries apart, found row stride {row_stride} and column stride {column_stride}"
            ),
            Self::OverlappingAxes { axis, least, found } => write!(
                f,
                "expected a stride of at least {least} along axis {axis}, so that no two entries are one element, found {found}"
            ),
            Self::Stride {
                axis,
                expected,
                found,
            } => write!(
                f,
                "expected a stride of {expected} along axis {axis}, found {found}"
            ),
            Self::AxisLength {
                what,
                axis,
                expected,
                found,
            } => write!(
                f,
                "expected {what} of length {expected} along axis {axis}, found {found}"
            ),
            Self::NoSuchAxis { axes, found } => {
                write!(f, "expected an axis below {axes}, found {found}")
            }
            Self::OtherSteps {
                filter,
                at,
                expected,
                found,
            } => write!(
                f,
                "expected lifting steps that make tap {at} of {filter} {expected}, found {found}"
            ),
            Self::NotFactored => write!(
                f,
                "expected a filter bank in factors (a named wavelet other than dmey, or a bank made with lifting steps), found one without"
            ),
            Self::Levels { least, most, found } if least == most => {
                write!(f, "expected level {most}, found {found}")
            }
            Self::Levels { least, most, found } => {
                write!(f, "expected {least} to {most} levels, found {found}")
            }
        }
    }
}

impl core::error::Error for Error {}
