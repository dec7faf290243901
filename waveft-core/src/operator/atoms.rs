//! The atoms of a group: what they spread, and what they give to their gradients.

use super::order::Slots;
use crate::element::Real;
use crate::kernel::Kernel;
use crate::lanes::{Lanes, MOST_NARROW_LANES, MOST_VECTORS};
use crate::slices::{rest, rest_mut, split, split_mut};

/// `spread[slot] += coefficient · kept[other]` of the first atoms, as long as their slots are there; the first slot of `spread` is
/// `start`. Yields the number of these atoms.
pub(super) struct Spread<'k, L: Lanes<F>, F> {
    pub(super) slots: &'k [Slots],
    pub(super) coefficients: &'k [F],
    pub(super) start: usize,
    pub(super) kept: &'k [L::Numbers],
    pub(super) spread: &'k mut [L::Numbers],
}

impl<L: Lanes<F>, F: Real> Kernel for Spread<'_, L, F> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let (start, kept, spread) = (self.start, self.kept, self.spread);
        let atoms = self.slots.iter().zip(self.coefficients);
        for (passed, (&[slot, other], coefficient)) in atoms.enumerate() {
            let Some(to) = spread.get_mut((slot as usize).wrapping_sub(start)) else {
                return passed;
            };
            if let Some(from) = kept.get(other as usize) {
                let sum = L::get(from).multiply_add(L::splat(*coefficient), L::get(to));
                sum.put(to);
            }
        }
        self.slots.len()
    }
}

/// [`Spread`], and adds to these atoms' gradients `scaling` times the product of their slots, over all lanes; the first slot of
/// `group` is that of `spread`.
pub(super) struct Differentiate<'k, L: Lanes<F>, F> {
    pub(super) spread: Spread<'k, L, F>,
    pub(super) gradient: &'k mut [F],
    pub(super) group: &'k [L::Numbers],
    pub(super) scaling: F,
}

impl<L: Lanes<F>, F: Real> Kernel for Differentiate<'_, L, F> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let Spread {
            slots,
            coefficients,
            start,
            kept,
            spread,
        } = self.spread;
        // Of one length, so that a slot is looked for in both at once.
        let length = spread.len().min(self.group.len());
        let (group, spread) = (split(self.group, length).0, split_mut(spread, length).0);
        let mut memory = Meeting {
            start,
            group,
            spread,
            kept,
        };
        let scaling = L::splat(self.scaling);
        let is_there = |[slot, _]: &Slots| (*slot as usize) < start + length;
        let mut passed = 0;
        let parts = slots.chunks_exact(L::WIDTH);
        let parts = parts.zip(coefficients.chunks_exact(L::WIDTH));
        for ((slots, coefficients), gradient) in parts.zip(self.gradient.chunks_exact_mut(L::WIDTH))
        {
            if !slots.last().is_some_and(is_there) {
                break;
            }
            let sums: L = memory.sums(slots, coefficients);
            // Rounded as where fewer are left, which depends on where groups begin.
            (L::load(gradient) + sums * scaling).store(gradient);
            passed += L::WIDTH;
        }
        let slots = rest(slots, passed);
        let count = slots
            .iter()
            .take(L::WIDTH)
            .take_while(|slots| is_there(slots))
            .count();
        if count > 0 {
            let sums: L = memory.sums(split(slots, count).0, rest(coefficients, passed));
            let mut numbers = [F::ZERO; MOST_NARROW_LANES];
            (sums * scaling).store(&mut numbers);
            let gradient = rest_mut(self.gradient, passed);
            for (gradient, number) in gradient.iter_mut().zip(numbers).take(count) {
                *gradient += number;
            }
        }
        passed + count
    }
}

/// Where the slots of atoms meet.
struct Meeting<'k, N> {
    /// The first slot of the next two.
    start: usize,
    group: &'k [N],
    spread: &'k mut [N],
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
            if let (Some(&[slot, other]), Some(&coefficient)) = (slots.get(at), coefficients.get(at)) {
                let slot = (slot as usize).wrapping_sub(self.start);
                if let (Some(here), Some(to), Some(there)) =
                    (self.group.get(slot), self.spread.get_mut(slot), self.kept.get(other as usize))
                {
                    let there = L::get(there);
                    products[at] = L::get(here) * there;
                    there.multiply_add(L::splat(coefficient), L::get(to)).put(to);
                }
            }
        });
        L::sum_lanes(products)
    }
}
