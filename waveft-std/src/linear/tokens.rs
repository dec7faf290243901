//! The adapters' part of a layer's products: tokens in fixed chunks, which rayon's threads divide among them.
//!
//! Gradients of a chunk are summed on their own and added in the order of the chunks, so no bit depends on the number of
//! threads.

use rayon::prelude::*;
use waveft_core::array::{Array, ArrayMut};

use super::adapter::LayerAdapter;
use super::base::SingleElement;
use super::scratch::with_scratch;
use crate::error::Result;
use crate::training::Parameter;

/// Tokens that a thread takes at once, and whose gradients are summed in one go.
const CHUNK: usize = 128;

/// Consecutive tokens that have the same adapters, by their places in the layer's list.
pub(super) struct Run<'a> {
    pub(super) tokens: usize,
    pub(super) adapters: &'a [usize],
}

/// What all chunks share in a forward.
pub(super) struct Forward<'a> {
    pub(super) adapters: &'a [LayerAdapter],
    /// Outputs and inputs.
    pub(super) features: (usize, usize),
}

/// What all chunks share in a backward, and what they contribute to.
pub(super) struct Backward<'a> {
    pub(super) adapters: &'a mut [LayerAdapter],
    pub(super) bias: Option<&'a mut Parameter>,
    /// Outputs and inputs.
    pub(super) features: (usize, usize),
}

struct ForwardChunk<'a, T> {
    adapters: &'a [usize],
    x: &'a [T],
    y: &'a mut [T],
}

struct BackwardChunk<'a, T> {
    adapters: &'a [usize],
    x: &'a [T],
    dy: &'a [T],
    dx: Option<&'a mut [T]>,
}

/// The adapters and the number of tokens of each chunk. A run begins a new one.
fn chunks<'a>(runs: &'a [Run<'a>]) -> impl Iterator<Item = (&'a [usize], usize)> {
    runs.iter().flat_map(|run| {
        let starts = (0..run.tokens).step_by(CHUNK);
        starts.map(|start| (run.adapters, CHUNK.min(run.tokens - start)))
    })
}

/// Over rayon's threads, unless there is only one to do.
fn for_each<I: Send>(items: &mut [I], work: impl Fn(&mut I) -> Result<()> + Sync) -> Result<()> {
    match items {
        [one] => work(one),
        all => all.par_iter_mut().try_for_each(&work),
    }
}

impl Forward<'_> {
    /// `y += Σ x ΔWᵀ`, for runs that have all of the tokens.
    pub(super) fn add<T: SingleElement>(
        &self,
        runs: &[Run<'_>],
        mut x: &[T],
        mut y: &mut [T],
    ) -> Result<()> {
        let (outputs, inputs) = self.features;
        let mut work = Vec::new();
        for (adapters, tokens) in chunks(runs) {
            let (of_x, of_y);
            (of_x, x) = x.split_at(tokens * inputs);
            (of_y, y) = y.split_at_mut(tokens * outputs);
            if !adapters.is_empty() {
                work.push(ForwardChunk {
                    adapters,
                    x: of_x,
                    y: of_y,
                });
            }
        }
        for_each(&mut work, |chunk| self.add_chunk(chunk))
    }

    fn add_chunk<T: SingleElement>(&self, chunk: &mut ForwardChunk<'_, T>) -> Result<()> {
        let (outputs, inputs) = self.features;
        let tokens = chunk.x.len() / inputs;
        for &index in chunk.adapters {
            let adapter = &self.adapters[index];
            let delta = adapter.delta()?;
            let added = with_scratch(delta.apply_scratch_len(), |scratch| {
                let x = Array::new(chunk.x, [tokens, inputs])?;
                let mut y = ArrayMut::new(chunk.y, [tokens, outputs])?;
                delta.apply(&x, &mut y, scratch)
            });
            added.map_err(|source| adapter.refused(source))?;
        }
        Ok(())
    }
}

impl Backward<'_> {
    /// `dx += Σ dy ΔW` if there is one, and every gradient plus what the tokens contribute to it.
    pub(super) fn add<T: SingleElement>(
        &mut self,
        runs: &[Run<'_>],
        mut x: &[T],
        mut dy: &[T],
        mut dx: Option<&mut [T]>,
    ) -> Result<()> {
        let (outputs, inputs) = self.features;
        let mut work = Vec::new();
        for (adapters, tokens) in chunks(runs) {
            let (of_x, of_dy);
            (of_x, x) = x.split_at(tokens * inputs);
            (of_dy, dy) = dy.split_at(tokens * outputs);
            let of_dx = dx.take().map(|all| {
                let (of_dx, rest) = all.split_at_mut(tokens * inputs);
                dx = Some(rest);
                of_dx
            });
            work.push(BackwardChunk {
                adapters,
                x: of_x,
                dy: of_dy,
                dx: of_dx,
            });
        }
        // Enough chunks for all threads; their sums do not depend on how many are taken at once.
        let at_once = 2 * rayon::current_num_threads();
        for wave in work.chunks_mut(at_once) {
            self.add_wave(wave)?;
        }
        Ok(())
    }

    fn add_wave<T: SingleElement>(&mut self, wave: &mut [BackwardChunk<'_, T>]) -> Result<()> {
        let lengths = wave.iter().map(|chunk| self.gradient_len(chunk.adapters));
        with_scratch(lengths.sum(), |mut rest| {
            let mut work = Vec::with_capacity(wave.len());
            for chunk in wave {
                let gradient;
                (gradient, rest) = rest.split_at_mut(self.gradient_len(chunk.adapters));
                work.push((chunk, gradient));
            }
            for_each(&mut work, |(chunk, gradient)| {
                self.differentiate(chunk, gradient)
            })?;
            for (chunk, gradient) in work {
                self.contribute(chunk.adapters, gradient);
            }
            Ok(())
        })
    }

    /// Elements of the gradients of these adapters and of the bias.
    fn gradient_len(&self, adapters: &[usize]) -> usize {
        let spectra = adapters
            .iter()
            .map(|&index| self.adapters[index].spectrum.values().len());
        spectra.sum::<usize>() + self.bias.as_ref().map_or(0, |bias| bias.values().len())
    }

    /// A chunk's gradients, those of the adapters one after the other and then the bias's.
    fn differentiate<T: SingleElement>(
        &self,
        chunk: &mut BackwardChunk<'_, T>,
        mut gradient: &mut [f32],
    ) -> Result<()> {
        let (outputs, inputs) = self.features;
        let tokens = chunk.x.len() / inputs;
        gradient.fill(0.0);
        for &index in chunk.adapters {
            let adapter = &self.adapters[index];
            let delta = adapter.delta()?;
            let of_adapter;
            (of_adapter, gradient) = gradient.split_at_mut(adapter.spectrum.values().len());
            let added = with_scratch(delta.backward_scratch_len(), |scratch| {
                let x = Array::new(chunk.x, [tokens, inputs])?;
                let dy = Array::new(chunk.dy, [tokens, outputs])?;
                match &mut chunk.dx {
                    Some(dx) => {
                        let mut dx = ArrayMut::new(dx, [tokens, inputs])?;
                        delta.backward(&x, &dy, &mut dx, of_adapter, scratch)
                    }
                    None => delta.grad_spectrum(&x, &dy, of_adapter, scratch),
                }
            });
            added.map_err(|source| adapter.refused(source))?;
        }
        if !gradient.is_empty() {
            for row in chunk.dy.chunks_exact(outputs) {
                for (sum, entry) in gradient.iter_mut().zip(row) {
                    *sum += entry.to_real();
                }
            }
        }
        Ok(())
    }

    /// Adds a chunk's gradients to the parameters'.
    fn contribute(&mut self, adapters: &[usize], mut gradient: &[f32]) {
        let mut add_to = |parameter: &mut Parameter| {
            let of_parameter;
            (of_parameter, gradient) = gradient.split_at(parameter.values().len());
            for (sum, entry) in parameter.gradient_mut().iter_mut().zip(of_parameter) {
                *sum += entry;
            }
        };
        for &index in adapters {
            add_to(&mut self.adapters[index].spectrum);
        }
        if let Some(bias) = &mut self.bias {
            add_to(bias);
        }
    }
}
