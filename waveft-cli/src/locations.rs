//! `waveft locations`: the places that PEFT trains.

use std::io::{self, BufWriter, Write as _};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};
use waveft_core::sampling::{Location, locations, scratch_len};

use crate::Failure;
use crate::output::finish;
use crate::whole::whole;

/// The longest side that [`locations`] takes.
const LONGEST: i128 = (1 << 30) - 1;

/// Print the places of a layer's trained coefficients, `row,col` a line, in sampling order
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rows of the weight (out features)
    #[arg(long, value_name = "M", allow_negative_numbers = true, value_parser = whole::<usize>(1..=LONGEST))]
    rows: usize,

    /// Columns of the weight (in features)
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>(1..=LONGEST))]
    cols: usize,

    /// How many (n_frequency), at most M times N
    #[arg(long, value_name = "K", allow_negative_numbers = true, value_parser = whole::<usize>(1..=LONGEST * LONGEST))]
    count: usize,

    /// The seed (random_loc_seed), from -2^63 to 2^64 - 1; PEFT's default is 777
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = seed)]
    seed: u64,
}

/// A seed as torch takes it: a negative one as its two's complement.
fn seed(text: &str) -> Result<u64, String> {
    let number: i128 = whole(i64::MIN.into()..=u64::MAX.into())(text)?;
    Ok(number as u64)
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let &Arguments {
        rows,
        cols,
        count,
        seed,
    } = arguments;
    let entries = rows as u64 * cols as u64;
    if count as u64 > entries {
        // Before memory is asked for.
        let expected = format!("--count from 1 to {entries}, the entries of {rows} x {cols}");
        return Err(wrong_usage(format!("expected {expected}, found {count}")));
    }
    let scratch = scratch_len(entries, count);
    let (mut places, mut scratch) = (room(count)?, room(scratch)?);
    locations(rows, cols, seed, &mut places, &mut scratch)?;
    finish(print(&places))
}

/// What no single argument shows, said as clap says the rest.
fn wrong_usage(message: String) -> Failure {
    let mut command = crate::Arguments::command();
    command.build();
    let command = command.find_subcommand_mut("locations");
    let command = command.expect("this subcommand");
    Box::new(command.error(ErrorKind::ValueValidation, message))
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
