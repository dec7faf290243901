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
use crate::convert::convert;
use crate::error::{Error, Result};
use crate::layer::{LayerSpec, LayerUpdate, prepare};
use crate::name_map::{NameMap, PrefixChange};

/// What merging one or more adapters into a base comes to.
#[derive(Debug)]
pub struct Merge {
    base: PathBuf,
    weights: BTreeMap<String, Weight>,
    replaced: BTreeMap<String, Vec<u8>>,
    added: BTreeMap<String, Added>,
    renamed: Vec<(String, String)>,
    safe: bool,
}

/// A weight that is adapted.
#[derive(Debug)]
struct Weight {
    dtype: Dtype,
    columns: usize,
    updates: Vec<LayerUpdate>,
}

/// A tensor that the base lacks.
#[derive(Debug)]
struct Added {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// An adapter's layer and where it goes.
struct Target<'a> {
    adapter: &'a Adapter,
    spectrum: &'a Spectrum,
    weight: Tensor<'a>,
}

impl Merge {
    /// Finds what adding the adapters to the base changes. They are added one after the other, each rounded to the
    /// weight's type, as PEFT merges several.
    ///
    /// An adapter's saved tensors (trained heads, biases) take the place of the base's, in the base's type. Those that
    /// the base lacks are added to it; if the base's names lack the adapter's prefix (`bert.`), they all get it then,
    /// for a task head is loaded only beside names that have it.
    ///
    /// With `safe`, values that are not finite are refused: in spectra here, in merged weights when they are written.
    ///
    /// # Errors
    /// When a module's weight is not in the base, is not a matrix, or is not of type F32, F64, BF16 or F16; when a
    /// spectrum has more coefficients than its weight has entries; when a saved tensor's shape is not that of the
    /// base's; when two adapters replace one tensor by different ones; with `safe`, when a spectrum is not finite.
    pub fn new(base: &Checkpoint, adapters: &[Adapter], safe: bool) -> Result<Self> {
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
        Ok(merge)
    }

    /// The weight that a spectrum is for.
    fn target<'a>(
        &self,
        base: &'a Checkpoint,
        adapter: &'a Adapter,
        spectrum: &'a Spectrum,
        map: &NameMap,
    ) -> Result<Target<'a>> {
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
        if !matches!(
            weight.dtype,
            Dtype::F32 | Dtype::F64 | Dtype::BF16 | Dtype::F16
        ) {
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
        tensor: &SavedTensor,
        map: &NameMap,
    ) -> Result<bool> {
        let name = map.base_name(tensor.name());
        let known = base.tensor(&name);
        let (name, dtype) = match known {
            Some(known) => (name.into_owned(), known.dtype),
            // The base's names get the adapter's prefix, if they lack it.
            None if matches!(map.change(), PrefixChange::Strip(_)) => {
                (tensor.name().to_owned(), tensor.dtype())
            }
            None => (name.into_owned(), tensor.dtype()),
        };
        let unfit = |expected: String, found: String| {
            Err(Error::tensor(adapter.path(), tensor.key(), expected, found))
        };
        if let Some(known) = known
            && known.shape != tensor.shape()
        {
            return unfit(
                format!("the base's shape {:?}", known.shape),
                format!("{:?}", tensor.shape()),
            );
        }
        if known.is_none() && !is_trained(adapter, tensor.name()) {
            return unfit(
                "a tensor that the base has, or of a module in \"modules_to_save\"".to_owned(),
                format!("{name:?} in neither"),
            );
        }
        let Some(bytes) = convert(tensor.bytes(), tensor.dtype(), dtype) else {
            return unfit(
                format!("the base's type {dtype}"),
                tensor.dtype().to_string(),
            );
        };
        let before = match known {
            Some(_) => self.replaced.insert(name, bytes.clone()),
            None => {
                let shape = tensor.shape().to_vec();
                let bytes = bytes.clone();
                let added = Added {
                    dtype,
                    shape,
                    bytes,
                };
                self.added.insert(name, added).map(|added| added.bytes)
            }
        };
        if before.is_some_and(|before| before != bytes) {
            return unfit(
                "what an adapter before this one replaces the tensor by".to_owned(),
                "another value".to_owned(),
            );
        }
        Ok(known.is_none())
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
                    columns: target.weight.shape[1],
                    updates: Vec::new(),
                });
            weight.updates.push(update);
        }
        Ok(())
    }

    /// Names of the weights that are adapted, in order.
    pub fn adapted(&self) -> impl ExactSizeIterator<Item = &str> {
        self.weights.keys().map(String::as_str)
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
        for (name, added) in &self.added {
            edits.add(name, added.dtype, added.shape.clone(), &added.bytes[..]);
        }
        for (name, bytes) in &self.replaced {
            if !self.weights.contains_key(name) {
                edits.replace(name, &bytes[..]);
            }
        }
        for (name, weight) in &self.weights {
            edits.edit(name, move |rows: Range<usize>, band: &mut [u8]| {
                self.add(name, weight, rows, band)
            });
        }
        edits
    }

    /// Adds the updates to some rows of a weight, which a saved one may replace first.
    fn add(&self, name: &str, weight: &Weight, rows: Range<usize>, band: &mut [u8]) -> Result<()> {
        if let Some(saved) = self.replaced.get(name) {
            let row = band.len() / rows.len().max(1);
            band.copy_from_slice(&saved[rows.start * row..rows.end * row]);
        }
        for update in &weight.updates {
            update
                .add_rows(rows.clone(), weight.dtype, band)
                .map_err(|source| Error::Core {
                    context: format!("{}: tensor {name:?}", self.base.display()),
                    source,
                })?;
        }
        if !self.safe {
            return Ok(());
        }
        let values = convert(band, weight.dtype, Dtype::F64).unwrap_or_default();
        let (values, _) = values.as_chunks();
        let values: Vec<f64> = values
            .iter()
            .map(|&bytes| f64::from_le_bytes(bytes))
            .collect();
        match first_not_finite(&values) {
            None => Ok(()),
            Some((at, found)) => Err(Error::NonFinite {
                path: self.base.clone(),
                tensor: name.to_owned(),
                at: (rows.start * weight.columns) as u64 + at,
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
