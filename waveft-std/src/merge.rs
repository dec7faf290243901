//! Adding adapters to a base: which tensors change, and how.
//!
//! [`Merge::new`] checks everything that can be checked before a byte is written, draws the locations and prepares the
//! updates. Its [`edits`](Merge::edits) then go to a new checkpoint ([`rewrite::write_to`](crate::rewrite::write_to)) or
//! into the base itself ([`in_place::apply`](crate::in_place::apply)).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use crate::adapter::{Adapter, SavedTensor, Spectrum};
use crate::checkpoint::{Checkpoint, Dtype, Edits, Tensor};
use crate::config::Bias;
use crate::convert::{convert, is_convertible, is_float, values};
use crate::error::{Error, Result};
use crate::layer::{LayerSpec, LayerUpdate, prepare};
use crate::name_map::{NameMap, PrefixChange};

/// Bytes of a saved tensor that are checked at a time: whole elements of any type.
const CHECKED_BYTES: usize = 1 << 20;

/// What merging one or more adapters into a base comes to.
///
/// Beside the updates (12 bytes a coefficient, 16 where the weight is f64) it holds no tensor: saved ones stay in the
/// adapters' mapped files.
#[derive(Debug)]
pub struct Merge<'a> {
    base: PathBuf,
    weights: BTreeMap<String, Weight>,
    replaced: BTreeMap<String, Replacement<'a>>,
    added: BTreeMap<String, &'a SavedTensor>,
    renamed: Vec<(String, String)>,
    safe: bool,
}

/// A weight that is adapted.
#[derive(Debug)]
pub struct Weight {
    dtype: Dtype,
    shape: (usize, usize),
    updates: Vec<LayerUpdate>,
}

impl Weight {
    /// The type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Rows and columns, as it is stored.
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Coefficients of all adapters together.
    pub fn coefficients(&self) -> usize {
        self.updates.iter().map(LayerUpdate::coefficients).sum()
    }
}

/// A saved tensor, and the type of the base's that it replaces.
#[derive(Clone, Copy, Debug)]
struct Replacement<'a> {
    tensor: &'a SavedTensor,
    dtype: Dtype,
}

/// A copy of a saved tensor, in the type that it has in the base.
#[derive(Debug)]
pub(crate) struct SavedCopy {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// An adapter's layer and where it goes.
struct Target<'a> {
    adapter: &'a Adapter,
    spectrum: &'a Spectrum,
    weight: Tensor<'a>,
}

impl<'a> Merge<'a> {
    /// Finds what adding the adapters to the base changes. They are added one after the other, each rounded to the
    /// weight's type, as PEFT merges several.
    ///
    /// An adapter's saved tensors (trained heads, biases) take the place of the base's, in the base's type. Those that
    /// the base lacks are added to it; if the base's names lack the adapter's prefix (`bert.`), they all get it then,
    /// for a task head is loaded only beside names that have it.
    ///
    /// With `safe`, values that are not finite are refused: in spectra and saved tensors here, in merged weights when they are
    /// written.
    ///
    /// # Errors
    /// When a module's weight is not in the base, is not a matrix, or is not of type F32, F64, BF16 or F16; when a
    /// spectrum has more coefficients than its weight has entries, or than memory can hold; when a saved tensor's shape is not that of the
    /// base's; when two adapters replace one tensor by different ones, or two tensors of the result would have one name; with `safe`,
    /// when a spectrum or a saved tensor is not finite.
    pub fn new(base: &Checkpoint, adapters: &'a [Adapter], safe: bool) -> Result<Self> {
        let names: Vec<&str> = base.tensors().map(|tensor| tensor.name).collect();
        let mut merge = Self {
            base: base.path().to_owned(),
            weights: BTreeMap::new(),
            replaced: BTreeMap::new(),
            added: BTreeMap::new(),
            renamed: Vec::new(),
            safe,
        };
        let mut targets = Vec::new();
        let mut prefixes = BTreeSet::new();
        for adapter in adapters {
            adapter.refuse_without_room()?;
            let modules = adapter.spectra().iter().map(Spectrum::module);
            let map = NameMap::resolve(base.path(), modules, names.iter().copied())?;
            for spectrum in adapter.spectra() {
                targets.push(merge.target(base, adapter, spectrum, &map)?);
            }
            let mut adds = false;
            for tensor in adapter.tensors() {
                adds |= merge.take(base, adapter, tensor, &map)?;
            }
            if let (true, PrefixChange::Strip(prefix)) = (adds, map.change()) {
                prefixes.insert(prefix.clone());
                merge.renamed = names
                    .iter()
                    .map(|&name| (name.to_owned(), map.output_name(name).into_owned()))
                    .filter(|(old, new)| old != new)
                    .collect();
            }
        }
        if prefixes.len() > 1 {
            let expected = "heads under one prefix for the base's names";
            return Err(Error::file(base.path(), expected, format!("{prefixes:?}")));
        }
        merge.prepare(&targets)?;
        // Among others, that no two tensors of the result have one name.
        merge.edits().resolve(base)?;
        Ok(merge)
    }

    /// The weight that a spectrum is for.
    fn target<'t>(
        &self,
        base: &'t Checkpoint,
        adapter: &'t Adapter,
        spectrum: &'t Spectrum,
        map: &NameMap,
    ) -> Result<Target<'t>> {
        let name = map.weight_name(spectrum.module());
        let unfit = |expected: &str, found: String| {
            Err(Error::tensor(base.path(), name.as_str(), expected, found))
        };
        let Some(weight) = base.tensor(&name) else {
            return unfit("a weight for the adapter's module", "none".to_owned());
        };
        if weight.shape.len() != 2 {
            return unfit(
                "a matrix, for the adapter adapts it",
                format!("shape {:?}", weight.shape),
            );
        }
        if !is_float(weight.dtype) {
            return unfit("F32, F64, BF16 or F16", weight.dtype.to_string());
        }
        if self.safe
            && let Some((at, found)) = first_not_finite(&spectrum.to_f64())
        {
            return Err(Error::NonFinite {
                path: adapter.path().to_owned(),
                tensor: spectrum.key().to_owned(),
                at,
                found,
            });
        }
        Ok(Target {
            adapter,
            spectrum,
            weight,
        })
    }

    /// Takes over a saved tensor; says whether the base lacks it.
    fn take(
        &mut self,
        base: &Checkpoint,
        adapter: &Adapter,
        tensor: &'a SavedTensor,
        map: &NameMap,
    ) -> Result<bool> {
        let name = map.base_name(tensor.name());
        let unfit = |expected: String, found: String| {
            Err(Error::tensor(adapter.path(), tensor.key(), expected, found))
        };
        let known = base.tensor(&name);
        let before = if let Some(known) = known {
            if known.shape != tensor.shape() {
                let expected = format!("the base's shape {:?}", known.shape);
                return unfit(expected, format!("{:?}", tensor.shape()));
            }
            if !is_convertible(tensor.dtype(), known.dtype) {
                let expected = format!("the base's type {}", known.dtype);
                return unfit(expected, tensor.dtype().to_string());
            }
            let dtype = known.dtype;
            self.refuse_not_finite(adapter, tensor, dtype)?;
            let replacement = Replacement { tensor, dtype };
            let before = self.replaced.insert(name.into_owned(), replacement);
            before.map(|before| before.tensor)
        } else if is_trained(adapter, tensor.name()) {
            self.refuse_not_finite(adapter, tensor, tensor.dtype())?;
            // The base's names get the adapter's prefix, if they lack it.
            let name = match map.change() {
                PrefixChange::Strip(_) => tensor.name().to_owned(),
                _ => name.into_owned(),
            };
            self.added.insert(name, tensor)
        } else {
            return unfit(
                "a tensor that the base has, or of a module in \"modules_to_save\"".to_owned(),
                format!("{name:?} in neither"),
            );
        };
        if before.is_some_and(|b| b.dtype() != tensor.dtype() || b.bytes() != tensor.bytes()) {
            return unfit(
                "what an adapter before this one replaces the tensor by".to_owned(),
                "another value".to_owned(),
            );
        }
        Ok(known.is_none())
    }

    /// With `safe`, refuses a saved tensor that is not finite in the type that it gets.
    fn refuse_not_finite(
        &self,
        adapter: &Adapter,
        tensor: &SavedTensor,
        dtype: Dtype,
    ) -> Result<()> {
        if !self.safe {
            return Ok(());
        }
        // Some at a time: a head can be as large as the memory is.
        let chunks = tensor.bytes().chunks(CHECKED_BYTES);
        let mut before = 0;
        for chunk in chunks {
            let converted = convert(chunk, tensor.dtype(), dtype).unwrap_or_default();
            // What is no floating-point number is finite.
            let values = values(&converted, dtype).unwrap_or_default();
            if let Some((at, found)) = first_not_finite(&values) {
                return Err(Error::NonFinite {
                    path: adapter.path().to_owned(),
                    tensor: tensor.key().to_owned(),
                    at: before + at,
                    found,
                });
            }
            before += values.len() as u64;
        }
        Ok(())
    }

    fn prepare(&mut self, targets: &[Target<'_>]) -> Result<()> {
        let specs: Vec<LayerSpec<'_>> = targets
            .iter()
            .map(|target| LayerSpec {
                config: target.adapter.config(),
                spectrum: target.spectrum,
                stored: (target.weight.shape[0], target.weight.shape[1]),
                dtype: target.weight.dtype,
            })
            .collect();
        let updates = prepare(&specs).map_err(|(index, source)| {
            let target = &targets[index];
            let (adapter, key) = (target.adapter.path().display(), target.spectrum.key());
            let shape = target.weight.shape;
            let context = format!(
                "{adapter}: tensor {key:?} for {:?} of shape {shape:?}",
                target.weight.name
            );
            Error::Core { context, source }
        })?;
        for (target, update) in targets.iter().zip(updates) {
            let weight = self
                .weights
                .entry(target.weight.name.to_owned())
                .or_insert_with(|| Weight {
                    dtype: target.weight.dtype,
                    shape: (target.weight.shape[0], target.weight.shape[1]),
                    updates: Vec::new(),
                });
            weight.updates.push(update);
        }
        Ok(())
    }

    /// The weights that are adapted, by name, in order.
    pub fn adapted(&self) -> impl ExactSizeIterator<Item = (&str, &Weight)> {
        self.weights
            .iter()
            .map(|(name, weight)| (name.as_str(), weight))
    }

    /// Names of the base's tensors that a saved one replaces, in order.
    pub fn replaced(&self) -> impl ExactSizeIterator<Item = &str> {
        self.replaced.keys().map(String::as_str)
    }

    /// Names of the tensors that the base lacks, in order.
    pub fn added(&self) -> impl ExactSizeIterator<Item = &str> {
        self.added.keys().map(String::as_str)
    }

    /// The base's tensors that get another name, and that name.
    pub fn renamed(&self) -> &[(String, String)] {
        &self.renamed
    }

    /// The changes, for a new checkpoint or for the base itself.
    pub fn edits(&self) -> Edits<'_> {
        let mut edits = Edits::new();
        for (old, new) in &self.renamed {
            edits.rename(old, new);
        }
        for (name, tensor) in &self.added {
            edits.add(name, tensor.dtype(), tensor.shape(), tensor.bytes());
        }
        for (name, &Replacement { tensor, dtype }) in &self.replaced {
            if self.weights.contains_key(name) {
                continue;
            }
            if tensor.dtype() == dtype {
                edits.replace(name, tensor.bytes());
            } else if tensor.shape().len() == 2 {
                // In bands: a head can be as large as the memory is.
                edits.edit(name, move |rows: Range<usize>, band: &mut [u8]| {
                    self.replace(name, rows, band);
                    Ok(())
                });
            } else {
                let converted = convert(tensor.bytes(), tensor.dtype(), dtype);
                edits.replace(name, converted.unwrap_or_default());
            }
        }
        for (name, weight) in &self.weights {
            edits.edit(name, move |rows: Range<usize>, band: &mut [u8]| {
                self.replace(name, rows.clone(), band);
                self.add(name, weight, rows, band)
            });
        }
        edits
    }

    /// The updates of each weight in the order of the adapters, and the saved tensors, by name; nothing of them is borrowed.
    pub(crate) fn into_parts(
        self,
    ) -> (
        BTreeMap<String, Vec<LayerUpdate>>,
        BTreeMap<String, SavedCopy>,
    ) {
        let updates = self.weights.into_iter();
        let updates = updates.map(|(name, weight)| (name, weight.updates));
        let added = self.added.into_iter();
        let added = added.map(|(name, tensor)| (name, tensor, tensor.dtype()));
        let replaced = self.replaced.into_iter();
        let replaced = replaced.map(|(name, of)| (name, of.tensor, of.dtype));
        let saved = added.chain(replaced).map(|(name, tensor, dtype)| {
            // That the types convert was checked when it was taken.
            let bytes = convert(tensor.bytes(), tensor.dtype(), dtype).unwrap_or_default();
            let shape = tensor.shape().to_vec();
            let copy = SavedCopy {
                dtype,
                shape,
                bytes,
            };
            (name, copy)
        });
        (updates.collect(), saved.collect())
    }

    /// Puts the saved tensor's rows in the place of the base's, if one was saved.
    fn replace(&self, name: &str, rows: Range<usize>, band: &mut [u8]) {
        let Some(&Replacement { tensor, dtype }) = self.replaced.get(name) else {
            return;
        };
        let row = tensor.bytes().len() / tensor.shape()[0].max(1);
        let saved = &tensor.bytes()[rows.start * row..rows.end * row];
        // That the types convert was checked when it was taken.
        if let Some(converted) = convert(saved, tensor.dtype(), dtype) {
            band.copy_from_slice(&converted);
        }
    }

    /// Adds the updates to some rows of a weight.
    fn add(&self, name: &str, weight: &Weight, rows: Range<usize>, band: &mut [u8]) -> Result<()> {
        for update in &weight.updates {
            update.add_rows(rows.clone(), weight.dtype, band, (&self.base, name))?;
        }
        if !self.safe {
            return Ok(());
        }
        match first_not_finite(&values(band, weight.dtype).unwrap_or_default()) {
            None => Ok(()),
            Some((at, found)) => Err(Error::NonFinite {
                path: self.base.clone(),
                tensor: name.to_owned(),
                at: (rows.start * weight.shape.1) as u64 + at,
                found,
            }),
        }
    }
}

/// Whether the configuration says that a tensor was trained with the adapter: in a module saved whole, or as a bias.
fn is_trained(adapter: &Adapter, name: &str) -> bool {
    let path = format!(".{name}");
    let config = adapter.config();
    let of = |module: &String| path.contains(&format!(".{module}."));
    config.modules_to_save().iter().any(of)
        || (config.bias() != Bias::None && name.ends_with(".bias"))
}

fn first_not_finite(values: &[f64]) -> Option<(u64, f64)> {
    let mut indexed = (0..).zip(values.iter().copied());
    indexed.find(|(_, value)| !value.is_finite())
}
