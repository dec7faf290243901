//! `waveft locations`: the places that PEFT trains.

use std::io::{self, BufWriter, ErrorKind, Write as _};

use clap::Args;
use clap::builder::RangedU64ValueParser;
use waveft_core::sampling::{Location, locations, scratch_len};

use crate::Failure;

/// Print the places of a layer's trained coefficients, `row,col` a line, in sampling order
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rows of the weight (out features)
    #[arg(long, value_name = "M", value_parser = side())]
    rows: usize,

    /// Columns of the weight (in features)
    #[arg(long, value_name = "N", value_parser = side())]
    cols: usize,

    /// How many (n_frequency)
    #[arg(long, value_name = "K")]
    count: usize,

    /// The seed (random_loc_seed), from -2^63 to 2^64 - 1
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = seed)]
    seed: u64,
}

/// A side of a weight, of the lengths that [`locations`] takes.
fn side() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..1 << 30)
}

/// A seed as torch takes it: a negative one as its two's complement.
fn seed(text: &str) -> Result<u64, String> {
    let number: i128 = text.parse().map_err(|error| format!("{error}"))?;
    let signed = i64::try_from(number).map(i64::cast_unsigned);
    signed
        .or_else(|_| u64::try_from(number))
        .map_err(|_| "expected a number from -2^63 to 2^64 - 1".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let &Arguments {
        rows,
        cols,
        count,
        seed,
    } = arguments;
    let entries = rows as u64 * cols as u64;
    if count == 0 || count as u64 > entries {
        // Before memory is asked for.
        let expected = format!("--count from 1 to {entries}, the entries of {rows} x {cols}");
        return Err(format!("expected {expected}, found {count}").into());
    }
    let scratch = scratch_len(entries, count);
    let (mut places, mut scratch) = (room(count)?, room(scratch)?);
    locations(rows, cols, seed, &mut places, &mut scratch)?;
    match print(&places) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// So many elements, unless the memory lacks room for them.
fn room<T: Clone + Default>(count: usize) -> Result<Vec<T>, Failure> {
    let mut elements = Vec::new();
    if elements.try_reserve_exact(count).is_err() {
        let bytes = count as u128 * size_of::<T>() as u128;
        return Err(format!("expected {bytes} bytes of free memory, found less").into());
    }
    elements.resize(count, T::default());
    Ok(elements)
}

fn print(places: &[Location]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for place in places {
        writeln!(out, "{},{}", place.row, place.column)?;
    }
    out.flush()
}
