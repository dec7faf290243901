//! What went wrong, where, what was expected and what was found: one line each.

use std::io;
use std::path::PathBuf;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was refused or could not be done.
///
/// The message is one line that begins with the file concerned. Names that come from a file are quoted and escaped.
///
/// # Examples
/// ```
/// use waveft_std::error::Error;
///
/// let error = Error::tensor("adapter.safetensors", "x", "one axis", "shape [2, 2]");
/// assert_eq!(error.to_string(), r#"adapter.safetensors: tensor "x": expected one axis, found shape [2, 2]"#);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something to do with a file or folder.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file or folder that is not what it should be.
    #[error("{path}: expected {expected}, found {found}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A file that is not valid JSON.
    #[error("{path}: line {line}, column {column}: expected {expected}, found {found}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, in bytes.
        column: usize,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A tensor that is missing, superfluous, or of the wrong type, shape or content.
    #[error("{path}: tensor {tensor:?}: expected {expected}, found {found}")]
    Tensor {
        /// The file, or the folder of the checkpoint.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A value that is NaN or infinite where only finite ones are accepted.
    #[error("{path}: tensor {tensor:?}: expected finite values, found {found} at {at}")]
    NonFinite {
        /// The file, or the folder of the checkpoint.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Row-major index of the first such value.
        at: u64,
        /// The value.
        found: f64,
    },
    /// A key of an adapter's configuration with a value that cannot be used.
    #[error("{path}: {key:?}: expected {expected}, found {found}")]
    Config {
        /// The configuration's file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A module that an adapter cannot adapt as it stands.
    #[error("{path}: module {module:?}: expected {expected}, found {found}")]
    Module {
        /// The adapter's folder or its configuration.
        path: PathBuf,
        /// The module's path in the model.
        module: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A module of an adapter that a base does not have.
    #[error(
        "{base}: expected tensor {weight:?} for the adapter's module {module:?}, found none; {hint}"
    )]
    MissingModule {
        /// The base checkpoint.
        base: PathBuf,
        /// The module's path in the adapter.
        module: String,
        /// The name that its weight would have.
        weight: String,
        /// The nearest thing there is.
        hint: String,
    },
    /// The mathematics refused its arguments.
    #[error("{context}: {source}")]
    Core {
        /// The file and tensor concerned.
        context: String,
        /// What the core said.
        source: waveft_core::Error,
    },
    /// Something in training that is not as it should be.
    #[error("{what}: expected {expected}, found {found}")]
    Training {
        /// The trainer, or the parameter by its name.
        what: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A layer, or what it was given, that is not as it should be.
    #[error("{layer}: expected {expected}, found {found}")]
    Layer {
        /// The layer, by its module's path.
        layer: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A file that another run is using.
    #[error("{path}: expected a file that no other run is using, found it locked")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A journal of a merge in place that cannot be used.
    #[error("{path}: {reason}")]
    Journal {
        /// The journal.
        path: PathBuf,
        /// What is the matter with it.
        reason: String,
    },
    /// An output that is also the base.
    #[error("{path}: expected an output apart from the base, found the base itself")]
    OutputIsBase {
        /// The output.
        path: PathBuf,
    },
    /// An output that is already there.
    #[error("{path}: expected no such file or folder yet, found one")]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
}

impl Error {
    /// For `map_err` of an operation on `path`: an [`Error::Io`].
    ///
    /// # Examples
    /// ```
    /// use waveft_std::error::Error;
    ///
    /// let error = std::fs::read("no/such/file").map_err(Error::io("no/such/file")).unwrap_err();
    /// assert!(error.to_string().starts_with("no/such/file: "));
    /// ```
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// An [`Error::File`].
    pub fn file(
        path: impl Into<PathBuf>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::File {
            path: path.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An [`Error::Tensor`].
    pub fn tensor(
        path: impl Into<PathBuf>,
        tensor: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Tensor {
            path: path.into(),
            tensor: tensor.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An [`Error::Training`] about a parameter.
    pub(crate) fn parameter(
        name: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Training {
            what: format!("parameter {name:?}"),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An [`Error::Training`] about a trainer.
    pub(crate) fn trainer(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Training {
            what: "trainer".to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An [`Error::Layer`].
    pub(crate) fn layer(
        layer: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Layer {
            layer: layer.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An [`Error::Module`].
    pub fn module(
        path: impl Into<PathBuf>,
        module: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Module {
            path: path.into(),
            module: module.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}
