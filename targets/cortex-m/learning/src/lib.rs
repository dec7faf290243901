//! A network of two layers, trained on upright digits, that learns to read digits turned by a quarter: forward, backward and
//! AdamW on slices, no heap.
//!
//! `tools/small_digits.py` makes network and digits. The layers' weights stay as they are; what is trained are the
//! coefficients of an adapter on each.
#![no_std]
#![forbid(unsafe_code)]

mod digits;
mod layer;
mod loss;

use digits::{CLASSES, HELD_OUT, PIXELS, TRAINING};
use layer::{Adapted, Base, LayerMemory};
use waveft_core::Error;
use waveft_core::filter_bank::FilterBank;
use waveft_core::geometry::Geometry;
use waveft_core::operator::backward_scratch_len;
use waveft_core::optimiser::{AdamW, AdamWUpdate, Rates};
use waveft_core::sampling::{self, Location};

pub use digits::DATA_BYTES;

/// Steps of a training.
pub const STEPS: usize = 60;
/// Images in a batch.
pub const BATCH: usize = 32;

const HIDDEN: usize = 32;
const COUNTS: [usize; 2] = [256, 128];
const SEED: u64 = 777;
const SCALING: f32 = 25.0;
const LEARNING_RATE: f64 = 0.005;

/// Everything that is written to but the scratch.
pub struct Memory {
    hidden: LayerMemory<{ COUNTS[0] }>,
    output: LayerMemory<{ COUNTS[1] }>,
    drawing: Drawing,
    batch: Batch,
}

/// What is needed until the atoms are in order.
struct Drawing {
    places: [Location; COUNTS[0]],
    order: [u32; COUNTS[0]],
    scratch: [u32; sampling::scratch_len((HIDDEN * PIXELS) as u64, COUNTS[0])],
}

/// Elements of scratch that a [`Learner`] takes under filters of so many taps, 1 for none.
#[must_use]
pub const fn scratch_len(taps: usize) -> usize {
    let layers = [
        Geometry::new(HIDDEN, PIXELS, taps),
        Geometry::new(CLASSES, HIDDEN, taps),
    ];
    let [Ok(hidden), Ok(output)] = layers else {
        return 0;
    };
    let [hidden, output] = [
        backward_scratch_len::<f32>(hidden, COUNTS[0]),
        backward_scratch_len::<f32>(output, COUNTS[1]),
    ];
    if hidden > output { hidden } else { output }
}

/// A batch on its way through the network and back.
struct Batch {
    labels: [u8; BATCH],
    pixels: [f32; BATCH * PIXELS],
    hidden: [f32; BATCH * HIDDEN],
    logits: [f32; BATCH * CLASSES],
    hidden_gradient: [f32; BATCH * HIDDEN],
}

impl Memory {
    /// Zeros, which a linker puts into no file.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            hidden: LayerMemory::new(),
            output: LayerMemory::new(),
            drawing: Drawing {
                places: [Location { row: 0, column: 0 }; COUNTS[0]],
                order: [0; COUNTS[0]],
                scratch: [0; sampling::scratch_len((HIDDEN * PIXELS) as u64, COUNTS[0])],
            },
            batch: Batch {
                labels: [0; BATCH],
                pixels: [0.0; BATCH * PIXELS],
                hidden: [0.0; BATCH * HIDDEN],
                logits: [0.0; BATCH * CLASSES],
                hidden_gradient: [0.0; BATCH * HIDDEN],
            },
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The network with an adapter on each layer.
pub struct Learner<'m> {
    hidden: Adapted<'m>,
    output: Adapted<'m>,
    batch: &'m mut Batch,
    steps_done: usize,
}

impl<'m> Learner<'m> {
    /// The pre-trained network, its adapters all zeros, under a filter bank or none.
    ///
    /// # Errors
    /// Those of `waveft-core`; none, unless this crate has a bug.
    pub fn new(
        bank: Option<FilterBank<'static, f32>>,
        memory: &'m mut Memory,
    ) -> Result<Self, Error> {
        let Memory {
            hidden,
            output,
            drawing,
            batch,
        } = memory;
        let taps = bank.map_or(1, |bank| bank.taps());
        let mut adapted = |base, layer_memory, geometry| {
            let Drawing {
                places,
                order,
                scratch,
            } = &mut *drawing;
            Adapted::new(base, bank, geometry, layer_memory, (places, order, scratch))
        };
        Ok(Self {
            hidden: adapted(
                Base::hidden(),
                hidden.slices(),
                Geometry::new(HIDDEN, PIXELS, taps)?,
            )?,
            output: adapted(
                Base::output(),
                output.slices(),
                Geometry::new(CLASSES, HIDDEN, taps)?,
            )?,
            batch,
            steps_done: 0,
        })
    }

    /// One step on the next [`BATCH`] images; returns the loss before it.
    ///
    /// # Errors
    /// [`Error::Length`] if the scratch is too short.
    pub fn step(&mut self, scratch: &mut [f32]) -> Result<f32, Error> {
        let first = self.steps_done * BATCH % TRAINING.len();
        self.batch.read(TRAINING.slice(first, BATCH));
        self.forward(BATCH, scratch)?;
        let Self {
            hidden,
            output,
            batch,
            ..
        } = self;
        let loss = loss::cross_entropy(&mut batch.logits, &batch.labels);

        // The logits have become the loss's gradient by them.
        batch.hidden_gradient.fill(0.0);
        output.backward(
            &batch.hidden,
            &batch.logits,
            Some(&mut batch.hidden_gradient),
            scratch,
        )?;
        for (gradient, &value) in batch.hidden_gradient.iter_mut().zip(&batch.hidden) {
            if value == 0.0 {
                *gradient = 0.0;
            }
        }
        hidden.backward(&batch.pixels, &batch.hidden_gradient, None, scratch)?;

        self.steps_done += 1;
        let update: AdamWUpdate<f32> =
            AdamW::default().update(self.steps_done as u64, Rates::new(LEARNING_RATE, 0.0)?)?;
        self.hidden.update(&update)?;
        self.output.update(&update)?;
        Ok(loss)
    }

    /// How many of the 200 held-out images are read right.
    ///
    /// # Errors
    /// [`Error::Length`] if the scratch is too short.
    pub fn correct(&mut self, scratch: &mut [f32]) -> Result<usize, Error> {
        let mut correct = 0;
        for first in (0..HELD_OUT.len()).step_by(BATCH) {
            let count = BATCH.min(HELD_OUT.len() - first);
            self.batch.read(HELD_OUT.slice(first, count));
            self.forward(count, scratch)?;
            let logits = self.batch.logits.chunks_exact(CLASSES);
            let labels = self.batch.labels.iter().take(count);
            let read = logits
                .zip(labels)
                .filter(|(logits, label)| loss::largest(logits) == **label as usize);
            correct += read.count();
        }
        Ok(correct)
    }

    /// The adapters' coefficients.
    #[must_use]
    pub fn coefficients(&self) -> [&[f32]; 2] {
        [self.hidden.coefficients(), self.output.coefficients()]
    }

    fn forward(&mut self, count: usize, scratch: &mut [f32]) -> Result<(), Error> {
        let Self {
            hidden,
            output,
            batch,
            ..
        } = self;
        let (pixels, values) = (
            &batch.pixels[..count * PIXELS],
            &mut batch.hidden[..count * HIDDEN],
        );
        hidden.forward(pixels, values, scratch)?;
        for value in &mut *values {
            *value = value.max(0.0);
        }
        output.forward(values, &mut batch.logits[..count * CLASSES], scratch)
    }
}

impl Batch {
    fn read<'d>(&mut self, images: impl Iterator<Item = (u8, &'d [u8])>) {
        let places = self
            .labels
            .iter_mut()
            .zip(self.pixels.chunks_exact_mut(PIXELS));
        for ((label, pixels), (digit, image)) in places.zip(images) {
            *label = digit;
            for (to, &from) in pixels.iter_mut().zip(image) {
                *to = f32::from(from) / 16.0;
            }
        }
    }
}
