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
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::spectrum::SparseSpectrum;
use core::ops::Range;

/// How many atoms before its own turn the memory under an atom is asked for.
const AHEAD: usize = 16;

/// What is done with the entries of ΔW. Its methods are to be marked `#[inline(always)]`, for they
/// are part of the kernel.
pub(crate) trait Visitor<F> {
    /// The most columns that a block of its may have.
    const WIDEST: usize;

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

/// A sweep over some rows, in up to two passes.
#[derive(Clone)]
pub(crate) struct Sweep<'a, F> {
    pub(crate) spectrum: SparseSpectrum<'a, F>,
    /// `None`: a coefficient is an entry.
    pub(crate) bank: Option<FilterBank<'a, F>>,
    pub(crate) rows: Range<usize>,
}

impl<F: Real> Sweep<'_, F> {
    /// Visits every entry of the rows that an atom covers, with these instructions.
    pub(crate) fn run(self, isa: Isa, visitor: impl Visitor<F>) {
        let Some(bank) = self.bank else {
            isa.run(Entries {
                sweep: self,
                visitor,
            });
            return;
        };
        let sweep = self.clone();
        // Small kernels that own what they touch keep it in registers.
        let (visitor, others) = match bank.taps() {
            2 => isa.run(Alone::<_, _, 2> {
                sweep,
                bank,
                visitor,
            }),
            _ => isa.run(Alone::<_, _, 0> {
                sweep,
                bank,
                visitor,
            }),
        };
        if others {
            isa.run(Overlapping {
                sweep: self,
                bank,
                visitor,
            });
        }
    }
}

/// Without a wavelet: an atom is one entry.
struct Entries<'a, F, V> {
    sweep: Sweep<'a, F>,
    visitor: V,
}

impl<F: Real, V: Visitor<F>> Kernel for Entries<'_, F, V> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let Sweep { spectrum, rows, .. } = self.sweep;
        let atoms = spectrum.atoms();
        let first = atoms.partition_point(|atom| atom.row() < rows.start);
        let pairs = atoms.iter().zip(spectrum.coefficients()).skip(first);
        for (atom, &coefficient) in pairs.take_while(|(atom, _)| atom.row() < rows.end) {
            let block = Block {
                coefficient,
                row_taps: &[F::one()],
                column_taps: [F::one()],
            };
            self.visitor.visit(atom.row(), atom.column(), block);
        }
    }
}

/// The atoms whose entries are their own, under filters of `TAPS` taps, or any number for 0. Yields
/// the visitor, and whether there are other atoms.
struct Alone<'a, F, V, const TAPS: usize> {
    sweep: Sweep<'a, F>,
    bank: FilterBank<'a, F>,
    visitor: V,
}

impl<F: Real, V: Visitor<F>, const TAPS: usize> Kernel for Alone<'_, F, V, TAPS> {
    type Output = (V, bool);

    #[inline(always)]
    fn run(mut self) -> (V, bool) {
        let Range { start, end } = self.sweep.rows;
        let reach = self.taps() / 2;
        let atoms = self.sweep.spectrum.atoms();
        let below = |bound: usize| atoms.partition_point(|atom| atom.row() < bound);
        let all = below(start / 2)..below(end.div_ceil(2) + reach - 1);
        let first_whole = below(start.div_ceil(2) + reach - 1);
        let whole = first_whole..below(end / 2).max(first_whole);
        let mut others = self.visit::<true>(whole.clone());
        for cut in [all.start..whole.start, whole.end..all.end] {
            others |= self.visit::<false>(cut);
        }
        (self.visitor, others)
    }
}

impl<F: Real, V: Visitor<F>, const TAPS: usize> Alone<'_, F, V, TAPS> {
    #[inline(always)]
    fn taps(&self) -> usize {
        if TAPS > 0 { TAPS } else { self.bank.taps() }
    }

    /// Visits some atoms, of which all rows are swept if `WHOLE`. Says whether there are others
    /// among them.
    #[inline(always)]
    fn visit<const WHOLE: bool>(&mut self, range: Range<usize>) -> bool {
        let taps = self.taps();
        let columns = self.sweep.spectrum.geometry().columns();
        let spectrum = self.sweep.spectrum;
        let atoms = spectrum.atoms().get(range.clone()).unwrap_or_default();
        let coefficients = spectrum.coefficients().get(range).unwrap_or_default();
        let mut others = false;
        for (at, (atom, &coefficient)) in atoms.iter().zip(coefficients).enumerate() {
            if let Some(next) = atoms.get(at + AHEAD) {
                let (rows, _) = self.rows_of::<WHOLE>(next);
                let (column, column_end, _) = columns.support(next.column(), taps);
                self.visitor.expect(rows, column..column_end);
            }
            if !atom.is_alone() {
                others = true;
                continue;
            }
            let (rows, first_tap) = self.rows_of::<WHOLE>(atom);
            let (column, column_end, cut) = columns.support(atom.column(), taps);
            let row_filter = filter(&self.bank, atom.row_is_high());
            let column_filter = filter(&self.bank, atom.column_is_high());
            let mut outer = Outer {
                coefficient,
                row: rows.start,
                row_taps: part(row_filter, first_tap, rows.end - rows.start),
                column,
                column_taps: part(column_filter, cut, column_end - column),
            };
            if TAPS != 2 {
                while outer.block::<16, _>(&mut self.visitor) {}
                outer.block::<8, _>(&mut self.visitor);
                outer.block::<4, _>(&mut self.visitor);
            }
            outer.block::<2, _>(&mut self.visitor);
            while outer.block::<1, _>(&mut self.visitor) {}
        }
        others
    }

    /// The rows of an atom that are swept, and the row tap on the first of them.
    #[inline(always)]
    fn rows_of<const WHOLE: bool>(&self, atom: &Atom) -> (Range<usize>, usize) {
        let taps = self.taps();
        if WHOLE {
            let end = 2 * atom.row() + 2;
            return (end - taps..end, 0);
        }
        let axis = self.sweep.spectrum.geometry().rows();
        let (start, end, cut) = axis.support(atom.row(), taps);
        let first = start.max(self.sweep.rows.start);
        let last = end.min(self.sweep.rows.end).max(first);
        (first..last, cut + first - start)
    }
}

/// The atoms that share entries, two rows at a time.
struct Overlapping<'a, F, V> {
    sweep: Sweep<'a, F>,
    bank: FilterBank<'a, F>,
    visitor: V,
}

impl<F: Real, V: Visitor<F>> Kernel for Overlapping<'_, F, V> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let rows = self.sweep.rows.clone();
        let atoms = self.sweep.spectrum.atoms();
        let reach = self.bank.taps() / 2;
        let mut open = Open::new();
        let mut runs = Runs::new();
        let mut pair = rows.start / 2;
        let mut first = 0;
        while 2 * pair < rows.end {
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
            open.rows = rows.start.max(2 * pair)..rows.end.min(2 * pair + 2);
            runs.start(atoms, first, pair + reach);
            while let Some(at) = runs.next_by_column(atoms) {
                self.accumulate(&mut open, at);
            }
            open.flush(open.count, &mut self.visitor);
            pair += 1;
        }
    }
}

impl<F: Real, V: Visitor<F>> Overlapping<'_, F, V> {
    /// Adds atom `at` to the open entries, after those that it completes have left.
    #[inline(always)]
    fn accumulate(&mut self, open: &mut Open<F>, at: usize) {
        let (spectrum, bank) = (&self.sweep.spectrum, &self.bank);
        let (Some(atom), Some(&coefficient)) =
            (spectrum.atoms().get(at), spectrum.coefficients().get(at))
        else {
            return;
        };
        let columns = spectrum.geometry().columns();
        let (start, end, cut) = columns.support(atom.column(), bank.taps());
        let complete = open.count.min(start - open.first.min(start));
        open.flush(complete, &mut self.visitor);
        let shared = open.count;
        open.first = start;
        open.count = end - start;
        let column_taps = part(filter(bank, atom.column_is_high()), cut, open.count);
        let row_taps = filter(bank, atom.row_is_high());
        for (row, entries) in open.rows.clone().zip(&mut open.entries) {
            // The atom's last tap is at row 2k + 1.
            let row_tap = row_taps.get(row + bank.taps() - 2 - 2 * atom.row());
            let row_tap = row_tap.copied().unwrap_or(F::ZERO);
            let fresh = entries.get_mut(shared..column_taps.len());
            fresh.unwrap_or_default().fill(F::ZERO);
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

/// `count` taps from one on.
#[inline(always)]
fn part<F>(taps: &[F], first: usize, count: usize) -> &[F] {
    taps.get(first..first + count).unwrap_or_default()
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
    /// Visits all rows of the next `W` columns, if there are so many and the visitor takes so many.
    #[inline(always)]
    fn block<const W: usize, V: Visitor<F>>(&mut self, visitor: &mut V) -> bool {
        if W > V::WIDEST {
            return false;
        }
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
        // Both are so already, which the compiler is to know.
        let count = self.count.min(MAX_TAPS);
        let leaving = leaving.min(count);
        for (row, entries) in self.rows.clone().zip(&mut self.entries) {
            let mut outer = Outer {
                coefficient: F::one(),
                row,
                row_taps: &[F::one()],
                column: self.first,
                column_taps: entries.get(..leaving).unwrap_or_default(),
            };
            while outer.block::<8, _>(visitor) {}
            while outer.block::<1, _>(visitor) {}
            entries.copy_within(leaving..count, 0);
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
            if let Some(run) = self.runs.get_mut(self.count) {
                *run = (start, first);
                self.count += 1;
            }
        }
    }

    /// Takes the atom with the smallest column; of several, that of the first run.
    #[inline(always)]
    fn next_by_column(&mut self, atoms: &[Atom]) -> Option<usize> {
        let mut next: Option<&mut (usize, usize)> = None;
        for run in self.runs.iter_mut().take(self.count) {
            while run.0 < run.1 && atoms.get(run.0).is_some_and(Atom::is_alone) {
                run.0 += 1;
            }
            let column = |run: &(usize, usize)| atoms.get(run.0).map(Atom::column);
            if run.0 < run.1 && next.as_ref().is_none_or(|n| column(run) < column(n)) {
                next = Some(run);
            }
        }
        let run = next?;
        run.0 += 1;
        Some(run.0 - 1)
    }
}
