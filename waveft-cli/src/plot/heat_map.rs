//! A matrix in colours: blue for negative entries, red for positive ones, over one range of either.

use plotters::element::BitMapElement;
use plotters::prelude::DrawingBackend;

use super::cells::Cells;
use super::ink::{
    Area, CENTER, Drawn, FRAME, LABEL, LEFT, NOTE, RIGHT, diverging, line, number, write, write_up,
};
use super::layer::BANDS;

/// Pixels left of a map, and above and below it.
const LEFT_OF: i32 = 40;
const ABOVE: i32 = 52;
const BELOW: i32 = 54;

/// Pixels from a map to its scale of colours, and of that.
const TO_SCALE: i32 = 14;
const SCALE: (i32, i32) = (12, 90);

/// What is drawn, and what it is called.
pub(super) struct HeatMap<'a> {
    pub(super) cells: &'a Cells,
    pub(super) title: &'a str,
    /// What is counted down the rows and along the columns.
    pub(super) axes: [&'a str; 2],
    /// The share of each quadrant, if there are quadrants to mark.
    pub(super) quadrants: Option<[String; 4]>,
}

impl HeatMap<'_> {
    /// How many pixels high its drawing is.
    pub(super) fn height(&self) -> i32 {
        ABOVE + self.cells.extent().1 as i32 + BELOW
    }

    pub(super) fn draw<B: DrawingBackend<ErrorType: 'static>>(&self, area: &Area<B>) -> Drawn {
        let largest = self.cells.largest();
        write(area, self.title, LABEL, LEFT, (LEFT_OF, 12))?;
        let (width, height) = self.cells.extent();
        let pixels = self.cells.pixels(|value| diverging(share(value, largest)));
        let (left, top) = (LEFT_OF, ABOVE);
        let (right, bottom) = (left + width as i32, top + height as i32);
        let size = (width as u32, height as u32);
        let map = BitMapElement::with_owned_buffer((left, top), size, pixels);
        area.draw(&map.ok_or("a map of other pixels than its own")?)?;
        for (from, to) in [
            ((left, top), (right, top)),
            ((right, top), (right, bottom)),
            ((right, bottom), (left, bottom)),
            ((left, bottom), (left, top)),
        ] {
            line(area, [from, to], FRAME)?;
        }

        let (rows, columns) = self.cells.shape();
        let [down, along] = self.axes;
        let middle = ((left + right) / 2, (top + bottom) / 2);
        let below = bottom + if self.quadrants.is_some() { 30 } else { 14 };
        write(area, "0", NOTE, LEFT, (left, below))?;
        write(area, along, NOTE, CENTER, (middle.0, below))?;
        write(area, &columns.to_string(), NOTE, RIGHT, (right, below))?;
        write(area, "0", NOTE, RIGHT, (left - 6, top + 5))?;
        write_up(area, down, NOTE, (left - 14, middle.1))?;
        write(area, &rows.to_string(), NOTE, RIGHT, (left - 4, bottom - 5))?;
        if let (down @ 2.., along) | (down, along @ 2..) = self.cells.entries_a_cell() {
            let reduced =
                format!("a cell is {down} × {along} entries: the one largest in magnitude");
            write(area, &reduced, NOTE, LEFT, (left, below + 16))?;
        }
        if let Some(shares) = &self.quadrants {
            let halves = [middle.0 - left, right - middle.0];
            let names = BANDS.iter().zip(shares);
            for (index, ((short, _), share)) in names.enumerate() {
                let x = left + halves[0] * (index % 2) as i32 + halves[index % 2] / 2;
                let y = if index < 2 { top - 10 } else { bottom + 11 };
                let text = match width > 160 {
                    true => format!("{short}{share}"),
                    false => (*short).to_owned(),
                };
                write(area, &text, LABEL, CENTER, (x, y))?;
            }
            line(area, [(middle.0, top), (middle.0, bottom)], FRAME)?;
            line(area, [(left, middle.1), (right, middle.1)], FRAME)?;
        }
        draw_scale(area, (right + TO_SCALE, top), largest)
    }
}

/// A value's part of the largest one, which may be zero.
fn share(value: f32, largest: f32) -> f32 {
    if largest > 0.0 { value / largest } else { 0.0 }
}

fn draw_scale<B: DrawingBackend<ErrorType: 'static>>(
    area: &Area<B>,
    (left, top): (i32, i32),
    largest: f32,
) -> Drawn {
    let (width, height) = SCALE;
    let colors: Vec<u8> = (0..height)
        .flat_map(|y| diverging(1.0 - 2.0 * y as f32 / (height - 1) as f32).repeat(width as usize))
        .collect();
    let size = (width as u32, height as u32);
    let scale = BitMapElement::with_owned_buffer((left, top), size, colors);
    area.draw(&scale.ok_or("a scale of other pixels than its own")?)?;
    if largest == 0.0 {
        let text = "all are 0";
        return write(area, text, NOTE, LEFT, (left + width + 6, top + height / 2));
    }
    for quarter in 0..=4 {
        let y = top + height * quarter / 4;
        let value = f64::from(largest) * (1.0 - f64::from(quarter) / 2.0);
        line(area, [(left + width, y), (left + width + 3, y)], FRAME)?;
        write(area, &number(value), NOTE, LEFT, (left + width + 6, y))?;
    }
    Ok(())
}
