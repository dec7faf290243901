//! waveft's side of `benches/training/run`: does one piece of work a request and answers how long it
//! took, so that the script can time the other side in between.
//!
//! A request is a line of words on standard input, the answer a line of nanoseconds.

mod layers;

use half::bf16;
use layers::{Idle, Shape, layer, trainer};
use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::Instant;
use waveft_std::linear::{Base, Elements, SingleElement, WaveFtLinear, Weight, parameter_groups};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

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

/// The work, the number of threads, the type of activations, the layer, and what the work takes.
fn answer(words: &[&str]) -> Outcome<Vec<u128>> {
    let [
        work,
        threads,
        dtype,
        wavelet,
        rows,
        columns,
        count,
        rest @ ..,
    ] = words
    else {
        return Err("too few words".into());
    };
    let shape = Shape {
        wavelet: (*wavelet).to_owned(),
        rows: rows.parse()?,
        columns: columns.parse()?,
        count: count.parse()?,
    };
    let sizes = rest.iter().map(|word| word.parse::<usize>());
    let sizes: Vec<usize> = sizes.collect::<Result<_, _>>()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?);
    pool.build()?.install(|| match (*work, *dtype, &sizes[..]) {
        ("step", "f32", &[tokens, times]) => step::<f32>(&shape, tokens, times),
        ("step", "bf16", &[tokens, times]) => step::<bf16>(&shape, tokens, times),
        ("token", "f32", &[times]) => token(&shape, times),
        ("swap", "f32", &[times]) => swap::<f32>(&shape, times),
        ("swap", "bf16", &[times]) => swap::<bf16>(&shape, times),
        ("stack", "bf16", &[layers, tokens]) => stack(&shape, layers, tokens),
        _ => Err("unknown request".into()),
    })
}

/// What the work takes right behind other work on all threads, as an adapter's is behind its base's: none has to be woken.
fn nanoseconds(work: impl FnOnce() -> Outcome<()>) -> Outcome<u128> {
    rayon::broadcast(|_| ());
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_nanos())
}

fn numbers<T: SingleElement>(length: usize) -> Vec<T> {
    let values = (0..length).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0);
    values.map(T::from_real).collect()
}

/// The activations of one layer, and their gradients.
struct Activations<T> {
    x: Vec<T>,
    y: Vec<T>,
    dy: Vec<T>,
    dx: Vec<T>,
}

impl<T: SingleElement> Activations<T> {
    fn new(shape: &Shape, tokens: usize) -> Self {
        Self {
            x: numbers(tokens * shape.columns),
            y: numbers(tokens * shape.rows),
            dy: numbers(tokens * shape.rows),
            dx: numbers(tokens * shape.columns),
        }
    }
}

/// Steps before those that are timed: it takes the system some to give each thread a processor of its own.
const UNTIMED: usize = 10;

/// By turns: streaming the activations, an adapter's forward, its backward, and AdamW's step.
fn step<T: SingleElement>(shape: &Shape, tokens: usize, times: usize) -> Outcome<Vec<u128>> {
    let mut layer = layer(Idle::of(shape), shape, &["default"])?;
    let mut trainer = trainer()?;
    let mut all = Activations::<T>::new(shape, tokens);
    let mut answer = Vec::new();
    for _ in 0..times + UNTIMED {
        answer.push(nanoseconds(|| {
            stream(&all.x, &mut all.y);
            stream(&all.dy, &mut all.dx);
            Ok(())
        })?);
        answer.push(nanoseconds(|| {
            Ok(layer.add_adapters(black_box(&all.x), &mut all.y)?)
        })?);
        answer.push(nanoseconds(|| {
            let dx = Some(&mut all.dx[..]);
            Ok(layer.add_adapters_backward(&all.x, black_box(&all.dy), dx)?)
        })?);
        answer.push(nanoseconds(|| {
            trainer.finish_micro_batch(0.0);
            let [mut spectra, mut biases] = parameter_groups([&mut layer])?;
            Ok(trainer.step(&mut [&mut spectra, &mut biases], |_| ())?)
        })?);
    }
    Ok(answer.split_off(4 * UNTIMED))
}

/// Reads one and adds it to the other, as a product has to that is nothing else.
fn stream<T: SingleElement>(from: &[T], to: &mut [T]) {
    match (T::as_reals(from), T::as_reals_mut(black_box(&mut *to))) {
        (Some(from), Some(to)) => {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
        _ => to.copy_from_slice(from),
    }
}

/// An adapter's forward of one token.
fn token(shape: &Shape, times: usize) -> Outcome<Vec<u128>> {
    let layer = layer(Idle::of(shape), shape, &["default"])?;
    let mut all = Activations::<f32>::new(shape, 1);
    let forward = |_| {
        nanoseconds(|| {
            layer.add_adapters(black_box(&all.x), &mut all.y)?;
            black_box(&all.y);
            Ok(())
        })
    };
    (0..times).map(forward).collect()
}

/// One adapter out of a live weight and another one in, by turns.
fn swap<T: SingleElement>(shape: &Shape, times: usize) -> Outcome<Vec<u128>>
where
    Elements<'static>: From<Vec<T>>,
{
    let elements = numbers::<T>(shape.rows * shape.columns);
    let weight = Weight::new(elements, shape.rows, shape.columns)?;
    let mut layer = layer(weight, shape, &["one", "other"])?;
    layer.switch_to(Some("one"))?;
    (0..times)
        .map(|time| {
            let name = ["other", "one"][time % 2];
            nanoseconds(|| Ok(layer.switch_to(Some(name))?))
        })
        .collect()
}

/// One step of a stack of layers with bf16 weights: for each layer its base's forward and backward, then its adapter's with
/// AdamW.
fn stack(shape: &Shape, layers: usize, tokens: usize) -> Outcome<Vec<u128>> {
    let mut all = Activations::<bf16>::new(shape, tokens);
    let mut trainer = trainer()?;
    let mut stack: Vec<WaveFtLinear<Weight<'_>>> = Vec::new();
    for _ in 0..layers {
        let elements = numbers::<bf16>(shape.rows * shape.columns);
        let weight = Weight::new(elements, shape.rows, shape.columns)?;
        stack.push(layer(weight, shape, &["default"])?);
    }
    let mut answer = Vec::new();
    for layer in &mut stack {
        answer.push(nanoseconds(|| {
            layer.base().forward(&all.x, None, &mut all.y)?;
            Ok(layer.base().backward(&all.dy, &mut all.dx)?)
        })?);
        answer.push(nanoseconds(|| {
            layer.add_adapters(&all.x, &mut all.y)?;
            Ok(layer.add_adapters_backward(&all.x, &all.dy, Some(&mut all.dx))?)
        })?);
    }
    answer.push(nanoseconds(|| {
        trainer.finish_micro_batch(0.0);
        let [mut spectra, mut biases] = parameter_groups(&mut stack)?;
        Ok(trainer.step(&mut [&mut spectra, &mut biases], |_| ())?)
    })?);
    Ok(answer)
}
