//! The font that comes with the command: text measured for both kinds of picture, and drawn in those of pixels.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _};

/// Roboto's glyphs for Latin, Greek and Cyrillic, made by `tools/plot_font.py`.
static FONT: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(include_bytes!("roboto.ttf")).ok());

/// How wide a text is in pixels at `size` pixels an em.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let Some(font) = &*FONT else { return 0.0 };
    let scaled = font.as_scaled(scale(font, size));
    let advances = text.chars().map(|c| scaled.h_advance(font.glyph_id(c)));
    advances.sum::<f32>().into()
}

/// Calls `pixel` with the place and the coverage, up to 1, of every pixel of a text whose baseline begins at (0, 0).
pub(super) fn rasterise(text: &str, size: f64, mut pixel: impl FnMut(i32, i32, f64)) {
    let Some(font) = &*FONT else { return };
    let scale = scale(font, size);
    let scaled = font.as_scaled(scale);
    let mut x = 0.0;
    for c in text.chars() {
        let id = font.glyph_id(c);
        let glyph = id.with_scale_and_position(scale, ab_glyph::point(x, 0.0));
        x += scaled.h_advance(id);
        let Some(outline) = font.outline_glyph(glyph) else {
            continue; // A space.
        };
        let corner = outline.px_bounds().min;
        outline.draw(|column, row, coverage| {
            let place = (
                corner.x as i32 + column as i32,
                corner.y as i32 + row as i32,
            );
            pixel(place.0, place.1, f64::from(coverage.min(1.0)));
        });
    }
}

/// As much of the end of a text as `room` pixels hold, after an ellipsis if that is not all of it.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let shorter = text.char_indices().skip(1).map(|(at, _)| &text[at..]);
    let mut shorter = shorter.map(|end| format!("…{end}"));
    shorter
        .find(|text| width(text, size) <= room)
        .unwrap_or_default()
}

/// The font's own measure is its height, not its em.
fn scale(font: &FontRef<'_>, size: f64) -> PxScale {
    let em = font.units_per_em().unwrap_or(1.0);
    PxScale::from(size as f32 * font.height_unscaled() / em)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_what_pictures_say() {
        let font = FONT.as_ref().expect("the font");
        for c in "azAZ09 ΔWΣ²×·−…–éßжщ≤".chars() {
            assert_ne!(font.glyph_id(c).0, 0, "{c}");
        }
        assert!(width("ΔW", 12.0) > 1.5 * width("Δ", 12.0));
    }

    #[test]
    fn what_does_not_fit_loses_its_beginning() {
        assert_eq!(fit("query", 12.0, 200.0), "query");
        let short = fit("encoder.layer.0.attention.self.query", 12.0, 80.0);
        assert!(
            short.starts_with('…') && short.ends_with("query"),
            "{short}"
        );
        assert!(width(&short, 12.0) <= 80.0);
        assert_eq!(fit("query", 12.0, 1.0), "");
    }
}
