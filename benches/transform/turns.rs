//! What the two programs of `benches/transform/run` have in common: they read a request a line from standard input, time
//! one transform for one turn, and answer with a line of nanoseconds, so that the script can give every side its turn.
//!
//! ```text
//! time HOW WAVELET SHAPE LEVELS MILLISECONDS    copying, forward, inverse, copying, forward, …: ns a call
//! dump HOW WAVELET SHAPE LEVELS FILE            nothing; the coefficients, then what synthesis makes of them, are in FILE
//! ```
//! `HOW` is a library or a way of running it, `SHAPE` is `N` or `MxN`. What cannot be done is answered with `no: ` and
//! the reason.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// A call shorter than this is timed together with as many others.
const LEAST: Duration = Duration::from_micros(200);

/// How long a transform runs before it is timed: it takes the system some to give each thread a processor of its own.
const UNTIMED: Duration = Duration::from_millis(50);

/// A transform with plan and scratch ready, of the signal or the row-major array of a [`Work`].
pub(crate) trait Transform {
    fn coefficients_len(&self) -> usize;
    fn forward(&mut self, signal: &[f32], coefficients: &mut [f32]) -> Outcome<()>;
    /// May leave anything in the coefficients.
    fn inverse(&mut self, coefficients: &mut [f32], signal: &mut [f32]) -> Outcome<()>;
}

pub(crate) struct Work<'a> {
    pub(crate) how: &'a str,
    pub(crate) wavelet: &'a str,
    pub(crate) shape: Vec<usize>,
    pub(crate) levels: usize,
}

/// Answers requests until there are no more.
pub(crate) fn answer(plan: impl Fn(&Work<'_>) -> Outcome<Box<dyn Transform>>) -> Outcome<()> {
    let mut memory = Memory::default();
    for line in io::stdin().lines() {
        match carry_out(&line?, &plan, &mut memory) {
            Ok(times) => {
                let words: Vec<String> = times.iter().map(|time| format!("{time:.3}")).collect();
                println!("{}", words.join(" "));
            }
            Err(reason) => println!("no: {reason}"),
        }
        io::stdout().flush()?;
    }
    Ok(())
}

fn carry_out(
    line: &str,
    plan: impl Fn(&Work<'_>) -> Outcome<Box<dyn Transform>>,
    memory: &mut Memory,
) -> Outcome<Vec<f64>> {
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    let [what, how, wavelet, shape, levels, last] = words[..] else {
        return Err("a request has six words".into());
    };
    let shape: Vec<usize> = shape.split('x').map(str::parse).collect::<Result<_, _>>()?;
    let samples = shape.iter().product();
    let levels = levels.parse()?;
    let work = Work {
        how,
        wavelet,
        shape,
        levels,
    };
    let transform = &mut *plan(&work)?;
    memory.fit(samples, transform.coefficients_len());
    let memory = memory.take(samples, transform.coefficients_len());
    match what {
        "time" => turn(transform, memory, Duration::from_millis(last.parse()?)),
        "dump" => dump(transform, memory, last),
        _ => Err("unknown request".into()),
    }
}

/// Buffers that stay from request to request, so that no turn waits for memory.
#[derive(Default)]
struct Memory {
    signal: Vec<f32>,
    coefficients: Vec<f32>,
    back: Vec<f32>,
}

/// The parts of [`Memory`] that a work uses.
struct Buffers<'a> {
    signal: &'a [f32],
    coefficients: &'a mut [f32],
    back: &'a mut [f32],
}

impl Memory {
    fn fit(&mut self, samples: usize, coefficients: usize) {
        let known = self.signal.len();
        if samples > known {
            // Any, but the same on every side, and exact in f32.
            let more = (known..samples).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0);
            self.signal.extend(more);
            self.back.resize(samples, 0.0);
        }
        let length = coefficients.max(samples).max(self.coefficients.len());
        self.coefficients.resize(length, 0.0);
    }

    fn take(&mut self, samples: usize, coefficients: usize) -> Buffers<'_> {
        Buffers {
            signal: &self.signal[..samples],
            coefficients: &mut self.coefficients[..coefficients],
            back: &mut self.back[..samples],
        }
    }
}

/// Copying the signal, forward and inverse in turns, for as long as was asked for.
fn turn(transform: &mut dyn Transform, memory: Buffers<'_>, budget: Duration) -> Outcome<Vec<f64>> {
    let Buffers {
        signal,
        coefficients,
        back,
    } = memory;
    let mut times = Vec::new();
    let mut repeats = [1; 3];
    let mut start = Instant::now();
    while start.elapsed() < UNTIMED {
        transform.forward(signal, coefficients)?;
        transform.inverse(coefficients, back)?;
    }
    // The first time around warms up, and tells how often to repeat a call; of short calls the second one too, as the
    // first may have waited for something.
    for round in 0.. {
        let copying = sample(repeats[0], || {
            black_box(&mut *back).copy_from_slice(black_box(signal));
            Ok(())
        })?;
        let forward = sample(repeats[1], || {
            transform.forward(black_box(signal), black_box(coefficients))
        })?;
        let inverse = sample(repeats[2], || {
            transform.inverse(black_box(coefficients), black_box(back))
        })?;
        let taken = [copying, forward, inverse];
        if round == 0 || (round == 1 && taken.iter().sum::<f64>() < 1e7) {
            repeats = taken.map(|time| (LEAST.as_nanos() as f64 / time).ceil() as u32);
            start = Instant::now();
        } else {
            times.extend(taken);
            if start.elapsed() >= budget {
                break;
            }
        }
    }
    Ok(times)
}

/// In which a thread that slept is awake.
const WAKING: Duration = Duration::from_millis(1);

/// Nanoseconds that a call took, of so many. Before several short ones come some that are not timed: they wake who works beside.
fn sample(repeats: u32, mut work: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let mut start = Instant::now();
    while repeats > 1 && start.elapsed() < WAKING {
        work()?;
    }
    start = Instant::now();
    for _ in 0..repeats {
        work()?;
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(repeats))
}

fn dump(transform: &mut dyn Transform, memory: Buffers<'_>, path: &str) -> Outcome<Vec<f64>> {
    memory.coefficients.fill(f32::NAN);
    memory.back.fill(f32::NAN);
    transform.forward(memory.signal, memory.coefficients)?;
    let mut bytes = Vec::new();
    bytes.extend(memory.coefficients.iter().flat_map(|c| c.to_le_bytes()));
    transform.inverse(memory.coefficients, memory.back)?;
    bytes.extend(memory.back.iter().flat_map(|x| x.to_le_bytes()));
    fs::write(path, bytes)?;
    Ok(vec![])
}
