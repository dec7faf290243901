//! The atoms of a group: what they spread, and what they give to their gradients.
//!
//! A slot of the group is an index below [`GROUP`]: it is taken modulo that, which spares the check.

use super::block::{Asks, GROUP};
use super::order::Slots;
use crate::element::Real;
use crate::kernel::Kernel;
use crate::lanes::{Lanes, MOST_NARROW_LANES, MOST_VECTORS};
use crate::slices::{rest, rest_mut};

/// The atoms of a group: `spread[slot] += coefficient · kept[other]` for each.
pub(super) struct Spread<'k, L: Lanes<F>, F> {
    pub(super) slots: &'k [Slots],
    pub(super) coefficients: &'k [F],
    pub(super) kept: &'k [L::Numbers],
    pub(super) spread: &'k mut [L::Numbers],
    pub(super) asks: Asks,
}

impl<L: Lanes<F>, F: Real> Kernel for Spread<'_, L, F> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let Some(spread) = self.spread.first_chunk_mut::<GROUP>() else {
            return;
        };
        let mut passed = 0;
        if L::WIDTH > 1 {
            let parts = self.slots.chunks_exact(L::WIDTH);
            for (slots, coefficients) in parts.zip(self.coefficients.chunks_exact(L::WIDTH)) {
                self.asks.line::<L, F>();
                unrolled!(vectors L::WIDTH, at, {
                    if let (Some(&slots), Some(&coefficient)) = (slots.get(at), coefficients.get(at)) {
                        add::<L, F>(slots, coefficient, self.kept, spread);
                    }
                });
                passed += L::WIDTH;
            }
            self.asks.all::<L, F>();
        }
        let left = rest(self.slots, passed)
            .iter()
            .zip(rest(self.coefficients, passed));
        for (&slots, &coefficient) in left {
            add::<L, F>(slots, coefficient, self.kept, spread);
        }
    }
}

/// Spreads an atom's coefficient.
#[inline(always)]
fn add<L: Lanes<F>, F: Real>(
    [slot, other]: Slots,
    coefficient: F,
    kept: &[L::Numbers],
    spread: &mut [L::Numbers; GROUP],
) {
    let to = &mut spread[slot as usize % GROUP];
    if let Some(from) = kept.get(other as usize) {
        let sum = L::get(from).multiply_add(L::splat(coefficient), L::get(to));
        sum.put(to);
    }
}

/// [`Spread`], and adds to these atoms' gradients `scaling` times the product of their slots, over all lanes; `group` holds the group's
/// slots.
pub(super) struct Differentiate<'k, L: Lanes<F>, F> {
    pub(super) spread: Spread<'k, L, F>,
    pub(super) gradient: &'k mut [F],
    pub(super) group: &'k [L::Numbers],
    pub(super) scaling: F,
}

impl<L: Lanes<F>, F: Real> Kernel for Differentiate<'_, L, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Spread {
            slots,
            coefficients,
            kept,
            spread,
            mut asks,
        } = self.spread;
        let (Some(spread), Some(group)) = (
            spread.first_chunk_mut::<GROUP>(),
            self.group.first_chunk::<GROUP>(),
        ) else {
            return;
        };
        let mut memory = Meeting {
            group,
            spread,
            kept,
        };
        let scaling = L::splat(self.scaling);
        let parts = slots.chunks_exact(L::WIDTH);
        let parts = parts.zip(coefficients.chunks_exact(L::WIDTH));
        for ((slots, coefficients), gradient) in parts.zip(self.gradient.chunks_exact_mut(L::WIDTH))
        {
            let sums: L = memory.sums(slots, coefficients);
            asks.line::<L, F>();
            // Rounded as where fewer are left, which depends on where groups begin.
            (L::load(gradient) + sums * scaling).store(gradient);
        }
        asks.all::<L, F>();
        let passed = slots.len() - slots.len() % L::WIDTH;
        let slots = rest(slots, passed);
        if !slots.is_empty() {
            let sums: L = memory.sums(slots, rest(coefficients, passed));
            let mut numbers = [F::ZERO; MOST_NARROW_LANES];
            (sums * scaling).store(&mut numbers);
            let gradient = rest_mut(self.gradient, passed);
            for (gradient, number) in gradient.iter_mut().zip(numbers).take(slots.len()) {
                *gradient += number;
            }
        }
    }
}

/// Where the slots of atoms meet.
struct Meeting<'k, N> {
    group: &'k [N; GROUP],
    spread: &'k mut [N; GROUP],
    kept: &'k [N],
}

impl<N> Meeting<'_, N> {
    /// For each of as many atoms as there are lanes, or fewer, the sum over all lanes of the product of its slots; and spreads them.
    #[inline(always)]
    fn sums<L: Lanes<F, Numbers = N>, F: Real>(
        &mut self,
        slots: &[Slots],
        coefficients: &[F],
    ) -> L {
        let mut products = [L::splat(F::ZERO); MOST_VECTORS];
        unrolled!(vectors L::WIDTH, at, {
            if let (Some(&[slot, other]), Some(&coefficient)) = (slots.get(at), coefficients.get(at))
                && let Some(there) = self.kept.get(other as usize)
            {
                let (there, slot) = (L::get(there), slot as usize % GROUP);
                products[at] = L::get(&self.group[slot]) * there;
                let to = &mut self.spread[slot];
                there.multiply_add(L::splat(coefficient), L::get(to)).put(to);
            }
        });
        L::sum_lanes(products)
    }
}
