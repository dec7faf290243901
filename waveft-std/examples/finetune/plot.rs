//! Loss and accuracy against epochs, as an SVG.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::combinators::IntoLogRange;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::baselines::{Baselines, Epoch};

const SIZE: (u32, u32) = (980, 420);
const FONT: &str = "sans-serif";
const GREEN: RGBColor = RGBColor(0, 158, 115);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const BLUE: RGBColor = RGBColor(0, 114, 178);
const SKY: RGBColor = RGBColor(86, 180, 233);
const GREY: RGBColor = RGBColor(120, 120, 120);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Curves over one range of values.
struct Panel<'a> {
    title: &'static str,
    /// How a value is told.
    format: fn(&f64) -> String,
    legend: SeriesLabelPosition,
    curves: Vec<Curve<'a>>,
}

/// A line of a panel: its name, its colour and how wide it is, and what it shows of each epoch.
#[derive(Clone, Copy)]
struct Curve<'a> {
    name: &'static str,
    style: (RGBColor, u32),
    epochs: &'a [Epoch],
    value: fn(&Epoch) -> f64,
}

/// This run's curves beside the first seed's of each baseline.
pub(crate) fn draw(
    path: &Path,
    epochs: &[Epoch],
    baselines: &Baselines,
) -> Result<(), Box<dyn Error>> {
    let [lora, full, peft] = ["lora", "full", "waveft"].map(|name| baselines.method(name));
    let (lora, full, peft) = (&lora?.curve[..], &full?.curve[..], &peft?.curve[..]);
    let held_out = |value: fn(&Epoch) -> f64| {
        let curve = |name, style, epochs| Curve {
            name,
            style,
            epochs,
            value,
        };
        [
            curve("LoRA of rank 1 (PEFT)", (ORANGE, 1), lora),
            curve("every weight (torch)", (GREEN, 1), full),
            curve("WaveFT (PEFT)", (GREY, 1), peft),
            curve("WaveFT (this run)", (BLUE, 3), epochs),
        ]
    };
    let training = Curve {
        name: "WaveFT, training images (this run)",
        style: (SKY, 1),
        epochs,
        value: |epoch| epoch.train_loss,
    };

    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    let losses = Panel {
        title: "cross-entropy",
        format: |loss| format!("{loss}"),
        legend: SeriesLabelPosition::UpperRight,
        curves: held_out(|epoch| epoch.loss)
            .into_iter()
            .chain([training])
            .collect(),
    };
    let accuracies = Panel {
        title: "accuracy on held-out images",
        format: |share| format!("{share} %"),
        legend: SeriesLabelPosition::LowerRight,
        curves: held_out(|epoch| 100.0 * epoch.accuracy).to_vec(),
    };
    losses.draw(&left, (0.001..20.0).log_scale())?;
    accuracies.draw(&right, 20.0..100.0)?;
    root.present()?;
    Ok(())
}

impl Panel<'_> {
    fn draw<Y>(&self, area: &Area<'_>, heights: Y) -> Result<(), Box<dyn Error>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let epochs = self.curves.iter().flat_map(|curve| curve.epochs);
        let last = epochs.map(|epoch| epoch.epoch).max().unwrap_or(1);
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, (FONT, 16))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(52)
            .build_cartesian_2d(0..last, heights)?;
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .x_desc("epochs")
            .y_label_formatter(&self.format)
            .label_style((FONT, 13))
            .draw()?;
        for curve in &self.curves {
            let (color, width) = curve.style;
            let style = ShapeStyle::from(&color).stroke_width(width);
            let epochs = curve.epochs.iter();
            let points = epochs.map(|epoch| (epoch.epoch, (curve.value)(epoch)));
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(self.legend.clone())
            .label_font((FONT, 13))
            .background_style(WHITE.mix(0.85))
            .draw()?;
        Ok(())
    }
}
