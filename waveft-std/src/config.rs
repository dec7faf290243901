//! PEFT's `adapter_config.json`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use waveft_core::filter_bank::{Wavelet, wavelets};

use crate::checkpoint::file_system::read_at_most;
use crate::error::{Error, Result};

/// The configuration's file in an adapter's folder.
pub const CONFIG_FILE: &str = "adapter_config.json";

/// The largest configuration read, in bytes: 8 MiB, twice what naming every expert of the largest models takes.
pub const LARGEST_CONFIG: u64 = 8 << 20;

/// The configuration of a WaveFT adapter, checked.
///
/// It is its JSON text: reading and writing keeps every byte, so unknown keys and their order too. Keys that are
/// missing have PEFT's defaults. What PEFT refuses is refused here, with these exceptions: the wavelet may be any of
/// PyWavelets' 106 discrete ones (PEFT itself runs db1–10, sym2–10 and coif1–4), and `n_frequency_pattern` may be
/// null.
///
/// # Examples
/// ```
/// use waveft_std::config::{AdapterConfig, ModuleNames};
///
/// let config = AdapterConfig::parse(r#"{"peft_type": "WAVEFT", "target_modules": ["q_proj"], "scaling": 5.0}"#)?;
/// assert_eq!(config.scaling(), 5.0);
/// assert_eq!(config.n_frequency(), 2592);
/// assert_eq!(config.target_modules(), Some(&ModuleNames::List(vec!["q_proj".to_owned()])));
///
/// let error = AdapterConfig::parse(r#"{"peft_type": "LORA"}"#).unwrap_err();
/// assert_eq!(error.to_string(), r#"adapter_config.json: "peft_type": expected "WAVEFT", found "LORA""#);
/// # Ok::<(), waveft_std::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    path: PathBuf,
    text: String,
    keys: Map<String, Value>,
    n_frequency: u64,
    scaling: f64,
    wavelet: &'static Wavelet,
    use_idwt: bool,
    random_loc_seed: u64,
    fan_in_fan_out: bool,
    target_modules: Option<ModuleNames>,
    exclude_modules: Option<ModuleNames>,
    bias: Bias,
    modules_to_save: Vec<String>,
    layers_to_transform: Vec<i64>,
    layers_pattern: Vec<String>,
    n_frequency_pattern: Vec<(String, u64)>,
    proportional_parameters: bool,
    init_weights: bool,
    task_type: Option<String>,
    base_model_name_or_path: Option<String>,
}

/// How a configuration names modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleNames {
    /// Each a module's path or the end of one, from a dot on.
    List(Vec<String>),
    /// One regular expression for a module's whole path.
    Regex(String),
}

/// Which biases an adapter trained and holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// None.
    None,
    /// Those of all modules.
    All,
    /// Those of the adapted modules.
    WaveftOnly,
}

impl AdapterConfig {
    /// Reads the configuration at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than [`LARGEST_CONFIG`] or not UTF-8, and all that [`Self::parse`]
    /// refuses.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_at_most(path, LARGEST_CONFIG)?;
        let text = String::from_utf8(bytes)
            .map_err(|error| Error::file(path, "JSON in UTF-8", error.utf8_error().to_string()))?;
        Self::from_text(path.to_owned(), text)
    }

    /// The configuration that `json` is. Errors call its file `adapter_config.json`.
    ///
    /// # Errors
    /// When it is not a JSON object (which NaN and infinite numbers cannot be in) or nested more than 127 deep; when `peft_type` is not `"WAVEFT"`; when a key that
    /// waveft uses has a value of another type; unless `n_frequency ≥ 1`, every `n_frequency_pattern` value is `≥ 1`,
    /// `-2⁶³ ≤ random_loc_seed < 2⁶⁴` and `wavelet_family` exists; and when `layers_to_transform`
    /// and `layers_pattern` are combined with each other or with `target_modules` in a way that PEFT refuses.
    pub fn parse(json: impl Into<String>) -> Result<Self> {
        Self::from_text(PathBuf::from(CONFIG_FILE), json.into())
    }

    /// This configuration with `value` for `key`, written with PEFT's indentation.
    ///
    /// # Errors
    /// As [`Self::parse`].
    ///
    /// # Examples
    /// ```
    /// use waveft_std::config::AdapterConfig;
    ///
    /// let config = AdapterConfig::parse(r#"{"peft_type": "WAVEFT"}"#)?.with("n_frequency", 100.into())?;
    /// assert_eq!(config.json(), "{\n  \"peft_type\": \"WAVEFT\",\n  \"n_frequency\": 100\n}");
    /// # Ok::<(), waveft_std::Error>(())
    /// ```
    pub fn with(&self, key: &str, value: Value) -> Result<Self> {
        let mut keys = self.keys.clone();
        keys.insert(key.to_owned(), value);
        // The alternate form of a JSON value is its text, indented by two.
        Self::from_text(self.path.clone(), format!("{:#}", Value::Object(keys)))
    }

    fn from_text(path: PathBuf, text: String) -> Result<Self> {
        let value = serde_json::from_str(&text).map_err(|error| {
            let (expected, found) = match number_of_python(&text, &error) {
                Some(number) => ("a finite number, for JSON has no other", number.to_owned()),
                None => ("JSON", without_place(&error)),
            };
            Error::Json {
                path: path.clone(),
                line: error.line(),
                column: error.column(),
                expected: expected.to_owned(),
                found,
            }
        })?;
        let Value::Object(keys) = value else {
            return Err(Error::file(path, "a JSON object", shown(&value)));
        };
        let reader = Keys {
            path: &path,
            keys: &keys,
        };
        // First: another method's keys of the same names mean other things.
        reader.check_peft_type()?;
        let config = Self {
            n_frequency: reader.count("n_frequency", 2592)?,
            scaling: reader.number("scaling", 25.0)?,
            wavelet: reader.wavelet("wavelet_family", &wavelets::DB1)?,
            use_idwt: reader.boolean("use_idwt", true)?,
            random_loc_seed: reader.seed("random_loc_seed", 777)?,
            fan_in_fan_out: reader.boolean("fan_in_fan_out", false)?,
            target_modules: reader.module_names("target_modules")?,
            exclude_modules: reader.module_names("exclude_modules")?,
            bias: reader.bias("bias")?,
            modules_to_save: reader
                .optional("modules_to_save", LIST, string_list)?
                .unwrap_or_default(),
            layers_to_transform: reader.layers_to_transform("layers_to_transform")?,
            layers_pattern: reader.layers_pattern("layers_pattern")?,
            n_frequency_pattern: reader.n_frequency_pattern("n_frequency_pattern")?,
            proportional_parameters: reader.boolean("proportional_parameters", false)?,
            init_weights: reader.boolean("init_weights", true)?,
            task_type: reader.optional("task_type", "a string or null", string)?,
            base_model_name_or_path: reader.optional(
                "base_model_name_or_path",
                "a string or null",
                string,
            )?,
            path: PathBuf::new(),
            text: String::new(),
            keys: Map::new(),
        };
        reader.check_layers(&config)?;
        Ok(Self {
            path,
            text,
            keys,
            ..config
        })
    }

    /// The file it was read from; `adapter_config.json` for one that was not.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its JSON text, byte for byte as it was read.
    pub fn json(&self) -> &str {
        &self.text
    }

    /// All keys in the file's order, those that waveft does not use too.
    pub fn keys(&self) -> &Map<String, Value> {
        &self.keys
    }

    /// Trained coefficients of each adapted module, `≥ 1`, where nothing else says how many.
    pub fn n_frequency(&self) -> u64 {
        self.n_frequency
    }

    /// The factor of every update, finite.
    pub fn scaling(&self) -> f64 {
        self.scaling
    }

    /// The wavelet of the synthesis. `"coif4"` is [`wavelets::PEFT_COIF4`], the taps that PEFT has under this name:
    /// adapters trained with them depend on them.
    pub fn wavelet(&self) -> &'static Wavelet {
        self.wavelet
    }

    /// Whether coefficients are synthesised (true) or stand for entries of the update themselves (false).
    pub fn use_idwt(&self) -> bool {
        self.use_idwt
    }

    /// The seed of the locations: two's complement of a negative one, as torch takes it.
    pub fn random_loc_seed(&self) -> u64 {
        self.random_loc_seed
    }

    /// Whether weights are stored `in × out`, as transformers' `Conv1D` does.
    pub fn fan_in_fan_out(&self) -> bool {
        self.fan_in_fan_out
    }

    /// The modules to adapt, `None` for null.
    pub fn target_modules(&self) -> Option<&ModuleNames> {
        self.target_modules.as_ref()
    }

    /// The modules not to adapt, `None` for null.
    pub fn exclude_modules(&self) -> Option<&ModuleNames> {
        self.exclude_modules.as_ref()
    }

    /// Which biases the adapter replaces.
    pub fn bias(&self) -> Bias {
        self.bias
    }

    /// Ends of the paths of modules that were trained as a whole, in the file's order. A name may come twice.
    pub fn modules_to_save(&self) -> &[String] {
        &self.modules_to_save
    }

    /// Indices of the layers to adapt; empty for all of them.
    pub fn layers_to_transform(&self) -> &[i64] {
        &self.layers_to_transform
    }

    /// Regular expressions for what precedes a layer's index; empty for anything.
    pub fn layers_pattern(&self) -> &[String] {
        &self.layers_pattern
    }

    /// Regular expressions for ends of module paths with their own number of coefficients, in the file's order: the
    /// first that matches counts.
    pub fn n_frequency_pattern(&self) -> &[(String, u64)] {
        &self.n_frequency_pattern
    }

    /// Whether coefficients are shared out in proportion to the modules' sizes.
    pub fn proportional_parameters(&self) -> bool {
        self.proportional_parameters
    }

    /// Whether a fresh adapter's coefficients are zero (true) or small normal numbers (false).
    pub fn init_weights(&self) -> bool {
        self.init_weights
    }

    /// The task, such as `"SEQ_CLS"`.
    pub fn task_type(&self) -> Option<&str> {
        self.task_type.as_deref()
    }

    /// Where the base model came from.
    pub fn base_model_name_or_path(&self) -> Option<&str> {
        self.base_model_name_or_path.as_deref()
    }

    /// An [`Error::Config`] about `key`.
    pub(crate) fn error(
        &self,
        key: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::Config {
            path: self.path.clone(),
            key: key.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// That adapters are in folders in this one, which was taken for an adapter's or a checkpoint's; `None` if none are.
pub(crate) fn adapters_below(folder: &Path) -> Option<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let adapters = entries.filter(|entry| entry.path().join(CONFIG_FILE).exists());
    let names = adapters.map(|entry| format!("{:?}", entry.file_name()));
    let names: BTreeSet<String> = names.collect();
    let names: Vec<String> = names.into_iter().collect();
    let listed = names.join(", ");
    (!names.is_empty()).then(|| format!("adapters in subfolders, of which to give one: {listed}"))
}

/// What is expected of a list of names.
const LIST: &str = "a list of strings or null";

/// What is expected of a count of coefficients.
const COUNT: &str = "an integer of at least 1";

/// The keys of a configuration while it is read.
struct Keys<'a> {
    path: &'a Path,
    keys: &'a Map<String, Value>,
}

impl Keys<'_> {
    fn error(&self, key: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Config {
            path: self.path.to_owned(),
            key: key.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// What `read` makes of the value of `key`; `None` when the key is missing.
    fn value<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.keys.get(key) else {
            return Ok(None);
        };
        let unfit = || self.error(key, expected, shown(value));
        read(value).map(Some).ok_or_else(unfit)
    }

    /// The same, with null as good as a missing key.
    fn optional<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.value(key, expected, read),
        }
    }

    fn boolean(&self, key: &str, default: bool) -> Result<bool> {
        let read = self.value(key, "true or false", Value::as_bool)?;
        Ok(read.unwrap_or(default))
    }

    fn count(&self, key: &str, default: u64) -> Result<u64> {
        Ok(self.value(key, COUNT, count)?.unwrap_or(default))
    }

    fn number(&self, key: &str, default: f64) -> Result<f64> {
        // JSON has no number that is not finite, and one too large for f64 is an error of the parser.
        let read = self.value(key, "a number", Value::as_f64)?;
        Ok(read.unwrap_or(default))
    }

    fn seed(&self, key: &str, default: u64) -> Result<u64> {
        let seed = |value: &Value| {
            value
                .as_u64()
                .or_else(|| value.as_i64().map(|seed| seed as u64))
        };
        let expected = "an integer from -2^63 to 2^64 - 1";
        Ok(self.value(key, expected, seed)?.unwrap_or(default))
    }

    fn wavelet(&self, key: &str, default: &'static Wavelet) -> Result<&'static Wavelet> {
        let expected = "a discrete wavelet of PyWavelets (haar, db1 to db38, sym2 to sym20, coif1 to coif17, \
                        bior1.1 to bior6.8, rbio1.1 to rbio6.8 or dmey)";
        let named = |value: &Value| match value.as_str()? {
            "coif4" => Some(&wavelets::PEFT_COIF4),
            name => Wavelet::from_name(name).ok(),
        };
        Ok(self.value(key, expected, named)?.unwrap_or(default))
    }

    fn bias(&self, key: &str) -> Result<Bias> {
        let named = |value: &Value| match value.as_str()? {
            "none" => Some(Bias::None),
            "all" => Some(Bias::All),
            "waveft_only" => Some(Bias::WaveftOnly),
            _ => None,
        };
        let expected = r#""none", "all" or "waveft_only""#;
        Ok(self.value(key, expected, named)?.unwrap_or(Bias::None))
    }

    fn module_names(&self, key: &str) -> Result<Option<ModuleNames>> {
        self.optional(key, "a list of strings, a string or null", |value| {
            let regex = || string(value).map(ModuleNames::Regex);
            string_list(value).map(ModuleNames::List).or_else(regex)
        })
    }

    fn layers_to_transform(&self, key: &str) -> Result<Vec<i64>> {
        let expected = "a list of integers, an integer or null";
        let read = self.optional(key, expected, |value| match value {
            Value::Array(layers) => layers.iter().map(Value::as_i64).collect(),
            layer => Some(vec![layer.as_i64()?]),
        })?;
        Ok(read.unwrap_or_default())
    }

    fn layers_pattern(&self, key: &str) -> Result<Vec<String>> {
        let expected = "a list of strings, a string or null";
        let read = self.optional(key, expected, |value| match value {
            // An empty string is as good as no pattern.
            Value::String(pattern) if pattern.is_empty() => Some(Vec::new()),
            Value::String(pattern) => Some(vec![pattern.clone()]),
            patterns => string_list(patterns),
        })?;
        Ok(read.unwrap_or_default())
    }

    fn n_frequency_pattern(&self, key: &str) -> Result<Vec<(String, u64)>> {
        let patterns =
            self.optional(key, "an object or null", |value| value.as_object().cloned())?;
        let checked = |(pattern, value): (String, Value)| match count(&value) {
            Some(n_frequency) => Ok((pattern, n_frequency)),
            None => Err(self.error(key, format!("{COUNT} for {pattern:?}"), shown(&value))),
        };
        patterns
            .unwrap_or_default()
            .into_iter()
            .map(checked)
            .collect()
    }

    fn check_peft_type(&self) -> Result<()> {
        let found = match self.keys.get("peft_type") {
            Some(Value::String(peft_type)) if peft_type == "WAVEFT" => return Ok(()),
            Some(other) => shown(other),
            None => "no such key".to_owned(),
        };
        Err(self.error("peft_type", r#""WAVEFT""#, found))
    }

    /// Refuses the combinations that PEFT refuses.
    fn check_layers(&self, config: &AdapterConfig) -> Result<()> {
        let given = |key| self.keys.get(key).is_some_and(|value| !value.is_null());
        if matches!(config.target_modules, Some(ModuleNames::Regex(_))) {
            for key in ["layers_to_transform", "layers_pattern"] {
                if given(key) {
                    let found = "one beside a regular expression in \"target_modules\"";
                    return Err(self.error(key, "none", found));
                }
            }
        }
        if !config.layers_pattern.is_empty() && !given("layers_to_transform") {
            return Err(self.error(
                "layers_to_transform",
                "one beside \"layers_pattern\"",
                "none",
            ));
        }
        Ok(())
    }
}

fn count(value: &Value) -> Option<u64> {
    value.as_u64().filter(|&count| count >= 1)
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn string_list(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(string).collect()
}

/// A value for an error's message: its JSON, cut when it is long.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let json = value.to_string();
    match json.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", json.get(..end).unwrap_or_default()),
        None => json,
    }
}

/// The number that Python's `json` writes and reads, but that is none in JSON, where the error is.
fn number_of_python(text: &str, error: &serde_json::Error) -> Option<&'static str> {
    let line = text.split('\n').nth(error.line().checked_sub(1)?)?;
    // Behind the minus of a negative one.
    let rest = line.get(error.column().checked_sub(1)?..)?;
    ["NaN", "Infinity"]
        .into_iter()
        .find(|number| rest.starts_with(number))
}

/// What serde_json says, without the line and column that it ends with.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => message,
    }
}
