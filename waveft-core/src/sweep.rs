//! One sweep over `ΔW = scaling · R S Cᵀ` from its first row to its last, touching only entries
//! that an atom covers, each exactly once.
//!
//! PEFT rounds an entry once, so what several atoms add to it must be summed before the weight sees
//! it. Atoms begin at even samples: rows `2t` and `2t + 1` are covered by the atoms at row positions
//! `t .. t + L/2`, which are that many runs of the sorted atoms. They are merged in order of
//! column; entries before the next atom's first column are complete and leave, so no more than `L`
//! columns of the two rows are ever open.

use crate::element::Real;
use crate::filter_bank::{FilterBank, MAX_TAPS};
use crate::geometry::Atom;
use crate::isa::Kernel;
use crate::matrix::in_blocks;
use crate::spectrum::SparseSpectrum;
use core::ops::Range;

/// Atoms between the one being added and the one whose memory is asked for.
const AHEAD: usize = 12;

/// What is done with the entries of ΔW.
pub(crate) trait Visitor<F> {
    /// Some entries are about to be visited.
    fn expect(&self, row: usize, columns: Range<usize>);

    /// Entries of a row from `column` on, still to be multiplied by the scaling.
    fn visit(&mut self, row: usize, column: usize, unscaled: &[F]);
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
            Some(bank) if bank.taps() == 2 => self.blocks(bank),
            Some(bank) => self.pairs(bank),
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
            self.visitor
                .visit(atom.row(), atom.column(), &[coefficient]);
        }
    }

    /// Filters of two taps: atoms are blocks of 2 × 2 that coincide or are apart, and those that
    /// coincide are neighbours.
    #[inline(always)]
    fn blocks(&mut self, bank: FilterBank<'_, F>) {
        let (atoms, coefficients) = (self.spectrum.atoms(), self.spectrum.coefficients());
        let width = self.spectrum.geometry().columns().length();
        let mut at = atoms.partition_point(|atom| atom.row() < self.rows.start / 2);
        while let Some(&atom) = atoms.get(at).filter(|a| 2 * a.row() < self.rows.end) {
            let mut block = [[F::zero(); 2]; 2];
            let place = |atom: &Atom| (atom.row(), atom.column());
            while let Some(next) = atoms.get(at).filter(|next| place(next) == place(&atom)) {
                let rows = filter(&bank, next.row_is_high());
                let columns = filter(&bank, next.column_is_high());
                for (entries, &tap) in block.iter_mut().zip(rows) {
                    for (entry, &column_tap) in entries.iter_mut().zip(columns) {
                        *entry += coefficients[at] * (tap * column_tap);
                    }
                }
                at += 1;
            }
            self.expect(at + AHEAD, &bank);
            let column = 2 * atom.column();
            for (row, entries) in (2 * atom.row()..).zip(&block) {
                if self.rows.contains(&row) {
                    // The last column of an odd width has half a block.
                    let count = if column + 1 < width { 2 } else { 1 };
                    self.visitor.visit(row, column, &entries[..count]);
                }
            }
        }
    }

    /// Filters of any even number of taps.
    #[inline(always)]
    fn pairs(&mut self, bank: FilterBank<'_, F>) {
        let atoms = self.spectrum.atoms();
        let reach = bank.taps() / 2;
        let mut open = Open::new();
        let mut runs = Runs::new();
        let mut pair = self.rows.start / 2;
        let mut first = atoms.partition_point(|atom| atom.row() < pair);
        let mut expected = first;
        while 2 * pair < self.rows.end {
            // The first atom that covers this pair or a later one.
            while atoms.get(first).is_some_and(|atom| atom.row() < pair) {
                first += 1;
            }
            let Some(next) = atoms.get(first) else { return };
            if next.row() >= pair + reach {
                pair = next.row() + 1 - reach;
                continue;
            }
            open.rows = self.rows.start.max(2 * pair)..self.rows.end.min(2 * pair + 2);
            runs.start(atoms, first, pair + reach);
            while expected < runs.end + AHEAD {
                self.expect(expected, &bank);
                expected += 1;
            }
            while let Some(at) = runs.next_by_column(atoms) {
                self.accumulate(&bank, &mut open, at);
            }
            open.flush(open.count, &mut self.visitor);
            pair += 1;
        }
    }

    /// Asks for the memory under an atom's rows, if there is one.
    #[inline(always)]
    fn expect(&self, at: usize, bank: &FilterBank<'_, F>) {
        let Some(atom) = self.spectrum.atoms().get(at) else {
            return;
        };
        let (start, end, _) = self.spectrum.geometry().columns().support(atom.column());
        let last = 2 * atom.row() + 2;
        for row in last.saturating_sub(bank.taps()).max(self.rows.start)..last.min(self.rows.end) {
            self.visitor.expect(row, start..end);
        }
    }

    /// Adds atom `at` to the open entries, after those that it completes have left.
    #[inline(always)]
    fn accumulate(&mut self, bank: &FilterBank<'_, F>, open: &mut Open<F>, at: usize) {
        let (atom, coefficient) = (self.spectrum.atoms()[at], self.spectrum.coefficients()[at]);
        let columns = self.spectrum.geometry().columns();
        let (start, end, cut) = columns.support(atom.column());
        open.flush(
            open.count.min(start - open.first.min(start)),
            &mut self.visitor,
        );
        let shared = open.count;
        open.first = start;
        open.count = end - start;
        let column_filter = &filter(bank, atom.column_is_high())[cut..cut + open.count];
        let row_filter = filter(bank, atom.row_is_high());
        for (row, entries) in open.rows.clone().zip(&mut open.entries) {
            // The atom's last tap is at row 2k + 1.
            let tap = row_filter[row + bank.taps() - 2 - 2 * atom.row()];
            // PEFT's order: the product of the taps is rounded first.
            let product = |column_tap: F| coefficient * (tap * column_tap);
            let (add, set) = entries[..column_filter.len()].split_at_mut(shared);
            let (add_taps, set_taps) = column_filter.split_at(shared);
            in_blocks(add, add_taps, |entry, &tap| *entry += product(tap));
            in_blocks(set, set_taps, |entry, &tap| *entry = product(tap));
        }
    }
}

#[inline(always)]
fn filter<'a, F: Copy>(bank: &FilterBank<'a, F>, high: bool) -> &'a [F] {
    if high { bank.rec_hi() } else { bank.rec_lo() }
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
            visitor.visit(row, self.first, &entries[..leaving]);
            if leaving < self.count {
                entries.copy_within(leaving..self.count, 0);
            }
        }
        self.first += leaving;
        self.count -= leaving;
    }
}

/// The atoms that cover a pair of rows: a run for each row position, each sorted by column.
struct Runs {
    runs: [(usize, usize); MAX_TAPS / 2],
    count: usize,
    /// One past the last atom of all runs.
    end: usize,
}

impl Runs {
    const fn new() -> Self {
        Self {
            runs: [(0, 0); MAX_TAPS / 2],
            count: 0,
            end: 0,
        }
    }

    /// Takes up the atoms from `first` on whose row position is below `bound`.
    #[inline(always)]
    fn start(&mut self, atoms: &[Atom], first: usize, bound: usize) {
        self.count = 0;
        self.end = first;
        while let Some(atom) = atoms.get(self.end).filter(|atom| atom.row() < bound) {
            let start = self.end;
            while atoms.get(self.end).is_some_and(|a| a.row() == atom.row()) {
                self.end += 1;
            }
            self.runs[self.count] = (start, self.end);
            self.count += 1;
        }
    }

    /// Takes the atom with the smallest column; of several, that of the first run.
    #[inline(always)]
    fn next_by_column(&mut self, atoms: &[Atom]) -> Option<usize> {
        let runs = &mut self.runs[..self.count];
        let run = runs
            .iter_mut()
            .filter(|run| run.0 < run.1)
            .min_by_key(|run| atoms[run.0].column())?;
        run.0 += 1;
        Some(run.0 - 1)
    }
}
