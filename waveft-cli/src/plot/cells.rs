//! A matrix reduced to as many cells as a picture has room for.

/// Most pixels along a side of a map, and fewest, so that a narrow matrix can be seen.
const SIDE: (usize, usize) = (384, 96);

/// Fewest pixels along a side of a cell.
const FINEST: usize = 3;

/// Of each cell the value that is the largest in magnitude, with its sign; zero if there is no other.
pub(super) struct Cells {
    rows: Axis,
    columns: Axis,
    values: Vec<f32>,
}

/// One side of the matrix: its entries, their cells, and the pixels of each cell.
#[derive(Clone, Copy)]
struct Axis {
    entries: usize,
    cells: usize,
    pixels: usize,
}

impl Axis {
    /// `entries` of a matrix whose longer side has `longer`.
    fn new(entries: usize, longer: usize) -> Self {
        let (most, fewest) = SIDE;
        // In floating point, for no product is too large there.
        let share = entries as f64 / longer as f64;
        let extent = ((most as f64 * share) as usize).clamp(fewest, most);
        let cells = entries.min(extent / FINEST);
        Self {
            entries,
            cells,
            pixels: extent / cells,
        }
    }

    fn cell(self, entry: usize) -> usize {
        (entry as u64 * self.cells as u64 / self.entries as u64) as usize
    }

    fn extent(self) -> usize {
        self.cells * self.pixels
    }
}

impl Cells {
    /// Of a matrix of zeros. Neither side is empty.
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let longer = rows.max(columns);
        let (rows, columns) = (Axis::new(rows, longer), Axis::new(columns, longer));
        Self {
            rows,
            columns,
            values: vec![0.0; rows.cells * columns.cells],
        }
    }

    /// Takes the entry at a row and a column into account.
    pub(super) fn put(&mut self, row: usize, column: usize, value: f32) {
        let at = self.rows.cell(row) * self.columns.cells + self.columns.cell(column);
        let cell = &mut self.values[at];
        if value.abs() > cell.abs() {
            *cell = value;
        }
    }

    /// Takes all entries of a row into account, of which most are zero.
    pub(super) fn put_row(&mut self, row: usize, entries: &[f32]) {
        let entries = entries.iter().enumerate();
        for (column, &value) in entries.filter(|&(_, &value)| value != 0.0) {
            self.put(row, column, value);
        }
    }

    /// Rows and columns of the matrix.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.rows.entries, self.columns.entries)
    }

    /// Width and height in pixels.
    pub(super) fn extent(&self) -> (usize, usize) {
        (self.columns.extent(), self.rows.extent())
    }

    /// The most entries along the sides of a cell: rows, then columns. Both are 1 if nothing is reduced.
    pub(super) fn entries_a_cell(&self) -> (usize, usize) {
        let most = |axis: Axis| axis.entries.div_ceil(axis.cells);
        (most(self.rows), most(self.columns))
    }

    /// The largest magnitude.
    pub(super) fn largest(&self) -> f32 {
        self.values
            .iter()
            .fold(0.0, |largest, value| largest.max(value.abs()))
    }

    /// The map's pixels, row-major RGB, in the colours that `color` gives values.
    pub(super) fn pixels(&self, color: impl Fn(f32) -> [u8; 3]) -> Vec<u8> {
        let (width, height) = self.extent();
        let mut pixels = Vec::with_capacity(3 * width * height);
        for row in self.values.chunks_exact(self.columns.cells) {
            let colors = row
                .iter()
                .flat_map(|&value| color(value).repeat(self.columns.pixels));
            let line: Vec<u8> = colors.collect();
            pixels.extend(line.repeat(self.rows.pixels));
        }
        pixels
    }

    /// The value of the cell that an entry is in.
    #[cfg(test)]
    pub(super) fn value(&self, row: usize, column: usize) -> f32 {
        self.values[self.rows.cell(row) * self.columns.cells + self.columns.cell(column)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_largest_magnitude_and_its_sign() {
        let mut cells = Cells::new(4096, 4096);
        assert_eq!(cells.entries_a_cell(), (32, 32));
        cells.put_row(31, &[0.0, -2.0, 1.0]);
        cells.put(0, 31, 1.5);
        cells.put(32, 0, 0.25);
        assert_eq!(cells.value(0, 0), -2.0);
        assert_eq!(cells.value(32, 31), 0.25);
        assert_eq!(cells.value(0, 32), 0.0);
        assert_eq!(cells.largest(), 2.0);
    }

    #[test]
    fn every_shape_has_pixels_of_its_kind() {
        for (rows, columns, width, height) in [
            (4096, 4096, 384, 384),
            (384, 384, 384, 384),
            (10, 512, 384, 90),
            (1, 1, 384, 384),
            (1, 1 << 29, 384, 96),
            (300, 100, 128, 384),
        ] {
            let cells = Cells::new(rows, columns);
            let (w, h) = cells.extent();
            assert!(w <= width && w + w / 2 > width, "{rows} × {columns}: {w}");
            assert!(h <= height && h + h / 2 > height, "{rows} × {columns}: {h}");
            assert_eq!(cells.pixels(|_| [1, 2, 3]), [1, 2, 3].repeat(w * h));
            let last = (rows - 1, columns - 1);
            assert_eq!(cells.rows.cell(last.0), cells.rows.cells - 1);
            assert_eq!(cells.columns.cell(last.1), cells.columns.cells - 1);
        }
    }
}
