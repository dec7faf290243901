//! Numbers that change from one vector to another: a square of them transposed, and the sum over the lanes.

use super::{Lanes, Tile};

/// `for at in 0..count`, up to 16 vectors or 8 pairs of them, without a loop: what is indexed by constants stays in registers.
macro_rules! unrolled {
    (vectors $count:expr, $at:ident, $work:block) => {
        unrolled!($count, $at, $work, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (pairs $count:expr, $at:ident, $work:block) => {
        unrolled!($count, $at, $work, 0 1 2 3 4 5 6 7)
    };
    ($count:expr, $at:ident, $work:block, $($index:literal)*) => {
        $(
            if $index < $count {
                let $at = $index;
                $work
            }
        )*
    };
}

/// Exchanges the numbers' places in the first `WIDTH` vectors with the vectors' own.
///
/// To interleave the first half with the second rotates the bits of a number's place, those of its
/// vector above those of its lane, by one: after half of them the two have changed sides.
#[inline(always)]
pub(super) fn transpose<L: Lanes<F>, F>(mut tile: Tile<L>) -> Tile<L> {
    for width in [2, 4, 8, 16] {
        if width <= L::WIDTH {
            tile = interleave_halves(tile);
        }
    }
    tile
}

#[inline(always)]
fn interleave_halves<L: Lanes<F>, F>(before: Tile<L>) -> Tile<L> {
    let mut after = before;
    unrolled!(pairs L::WIDTH / 2, at, {
        let (first, second) = before[at].interleave(before[at + L::WIDTH / 2]);
        after[2 * at] = first;
        after[2 * at + 1] = second;
    });
    after
}

/// The sum over the lanes of each of the first `WIDTH` vectors.
#[inline(always)]
pub(super) fn sum_lanes<L: Lanes<F>, F>(mut vectors: Tile<L>) -> L {
    for pairs in [8, 4, 2, 1] {
        if pairs < L::WIDTH {
            unrolled!(pairs pairs, at, {
                let (even, odd) = vectors[2 * at].deinterleave(vectors[2 * at + 1]);
                vectors[at] = even + odd;
            });
        }
    }
    vectors[0]
}
