//! The base's product, by the `gemm` crate, which rayon's threads divide among them by the panel.
//!
//! A panel is a fixed number of the output's features, whatever the number of threads, so the bits do not depend on that.

use rayon::prelude::*;

use super::base::SingleElement;
use super::scratch::with_scratch;

/// Features of a panel.
const PANEL: usize = 256;

/// Entries along the depth that are widened at once: with a panel's features, half of a second-level cache.
const WIDENED_DEPTH: usize = 512;

/// Tokens that are multiplied at once, which bounds the memory for a call.
const TOKENS: usize = 1024;

/// Multiplications too few to be worth waking other threads for.
const FEW_PRODUCTS: usize = 1 << 18;

/// Up to so many results `gemm` computes as inner products, if both sides' lines go along the depth.
const INNER_PRODUCTS: usize = 256;

/// Tokens for which inner products are faster than turning the lines of the matrix first.
const FEW_TOKENS: usize = 16;

/// Lines that are turned at once: a cache line of each column.
const TILE: usize = 16;

/// A matrix, the output's features × the depth, as it lies in memory.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, E> {
    pub(super) elements: &'a [E],
    pub(super) features: usize,
    pub(super) depth: usize,
    /// Elements from one feature to the next, and along the depth; one of them is 1.
    pub(super) strides: [usize; 2],
}

/// `y = x matrixᵀ + bias`, with `x` tokens × depth and `y` tokens × features. Sums are in f32 and rounded once.
pub(super) fn multiply<E: SingleElement, T: SingleElement>(
    matrix: Matrix<'_, E>,
    x: &[T],
    bias: Option<&[f32]>,
    y: &mut [T],
) {
    let blocks = x.chunks(TOKENS * matrix.depth);
    for (x, y) in blocks.zip(y.chunks_mut(TOKENS * matrix.features)) {
        match T::as_reals(x) {
            Some(x) => multiply_block(matrix, x, bias, y),
            None => with_scratch(x.len(), |wide| {
                T::widen(x, wide);
                multiply_block(matrix, wide, bias, y);
            }),
        }
    }
}

fn multiply_block<E: SingleElement, T: SingleElement>(
    matrix: Matrix<'_, E>,
    x: &[f32],
    bias: Option<&[f32]>,
    y: &mut [T],
) {
    let Matrix {
        features, depth, ..
    } = matrix;
    let tokens = x.len() / depth;
    let copy = |(token, row): (usize, &mut [T]), sums: &[f32]| {
        let panels = row.chunks_mut(PANEL).zip(sums.chunks(PANEL * tokens));
        for (entries, sums) in panels {
            let width = entries.len();
            T::narrow(&sums[token * width..][..width], entries);
        }
    };
    // Panels of tokens × features, one behind the other, for a panel's columns of `y` are no slice.
    with_scratch(y.len(), |sums| {
        let is_small = features * x.len() < FEW_PRODUCTS;
        if is_small {
            let panels = sums.chunks_mut(PANEL * tokens).enumerate();
            panels.for_each(|(index, sums)| multiply_panel(matrix, index, x, bias, sums));
        } else {
            let panels = sums.par_chunks_mut(PANEL * tokens).enumerate();
            panels.for_each(|(index, sums)| multiply_panel(matrix, index, x, bias, sums));
        }
        if is_small || tokens == 1 {
            let rows = y.chunks_mut(features).enumerate();
            rows.for_each(|row| copy(row, sums));
        } else {
            let rows = y.par_chunks_mut(features).enumerate();
            rows.for_each(|row| copy(row, sums));
        }
    });
}

/// Panel `index` of the product, tokens × the panel's features.
fn multiply_panel<E: SingleElement>(
    matrix: Matrix<'_, E>,
    index: usize,
    x: &[f32],
    bias: Option<&[f32]>,
    sums: &mut [f32],
) {
    let Matrix { depth, strides, .. } = matrix;
    let tokens = x.len() / depth;
    let first = index * PANEL;
    let elements = &matrix.elements[first * strides[0]..];
    let features = sums.len() / tokens;
    if let Some(bias) = bias {
        for row in sums.chunks_exact_mut(features) {
            row.copy_from_slice(&bias[first..first + features]);
        }
    }
    // Lines along the depth are what inner products take, and otherwise are turned, which `gemm` would be slower at.
    let turns = strides[1] == 1 && tokens > FEW_TOKENS;
    if let (Some(elements), false) = (E::as_reals(elements), turns) {
        let panel = Matrix {
            elements,
            features,
            depth,
            strides,
        };
        return add_product(panel, x, depth, sums, bias.is_some());
    }
    for start in (0..depth).step_by(WIDENED_DEPTH) {
        let count = WIDENED_DEPTH.min(depth - start);
        let elements = &elements[start * strides[1]..];
        let strides_of_wide = match strides[1] == 1 && !turns {
            true => [count, 1],
            false => [1, features],
        };
        with_scratch(features * count, |wide| {
            match strides[1] {
                1 if turns => widen_turned(elements, strides[0], features, wide),
                1 => widen_lines(elements, strides[0], count, wide),
                stride => widen_lines(elements, stride, features, wide),
            }
            let panel = Matrix {
                elements: &*wide,
                features,
                depth: count,
                strides: strides_of_wide,
            };
            add_product(panel, &x[start..], depth, sums, bias.is_some() || start > 0);
        });
    }
}

/// Lines of `width` elements that are `stride` apart, one behind the other.
fn widen_lines<E: SingleElement>(elements: &[E], stride: usize, width: usize, wide: &mut [f32]) {
    for (line, wide) in wide.chunks_mut(width).enumerate() {
        E::widen(&elements[line * stride..][..width], wide);
    }
}

/// As many lines that are `stride` apart as there are features: `wide` has the first element of each, then the second of each.
fn widen_turned<E: SingleElement>(
    elements: &[E],
    stride: usize,
    features: usize,
    wide: &mut [f32],
) {
    let count = wide.len() / features;
    let mut tile = [0.0; TILE * WIDENED_DEPTH];
    for first in (0..features).step_by(TILE) {
        let lines = TILE.min(features - first);
        let tile = &mut tile[..lines * count];
        widen_lines(&elements[first * stride..], stride, count, tile);
        for (at, wide) in wide.chunks_mut(features).enumerate() {
            for (line, entry) in wide[first..first + lines].iter_mut().enumerate() {
                *entry = tile[line * count + at];
            }
        }
    }
}

/// `sums = x panelᵀ`, or `+=`, with tokens of `x` that are `stride` apart and `sums` tokens × features.
fn add_product(panel: Matrix<'_, f32>, x: &[f32], stride: usize, sums: &mut [f32], adds: bool) {
    let Matrix {
        elements,
        features,
        depth,
        strides,
    } = panel;
    let tokens = sums.len() / features;
    let at_once = match strides[1] {
        1 if tokens <= FEW_TOKENS => INNER_PRODUCTS / tokens,
        _ => features,
    };
    assert!(sums.len() == tokens * features && tokens * features * depth > 0);
    assert!((features - 1) * strides[0] + (depth - 1) * strides[1] < elements.len());
    assert!((tokens - 1) * stride + depth <= x.len());
    for first in (0..features).step_by(at_once) {
        let count = at_once.min(features - first);
        // SAFETY: `gemm` reads `elements[(first + f) · strides[0] + d · strides[1]]` and `x[t · stride + d]`, reads and writes
        // `sums[t · features + first + f]`, for f < count, d < depth and t < tokens, all of them in bounds as asserted above.
        // `sums` is not read unless `adds`; the slices are of f32, which has no invalid values.
        #[allow(unsafe_code)]
        unsafe {
            gemm::gemm(
                count,
                tokens,
                depth,
                sums.as_mut_ptr().add(first),
                features as isize,
                1,
                adds,
                elements.as_ptr().add(first * strides[0]),
                strides[1] as isize,
                strides[0] as isize,
                x.as_ptr(),
                stride as isize,
                1,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}
