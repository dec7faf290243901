//! Strokes, text and colours, the same in both kinds of picture.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What is drawn on: a picture, or a part of one with coordinates of its own.
pub(super) type Area<B> = DrawingArea<B, Shift>;

/// What drawing ends in.
pub(super) type Drawn = Result<(), Box<dyn Error>>;

pub(super) const TEXT: RGBColor = RGBColor(34, 34, 34);
pub(super) const FAINT_TEXT: RGBColor = RGBColor(110, 110, 110);
pub(super) const FRAME: RGBColor = RGBColor(150, 150, 150);
pub(super) const GRID: RGBColor = RGBColor(228, 228, 228);

/// Of the sub-bands, told apart by the colour-blind too.
pub(super) const BAND_COLORS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
];

pub(super) const LEFT: HPos = HPos::Left;
pub(super) const CENTER: HPos = HPos::Center;
pub(super) const RIGHT: HPos = HPos::Right;

/// How a text is set: pixels of its em, and its colour.
#[derive(Clone, Copy)]
pub(super) struct Type(pub(super) f64, pub(super) RGBColor);

pub(super) const TITLE: Type = Type(18.0, TEXT);
pub(super) const HEADING: Type = Type(14.0, TEXT);
pub(super) const LABEL: Type = Type(11.0, TEXT);
pub(super) const NOTE: Type = Type(11.0, FAINT_TEXT);

/// A text beside, over or before a point, half its height above it.
pub(super) fn write<B: DrawingBackend<ErrorType: 'static>>(
    area: &Area<B>,
    text: &str,
    Type(em, color): Type,
    anchor: HPos,
    at: (i32, i32),
) -> Drawn {
    Ok(area.draw_text(text, &style(em, color, anchor), at)?)
}

/// The same upwards, turned about its middle.
pub(super) fn write_up<B: DrawingBackend<ErrorType: 'static>>(
    area: &Area<B>,
    text: &str,
    Type(em, color): Type,
    at: (i32, i32),
) -> Drawn {
    let style = style(em, color, CENTER).transform(FontTransform::Rotate270);
    Ok(area.draw_text(text, &style, at)?)
}

fn style(em: f64, color: RGBColor, anchor: HPos) -> TextStyle<'static> {
    // plotters' sizes are of the font's height, which it takes to be 1.24 em.
    let style = TextStyle::from(("sans-serif", 1.24 * em).into_font());
    TextStyle {
        color: color.to_backend_color(),
        pos: Pos::new(anchor, VPos::Center),
        ..style
    }
}

/// A filled rectangle.
pub(super) fn fill<B: DrawingBackend<ErrorType: 'static>>(
    area: &Area<B>,
    corners: [(i32, i32); 2],
    color: RGBColor,
) -> Drawn {
    Ok(area.draw(&Rectangle::new(corners, color.filled()))?)
}

/// A straight line.
pub(super) fn line<B: DrawingBackend<ErrorType: 'static>>(
    area: &Area<B>,
    ends: [(i32, i32); 2],
    color: RGBColor,
) -> Drawn {
    Ok(area.draw(&PathElement::new(ends, color))?)
}

/// The colour of a value from −1 to 1: blue, white at zero, red.
pub(super) fn diverging(value: f32) -> [u8; 3] {
    let stops: [[f32; 3]; 3] = if value < 0.0 {
        [[255.0; 3], [120.0, 178.0, 214.0], [5.0, 64.0, 140.0]]
    } else {
        [[255.0; 3], [240.0, 140.0, 110.0], [150.0, 10.0, 35.0]]
    };
    let along = 2.0 * value.abs().min(1.0);
    let (from, to, share) = match along < 1.0 {
        true => (stops[0], stops[1], along),
        false => (stops[1], stops[2], along - 1.0),
    };
    std::array::from_fn(|channel| {
        let mixed = from[channel] + share * (to[channel] - from[channel]);
        mixed.round() as u8
    })
}

/// A number in as few digits as tell it: three that count.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    let text = if magnitude == 0.0 {
        return "0".to_owned();
    } else if (0.001..10_000.0).contains(&magnitude) {
        let before = magnitude.log10().floor() as i32;
        let text = format!("{value:.*}", (2 - before).max(0) as usize);
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    } else {
        format!("{value:.1e}").replace(".0e", "e")
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.5, "−0.5"),
            (0.012345, "0.0123"),
            (1234.5, "1234"),
            (100.0, "100"),
            (2e-5, "2e−5"),
            (123456.0, "1.2e5"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn colours_are_white_at_zero_and_opposed() {
        assert_eq!(diverging(0.0), [255; 3]);
        let ([red, _, _], [_, _, blue]) = (diverging(1.0), diverging(-1.0));
        assert_eq!((red, blue), (150, 140));
        assert_eq!(diverging(9.0), diverging(1.0));
    }
}
