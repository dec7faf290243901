//! waveft's side of `benches/training/run`: does one piece of work a request and answers how long it
//! took, so that the script can time the other side in between.
//!
//! A request is a line of words on standard input, the answer a line of nanoseconds.

use half::bf16;
use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::Instant;
use waveft_core::optimiser::{AdamW, Rates};
use waveft_core::schedule::Schedule;
use waveft_std::linear::{Base, Features, SingleElement, WaveFtLinear, parameter_groups};
use waveft_std::training::{Optimiser, Trainer};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

mod layers;
use layers::{Shape, adapters};

fn main() -> Outcome<()> {
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let times = answer(&words).map_err(|error| format!("{line}: {error}"))?;
        let words: Vec<String> = times.iter().map(u128::to_string).collect();
        println!("{}", words.join(" "));
        io::stdout().flush()?;
    }
    Ok(())
}

fn answer(words: &[&str]) -> Outcome<Vec<u128>> {
    match words {
        [
            "step",
            dtype,
            wavelet,
            rows,
            columns,
            count,
            tokens,
            sets,
            threads,
            times,
        ] => {
            let shape = Shape {
                wavelet: (*wavelet).to_owned(),
                rows: rows.parse()?,
                columns: columns.parse()?,
                count: count.parse()?,
            };
            let (tokens, sets, times) = (tokens.parse()?, sets.parse()?, times.parse()?);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?);
            pool.build()?.install(|| match *dtype {
                "f32" => step::<f32>(&shape, tokens, sets, times),
                "bf16" => step::<bf16>(&shape, tokens, sets, times),
                _ => Err("f32 or bf16".into()),
            })
        }
        _ => Err("unknown request".into()),
    }
}

fn nanoseconds(work: impl FnOnce() -> Outcome<()>) -> Outcome<u128> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_nanos())
}

/// A base that takes no time, so that what is timed are the adapters.
struct Idle(usize, usize);

impl Features for Idle {
    fn features(&self) -> (usize, usize) {
        (self.0, self.1)
    }
}

impl<T: SingleElement> Base<T> for Idle {
    fn forward(&self, _: &[T], _: Option<&[f32]>, _: &mut [T]) -> waveft_std::Result<()> {
        Ok(())
    }

    fn backward(&self, _: &[T], _: &mut [T]) -> waveft_std::Result<()> {
        Ok(())
    }
}

/// The activations of one layer, and their gradients.
struct Activations<T> {
    x: Vec<T>,
    y: Vec<T>,
    dy: Vec<T>,
    dx: Vec<T>,
}

/// Times streaming the activations, a forward, and a backward with AdamW, in turns.
fn step<T: SingleElement>(
    shape: &Shape,
    tokens: usize,
    sets: usize,
    times: usize,
) -> Outcome<Vec<u128>> {
    let mut layer = WaveFtLinear::new("layer", Idle(shape.rows, shape.columns))?;
    layer.add_adapter("default", adapters(shape, 1)?.remove(0))?;
    let rates = vec![Rates::new(1e-4, 0.0)?; 2];
    let schedule = Schedule::Constant { warmup_steps: 0 };
    let mut trainer = Trainer::new(Optimiser::AdamW(AdamW::default()), schedule, rates);
    let numbers = |length: usize| -> Vec<T> {
        let values = (0..length).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0);
        values.map(T::from_real).collect()
    };
    let mut sets: Vec<Activations<T>> = (0..sets)
        .map(|_| Activations {
            x: numbers(tokens * shape.columns),
            y: numbers(tokens * shape.rows),
            dy: numbers(tokens * shape.rows),
            dx: numbers(tokens * shape.columns),
        })
        .collect();
    let mut answer = Vec::new();
    for _ in 0..times {
        for set in &mut sets {
            answer.push(nanoseconds(|| {
                stream(&set.x, &mut set.y);
                stream(&set.dy, &mut set.dx);
                Ok(())
            })?);
        }
        for set in &mut sets {
            answer.push(nanoseconds(|| {
                Ok(layer.forward(black_box(&set.x), &mut set.y)?)
            })?);
            answer.push(nanoseconds(|| {
                layer.backward(&set.x, black_box(&set.dy), Some(&mut set.dx))?;
                trainer.finish_micro_batch(0.0);
                let [mut spectra, mut biases] = parameter_groups([&mut layer])?;
                trainer.step(&mut [&mut spectra, &mut biases], |_| ())?;
                Ok(())
            })?);
        }
    }
    Ok(answer)
}

/// Reads one, reads and writes the other, as every product must.
fn stream<T: SingleElement>(from: &[T], to: &mut [T]) {
    if let (Some(from), Some(to)) = (T::as_reals(from), T::as_reals_mut(black_box(to))) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from;
        }
    }
}
