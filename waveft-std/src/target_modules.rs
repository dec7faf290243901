//! Which modules of a model a configuration adapts, as PEFT decides it.
//!
//! Regular expressions are Python's, run by `fancy-regex` with the number of steps back bounded: what both accept, both
//! match alike. A few that Python accepts are refused: a repeated lookaround such as `(?=a)?`, and an invalid expression
//! that Python would never come to compile because another one matches first.

use std::collections::BTreeSet;
use std::fmt::Display;

use fancy_regex::{Captures, Regex, RegexBuilder};

use crate::checkpoint::{Checkpoint, Tensor};
use crate::config::{AdapterConfig, ModuleNames};
use crate::convert::is_float;
use crate::error::{Error, Result};

/// The most steps back of one match of one regular expression.
const MOST_STEPS_BACK: usize = 100_000;

/// The most bytes of all regular expressions of one key, each counted with [`PATTERN_BYTES`] more: compiled, they take
/// hundreds of times the memory.
const MOST_PATTERN_BYTES: usize = 1 << 20;

/// What is put around a regular expression, about.
const PATTERN_BYTES: usize = 64;

/// A linear module of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleShape {
    /// Its path in the model, such as `model.layers.0.self_attn.q_proj`.
    pub path: String,
    /// Rows `M` of its weight.
    pub out_features: usize,
    /// Columns `N` of its weight.
    pub in_features: usize,
}

/// The modules of a checkpoint that may be linear: those with a matrix `<path>.weight` of floating-point numbers, in the
/// checkpoint's order. Embeddings are among them, since a file does not tell them apart.
///
/// `fan_in_fan_out`: weights are stored `in × out`.
pub fn linear_modules(checkpoint: &Checkpoint, fan_in_fan_out: bool) -> Vec<ModuleShape> {
    let module = |tensor: Tensor<'_>| {
        let path = tensor.name.strip_suffix(".weight")?.to_owned();
        let &[rows, columns] = tensor.shape else {
            return None;
        };
        let (out_features, in_features) = if fan_in_fan_out {
            (columns, rows)
        } else {
            (rows, columns)
        };
        is_float(tensor.dtype).then_some(ModuleShape {
            path,
            out_features,
            in_features,
        })
    };
    checkpoint.tensors().filter_map(module).collect()
}

/// A module that a configuration adapts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedModule {
    /// Its path in the model.
    pub path: String,
    /// Its number of trained coefficients, `1 ≤ n_frequency ≤ M·N`.
    pub n_frequency: usize,
}

/// The modules that `config` adapts, out of a model's linear `modules`, in their order.
///
/// What contains `modules` is known from their paths. PEFT's rules, each module in turn:
/// - it is left out when `exclude_modules` matches it (a list: its path or the path's end from a dot on; a string: a
///   regular expression for the whole path), or when `modules_to_save` names it or what contains it;
/// - it is adapted when `target_modules` matches it in the same way, and, for a match of a path's *end*, when its layer
///   is one of `layers_to_transform`;
/// - its `n_frequency` is its share if `proportional_parameters`, else that of the first `n_frequency_pattern` that
///   matches the path's end, else the configuration's.
///
/// As with PEFT, the modules to save are those of the configuration and the heads that its task has: `classifier` and
/// `score` for `SEQ_CLS` and `TOKEN_CLS`, `qa_outputs` for `QUESTION_ANS`.
///
/// # Errors
/// When no module is adapted; when `target_modules` also matches a module that contains others; when a module to adapt
/// ends in a name of `modules_to_save`; unless `1 ≤ n_frequency ≤ M·N`; for an invalid regular expression, or one that
/// takes more than 100,000 steps back; for more than a mebibyte of them in one key. `target_modules` must name modules: null and `"all-linear"` cannot be resolved
/// here, since a weight's shape does not tell whether its module is linear. (PEFT saves the names it found.)
///
/// # Examples
/// ```
/// use waveft_std::config::AdapterConfig;
/// use waveft_std::target_modules::{ModuleShape, select_modules};
///
/// let json = r#"{"peft_type": "WAVEFT", "n_frequency": 10, "target_modules": ["q_proj"]}"#;
/// let modules = ["layers.0.q_proj", "layers.0.k_proj", "layers.0.xq_proj"]
///     .map(|path| ModuleShape { path: path.to_owned(), out_features: 8, in_features: 8 });
/// let selected = select_modules(&AdapterConfig::parse(json)?, &modules)?;
/// assert_eq!(selected.len(), 1);
/// assert_eq!((selected[0].path.as_str(), selected[0].n_frequency), ("layers.0.q_proj", 10));
/// # Ok::<(), waveft_std::Error>(())
/// ```
pub fn select_modules(
    config: &AdapterConfig,
    modules: &[ModuleShape],
) -> Result<Vec<SelectedModule>> {
    let matcher = Matcher::new(config)?;
    let mut targeted = Vec::new();
    for module in modules {
        if matcher.is_targeted(&module.path)? {
            matcher.refuse_module_to_save(&module.path)?;
            targeted.push(module);
        }
    }
    for container in containers(modules) {
        if matcher.is_targeted(container)? {
            return Err(Error::module(
                config.path(),
                container,
                "a linear module where \"target_modules\" matches",
                "one that contains others",
            ));
        }
    }
    if targeted.is_empty() {
        let found = format!("none among {} linear modules", modules.len());
        let expected =
            "a module that it matches and neither exclude_modules nor modules_to_save leaves out";
        return Err(config.error("target_modules", expected, found));
    }
    let counts = if config.proportional_parameters() {
        proportional_counts(config.n_frequency(), &targeted)
    } else {
        let count = |module: &&ModuleShape| matcher.n_frequency(&module.path);
        targeted.iter().map(count).collect::<Result<_>>()?
    };
    let selected = targeted.iter().zip(counts);
    selected
        .map(|(module, count)| checked(config, module, count))
        .collect()
}

/// The names in a list of `target_modules` that match none of the `modules`, and change nothing: misspelt, most likely, or of
/// another model. PEFT takes them in silence. A regular expression has no names.
///
/// ```
/// use waveft_std::config::AdapterConfig;
/// use waveft_std::target_modules::{ModuleShape, unmatched_names};
///
/// let json = r#"{"peft_type": "WAVEFT", "n_frequency": 10, "target_modules": ["q_proj", "qproj"]}"#;
/// let module = ModuleShape { path: "layers.0.q_proj".to_owned(), out_features: 8, in_features: 8 };
/// assert_eq!(unmatched_names(&AdapterConfig::parse(json)?, &[module]), ["qproj"]);
/// # Ok::<(), waveft_std::Error>(())
/// ```
pub fn unmatched_names<'a>(config: &'a AdapterConfig, modules: &[ModuleShape]) -> Vec<&'a str> {
    let Some(ModuleNames::List(names)) = config.target_modules() else {
        return Vec::new();
    };
    let is_unmatched = |name: &&str| {
        let mut matches = modules
            .iter()
            .map(|module| match_of_name(name, &module.path));
        matches.all(|found| found.is_none())
    };
    names
        .iter()
        .map(String::as_str)
        .filter(is_unmatched)
        .collect()
}

/// The paths of all modules that contain one of `modules`.
fn containers(modules: &[ModuleShape]) -> BTreeSet<&str> {
    let leaves: BTreeSet<&str> = modules.iter().map(|module| module.path.as_str()).collect();
    let mut containers = BTreeSet::new();
    for module in modules {
        let dots = module.path.match_indices('.');
        containers.extend(dots.filter_map(|(dot, _)| module.path.get(..dot)));
    }
    &containers - &leaves
}

/// `max(1, round(share · budget))`, the budget being `n_frequency` for each module and a module's share its part of
/// all entries. PEFT's order of operations in f64, and Python's rounding, half to even.
fn proportional_counts(n_frequency: u64, modules: &[&ModuleShape]) -> Vec<u64> {
    let entries = |module: &ModuleShape| module.out_features as u128 * module.in_features as u128;
    let sum = |total: u128, module: &&ModuleShape| total.saturating_add(entries(module));
    let total = modules.iter().fold(0, sum);
    let budget = n_frequency as u128 * modules.len() as u128;
    let count = |module: &&ModuleShape| {
        let share = entries(module) as f64 / total as f64;
        // The conversion saturates, and maps the NaN of a model of empty matrices to 0.
        (share * budget as f64).round_ties_even().max(1.0) as u64
    };
    modules.iter().map(count).collect()
}

fn checked(config: &AdapterConfig, module: &ModuleShape, count: u64) -> Result<SelectedModule> {
    let ModuleShape {
        path,
        out_features,
        in_features,
    } = module;
    let entries = *out_features as u128 * *in_features as u128;
    match usize::try_from(count) {
        Ok(n_frequency) if u128::from(count) <= entries => Ok(SelectedModule {
            path: path.clone(),
            n_frequency,
        }),
        _ => Err(Error::module(
            config.path(),
            path,
            format!("n_frequency of at most {out_features} x {in_features} = {entries}"),
            count.to_string(),
        )),
    }
}

/// A configuration's rules, its regular expressions compiled.
struct Matcher<'a> {
    config: &'a AdapterConfig,
    targets: Names<'a>,
    excluded: Option<Names<'a>>,
    to_save: Vec<&'a str>,
    saved: Vec<Pattern<'a>>,
    layer_indices: Vec<Pattern<'a>>,
    counts: Vec<(Pattern<'a>, u64)>,
}

/// [`ModuleNames`], compiled.
enum Names<'a> {
    List(&'a [String]),
    Regex(Pattern<'a>),
}

/// A regular expression of a configuration.
struct Pattern<'a> {
    config: &'a AdapterConfig,
    key: &'static str,
    written: &'a str,
    compiled: Regex,
}

impl<'a> Matcher<'a> {
    fn new(config: &'a AdapterConfig) -> Result<Self> {
        refuse_many_patterns(config)?;
        let targets = match config.target_modules() {
            Some(ModuleNames::Regex(word)) if word.to_lowercase() == "all-linear" => {
                let expected = "module names or a regular expression";
                let found = "\"all-linear\", which a checkpoint alone cannot resolve; an adapter saved by PEFT has the names";
                return Err(config.error("target_modules", expected, found));
            }
            Some(names) => Names::new(config, "target_modules", names)?,
            None => {
                let expected = "module names or a regular expression";
                let found = "none, for which PEFT has a default of the model's type; an adapter saved by PEFT has the names";
                return Err(config.error("target_modules", expected, found));
            }
        };
        let excluded = match config.exclude_modules() {
            Some(ModuleNames::Regex(regex)) if regex.is_empty() => None,
            Some(names) => Some(Names::new(config, "exclude_modules", names)?),
            None => None,
        };
        let heads: &[&str] = match config.task_type() {
            Some("SEQ_CLS" | "TOKEN_CLS") => &["classifier", "score"],
            Some("QUESTION_ANS") => &["qa_outputs"],
            _ => &[],
        };
        let named = config.modules_to_save().iter().map(String::as_str);
        let to_save: Vec<&str> = named.chain(heads.iter().copied()).collect();
        let saved = |&name: &&'a str| {
            Pattern::new(config, "modules_to_save", name, |name| {
                format!(r"(^|.*\.){name}($|\..*)")
            })
        };
        Ok(Self {
            config,
            targets,
            excluded,
            saved: to_save.iter().map(saved).collect::<Result<_>>()?,
            to_save,
            layer_indices: layer_indices(config)?,
            counts: counts(config)?,
        })
    }

    fn is_targeted(&self, path: &str) -> Result<bool> {
        if let Some(excluded) = &self.excluded
            && excluded.kind_of_match(path)?.is_some()
        {
            return Ok(false);
        }
        for saved in &self.saved {
            if saved.captures(path)?.is_some() {
                return Ok(false);
            }
        }
        match self.targets.kind_of_match(path)? {
            None => Ok(false),
            Some(Match::Whole) => Ok(true),
            Some(Match::End) => self.is_layer_targeted(path),
        }
    }

    /// Whether the path's layer index, the first one that a pattern finds, is one of those to adapt.
    fn is_layer_targeted(&self, path: &str) -> Result<bool> {
        let layers = self.config.layers_to_transform();
        if layers.is_empty() {
            return Ok(true);
        }
        for pattern in &self.layer_indices {
            // The first pattern that matches counts, even if it matches without an index.
            if let Some(captures) = pattern.captures(path)? {
                let index = captures
                    .name("idx")
                    .and_then(|index| index.as_str().parse().ok());
                return Ok(index.is_some_and(|index| layers.contains(&index)));
            }
        }
        Ok(false)
    }

    /// PEFT cannot save a module as a whole that it adapts, and looks for those to save by the mere end of a path.
    fn refuse_module_to_save(&self, path: &str) -> Result<()> {
        match self.to_save.iter().find(|name| path.ends_with(**name)) {
            None => Ok(()),
            Some(name) => Err(Error::module(
                self.config.path(),
                path,
                "a module to adapt that does not end in a name of modules_to_save",
                format!("{name:?} among them"),
            )),
        }
    }

    fn n_frequency(&self, path: &str) -> Result<u64> {
        for (pattern, n_frequency) in &self.counts {
            if pattern.captures(path)?.is_some() {
                return Ok(*n_frequency);
            }
        }
        Ok(self.config.n_frequency())
    }
}

/// Refuses regular expressions that would take much memory, and long to compile.
fn refuse_many_patterns(config: &AdapterConfig) -> Result<()> {
    let whole = |names: Option<&ModuleNames>| match names {
        Some(ModuleNames::Regex(regex)) => regex.len() + PATTERN_BYTES,
        _ => 0,
    };
    let listed =
        |patterns: &[String]| -> usize { patterns.iter().map(|p| p.len() + PATTERN_BYTES).sum() };
    let counts = config.n_frequency_pattern().iter();
    for (key, found) in [
        ("target_modules", whole(config.target_modules())),
        ("exclude_modules", whole(config.exclude_modules())),
        ("modules_to_save", listed(config.modules_to_save())),
        ("layers_pattern", listed(config.layers_pattern())),
        (
            "n_frequency_pattern",
            counts.map(|(p, _)| p.len() + PATTERN_BYTES).sum(),
        ),
    ] {
        if found > MOST_PATTERN_BYTES {
            let expected = format!("regular expressions of at most {MOST_PATTERN_BYTES} bytes");
            return Err(config.error(key, expected, format!("{found} bytes")));
        }
    }
    Ok(())
}

fn layer_indices(config: &AdapterConfig) -> Result<Vec<Pattern<'_>>> {
    const KEY: &str = "layers_pattern";
    // Lazy, so that the first index counts and not that of an expert in the layer.
    if config.layers_pattern().is_empty() {
        return Ok(vec![Pattern::new(config, KEY, "", |_| {
            r".*?\.[^.]*\.(?P<idx>\d+)\.".to_owned()
        })?]);
    }
    let indexed = |pattern: &str| format!(r"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\.");
    let patterns = config.layers_pattern().iter();
    patterns
        .map(|pattern| Pattern::new(config, KEY, pattern, indexed))
        .collect()
}

fn counts<'a>(config: &'a AdapterConfig) -> Result<Vec<(Pattern<'a>, u64)>> {
    let compile = |(written, n_frequency): &'a (String, u64)| {
        let ending = |written: &str| format!(r"(.*\.)?({written})$");
        let pattern = Pattern::new(config, "n_frequency_pattern", written, ending)?;
        Ok((pattern, *n_frequency))
    };
    config.n_frequency_pattern().iter().map(compile).collect()
}

/// How a path was matched.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// As a whole.
    Whole,
    /// By its end, from a dot on.
    End,
}

impl<'a> Names<'a> {
    fn new(config: &'a AdapterConfig, key: &'static str, names: &'a ModuleNames) -> Result<Self> {
        match names {
            ModuleNames::List(list) => Ok(Self::List(list)),
            ModuleNames::Regex(regex) => {
                let whole = |regex: &str| format!(r"(?:{regex})\z");
                Pattern::new(config, key, regex, whole).map(Self::Regex)
            }
        }
    }

    fn kind_of_match(&self, path: &str) -> Result<Option<Match>> {
        match self {
            Self::Regex(regex) => Ok(regex.captures(path)?.map(|_| Match::Whole)),
            // A match as a whole counts before one of an end.
            Self::List(list) => {
                let found = list.iter().filter_map(|name| match_of_name(name, path));
                Ok(found.min())
            }
        }
    }
}

fn match_of_name(name: &str, path: &str) -> Option<Match> {
    match path.strip_suffix(name)? {
        "" => Some(Match::Whole),
        start if start.ends_with('.') => Some(Match::End),
        _ => None,
    }
}

impl<'a> Pattern<'a> {
    /// The regular expression that `complete` makes of the one `written`, to match from a path's start on.
    fn new(
        config: &'a AdapterConfig,
        key: &'static str,
        written: &'a str,
        complete: impl FnOnce(&str) -> String,
    ) -> Result<Self> {
        let compile = |regex: &str| {
            RegexBuilder::new(regex)
                .backtrack_limit(MOST_STEPS_BACK)
                .build()
                .map_err(|error| invalid(config, key, written, &error))
        };
        // By itself first: a stray parenthesis must not pair with one that is put around it.
        compile(written)?;
        let compiled = compile(&format!(r"\A(?:{})", complete(written)))?;
        Ok(Self {
            config,
            key,
            written,
            compiled,
        })
    }

    fn captures<'t>(&self, path: &'t str) -> Result<Option<Captures<'t, str>>> {
        self.compiled.captures(path).map_err(|error| {
            let found = format!("{:?} on module {path:?}: {error}", self.written);
            let expected = "a regular expression that can be matched";
            self.config.error(self.key, expected, found)
        })
    }
}

fn invalid(config: &AdapterConfig, key: &str, written: &str, error: &dyn Display) -> Error {
    // The messages of regex crates have several lines, to point at the place.
    let reason = error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    config.error(
        key,
        "a valid regular expression",
        format!("{written:?}: {reason}"),
    )
}
