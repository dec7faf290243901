//! Energy of every module: a row a layer, a column a kind of module, and in each bar the sub-bands one after the other.

use std::collections::BTreeSet;

use plotters::prelude::DrawingBackend;

use super::font;
use super::ink::{
    Area, BAND_COLORS, CENTER, Drawn, GRID, HEADING, LABEL, LEFT, NOTE, RIGHT, fill, line, number,
    write,
};
use super::layer::BANDS;

/// Kinds of module that fit side by side; of more, every module has a row of its own.
const MOST_KINDS: usize = 8;

/// Rows of a picture. Of more, those with the most energy are drawn.
const MOST_ROWS: usize = 100;

/// Pixels: of a row and the bar in it, what is above the rows, the legend in that, what is below, and between the columns.
const ROW: i32 = 15;
const BAR: i32 = 9;
const ABOVE: i32 = 46;
const LEGEND: i32 = 26;
const BELOW: i32 = 24;
const GAP: i32 = 26;

/// Pixels that the rows' names have at most.
const MOST_NAME: f64 = 300.0;

/// A module's path, and its energy in each sub-band, or all of it in the first.
pub(super) struct Module<'a> {
    pub(super) path: &'a str,
    pub(super) bands: [f64; 4],
}

/// The modules arranged for drawing.
pub(super) struct Energies<'a> {
    rows: Vec<Row<'a>>,
    kinds: Vec<&'a str>,
    /// The energy of all modules in each sub-band.
    total: [f64; 4],
    /// Whether sub-bands are told apart.
    is_split: bool,
    left_out: usize,
}

/// Modules with one name up to their layer's number, and the kind of each.
struct Row<'a> {
    name: &'a str,
    bars: Vec<(&'a str, [f64; 4])>,
}

impl<'a> Energies<'a> {
    pub(super) fn new(modules: &[Module<'a>], is_split: bool) -> Self {
        let total =
            std::array::from_fn(|band| modules.iter().map(|module| module.bands[band]).sum());
        let names = modules.iter().map(|module| split(module.path).1);
        let kinds: BTreeSet<&str> = names.collect();
        let apart = kinds.len() <= MOST_KINDS;
        let place = |path: &'a str| if apart { split(path) } else { (path, "") };
        let mut rows: Vec<Row<'_>> = Vec::new();
        for module in modules {
            let (name, kind) = place(module.path);
            let bar = (kind, module.bands);
            match rows.iter_mut().find(|row| row.name == name) {
                Some(row) => row.bars.push(bar),
                None => rows.push(Row {
                    name,
                    bars: vec![bar],
                }),
            }
        }
        rows.sort_by(|one, other| f64::total_cmp(&other.energy(), &one.energy()));
        let left_out = rows.len().saturating_sub(MOST_ROWS);
        rows.truncate(MOST_ROWS);
        rows.sort_by_key(|row| natural(row.name));
        Self {
            rows,
            kinds: if apart {
                kinds.into_iter().collect()
            } else {
                vec![""]
            },
            total,
            is_split,
            left_out,
        }
    }

    /// How many pixels high its drawing is.
    pub(super) fn height(&self) -> i32 {
        self.above() + ROW * self.rows.len() as i32 + BELOW
    }

    fn above(&self) -> i32 {
        ABOVE + if self.is_split { LEGEND } else { 0 }
    }

    /// Draws on an area of [`height`](Self::height).
    pub(super) fn draw<B: DrawingBackend<ErrorType: 'static>>(&self, area: &Area<B>) -> Drawn {
        let mut heading = "Energy of the modules, Σ (scaling · c)²".to_owned();
        if self.left_out > 0 {
            heading += &format!(
                ": the {} rows with the most of {}",
                self.rows.len(),
                self.rows.len() + self.left_out
            );
        }
        write(area, &heading, HEADING, LEFT, (0, 10))?;
        if self.is_split {
            self.draw_legend(area)?;
        }
        let names = self.rows.iter().map(|row| font::width(row.name, 11.0));
        let names = names.fold(0.0, f64::max).min(MOST_NAME);
        // Viewers of an SVG take a font of their own, which may be wider.
        let left = (1.15 * names) as i32 + 10;
        let above = self.above();
        let bottom = above + ROW * self.rows.len() as i32;
        for (row, y) in self.rows.iter().zip((above..).step_by(ROW as usize)) {
            let name = font::fit(row.name, 11.0, MOST_NAME);
            write(area, &name, LABEL, RIGHT, (left - 8, y + ROW / 2))?;
        }
        let width = area.dim_in_pixel().0 as i32 - left;
        let column = width / self.kinds.len() as i32;
        let bars = self.rows.iter().flat_map(|row| &row.bars);
        let most = bars
            .map(|(_, bands)| bands.iter().sum())
            .fold(0.0, f64::max);
        let step = round_step(most, if self.kinds.len() > 4 { 2.0 } else { 4.0 });
        let steps = (most / step).ceil().max(1.0);
        for (index, kind) in self.kinds.iter().enumerate() {
            let x = left + column * index as i32;
            let length = column - GAP;
            let pixels =
                |energy: f64| x + (f64::from(length) * energy / (steps * step)).round() as i32;
            let title = font::fit(kind, 11.0, f64::from(length) / 1.15);
            write(area, &title, LABEL, LEFT, (x, above - 12))?;
            for tick in 0..=steps as i32 {
                let x = pixels(step * f64::from(tick));
                line(area, [(x, above), (x, bottom + 3)], GRID)?;
            }
            write(area, "0", NOTE, CENTER, (x, bottom + 12))?;
            let end = number(step * steps);
            write(area, &end, NOTE, RIGHT, (x + length + 3, bottom + 12))?;
            for (row, y) in self.rows.iter().zip((above..).step_by(ROW as usize)) {
                for (_, bands) in row.bars.iter().filter(|(other, _)| other == kind) {
                    let top = y + (ROW - BAR) / 2;
                    let mut energy = 0.0;
                    for (band, color) in bands.iter().zip(BAND_COLORS) {
                        let corners = [(pixels(energy), top), (pixels(energy + band), top + BAR)];
                        // Of no width, a pixel would be filled all the same.
                        if corners[0].0 < corners[1].0 {
                            fill(area, corners, color)?;
                        }
                        energy += band;
                    }
                }
            }
        }
        Ok(())
    }

    fn draw_legend<B: DrawingBackend<ErrorType: 'static>>(&self, area: &Area<B>) -> Drawn {
        let column = area.dim_in_pixel().0 as i32 / BANDS.len() as i32;
        let shares = shares(self.total);
        for (index, ((short, long), share)) in BANDS.into_iter().zip(shares).enumerate() {
            let x = column * index as i32;
            fill(area, [(x, 28), (x + 11, 39)], BAND_COLORS[index])?;
            let text = format!("{short} {long}{share}");
            write(area, &text, LABEL, LEFT, (x + 17, 34))?;
        }
        Ok(())
    }
}

impl Row<'_> {
    fn energy(&self) -> f64 {
        self.bars.iter().flat_map(|(_, bands)| bands).sum()
    }
}

/// What share each sub-band has of the energy, in words; nothing if there is none.
pub(super) fn shares(bands: [f64; 4]) -> [String; 4] {
    let total: f64 = bands.iter().sum();
    bands.map(|energy| match total > 0.0 {
        true => format!(", {:.1} %", 100.0 * energy / total),
        false => String::new(),
    })
}

/// A module's path up to and with the first number in it, and the rest; the whole and nothing if there is none.
fn split(path: &str) -> (&str, &str) {
    let mut end = 0;
    for part in path.split('.') {
        end += part.len();
        if part.parse::<u64>().is_ok() && end < path.len() {
            return (&path[..end], &path[end + 1..]);
        }
        end += 1;
    }
    (path, "")
}

/// Orders `2` before `10`.
pub(super) fn natural(path: &str) -> Vec<Result<u64, &str>> {
    let parts = path.split('.');
    parts
        .map(|part| part.parse::<u64>().map_err(|_| part))
        .collect()
}

/// A round number that is at least `most / steps`; 1 if `most` is zero.
fn round_step(most: f64, steps: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let least = most / steps;
    let power = 10f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let found = round.into_iter().find(|&round| round >= least);
    found.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_layer_and_a_column_a_kind() {
        let layer = |path, energy| Module {
            path,
            bands: [energy, 0.0, 0.0, energy],
        };
        let modules = [
            layer("encoder.10.q", 1.0),
            layer("encoder.10.v", 1.0),
            layer("encoder.2.q", 2.0),
            layer("pooler.dense", 3.0),
        ];
        let energies = Energies::new(&modules, true);
        let names: Vec<&str> = energies.rows.iter().map(|row| row.name).collect();
        assert_eq!(names, ["encoder.2", "encoder.10", "pooler.dense"]);
        assert_eq!(energies.kinds, ["", "q", "v"]);
        assert_eq!(energies.total, [7.0, 0.0, 0.0, 7.0]);
        assert_eq!(shares(energies.total)[3], ", 50.0 %");
    }

    #[test]
    fn of_many_rows_those_with_the_most_energy_stay_in_their_order() {
        let paths: Vec<String> = (0..150).map(|layer| format!("h.{layer}.c_attn")).collect();
        let modules: Vec<Module<'_>> = paths
            .iter()
            .enumerate()
            .map(|(index, path)| Module {
                path,
                bands: [index as f64, 0.0, 0.0, 0.0],
            })
            .collect();
        let energies = Energies::new(&modules, false);
        let names: Vec<&str> = energies.rows.iter().map(|row| row.name).collect();
        assert_eq!((names.len(), energies.left_out), (MOST_ROWS, 50));
        assert_eq!((names[0], names[99]), ("h.50", "h.149"));
    }

    #[test]
    fn many_kinds_have_rows_of_their_own() {
        let paths: Vec<String> = (0..20)
            .map(|expert| format!("h.0.experts.{expert}"))
            .collect();
        let modules: Vec<Module<'_>> = paths
            .iter()
            .map(|path| Module {
                path,
                bands: [1.0; 4],
            })
            .collect();
        let energies = Energies::new(&modules, true);
        assert_eq!(energies.kinds, [""]);
        assert_eq!(
            (energies.rows.len(), energies.rows[19].name),
            (20, "h.0.experts.19")
        );
    }

    #[test]
    fn steps_are_round() {
        for (most, steps, expected) in [
            (0.0, 4.0, 1.0),
            (1.0, 4.0, 0.5),
            (3.9, 4.0, 1.0),
            (7e-5, 2.0, 5e-5),
        ] {
            let step = round_step(most, steps);
            assert!((step - expected).abs() < 1e-9 * expected, "{most}: {step}");
        }
    }
}
