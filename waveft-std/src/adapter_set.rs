//! A set of adapters on one base in memory, switched from one to another.
//!
//! A switch costs `O(n · L²)` a layer, for it touches the entries that the two adapters cover and no others. What an adapter overwrites
//! is kept, so any sequence of switches leaves every bit of the base as it was, in half precision too.
//!
//! ```
//! use waveft_std::adapter::Adapter;
//! use waveft_std::adapter_set::AdapterSet;
//! use waveft_std::checkpoint::Checkpoint;
//!
//! # let data = |path: &str| format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"));
//! let mut set = AdapterSet::new(Checkpoint::open(data("bases/llama"))?);
//! set.load("chat", &Adapter::read(data("adapters/plain"))?)?;
//! set.load("code", &Adapter::read(data("adapters/direct"))?)?;
//!
//! let name = "model.layers.0.self_attn.q_proj.weight";
//! let base = set.tensor(name).map(|tensor| tensor.bytes.to_vec());
//! set.switch_to(Some("chat"))?;
//! assert_ne!(set.tensor(name).map(|tensor| tensor.bytes.to_vec()), base);
//! set.switch_to(Some("code"))?;
//! set.switch_to(None)?;
//! assert_eq!(set.tensor(name).map(|tensor| tensor.bytes.to_vec()), base);
//! # Ok::<(), waveft_std::Error>(())
//! ```

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use rayon::prelude::*;

use crate::adapter::Adapter;
use crate::checkpoint::{Checkpoint, Dtype};
use crate::error::{Error, Result};
use crate::layer::LayerAtoms;
use crate::linear::Weight;
use crate::merge::{Merge, SavedCopy};

/// A mapped base, the weights of it that an adapter changes, and the adapters.
///
/// A weight is copied into memory when the first adapter is added to it; everything else stays in the map.
#[derive(Debug)]
pub struct AdapterSet {
    base: Arc<Checkpoint>,
    weights: BTreeMap<String, Weight<'static>>,
    adapters: BTreeMap<String, Loaded>,
    active: Option<String>,
}

/// What an adapter changes, by the base's names.
#[derive(Debug)]
struct Loaded {
    updates: BTreeMap<String, Update>,
    saved: BTreeMap<String, SavedCopy>,
}

/// A weight's update: its atoms, and their coefficients in order.
#[derive(Debug)]
struct Update {
    atoms: LayerAtoms,
    coefficients: Vec<f32>,
}

/// A tensor as it is under the active adapter.
#[derive(Clone, Copy, Debug)]
pub struct LiveTensor<'a> {
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape, outermost axis first.
    pub shape: &'a [usize],
    /// Its bytes, row-major: little-endian as in a file, but of weights that adapters update in the order of the machine. They start
    /// anywhere.
    pub bytes: &'a [u8],
}

impl AdapterSet {
    /// The base alone.
    pub fn new(base: Checkpoint) -> Self {
        Self {
            base: Arc::new(base),
            weights: BTreeMap::new(),
            adapters: BTreeMap::new(),
            active: None,
        }
    }

    /// Takes an adapter into the set; it is not active until it is [switched to](Self::switch_to).
    ///
    /// Its locations are drawn and its updates prepared now: 12 bytes a coefficient, and copies of the tensors that it saved whole, in
    /// the base's types.
    ///
    /// # Errors
    /// With nothing changed: if there is an adapter of this name; those of [`Merge::new`]; if a weight is F64; if a tensor is both
    /// adapted and saved whole.
    pub fn load(&mut self, name: &str, adapter: &Adapter) -> Result<()> {
        if self.adapters.contains_key(name) {
            return Err(self.unfit("an adapter of a new name", format!("{name:?} again")));
        }
        let merge = Merge::new(&self.base, slice::from_ref(adapter), false)?;
        let (updates, saved) = merge.into_parts();
        let mut weights = Vec::new();
        let mut loaded = BTreeMap::new();
        for (tensor, mut layer) in updates {
            if saved.contains_key(&tensor) {
                let expected = "a tensor that is adapted or saved whole";
                return Err(Error::tensor(adapter.path(), tensor, expected, "both"));
            }
            if !self.weights.contains_key(&tensor) {
                let weight = Weight::mapped(Arc::clone(&self.base), &tensor)?;
                weights.push((tensor.clone(), weight));
            }
            // One adapter has one update for a weight.
            loaded.extend(layer.pop().map(|update| {
                let (atoms, coefficients) = update.into_parts();
                let update = Update {
                    atoms,
                    coefficients,
                };
                (tensor, update)
            }));
        }
        self.weights.extend(weights);
        let updates = loaded;
        let loaded = Loaded { updates, saved };
        self.adapters.insert(name.to_owned(), loaded);
        Ok(())
    }

    /// Makes the tensors those of one adapter, or the bare base's for `None`. Weights are changed on rayon's threads; no memory is
    /// allocated once the longest records are there.
    ///
    /// # Errors
    /// With nothing changed, if there is no adapter of this name.
    pub fn switch_to(&mut self, name: Option<&str>) -> Result<()> {
        let next = name.and_then(|name| self.adapters.get(name));
        if let (Some(name), None) = (name, next) {
            let names: Vec<&str> = self.adapters().collect();
            return Err(self.unfit(
                format!("one of the adapters {names:?}"),
                format!("{name:?}"),
            ));
        }
        let last = self
            .active
            .as_deref()
            .and_then(|name| self.adapters.get(name));
        let path = self.base.path();
        self.weights
            .par_iter_mut()
            .try_for_each(|(tensor, weight)| {
                let [last, next] = [last, next].map(|loaded| loaded?.updates.get(tensor));
                let switched = exchange(weight, last, next);
                switched.map_err(|source| Error::Core {
                    context: format!("{}: tensor {tensor:?}", path.display()),
                    source,
                })
            })?;
        self.active = name.map(str::to_owned);
        Ok(())
    }

    /// The adapter that is in the weights.
    pub fn active(&self) -> Option<&str> {
        self.active.as_deref()
    }

    /// The names of the adapters, in order.
    pub fn adapters(&self) -> impl ExactSizeIterator<Item = &str> {
        self.adapters.keys().map(String::as_str)
    }

    /// A tensor under the active adapter: one that it saved whole, also such as the base lacks, or one that it is in, or the base's own.
    ///
    /// Names are the base's; a head that the base lacks has the name that [merging](Merge::new) would give it.
    pub fn tensor(&self, name: &str) -> Option<LiveTensor<'_>> {
        let active = self
            .active
            .as_deref()
            .and_then(|name| self.adapters.get(name));
        if let Some(saved) = active.and_then(|loaded| loaded.saved.get(name)) {
            return Some(LiveTensor {
                dtype: saved.dtype,
                shape: &saved.shape,
                bytes: &saved.bytes,
            });
        }
        let tensor = self.base.tensor(name)?;
        Some(LiveTensor {
            dtype: tensor.dtype,
            shape: tensor.shape,
            bytes: self.weights.get(name).map_or(tensor.bytes, Weight::bytes),
        })
    }

    fn unfit(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::file(self.base.path(), expected, found)
    }
}

/// Takes one update out of a weight and adds another.
fn exchange(
    weight: &mut Weight<'_>,
    last: Option<&Update>,
    next: Option<&Update>,
) -> Result<(), waveft_core::Error> {
    if let Some(last) = last {
        weight.undo(&last.atoms.delta(&last.coefficients)?)?;
    }
    next.map_or(Ok(()), |next| {
        weight.add(&next.atoms.delta(&next.coefficients)?)
    })
}
