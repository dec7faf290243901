//! One sweep over `ΔW = scaling · R S Cᵀ`, touching only entries that an atom covers, each exactly
//! once.
//!
//! PEFT rounds an entry once, so what several atoms add to it must be summed before the weight sees
//! it. In a sparse spectrum most atoms are alone on their entries and go straight to the weight. The
//! others are summed first. Atoms begin at even samples: rows `2t` and `2t + 1` are covered by the
//! atoms at row positions `t .. t + L/2`, which are that many runs of the sorted atoms. They are
//! merged in order of column; entries before the next atom's first column are complete and leave, so
//! no more than `L` columns of the two rows are ever open.

use crate::element::Real;
use crate::filter_bank::{FilterBank, MAX_TAPS};
use crate::geometry::Atom;
use crate::isa::Kernel;
use crate::spectrum::SparseSpectrum;
use core::ops::Range;

/// Atoms that are added while the memory under as many further ones is asked for.
const BATCH: usize = 8;

/// What is done with the entries of ΔW. Its methods are to be marked `#[inline(always)]`, for they
/// are part of the kernel.
pub(crate) trait Visitor<F> {
    /// Some entries are about to be visited.
    fn expect(&self, rows: Range<usize>, columns: Range<usize>);

    /// The entries of a block that begins at `row` and `column`.
    fn visit<const W: usize>(&mut self, row: usize, column: usize, block: Block<'_, F, W>);
}

/// `W` columns of ΔW as an outer product, row by row, still to be multiplied by the scaling.
pub(crate) struct Block<'a, F, const W: usize> {
    coefficient: F,
    row_taps: &'a [F],
    column_taps: [F; W],
}

impl<F: Real, const W: usize> Iterator for Block<'_, F, W> {
    type Item = [F; W];

    #[inline(always)]
    fn next(&mut self) -> Option<[F; W]> {
        let row_tap = *self.row_taps.split_off_first()?;
        let mut entries = self.column_taps;
        for entry in &mut entries {
            *entry = product(self.coefficient, row_tap, *entry);
        }
        Some(entries)
    }
}

/// A sweep over some rows.
pub(crate) struct Sweep<'a, F, V> {
    pub(crate) spectrum: SparseSpectrum<'a, F>,
    /// `None`: a coefficient is an entry.
    pub(crate) bank: Option<FilterBank<'a, F>>,
    pub(crate) rows: Range<usize>,
    pub(crate) visitor: V,
}

impl<F: Real, V: Visitor<F>> Kernel for Sweep<'_, F, V> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        match self.bank {
            None => self.entries(),
            Some(bank) => {
                let others = match bank.taps() {
                    2 => self.alone::<2>(bank),
                    _ => self.alone::<0>(bank),
                };
                if others {
                    self.pairs(bank);
                }
            }
        }
    }
}

impl<F: Real, V: Visitor<F>> Sweep<'_, F, V> {
    /// Without a wavelet: an atom is one entry.
    #[inline(always)]
    fn entries(&mut self) {
        let atoms = self.spectrum.atoms();
        let first = atoms.partition_point(|atom| atom.row() < self.rows.start);
        let pairs = atoms.iter().zip(self.spectrum.coefficients()).skip(first);
        for (atom, &coefficient) in pairs.take_while(|(atom, _)| atom.row() < self.rows.end) {
            let block = Block {
                coefficient,
                row_taps: &[F::one()],
                column_taps: [F::one()],
            };
            self.visitor.visit(atom.row(), atom.column(), block);
        }
    }

    /// The atoms whose entries are their own, under filters of `TAPS` taps, or any number for 0.
    /// Says whether there are others.
    #[inline(always)]
    fn alone<const TAPS: usize>(&mut self, bank: FilterBank<'_, F>) -> bool {
        let taps = if TAPS > 0 { TAPS } else { bank.taps() };
        let all = self.spectrum.atoms();
        let first = all.partition_point(|atom| atom.row() < self.rows.start / 2);
        let bound = self.rows.end.div_ceil(2) + taps / 2 - 1;
        let end = all.partition_point(|atom| atom.row() < bound);
        let columns = self.spectrum.geometry().columns();
        let mut others = false;
        for start in (first..end).step_by(BATCH) {
            for next in all.iter().skip(start + BATCH).take(BATCH) {
                let (column, column_end, _) = columns.support(next.column(), taps);
                let rows = self.rows_of(next, taps).0;
                self.visitor.expect(rows, column..column_end);
            }
            let batch = start..end.min(start + BATCH);
            let coefficients = &self.spectrum.coefficients()[batch.clone()];
            for (atom, &coefficient) in all[batch].iter().zip(coefficients) {
                if !atom.is_alone() {
                    others = true;
                    continue;
                }
                let (rows, first_tap) = self.rows_of(atom, taps);
                let (column, column_end, cut) = columns.support(atom.column(), taps);
                let row_filter = filter(&bank, atom.row_is_high());
                let column_filter = filter(&bank, atom.column_is_high());
                let mut outer = Outer {
                    coefficient,
                    row: rows.start,
                    row_taps: &row_filter[first_tap..first_tap + rows.len()],
                    column,
                    column_taps: &column_filter[cut..cut + column_end - column],
                };
                if TAPS != 2 {
                    while outer.block::<16>(&mut self.visitor) {}
                    outer.block::<8>(&mut self.visitor);
                    outer.block::<4>(&mut self.visitor);
                }
                outer.block::<2>(&mut self.visitor);
                outer.block::<1>(&mut self.visitor);
            }
        }
        others
    }

    /// The rows of an atom that are swept, and the row tap on the first of them.
    #[inline(always)]
    fn rows_of(&self, atom: &Atom, taps: usize) -> (Range<usize>, usize) {
        let (start, end, cut) = self.spectrum.geometry().rows().support(atom.row(), taps);
        let first = start.max(self.rows.start);
        let last = end.min(self.rows.end).max(first);
        (first..last, cut + first - start)
    }

    /// All atoms that share entries, two rows at a time.
    #[inline(always)]
    fn pairs(&mut self, bank: FilterBank<'_, F>) {
        let atoms = self.spectrum.atoms();
        let reach = bank.taps() / 2;
        let mut open = Open::new();
        let mut runs = Runs::new();
        let mut pair = self.rows.start / 2;
        let mut first = 0;
        while 2 * pair < self.rows.end {
            // The first atom that covers this pair or a later one.
            let early = |atom: &Atom| atom.row() < pair || atom.is_alone();
            while atoms.get(first).is_some_and(early) {
                first += 1;
            }
            let Some(next) = atoms.get(first) else { return };
            if next.row() >= pair + reach {
                pair = next.row() + 1 - reach;
                continue;
            }
            open.rows = self.rows.start.max(2 * pair)..self.rows.end.min(2 * pair + 2);
            runs.start(atoms, first, pair + reach);
            while let Some(at) = runs.next_by_column(atoms) {
                self.accumulate(&bank, &mut open, at);
            }
            open.flush(open.count, &mut self.visitor);
            pair += 1;
        }
    }

    /// Adds atom `at` to the open entries, after those that it completes have left.
    #[inline(always)]
    fn accumulate(&mut self, bank: &FilterBank<'_, F>, open: &mut Open<F>, at: usize) {
        let (atom, coefficient) = (self.spectrum.atoms()[at], self.spectrum.coefficients()[at]);
        let columns = self.spectrum.geometry().columns();
        let (start, end, cut) = columns.support(atom.column(), bank.taps());
        let complete = open.count.min(start - open.first.min(start));
        open.flush(complete, &mut self.visitor);
        let shared = open.count;
        open.first = start;
        open.count = end - start;
        let column_taps = &filter(bank, atom.column_is_high())[cut..cut + open.count];
        let row_taps = filter(bank, atom.row_is_high());
        for (row, entries) in open.rows.clone().zip(&mut open.entries) {
            // The atom's last tap is at row 2k + 1.
            let row_tap = row_taps[row + bank.taps() - 2 - 2 * atom.row()];
            let entries = &mut entries[..column_taps.len()];
            entries[shared..].fill(F::zero());
            for (entry, &column_tap) in entries.iter_mut().zip(column_taps) {
                *entry += product(coefficient, row_tap, column_tap);
            }
        }
    }
}

#[inline(always)]
fn filter<'a, F: Copy>(bank: &FilterBank<'a, F>, high: bool) -> &'a [F] {
    if high { bank.rec_hi() } else { bank.rec_lo() }
}

/// An atom's share of an entry. PEFT forms the product of the taps first, and rounds it.
#[inline(always)]
fn product<F: Real>(coefficient: F, row_tap: F, column_tap: F) -> F {
    coefficient * (row_tap * column_tap)
}

/// What is left to be visited of an atom that is alone.
struct Outer<'a, F> {
    coefficient: F,
    row: usize,
    row_taps: &'a [F],
    column: usize,
    column_taps: &'a [F],
}

impl<F: Real> Outer<'_, F> {
    /// Visits all rows of the next `W` columns, if there are so many.
    #[inline(always)]
    fn block<const W: usize>(&mut self, visitor: &mut impl Visitor<F>) -> bool {
        let Some((&column_taps, rest)) = self.column_taps.split_first_chunk::<W>() else {
            return false;
        };
        let block = Block {
            coefficient: self.coefficient,
            row_taps: self.row_taps,
            column_taps,
        };
        visitor.visit(self.row, self.column, block);
        self.column_taps = rest;
        self.column += W;
        true
    }
}

/// The entries of a pair of rows that further atoms may still add to.
struct Open<F> {
    rows: Range<usize>,
    first: usize,
    count: usize,
    entries: [[F; MAX_TAPS]; 2],
}

impl<F: Real> Open<F> {
    #[inline(always)]
    fn new() -> Self {
        Self {
            rows: 0..0,
            first: 0,
            count: 0,
            entries: [[F::zero(); MAX_TAPS]; 2],
        }
    }

    /// Lets the first `leaving` of the open entries go.
    #[inline(always)]
    fn flush(&mut self, leaving: usize, visitor: &mut impl Visitor<F>) {
        if leaving == 0 {
            return;
        }
        for (row, entries) in self.rows.clone().zip(&mut self.entries) {
            let mut outer = Outer {
                coefficient: F::one(),
                row,
                row_taps: &[F::one()],
                column: self.first,
                column_taps: &entries[..leaving],
            };
            while outer.block::<8>(visitor) {}
            while outer.block::<1>(visitor) {}
            entries.copy_within(leaving..self.count, 0);
        }
        self.first += leaving;
        self.count -= leaving;
    }
}

/// The atoms that cover a pair of rows and share entries: a run for each row position, each sorted
/// by column.
struct Runs {
    runs: [(usize, usize); MAX_TAPS / 2],
    count: usize,
}

impl Runs {
    const fn new() -> Self {
        Self {
            runs: [(0, 0); MAX_TAPS / 2],
            count: 0,
        }
    }

    /// Takes up the atoms from `first` on whose row position is below `bound`.
    #[inline(always)]
    fn start(&mut self, atoms: &[Atom], mut first: usize, bound: usize) {
        self.count = 0;
        while let Some(atom) = atoms.get(first).filter(|atom| atom.row() < bound) {
            let start = first;
            while atoms.get(first).is_some_and(|a| a.row() == atom.row()) {
                first += 1;
            }
            self.runs[self.count] = (start, first);
            self.count += 1;
        }
    }

    /// Takes the atom with the smallest column; of several, that of the first run.
    #[inline(always)]
    fn next_by_column(&mut self, atoms: &[Atom]) -> Option<usize> {
        let mut next: Option<&mut (usize, usize)> = None;
        for run in &mut self.runs[..self.count] {
            while run.0 < run.1 && atoms[run.0].is_alone() {
                run.0 += 1;
            }
            let column = |run: &(usize, usize)| atoms[run.0].column();
            if run.0 < run.1 && next.as_ref().is_none_or(|n| column(run) < column(n)) {
                next = Some(run);
            }
        }
        let run = next?;
        run.0 += 1;
        Some(run.0 - 1)
    }
}
