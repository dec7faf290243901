//! PEFT's adapter folders: `adapter_config.json` beside `adapter_model.safetensors`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};
use xxhash_rust::xxh3::Xxh3;

use crate::checkpoint::file_system::{make_folder, metadata_of};
use crate::checkpoint::{Checkpoint, Dtype, Header, Tensor, write_whole};
use crate::config::{AdapterConfig, Bias, CONFIG_FILE, adapters_below};
use crate::convert::{is_float, read, values};
use crate::error::{Error, Result};
use crate::normal::NormalGenerator;
use crate::room::refuse_without_room;
use crate::target_modules::{ModuleShape, select_modules};

/// The tensors' file in an adapter's folder.
pub const MODEL_FILE: &str = "adapter_model.safetensors";

/// What older versions of PEFT save: a pickle, which can run code.
const PICKLE_FILE: &str = "adapter_model.bin";

/// What precedes the base's own name of everything in an adapter.
const PREFIX: &str = "base_model.model.";

/// What follows a module's path in the name of its spectrum.
pub(crate) const SPECTRUM_SUFFIX: &str = ".waveft_spectrum";

/// Standard deviation of a fresh spectrum with `init_weights = false`.
const INITIAL_DEVIATION: f32 = 0.01;

/// Beginnings of the names of other PEFT methods' parameters.
const OTHER_METHODS: [&str; 9] = [
    "lora_",
    "ia3_",
    "hada_",
    "lokr_",
    "oft_",
    "boft_",
    "vera_",
    "fourierft_",
    "waveft_",
];

/// A WaveFT adapter: its configuration, the spectra of its modules, and whole tensors that replace the base's.
///
/// A tensor read from a folder stays in the mapped file, so an adapter takes little memory however large it is.
///
/// # Examples
/// ```no_run
/// use waveft_std::adapter::Adapter;
///
/// let adapter = Adapter::read("my-adapter")?;
/// for spectrum in adapter.spectra() {
///     println!("{}: {} coefficients", spectrum.module(), spectrum.len());
/// }
/// adapter.save("a-copy")?;
/// # Ok::<(), waveft_std::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adapter {
    name: String,
    path: PathBuf,
    config: AdapterConfig,
    spectra: Vec<Spectrum>,
    tensors: Vec<SavedTensor>,
    unused: Vec<SavedTensor>,
}

/// The trained coefficients of one module, in the order of its locations.
#[derive(Clone, Debug)]
pub struct Spectrum {
    module: String,
    data: Data,
}

/// A tensor of an adapter that takes the place of one of the base: of a module trained as a whole, or a bias.
#[derive(Clone, Debug)]
pub struct SavedTensor {
    name: String,
    data: Data,
}

/// A tensor as the adapter's file has it.
#[derive(Clone, Debug)]
struct Data {
    /// Its name in the file.
    key: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    /// In a mapped file, under the same key.
    Mapped(Arc<Checkpoint>),
    Owned(Vec<u8>),
}

impl Adapter {
    /// Reads the adapter in the folder `path`. An adapter with a name is the subfolder of that name.
    ///
    /// # Errors
    /// - A file is missing, cannot be read or is no valid safetensors file; there is only a pickle
    ///   (`adapter_model.bin`); the folder has no adapter but subfolders have (the message lists them).
    /// - The configuration is refused, see [`AdapterConfig::parse`].
    /// - There is no spectrum, or one is empty, has more than one axis, or is of a type other than F32, BF16, F16 and
    ///   F64.
    /// - A name does not begin with `base_model.model.`, or is one of another PEFT method's parameters, or two tensors
    ///   are for one tensor of the base.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if metadata_of(path)?.is_file() {
            return Err(Error::file(path, "an adapter's folder", "a file"));
        }
        let config = match AdapterConfig::read(path.join(CONFIG_FILE)) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(no_config(path));
            }
            config => config?,
        };
        let model = path.join(MODEL_FILE);
        if !model.exists() && path.join(PICKLE_FILE).exists() {
            let found = "only adapter_model.bin, a pickle; load it with PEFT and save it with safe_serialization=True";
            return Err(Error::file(path, MODEL_FILE, found));
        }
        let file = Arc::new(Checkpoint::open(&model)?);
        let mut adapter = Self {
            name: folder_name(path),
            path: path.to_owned(),
            config,
            spectra: Vec::new(),
            tensors: Vec::new(),
            unused: Vec::new(),
        };
        for tensor in file.tensors() {
            adapter.add(&model, &file, tensor)?;
        }
        if adapter.spectra.is_empty() {
            let expected = format!("at least one tensor named {PREFIX}<module>{SPECTRUM_SUFFIX}");
            return Err(Error::file(model, expected, "none"));
        }
        adapter.sort();
        adapter.refuse_same_names(&model)?;
        Ok(adapter)
    }

    /// A fresh adapter for a model with these linear `modules`.
    ///
    /// The modules that `config` adapts are those of [`select_modules`]. Spectra are F32, zero if `init_weights`; else
    /// they are torch's normal numbers times 0.01, drawn for module after module in the order given from one generator
    /// seeded with `random_loc_seed`. (PEFT draws them from torch's global generator, in the order of the model's
    /// modules: the same numbers after `torch.manual_seed(random_loc_seed)` if the orders agree.) The places come from the
    /// same seed, so these numbers are correlated with the rows that they are in, as PEFT's are then. Modules to save and
    /// biases are not in it: PEFT keeps the base's for what a file lacks.
    ///
    /// # Errors
    /// As [`select_modules`], and for two modules of one path.
    ///
    /// # Examples
    /// ```
    /// use waveft_std::adapter::Adapter;
    /// use waveft_std::config::AdapterConfig;
    /// use waveft_std::target_modules::ModuleShape;
    ///
    /// let json = r#"{"peft_type": "WAVEFT", "n_frequency": 5, "target_modules": ["q_proj"]}"#;
    /// let module = ModuleShape { path: "layers.0.q_proj".to_owned(), out_features: 4, in_features: 4 };
    /// let adapter = Adapter::create(AdapterConfig::parse(json)?, &[module])?;
    /// assert_eq!(adapter.spectra()[0].to_f32(), [0.0; 5]);
    /// # Ok::<(), waveft_std::Error>(())
    /// ```
    pub fn create(config: AdapterConfig, modules: &[ModuleShape]) -> Result<Self> {
        let mut generator = NormalGenerator::new(config.random_loc_seed());
        let mut spectra = Vec::new();
        let selected = select_modules(&config, modules)?;
        let counts = selected.iter().map(|module| module.n_frequency as u64);
        refuse_without_room(counts.sum(), 2 * size_of::<f32>())
            .map_err(Error::io(config.path()))?;
        for selected in selected {
            let mut values = vec![0.0; selected.n_frequency];
            if !config.init_weights() {
                generator.fill(&mut values);
                values
                    .iter_mut()
                    .for_each(|value| *value *= INITIAL_DEVIATION);
            }
            spectra.push(Spectrum::from_f32(selected.path, &values));
        }
        let path = config.path().to_owned();
        let mut adapter = Self {
            name: "default".to_owned(),
            path: path.clone(),
            config,
            spectra,
            tensors: Vec::new(),
            unused: Vec::new(),
        };
        adapter.sort();
        adapter.refuse_same_names(&path)?;
        Ok(adapter)
    }

    /// Writes the adapter into `folder`, which is made if it is missing, such that PEFT loads it.
    ///
    /// Types, names and the configuration's text are kept. Each file appears complete or not at all: it is written
    /// beside its place, brought to disk and renamed.
    ///
    /// # Errors
    /// When the folder or a file cannot be written, or there is a file in the folder's place.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        make_folder(folder)?;
        let tensors = self.in_file_order();
        let entries = tensors.iter().map(|data| {
            (
                data.key.as_str(),
                data.dtype,
                data.shape.as_slice(),
                data.bytes().len() as u64,
            )
        });
        let metadata = [("format".to_owned(), "pt".to_owned())];
        let model = folder.join(MODEL_FILE);
        let header = Header::serialize(Some(&metadata), entries)
            .map_err(|error| Error::file(&model, "tensors that can be named", error.to_string()))?;
        write_whole(&model, |file| {
            file.write_all(&header)?;
            tensors
                .iter()
                .try_for_each(|data| file.write_all(data.bytes()))
        })?;
        let config = self.config.json();
        write_whole(&folder.join(CONFIG_FILE), |file| {
            file.write_all(config.as_bytes())
        })
    }

    /// Puts trained coefficients, in sampling order, in the place of a module's spectrum, which is F32 from now on.
    ///
    /// # Errors
    /// With nothing changed: if there is no spectrum of this module, or it has another length.
    pub fn set_spectrum(&mut self, module: &str, values: &[f32]) -> Result<()> {
        let at = self.module_at(module)?;
        let spectrum = &mut self.spectra[at];
        if spectrum.len() != values.len() {
            let expected = format!("{} coefficients", spectrum.len());
            let found = values.len().to_string();
            return Err(Error::module(&self.path, module, expected, found));
        }
        *spectrum = Spectrum::from_f32(module.to_owned(), values);
        Ok(())
    }

    /// Puts a trained bias in the place of that of a module that has a spectrum, or beside it if there is none yet. It is F32
    /// from now on.
    ///
    /// # Errors
    /// With nothing changed: if there is no spectrum of this module, the configuration's `bias` is `"none"`, or there is a
    /// bias of another shape.
    pub fn set_bias(&mut self, module: &str, values: &[f32]) -> Result<()> {
        self.module_at(module)?;
        let unfit = |expected: String, found: String| {
            Err(Error::module(&self.path, module, expected, found))
        };
        if self.config.bias() == Bias::None {
            let expected = "\"bias\" to be \"all\" or \"waveft_only\", for its bias is trained";
            return unfit(expected.to_owned(), "\"none\"".to_owned());
        }
        let name = format!("{module}.bias");
        let mut data = Data {
            key: format!("{PREFIX}{module}.base_layer.bias"),
            dtype: Dtype::F32,
            shape: vec![values.len()],
            bytes: Bytes::of_f32(values),
        };
        match self
            .tensors
            .binary_search_by(|tensor| tensor.name.cmp(&name))
        {
            Ok(at) => {
                let known = &mut self.tensors[at].data;
                if known.shape != data.shape {
                    let expected = format!("a bias of shape {:?}", known.shape);
                    return unfit(expected, format!("{:?}", data.shape));
                }
                data.key.clone_from(&known.key);
                *known = data;
            }
            Err(at) => self.tensors.insert(at, SavedTensor { name, data }),
        }
        Ok(())
    }

    /// Where a module's spectrum is.
    fn module_at(&self, module: &str) -> Result<usize> {
        let found = self
            .spectra
            .binary_search_by(|spectrum| spectrum.module.as_str().cmp(module));
        let missing = |_| Error::module(&self.path, module, "a module with a spectrum", "none");
        found.map_err(missing)
    }

    /// Its name: the folder's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder it was read from, or the configuration that it was created from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its configuration.
    pub fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// The spectra, sorted by module, each module once.
    pub fn spectra(&self) -> &[Spectrum] {
        &self.spectra
    }

    /// The tensors that replace the base's, sorted by name, each name once.
    ///
    /// One may be of a module that has a spectrum too (PEFT saves the weights of an adapted `lm_head`): then the update
    /// goes on top of it.
    pub fn tensors(&self) -> &[SavedTensor] {
        &self.tensors
    }

    /// All names of tensors in its file that are for nothing in a merged model, sorted. (With `bias = "all"`, PEFT saves
    /// the biases of a module to save twice more.)
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        self.unused.iter().map(|tensor| tensor.data.key.as_str())
    }

    /// The XXH3 hash of its configuration and tensors: whether it is the same adapter as at another time.
    pub fn checksum(&self) -> u64 {
        let mut checksum = Xxh3::new();
        checksum.update(self.config.json().as_bytes());
        for data in self.in_file_order() {
            checksum.update(format!("{:?} {} {:?}", data.key, data.dtype, data.shape).as_bytes());
            checksum.update(data.bytes());
        }
        checksum.digest()
    }

    /// Refuses spectra that cannot be held in memory with their places.
    pub(crate) fn refuse_without_room(&self) -> Result<()> {
        /// Bytes of a coefficient while its place is drawn and sorted.
        const DRAWN: usize = 64;
        /// Bytes of a coefficient as long as it is used.
        const KEPT: usize = 24;
        let lengths = || self.spectra.iter().map(|spectrum| spectrum.len() as u64);
        refuse_without_room(lengths().max().unwrap_or(0), DRAWN)
            .and_then(|()| refuse_without_room(lengths().sum(), KEPT))
            .map_err(Error::io(&self.path))
    }

    fn add(&mut self, model: &Path, file: &Arc<Checkpoint>, tensor: Tensor<'_>) -> Result<()> {
        let unfit =
            |expected: String, found: String| Error::tensor(model, tensor.name, expected, found);
        let Some(name) = tensor.name.strip_prefix(PREFIX) else {
            return Err(unfit(
                format!("a name that begins with {PREFIX}"),
                "another".to_owned(),
            ));
        };
        let data = Data {
            key: tensor.name.to_owned(),
            dtype: tensor.dtype,
            shape: tensor.shape.to_owned(),
            bytes: Bytes::Mapped(Arc::clone(file)),
        };
        if let Some(module) = name.strip_suffix(SPECTRUM_SUFFIX) {
            if !is_float(tensor.dtype) {
                let expected = "a spectrum in F32, BF16, F16 or F64";
                return Err(unfit(expected.to_owned(), tensor.dtype.to_string()));
            }
            if !matches!(tensor.shape, [n] if *n >= 1) {
                let expected = "a spectrum of shape [n], n at least 1";
                return Err(unfit(
                    expected.to_owned(),
                    format!("shape {:?}", tensor.shape),
                ));
            }
            let module = module.to_owned();
            self.spectra.push(Spectrum { module, data });
            return Ok(());
        }
        let is_foreign = |part: &str| OTHER_METHODS.iter().any(|method| part.starts_with(method));
        if let Some(part) = name.split('.').find(|part| is_foreign(part)) {
            let expected =
                format!("a tensor of the base, or a name that ends in {SPECTRUM_SUFFIX}");
            return Err(unfit(expected, format!("another method's {part:?}")));
        }
        let is_copy = |part: &str| matches!(part, "modules_to_save" | "original_module");
        let saved = SavedTensor {
            name: name.replace(".base_layer.", "."),
            data,
        };
        match name.split('.').any(is_copy) {
            true => self.unused.push(saved),
            false => self.tensors.push(saved),
        }
        Ok(())
    }

    /// All tensors, ordered as the safetensors library does: larger types first, so that each is aligned, then by name.
    fn in_file_order(&self) -> Vec<&Data> {
        let spectra = self.spectra.iter().map(|spectrum| &spectrum.data);
        let others = self
            .tensors
            .iter()
            .chain(&self.unused)
            .map(|tensor| &tensor.data);
        let mut tensors: Vec<&Data> = spectra.chain(others).collect();
        tensors.sort_by(|one, other| other.dtype.cmp(&one.dtype).then(one.key.cmp(&other.key)));
        tensors
    }

    fn sort(&mut self) {
        self.spectra
            .sort_by(|one, other| one.module.cmp(&other.module));
        self.tensors.sort_by(|one, other| one.name.cmp(&other.name));
        self.unused
            .sort_by(|one, other| one.data.key.cmp(&other.data.key));
    }

    fn refuse_same_names(&self, path: &Path) -> Result<()> {
        for pair in self.spectra.windows(2) {
            if let [one, other] = pair
                && one.module == other.module
            {
                return Err(Error::module(
                    path,
                    &one.module,
                    "one module of this path",
                    "two",
                ));
            }
        }
        for pair in self.tensors.windows(2) {
            if let [one, other] = pair
                && one.name == other.name
            {
                let expected = format!("one tensor for the base's {:?}", one.name);
                let found = format!("{:?} too", other.data.key);
                return Err(Error::tensor(path, &one.data.key, expected, found));
            }
        }
        Ok(())
    }
}

impl Spectrum {
    fn from_f32(module: String, values: &[f32]) -> Self {
        let data = Data {
            key: format!("{PREFIX}{module}{SPECTRUM_SUFFIX}"),
            dtype: Dtype::F32,
            shape: vec![values.len()],
            bytes: Bytes::of_f32(values),
        };
        Self { module, data }
    }

    /// The module's path, without `base_model.model.`.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Its name in the adapter's file.
    pub fn key(&self) -> &str {
        &self.data.key
    }

    /// The type it is saved in: F32, BF16, F16 or F64.
    pub fn dtype(&self) -> Dtype {
        self.data.dtype
    }

    /// Its number of coefficients, `n ≥ 1`.
    #[allow(clippy::len_without_is_empty)] // A spectrum is never empty.
    pub fn len(&self) -> usize {
        self.data.shape.iter().product()
    }

    /// The `n` coefficients in f32: exact unless they are saved in F64, which is rounded.
    pub fn to_f32(&self) -> Vec<f32> {
        let bytes = self.data.bytes();
        match self.data.dtype {
            Dtype::F32 => read(bytes, f32::from_le_bytes),
            Dtype::BF16 => read(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F16 => read(bytes, |b| f16::from_le_bytes(b).to_f32()),
            _ => read(bytes, |b| f64::from_le_bytes(b) as f32),
        }
    }

    /// The `n` coefficients in f64: exact.
    pub fn to_f64(&self) -> Vec<f64> {
        values(self.data.bytes(), self.data.dtype).unwrap_or_default()
    }
}

impl SavedTensor {
    /// The base's name for it: without `base_model.model.` and `.base_layer`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name in the adapter's file.
    pub fn key(&self) -> &str {
        &self.data.key
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.data.dtype
    }

    /// Its shape, outermost axis first.
    pub fn shape(&self) -> &[usize] {
        &self.data.shape
    }

    /// Its bytes, row-major and little-endian.
    pub fn bytes(&self) -> &[u8] {
        self.data.bytes()
    }
}

impl Bytes {
    fn of_f32(values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self::Owned(bytes.collect())
    }
}

impl Data {
    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Owned(bytes) => bytes,
            // The file is mapped for as long as this lives, so the tensor is still there.
            Bytes::Mapped(file) => file.tensor(&self.key).map_or(&[], |tensor| tensor.bytes),
        }
    }
}

/// What to say of a folder without a configuration: adapters with a name are in subfolders.
fn no_config(path: &Path) -> Error {
    let found = adapters_below(path).unwrap_or_else(|| "no such file".to_owned());
    Error::file(path, CONFIG_FILE, found)
}

/// The last part of a folder's path, also for `.` and `..`.
fn folder_name(path: &Path) -> String {
    let resolved = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().or(resolved.file_name());
    name.unwrap_or_default().to_string_lossy().into_owned()
}
