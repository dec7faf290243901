//! A plotters backend of pixels, twice as fine as what is drawn, with the text of our own font: nothing of the system's.

use plotters::backend::BitMapBackend;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
};

use super::font;

/// Pixels along a side of one unit of the drawing, for screens that have as many.
pub(super) const FINENESS: u32 = 2;

/// Draws on a buffer of RGB pixels, row-major.
pub(super) struct Pixels<'a> {
    inner: BitMapBackend<'a>,
}

/// A style whose strokes are as much wider as the pixels are finer.
struct Fine<'a, S>(&'a S);

impl<S: BackendStyle> BackendStyle for Fine<'_, S> {
    fn color(&self) -> BackendColor {
        self.0.color()
    }

    fn stroke_width(&self) -> u32 {
        self.0.stroke_width() * FINENESS
    }
}

type Done<'a> = Result<(), DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

impl<'a> Pixels<'a> {
    /// Over `buffer`, of `FINENESS · width × FINENESS · height` pixels.
    pub(super) fn new(buffer: &'a mut [u8], (width, height): (u32, u32)) -> Self {
        let size = (width * FINENESS, height * FINENESS);
        Self {
            inner: BitMapBackend::with_buffer(buffer, size),
        }
    }
}

fn fine((x, y): BackendCoord) -> BackendCoord {
    (x * FINENESS as i32, y * FINENESS as i32)
}

impl<'a> DrawingBackend for Pixels<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.inner.get_size();
        (width / FINENESS, height / FINENESS)
    }

    fn ensure_prepared(&mut self) -> Done<'a> {
        self.inner.ensure_prepared()
    }

    fn present(&mut self) -> Done<'a> {
        self.inner.present()
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Done<'a> {
        self.draw_rect((x, y), (x + 1, y + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Done<'a> {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Done<'a> {
        let (from, (right, bottom)) = (fine(from), fine(to));
        if fill {
            // Here a filled rectangle has its last row and column, in an SVG it ends before them.
            let last = (right - 1, bottom - 1);
            self.inner.draw_rect(from, last, &Fine(style), true)
        } else {
            let corners = [
                from,
                (right, from.1),
                (right, bottom),
                (from.0, bottom),
                from,
            ];
            self.inner.draw_path(corners, &Fine(style))
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Done<'a> {
        self.inner
            .draw_path(path.into_iter().map(fine), &Fine(style))
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Self::ErrorType>> {
        let em = em(style);
        Ok((font::width(text, em) as u32, em as u32))
    }

    /// Anchored as the SVG backend anchors it.
    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        at: BackendCoord,
    ) -> Done<'a> {
        let em = em(style) * f64::from(FINENESS);
        let width = font::width(text, em);
        let before = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => width / 2.0,
            HPos::Right => width,
        };
        let half_ex = 0.26 * em;
        let below = match style.anchor().v_pos {
            VPos::Top => 0.76 * em,
            VPos::Center => half_ex,
            VPos::Bottom => -half_ex,
        };
        let (left, baseline) = (-before.round() as i32, below.round() as i32);
        let (color, (x, y)) = (style.color(), fine(at));
        let mut drawn = Ok(());
        font::rasterise(text, em, |column, row, coverage| {
            let (across, down) = (left + column, baseline + row);
            let place = match style.transform() {
                FontTransform::None => (x + across, y + down),
                FontTransform::Rotate90 => (x - down, y + across),
                FontTransform::Rotate180 => (x - across, y - down),
                FontTransform::Rotate270 => (x + down, y - across),
            };
            let alpha = color.alpha * coverage;
            if drawn.is_ok() {
                drawn = self
                    .inner
                    .draw_pixel(place, BackendColor { alpha, ..color });
            }
        });
        drawn
    }

    fn blit_bitmap(
        &mut self,
        at: BackendCoord,
        (width, height): (u32, u32),
        rgb: &[u8],
    ) -> Done<'a> {
        let fineness = FINENESS as usize;
        let mut fine_rgb = Vec::with_capacity(rgb.len() * fineness * fineness);
        for row in rgb.chunks_exact(3 * width as usize) {
            let (pixels, _) = row.as_chunks::<3>();
            let row: Vec<u8> = pixels
                .iter()
                .flat_map(|pixel| pixel.repeat(fineness))
                .collect();
            fine_rgb.extend(row.repeat(fineness));
        }
        let size = (width * FINENESS, height * FINENESS);
        self.inner.blit_bitmap(fine(at), size, &fine_rgb)
    }
}

/// Pixels of an em: plotters' sizes are of the font's height, which it takes to be 1.24 of it.
fn em<S: BackendTextStyle>(style: &S) -> f64 {
    style.size() / 1.24
}
