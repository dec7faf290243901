//! `waveft inspect --plot`: an adapter drawn, as an SVG or a PNG.
//!
//! Above is the energy of every module; below one module, its spectrum in four sub-bands and the update that it makes. Both
//! kinds of picture are drawn by the same strokes.

mod cells;
mod energy;
mod font;
mod heat_map;
mod ink;
mod layer;
mod pixels;

use std::io::Write as _;
use std::path::PathBuf;

use image::{ColorType, ImageEncoder as _, codecs::png::PngEncoder};
use plotters::prelude::{DrawingBackend, IntoDrawingArea as _, SVGBackend, WHITE};
use waveft_core::geometry::Geometry;
use waveft_std::Error;
use waveft_std::adapter::{Adapter, Spectrum};
use waveft_std::checkpoint::{Checkpoint, write_whole};
use waveft_std::name_map::NameMap;

use self::energy::{Energies, Module, shares};
use self::heat_map::HeatMap;
use self::ink::{Area, Drawn, HEADING, LEFT, NOTE, TITLE, write};
use self::layer::{Layer, Places};
use self::pixels::{FINENESS, Pixels};
use crate::Failure;
use crate::progress::count;

/// Pixels: a picture's width, its margin, and the lines of text above its parts.
const WIDTH: u32 = 1048;
const MARGIN: i32 = 24;
const TITLE_HEIGHT: i32 = 58;
const HEADING_HEIGHT: i32 = 26;

/// The file to draw, whose ending says how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy)]
enum Format {
    Svg,
    Png,
}

impl Target {
    /// From a command's argument.
    pub(crate) fn parse(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        let format = match ending.to_str() {
            Some("svg") => Format::Svg,
            Some("png") => Format::Png,
            _ => return Err("expected a name that ends in .svg or .png".to_owned()),
        };
        Ok(Self { path, format })
    }
}

/// The parts of a picture.
struct Picture<'a> {
    titles: [String; 2],
    energies: Energies<'a>,
    module: Option<Drawing>,
}

/// One module, drawn: its heading, its spectrum unless there is no wavelet, its update.
struct Drawing {
    heading: String,
    spectrum: Option<(cells::Cells, [String; 4])>,
    update: cells::Cells,
}

/// Where the modules of an adapter have their shapes from, and the places drawn for these.
struct Shapes<'a> {
    adapter: &'a Adapter,
    base: &'a Checkpoint,
    map: &'a NameMap,
    places: Places,
}

/// Draws an adapter, whose weights' shapes are those of a base if there is one, and of its modules `chosen`, or the one
/// with the most energy. The file appears complete or not at all.
///
/// # Errors
/// If there is no such module; if one is chosen and there is no base; if its weight is no matrix or has fewer entries than
/// there are coefficients; if a coefficient is not finite; if the file cannot be written.
pub(crate) fn draw(
    adapter: &Adapter,
    base: Option<(&Checkpoint, &NameMap)>,
    chosen: Option<&str>,
    target: &Target,
) -> Result<(), Failure> {
    let picture = Picture::new(adapter, base, chosen)?;
    let bytes = picture.bytes(target.format)?;
    write_whole(&target.path, |file| file.write_all(&bytes))?;
    Ok(())
}

impl<'a> Picture<'a> {
    fn new(
        adapter: &'a Adapter,
        base: Option<(&Checkpoint, &NameMap)>,
        chosen: Option<&str>,
    ) -> Result<Self, Failure> {
        let chosen = chosen.map(|name| index_of(adapter, name)).transpose()?;
        if chosen.is_some() && base.is_none() {
            let found = "none; name it by --base";
            let expected = "a base, for the shapes of its modules";
            return Err(Error::file(adapter.path(), expected, found).into());
        }
        let mut shapes = base.map(|(base, map)| Shapes {
            adapter,
            base,
            map,
            places: Places::default(),
        });
        let spectra = adapter.spectra().iter();
        let modules = spectra.map(|spectrum| module_of(adapter, spectrum, shapes.as_mut()));
        let modules = modules.collect::<Result<Vec<_>, Failure>>()?;
        let index = chosen.unwrap_or_else(|| most(&modules));
        let mut module = match &mut shapes {
            Some(shapes) => Some(Drawing::new(shapes, &adapter.spectra()[index])?),
            None => None,
        };
        if let Some(module) = &mut module
            && chosen.is_none()
            && modules.len() > 1
        {
            module.heading += ", which has the most energy";
        }
        let is_split = base.is_some() && adapter.config().use_idwt();
        Ok(Self {
            titles: titles(adapter),
            energies: Energies::new(&modules, is_split),
            module,
        })
    }

    fn maps(&self) -> Vec<HeatMap<'_>> {
        let Some(Drawing {
            spectrum, update, ..
        }) = &self.module
        else {
            return Vec::new();
        };
        let spectrum = spectrum.as_ref().map(|(cells, shares)| HeatMap {
            cells,
            title: "coefficients c, at their places in the padded spectrum",
            axes: ["rows", "columns"],
            quadrants: Some(shares.clone()),
        });
        let update = HeatMap {
            cells: update,
            title: "the update ΔW, added to the weight",
            axes: ["out features", "in features"],
            quadrants: None,
        };
        spectrum.into_iter().chain([update]).collect()
    }

    fn height(&self) -> i32 {
        let maps = self.maps();
        let maps = maps.iter().map(HeatMap::height).max().unwrap_or(0);
        2 * MARGIN + TITLE_HEIGHT + self.energies.height() + HEADING_HEIGHT + maps
    }

    fn bytes(&self, format: Format) -> Result<Vec<u8>, Failure> {
        let (width, height) = (WIDTH, self.height() as u32);
        match format {
            Format::Svg => {
                let mut text = String::new();
                self.draw(SVGBackend::with_string(&mut text, (width, height)))?;
                // plotters leaves out half of the type, which browsers forgive and other readers may not.
                let text = text.replace("href=\"data:png;", "href=\"data:image/png;");
                Ok(text.into_bytes())
            }
            Format::Png => {
                let mut rgb = vec![u8::MAX; (3 * width * FINENESS * height * FINENESS) as usize];
                self.draw(Pixels::new(&mut rgb, (width, height)))?;
                let mut png = Vec::new();
                let encoder = PngEncoder::new(&mut png);
                encoder.write_image(&rgb, width * FINENESS, height * FINENESS, ColorType::Rgb8)?;
                Ok(png)
            }
        }
    }

    fn draw<B: DrawingBackend<ErrorType: 'static>>(&self, backend: B) -> Drawn {
        let root = backend.into_drawing_area();
        root.fill(&WHITE)?;
        let inside = root.margin(MARGIN, MARGIN, MARGIN, MARGIN);
        let (head, rest) = inside.split_vertically(TITLE_HEIGHT);
        let [title, subtitle] = &self.titles;
        write(&head, title, TITLE, LEFT, (0, 10))?;
        write(&head, subtitle, NOTE, LEFT, (0, 32))?;
        let (upper, lower) = rest.split_vertically(self.energies.height());
        self.energies.draw(&upper)?;
        let (heading, maps) = lower.split_vertically(HEADING_HEIGHT);
        match &self.module {
            Some(module) => write(&heading, &module.heading, HEADING, LEFT, (0, 16))?,
            None => {
                let without = "The sub-bands and ΔW depend on the shapes of the weights: give the base by --base.";
                write(&heading, without, NOTE, LEFT, (0, 16))?;
            }
        }
        self.draw_maps(&maps)?;
        root.present()?;
        Ok(())
    }

    fn draw_maps<B: DrawingBackend<ErrorType: 'static>>(&self, area: &Area<B>) -> Drawn {
        let (left, right) = area.split_horizontally((WIDTH as i32 - 2 * MARGIN) / 2);
        for (map, area) in self.maps().iter().zip([left, right]) {
            map.draw(&area)?;
        }
        Ok(())
    }
}

impl Drawing {
    fn new(shapes: &mut Shapes<'_>, spectrum: &Spectrum) -> Result<Self, Failure> {
        let coefficients = spectrum.to_f32();
        let layer = shapes.layer(spectrum.module(), &coefficients)?;
        let (rows, columns) = layer.geometry.features();
        let coefficients = count(coefficients.len(), "coefficient");
        Ok(Self {
            heading: format!("{}: {rows} × {columns}, {coefficients}", spectrum.module()),
            spectrum: match layer.wavelet() {
                Some(_) => Some((layer.spectrum(), shares(layer.energies()?))),
                None => None,
            },
            update: layer.update()?,
        })
    }
}

impl Shapes<'_> {
    /// A module with these coefficients.
    fn layer<'b>(&'b mut self, module: &str, coefficients: &'b [f32]) -> Result<Layer<'b>, Error> {
        let config = self.adapter.config();
        let shape = self.shape(module)?;
        let taps = if config.use_idwt() {
            config.wavelet().taps()
        } else {
            1
        };
        let places = self
            .places
            .of(shape, config.random_loc_seed(), coefficients.len());
        let drawn = places.and_then(|places| Ok((Geometry::new(shape.0, shape.1, taps)?, places)));
        let (geometry, places) = drawn.map_err(|source| {
            let context = format!("{}: module {module:?}", self.adapter.path().display());
            Error::Core { context, source }
        })?;
        Ok(Layer {
            config,
            geometry,
            places,
            coefficients,
        })
    }

    /// `out × in` of a module.
    fn shape(&self, module: &str) -> Result<(usize, usize), Error> {
        let name = self.map.weight_name(module);
        let shape = self
            .base
            .tensor(&name)
            .map_or(&[][..], |weight| weight.shape);
        let &[rows, columns] = shape else {
            let found = format!("shape {shape:?}");
            return Err(Error::tensor(self.base.path(), name, "a matrix", found));
        };
        match self.adapter.config().fan_in_fan_out() {
            true => Ok((columns, rows)),
            false => Ok((rows, columns)),
        }
    }
}

/// A module's energy, told apart by sub-bands where its shape is known.
fn module_of<'a>(
    adapter: &Adapter,
    spectrum: &'a Spectrum,
    shapes: Option<&mut Shapes<'_>>,
) -> Result<Module<'a>, Failure> {
    let (path, coefficients) = (spectrum.module(), spectrum.to_f32());
    if let Some(odd) = coefficients.iter().find(|c| !c.is_finite()) {
        let expected = "finite coefficients";
        return Err(Error::module(adapter.path(), path, expected, odd.to_string()).into());
    }
    let bands = match shapes {
        Some(shapes) => shapes.layer(path, &coefficients)?.energies()?,
        None => [
            layer::energy(adapter.config(), &coefficients),
            0.0,
            0.0,
            0.0,
        ],
    };
    Ok(Module { path, bands })
}

/// The module with the most energy, of equals the first.
fn most(modules: &[Module<'_>]) -> usize {
    let energy = |index: &usize| modules[*index].bands.iter().sum::<f64>();
    let indices = (0..modules.len()).rev();
    let most = indices.max_by(|one, other| energy(one).total_cmp(&energy(other)));
    most.unwrap_or(0)
}

/// Which spectrum is of this module.
fn index_of(adapter: &Adapter, module: &str) -> Result<usize, Error> {
    let names = || adapter.spectra().iter().map(|spectrum| spectrum.module());
    names().position(|name| name == module).ok_or_else(|| {
        // A part of a name is that name's; else it is taken for misspelt.
        let likeness = |name: &str| match name.contains(module) {
            true => 2.0,
            false => strsim::jaro(name, module),
        };
        let nearest = names()
            .rev()
            .max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
        let found = format!("none; the nearest is {:?}", nearest.unwrap_or_default());
        Error::module(adapter.path(), module, "an adapted module", found)
    })
}

fn titles(adapter: &Adapter) -> [String; 2] {
    let config = adapter.config();
    let coefficients = adapter
        .spectra()
        .iter()
        .map(|spectrum| spectrum.len())
        .sum();
    let wavelet = match config.use_idwt() {
        true => {
            let wavelet = config.wavelet();
            format!("wavelet {} ({} taps)", wavelet.name(), wavelet.taps())
        }
        false => "no wavelet: a coefficient is an entry of ΔW".to_owned(),
    };
    [
        format!("WaveFT adapter “{}”", adapter.name()),
        format!(
            "{wavelet}, scaling {}, seed {}; {}, {}",
            config.scaling(),
            config.random_loc_seed().cast_signed(),
            count(adapter.spectra().len(), "module"),
            count(coefficients, "coefficient"),
        ),
    ]
}
