//! From an adapter's names to a base checkpoint's.
//!
//! An adapter names modules as the model that it was trained on does. A base saved without a task head lacks the prefix
//! that this model gives its body (`bert.`), and one saved with a head may have a prefix that the adapter lacks.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use crate::adapter::SPECTRUM_SUFFIX;
use crate::error::{Error, Result};

/// What a module's path is followed by in its weight's name.
const WEIGHT_SUFFIX: &str = ".weight";

/// How one adapter's names become one base's.
///
/// # Examples
/// ```
/// use std::path::Path;
/// use waveft_std::name_map::{NameMap, PrefixChange};
///
/// let modules = ["bert.encoder.layer.0.query"];
/// let base = ["encoder.layer.0.query.weight", "encoder.layer.0.query.bias"];
/// let map = NameMap::resolve(Path::new("model.safetensors"), modules, base)?;
/// assert_eq!(map.change(), &PrefixChange::Strip("bert.".to_owned()));
/// assert_eq!(map.base_name("bert.encoder.layer.0.query.bias"), "encoder.layer.0.query.bias");
/// assert_eq!(map.base_name("classifier.weight"), "classifier.weight");
/// assert_eq!(map.output_name("encoder.layer.0.query.bias"), "bert.encoder.layer.0.query.bias");
/// # Ok::<(), waveft_std::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameMap {
    change: PrefixChange,
}

/// The difference between an adapter's names and a base's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrefixChange {
    /// The names are the same.
    None,
    /// The adapter's begin with this prefix, which ends in a dot, and the base's lack it.
    Strip(String),
    /// The base's begin with this prefix, which ends in a dot, and the adapter's lack it.
    Add(String),
}

impl NameMap {
    /// The one change of prefix under which the base has the weight `<module>.weight` of each of the adapter's
    /// `modules`.
    ///
    /// Tried in turn: no change; the adapter's leading components taken off, as few as will do; a prefix of the base
    /// put in front. The base's path `base` is for messages. Cost: O(names + modules), and a look for each prefix tried.
    ///
    /// # Errors
    /// [`Error::MissingModule`] when no change fits all modules: it tells the first one that is missing under the change
    /// that fits the most before it, and the nearest name of the base. [`Error::File`] when two prefixes could be put in front,
    /// [`Error::Module`] when two modules would have one weight.
    pub fn resolve<'a>(
        base: &Path,
        modules: impl IntoIterator<Item = &'a str>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let modules: Vec<&str> = modules.into_iter().collect();
        let names: HashSet<&str> = names.into_iter().collect();
        let Some(first) = modules.first() else {
            return Ok(Self {
                change: PrefixChange::None,
            });
        };
        let fitting = |map: &Self| map.count_fitting(&modules, &names);
        let unchanged = Self {
            change: PrefixChange::None,
        };
        let stripping = leading_prefixes(first).map(|prefix| Self {
            change: PrefixChange::Strip(prefix),
        });
        let mut best = (0, unchanged.clone());
        for map in std::iter::once(unchanged).chain(stripping) {
            match fitting(&map) {
                all if all == modules.len() => return Ok(map),
                some if some > best.0 => best = (some, map),
                _ => {}
            }
        }
        let mut fits_all: Option<Self> = None;
        for prefix in prefixes_of_base(first, &names) {
            let map = Self {
                change: PrefixChange::Add(prefix.to_owned()),
            };
            match (fitting(&map), &fits_all) {
                (all, None) if all == modules.len() => fits_all = Some(map),
                (all, Some(other)) if all == modules.len() => {
                    let found = format!(
                        "{:?} and {:?}",
                        other.weight_name(first),
                        map.weight_name(first)
                    );
                    let expected = format!("one weight for the adapter's module {first:?}");
                    return Err(Error::file(base, expected, found));
                }
                (some, _) if some > best.0 => best = (some, map),
                _ => {}
            }
        }
        fits_all.ok_or_else(|| best.1.missing(base, &modules, &names))
    }

    /// How the adapter's names differ from the base's.
    pub fn change(&self) -> &PrefixChange {
        &self.change
    }

    /// The base's name of the tensor that the adapter calls `name` (without `base_model.model.`).
    ///
    /// A name without the prefix that the base lacks is the same in the base: that of a task head.
    pub fn base_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.change {
            PrefixChange::None => name.into(),
            PrefixChange::Strip(prefix) => name.strip_prefix(prefix).unwrap_or(name).into(),
            PrefixChange::Add(prefix) => format!("{prefix}{name}").into(),
        }
    }

    /// The base's name of a module's weight.
    pub fn weight_name(&self, module: &str) -> String {
        format!("{}{WEIGHT_SUFFIX}", self.base_name(module))
    }

    /// The name to write the base's tensor `name` under in a checkpoint that gets a task head: the one that it has in
    /// the adapter's model.
    ///
    /// transformers 5 loads such a checkpoint with or without the prefix, even with both mixed; but older versions refuse
    /// a head beside names that lack it, so the prefix belongs there.
    pub fn output_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.change {
            PrefixChange::Strip(prefix) if !name.starts_with(prefix.as_str()) => {
                format!("{prefix}{name}").into()
            }
            _ => name.into(),
        }
    }

    /// How many modules have a weight, up to the first that has none: going on would cost the product of both files' sizes.
    fn count_fitting(&self, modules: &[&str], names: &HashSet<&str>) -> usize {
        let mut found = HashSet::new();
        let weights = modules.iter().map(|module| self.weight_name(module));
        // Each once: taking a prefix off some modules can make two of them one.
        weights
            .take_while(|weight| names.contains(weight.as_str()) && found.insert(weight.clone()))
            .count()
    }

    fn missing(&self, base: &Path, modules: &[&str], names: &HashSet<&str>) -> Error {
        let is_missing = |module: &&&str| !names.contains(self.weight_name(module).as_str());
        let module = modules.iter().find(is_missing).copied();
        if let (None, Some(error)) = (module, self.doubled(base, modules)) {
            return error;
        }
        let module = module.unwrap_or_default();
        let weight = self.weight_name(module);
        let is_spectrum = |name: &&str| name.ends_with(SPECTRUM_SUFFIX);
        let hint = match nearest(&weight, names) {
            Some(name) => format!("the nearest tensor is {name:?}"),
            None if names.iter().any(is_spectrum) => {
                "its tensors are an adapter's, not a base's".to_owned()
            }
            None => "no tensor's name ends like it".to_owned(),
        };
        Error::MissingModule {
            base: base.to_owned(),
            module: module.to_owned(),
            weight,
            hint,
        }
    }

    /// An error about the first module whose weight is another's too.
    fn doubled(&self, base: &Path, modules: &[&str]) -> Option<Error> {
        let mut first_with = HashMap::new();
        modules.iter().find_map(|&module| {
            let weight = self.weight_name(module);
            let other = first_with.insert(weight.clone(), module)?;
            let found = format!("{weight:?}, which {other:?} has too");
            let expected = "a weight of its own in the base";
            Some(Error::module(base, module, expected, found))
        })
    }
}

/// The path's beginnings that end in a dot, shortest first.
fn leading_prefixes(path: &str) -> impl Iterator<Item = String> {
    path.match_indices('.')
        .filter_map(|(dot, _)| path.get(..=dot).map(str::to_owned))
}

/// What precedes the module's weight in names of the base that end in it, sorted.
fn prefixes_of_base<'a>(module: &str, names: &HashSet<&'a str>) -> BTreeSet<&'a str> {
    let weight = format!("{module}{WEIGHT_SUFFIX}");
    let prefixes = names.iter().filter_map(|name| name.strip_suffix(&weight));
    prefixes.filter(|prefix| prefix.ends_with('.')).collect()
}

/// The name with the most components in common with `wanted`, counted from the end; of several, the one with the most
/// of them at the start, then the first in order. `None` when not even the one before the last agrees.
fn nearest<'a>(wanted: &str, names: &HashSet<&'a str>) -> Option<&'a str> {
    let likeness = |name: &str| {
        let from_end = wanted.rsplit('.').zip(name.rsplit('.'));
        let from_start = wanted.split('.').zip(name.split('.'));
        (
            from_end.take_while(|(one, other)| one == other).count(),
            from_start.take_while(|(one, other)| one == other).count(),
        )
    };
    let compared = names
        .iter()
        .map(|&name| (likeness(name), std::cmp::Reverse(name)));
    let ((from_end, _), std::cmp::Reverse(name)) = compared.max()?;
    (from_end >= 2).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(modules: &[&str], names: &[&str]) -> Result<NameMap> {
        NameMap::resolve(
            Path::new("base"),
            modules.iter().copied(),
            names.iter().copied(),
        )
    }

    #[test]
    fn same_names_come_first() {
        // Taking `a.` off would fit too.
        let map = resolve(&["a.b.q"], &["b.q.weight", "a.b.q.weight"]).unwrap();
        assert_eq!(map.change(), &PrefixChange::None);
        assert_eq!(map.base_name("a.b.q.bias"), "a.b.q.bias");
        assert_eq!(map.output_name("a.b.q.bias"), "a.b.q.bias");
    }

    #[test]
    fn as_few_components_as_will_do_are_taken_off() {
        let map = resolve(&["a.b.c.q"], &["q.weight", "c.q.weight"]).unwrap();
        assert_eq!(map.change(), &PrefixChange::Strip("a.b.".to_owned()));
        assert_eq!(map.weight_name("a.b.c.q"), "c.q.weight");
        assert_eq!(map.output_name("c.q.weight"), "a.b.c.q.weight");
        assert_eq!(map.output_name("a.b.head.weight"), "a.b.head.weight");
    }

    #[test]
    fn a_prefix_of_the_base_is_put_in_front() {
        let names = [
            "model.layers.0.q.weight",
            "model.layers.1.q.weight",
            "lm_head.weight",
        ];
        let map = resolve(&["layers.0.q", "layers.1.q"], &names).unwrap();
        assert_eq!(map.change(), &PrefixChange::Add("model.".to_owned()));
        assert_eq!(map.base_name("layers.0.q.bias"), "model.layers.0.q.bias");
        assert_eq!(map.output_name("lm_head.weight"), "lm_head.weight");
    }

    #[test]
    fn two_modules_never_have_one_weight() {
        let error = resolve(&["a.k", "a.q", "q"], &["k.weight", "q.weight"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"base: module "q": expected a weight of its own in the base, found "q.weight", which "a.q" has too"#
        );
        // Taking more off keeps these apart.
        let map = resolve(&["a.b.q", "b.q"], &["q.weight", "b.q.weight"]).unwrap();
        assert_eq!(map.change(), &PrefixChange::Strip("a.b.".to_owned()));
    }

    #[test]
    fn a_prefix_ends_at_a_dot() {
        let error = resolve(&["q"], &["xq.weight"]).unwrap_err().to_string();
        assert_eq!(
            error,
            r#"base: expected tensor "q.weight" for the adapter's module "q", found none; no tensor's name ends like it"#
        );
    }

    #[test]
    fn an_adapters_own_tensors_are_no_base() {
        let error = resolve(&["a.q"], &["base_model.model.a.q.waveft_spectrum"]).unwrap_err();
        let expected = "found none; its tensors are an adapter's, not a base's";
        assert!(error.to_string().ends_with(expected), "{error}");
    }

    #[test]
    fn two_possible_prefixes_are_refused() {
        let error = resolve(
            &["layers.0.q"],
            &["decoder.layers.0.q.weight", "encoder.layers.0.q.weight"],
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "base: expected one weight for the adapter's module \"layers.0.q\", found \"decoder.layers.0.q.weight\" and \
             \"encoder.layers.0.q.weight\""
        );
        // A second module that only one of them has decides.
        let names = [
            "decoder.layers.0.q.weight",
            "encoder.layers.0.q.weight",
            "encoder.layers.1.q.weight",
        ];
        let map = resolve(&["layers.0.q", "layers.1.q"], &names).unwrap();
        assert_eq!(map.change(), &PrefixChange::Add("encoder.".to_owned()));
    }

    #[test]
    fn one_change_must_fit_every_module() {
        let names = [
            "layer.0.query.weight",
            "layer.1.query.weight",
            "bert.layer.2.query.weight",
        ];
        let error = resolve(
            &[
                "bert.layer.0.query",
                "bert.layer.1.query",
                "bert.layer.2.query",
            ],
            &names,
        )
        .unwrap_err();
        // Two of three fit without the prefix, so the third is what is missing.
        assert_eq!(
            error.to_string(),
            "base: expected tensor \"layer.2.query.weight\" for the adapter's module \"bert.layer.2.query\", found none; \
             the nearest tensor is \"bert.layer.2.query.weight\""
        );
    }

    #[test]
    fn no_modules_and_no_names() {
        assert_eq!(
            resolve(&[], &["a.weight"]).unwrap().change(),
            &PrefixChange::None
        );
        assert!(matches!(
            resolve(&["a.q"], &[]),
            Err(Error::MissingModule { .. })
        ));
    }
}
